"""The model card, and its exports: CycloneDX 1.6 with a machine-learning component, and Croissant 1.0 for the data.

The card follows Mitchell et al., *Model Cards for Model Reporting*, FAT* 2019: the model, its training data and their
protection, its measured quality, also by group, and the information that it reveals about its rows.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, cast

from dataward.federated.coordinator import Coordinator
from dataward.federated.course import Course
from dataward.federated.evaluation import advantage_bound
from dataward.federated.model import Model
from dataward.federated.plan import TrainingPlan

__all__ = ["card_of", "croissant", "ml_bom", "model_of"]

LIMITS = (
    "Sites follow the protocol, or fail visibly: a site that contributes wrong but well-formed numbers can spoil the model.",
    "The coordinator learns the sums of each step, and nothing else, as long as fewer sites than the threshold pool with it.",
)
WITHOUT = "No noise was added: each sum, and so the model, may reveal something about single rows."


def model_of(coordinator: Coordinator) -> Model:
    """Return the model of a finished run."""
    state, tables = coordinator.progress.state, coordinator.progress.tables
    plan, course = _training(coordinator)
    protections = {site: dict(one["table"].get("protections", {})) for site, one in tables.items()}
    return Model(plan, coordinator.digest, state.center, state.spread, course.chosen(state), protections)


def _training(coordinator: Coordinator) -> tuple[TrainingPlan, Course]:
    return cast("TrainingPlan", coordinator.plan), cast("Course", coordinator.course)


def card_of(coordinator: Coordinator, model: Model, finished: str) -> dict[str, Any]:
    """Return the card of a finished run.

    Args:
        coordinator: the run.
        model: its model.
        finished: end of the run (UTC, ISO 8601).
    """
    plan, progress = _training(coordinator)[0], coordinator.progress
    excluded = set(progress.excluded)
    return {
        "format": 1,
        "model": {
            "name": plan.plan,
            "type": plan.model.type,
            "sha256": model.sha256,
            "features": [feature.name for feature in plan.model.features],
            "label": plan.model.label,
            "classes": list(plan.model.labels),
        },
        "training": {
            "plan_sha256": coordinator.digest,
            "run": progress.run,
            "finished": finished,
            "algorithm": plan.training.algorithm if plan.model.type not in ("boosted", "custom") else plan.model.type,
            "rounds": progress.state.round,
            "planned_rounds": plan.rounds,
            "chosen_round": progress.state.best["round"] if plan.training.patience and progress.state.best else None,
            "steps": progress.sequence,
            "threshold": plan.minimum_sites,
            "sites": [
                {"site": name, "takes_part": name not in excluded, **one["table"]}
                for name, one in sorted(progress.tables.items())
            ],
            "incidents": [{"site": one.site, "step": one.step, "what": one.what} for one in progress.incidents],
        },
        "privacy": _privacy(coordinator),
        "evaluation": {"rounds": list(progress.state.history), **(progress.state.evaluation or {})},
        "limits": [*LIMITS, *([] if plan.privacy else [WITHOUT])],
    }


def _privacy(coordinator: Coordinator) -> dict[str, Any] | None:
    (plan, course), progress = _training(coordinator), coordinator.progress
    if plan.privacy is None or course.noise is None:
        return None
    privacy = plan.privacy
    return {
        "epsilon": privacy.epsilon,
        "delta": privacy.delta,
        "spent_epsilon": course.spent(progress.sequence, progress.largest),
        "unit": privacy.unit or "row",
        "neighbours": "one unit added or removed",
        "mechanism": "discrete Gaussian at each site, inside the mask",
        "noise_multiplier": course.noise.multiplier,
        "releases_paid": course.noise.releases,
        "clip": privacy.clip,
        "membership_bound": advantage_bound(privacy.epsilon, privacy.delta),
        "assumptions": [
            f"a {'person' if privacy.unit else 'row'} is at no more than {privacy.sites_per_unit} site(s)",
            f"at most {privacy.colluding_sites} site(s) pool what they know with the coordinator",
            "bounds, categories and the plan itself are public",
            "sites compute and add noise as the protocol says; time and size of messages are not protected",
        ],
    }


def ml_bom(card: Mapping[str, Any], created: str) -> dict[str, Any]:
    """Return the card as a CycloneDX 1.6 document with a machine-learning model and its data sets.

    https://cyclonedx.org/docs/1.6/json/
    """
    model, training, privacy = card["model"], card["training"], card["privacy"]
    metrics = _metrics(card["evaluation"])
    properties = {
        "dataward:plan_sha256": training["plan_sha256"],
        "dataward:rounds": training["rounds"],
        "dataward:epsilon": privacy["epsilon"] if privacy else "none",
        "dataward:delta": privacy["delta"] if privacy else "none",
    }
    data = [
        {
            "bom-ref": f"data-{site['site']}",
            "type": "data",
            "name": f"{site['site']}/{site.get('contract', 'table')}",
            "version": str(site.get("version", "")),
            "data": [{"type": "dataset", "name": f"{site['site']}/{site.get('contract', 'table')}"}],
            "properties": [{"name": "dataward:seal_sha256", "value": str(site.get("seal_sha256", ""))}],
        }
        for site in training["sites"]
    ]
    component = {
        "bom-ref": "model",
        "type": "machine-learning-model",
        "name": model["name"],
        "version": model["sha256"][:16],
        "hashes": [{"alg": "SHA-256", "content": model["sha256"]}],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "classification" if model["classes"] else "regression",
                "modelArchitecture": model["type"],
                "datasets": [{"ref": one["bom-ref"]} for one in data],
                "inputs": [{"format": name} for name in model["features"]],
                "outputs": [{"format": model["label"]}],
            },
            "quantitativeAnalysis": {"performanceMetrics": metrics},
            "considerations": {"technicalLimitations": list(card["limits"])},
        },
        "properties": [{"name": name, "value": str(value)} for name, value in properties.items()],
    }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, 'urn:dataward:model:' + model['sha256'])}",
        "version": 1,
        "metadata": {"timestamp": created, "component": component},
        "components": data,
        "dependencies": [{"ref": "model", "dependsOn": [one["bom-ref"] for one in data]}],
    }


def _metrics(evaluation: Mapping[str, Any]) -> list[dict[str, str]]:
    metrics = [
        {"type": name, "value": f"{evaluation[name]:.6g}"}
        for name in ("accuracy", "mean_squared_error", "loss")
        if evaluation.get(name) is not None
    ]
    for group, categories in (evaluation.get("groups") or {}).items():
        metrics += [
            {"type": "accuracy", "value": f"{one['accuracy']:.6g}", "slice": f"{group}={category}"}
            for category, one in categories.items()
            if one["accuracy"] is not None
        ]
    return metrics


def croissant(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Croissant 1.0 description of the training data: names, versions and seals; the rows stay at the sites.

    https://docs.mlcommons.org/croissant/docs/croissant-spec.html
    """
    training = card["training"]
    files = [
        {
            "@type": "cr:FileObject",
            "@id": site["site"],
            "name": site["site"],
            "description": f"Seal of version {site.get('version')} of the table of contract {site.get('contract')}, which stays there",
            "contentUrl": f"urn:dataward:site:{site['site']}:{site.get('contract', 'table')}:{site.get('version', '')}:seal",
            "encodingFormat": "application/json",
            "sha256": str(site.get("seal_sha256", "")),
        }
        for site in training["sites"]
    ]
    context = {
        "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/", "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/", "dct": "http://purl.org/dc/terms/", "citeAs": "cr:citeAs", "column": "cr:column",
        "conformsTo": "dct:conformsTo", "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "examples": {"@id": "cr:examples", "@type": "@json"},
        "extract": "cr:extract", "field": "cr:field", "fileProperty": "cr:fileProperty", "fileObject": "cr:fileObject",
        "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset",
        "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path",
        "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated",
        "replace": "cr:replace", "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
    }  # fmt: skip
    return {
        "@context": context,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{card['model']['name']}-training-data",
        "description": f"Data that model {card['model']['name']} was trained on, at {len(files)} sites, by secure sums",
        "url": f"urn:dataward:model:{card['model']['sha256']}",
        "datePublished": training["finished"],
        "version": training["plan_sha256"][:16],
        "distribution": files,
    }
