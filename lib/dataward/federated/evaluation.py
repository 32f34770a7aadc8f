"""Evaluation after training: accuracy, also by group, and the information that the model reveals about its training rows.

Membership inference: an attacker calls a row a member if the model's loss on it is below a threshold (Yeom et al., CSF 2018).
Attribute inference: an attacker who knows all of a row except one feature guesses the category that makes the true label likeliest
(Fredrikson et al., USENIX Security 2014). Everything is computed from sums over sites.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dataward.federated.encode import Numbers
from dataward.federated.family import Family
from dataward.federated.network import Kind, losses
from dataward.federated.plan import TrainingPlan
from dataward.federated.rows import Rows

__all__ = ["HOLDOUT", "LARGEST", "Evaluator", "advantage_bound", "holdout_block", "hits"]

BINS = 20
HOLDOUT = 3
"""Numbers per round on the holdout: rows, loss, hits."""
LARGEST = 4.0
"""Greatest loss; larger ones are clipped."""


def holdout_block(kind: Kind, outputs: Numbers | None, labels: Numbers) -> Numbers:
    """Return 1, the loss as a share of the largest, and whether the prediction is right, for each row."""
    if outputs is None:
        return np.zeros((len(labels), HOLDOUT))
    loss = np.minimum(losses(kind, outputs, labels), LARGEST) / LARGEST
    return np.stack([np.ones(len(labels)), loss, hits(kind, outputs, labels)], axis=1)


def hits(kind: Kind, outputs: Numbers, labels: Numbers) -> Numbers:
    """Return 1 where the predicted class is right; for numbers, 1 minus the squared error, at least 0."""
    if kind == "linear":
        return np.asarray(np.maximum(0.0, 1 - (outputs[:, 0] - labels) ** 2))
    predicted = (outputs[:, 0] > 0).astype(np.float64) if kind == "sigmoid" else outputs.argmax(axis=1)
    return np.asarray(predicted == labels, dtype=np.float64)


def advantage_bound(epsilon: float, delta: float) -> float:
    """Return the largest difference of true and false positive rate of any membership attack under (epsilon, delta).

    Humphries et al., *Investigating Membership Inference Attacks under Data Dependencies*, CSF 2023.
    """
    return (math.exp(epsilon) - 1 + 2 * delta) / (math.exp(epsilon) + 1)


class Evaluator:
    """Layout of the last sum: one block of numbers per measurement."""

    def __init__(self, plan: TrainingPlan, family: Family) -> None:
        """Derive the blocks from the plan."""
        self._plan, self._family = plan, family
        self._classes = max(len(plan.model.labels), 1)
        self._blocks = {"confusion": self._classes**2, "loss": 1, "squared": 1, "members": BINS, "others": BINS}
        for group in plan.evaluation.by:
            self._blocks[f"group/{group.name}"] = 2 * len(group.categories)
        self._slices: dict[str, slice] = {}
        start = 0
        for feature in plan.model.features:
            self._slices[feature.name] = slice(start, start + feature.width)
            start += feature.width
        for name in plan.evaluation.attributes:
            self._blocks[f"attribute/{name}"] = 4 + self._width(name)

    @property
    def size(self) -> int:
        """Number of sums."""
        return sum(self._blocks.values())

    @property
    def bound(self) -> float:
        """Largest L2 norm of a row's contribution."""
        ones = 4 + 2 * len(self._plan.evaluation.by) + 3 * len(self._plan.evaluation.attributes)
        return math.sqrt(ones)

    def _width(self, name: str) -> int:
        part = self._slices[name]
        return int(part.stop - part.start)

    def per_row(self, trained: dict[str, Any], rows: Rows) -> Numbers:
        """Return each row's contribution; shape (rows, size). All are 0 where the site cannot score."""
        outputs = self._family.asked_scores(trained, rows.inputs)
        if outputs is None:
            return np.zeros((len(rows), self.size))
        kind, labels, others = self._family.kind, rows.labels, rows.holdout
        loss = losses(kind, outputs, labels)
        right = hits(kind, outputs, labels)
        # Over the loss: exp(-loss) is the probability of the true class, which the attacker compares with a threshold.
        bins = np.minimum((np.exp(-loss) * BINS).astype(int), BINS - 1)
        one_hot = np.eye(BINS)[bins]
        parts = {
            "confusion": self._confusion(outputs, labels) * others[:, None],
            "loss": (np.minimum(loss, LARGEST) / LARGEST * others)[:, None],
            "squared": ((1 - right) * others)[:, None],
            "members": one_hot * ~others[:, None],
            "others": one_hot * others[:, None],
        }
        for group in self._plan.evaluation.by:
            here = (rows.groups[group.name][:, None] == np.arange(len(group.categories))) & others[:, None]
            parts[f"group/{group.name}"] = np.concatenate([here, here * right[:, None]], axis=1)
        for name in self._plan.evaluation.attributes:
            parts[f"attribute/{name}"] = self._attribute(name, trained, rows)
        return np.asarray(np.concatenate([parts[block] for block in self._blocks], axis=1), dtype=np.float64)

    def _confusion(self, outputs: Numbers, labels: Numbers) -> Numbers:
        if self._classes == 1:
            return np.ones((len(labels), 1))
        kind = self._family.kind
        predicted = (outputs[:, 0] > 0).astype(int) if kind == "sigmoid" else outputs.argmax(axis=1)
        return np.asarray(np.eye(self._classes**2)[labels.astype(int) * self._classes + predicted])

    def _attribute(self, name: str, trained: dict[str, Any], rows: Rows) -> Numbers:
        """Return (member, member guessed, other, other guessed, category of others) for each row with a known category."""
        part = self._slices[name]
        truth = rows.inputs[:, part]
        known = truth.any(axis=1)
        tried = []
        for category in range(self._width(name)):
            inputs = rows.inputs.copy()
            inputs[:, part] = np.eye(self._width(name))[category]
            outputs = self._family.asked_scores(trained, inputs)
            assert outputs is not None  # noqa: S101 - the caller has scored the rows already
            tried.append(losses(self._family.kind, outputs, rows.labels))
        guessed = (np.stack(tried, axis=1).argmin(axis=1) == truth.argmax(axis=1)) & known
        member, other = known & ~rows.holdout, known & rows.holdout
        counts = np.stack([member, guessed & member, other, guessed & other], axis=1).astype(np.float64)
        return np.concatenate([counts, truth * other[:, None]], axis=1)

    def report(self, sums: Numbers) -> dict[str, Any]:
        """Convert the sums to the evaluation and the two inference reports; numbers are None where nothing was measured."""
        parts, start = {}, 0
        for name, width in self._blocks.items():
            parts[name], start = np.maximum(sums[start : start + width], 0.0), start + width
        confusion = parts["confusion"].reshape(self._classes, self._classes)
        count = float(confusion.sum())
        if count < 1:
            return {"rows": 0, "loss": None, "groups": {}, "membership": None, "attributes": {}}
        result: dict[str, Any] = {"rows": round(count), "loss": _ratio(parts["loss"][0] * LARGEST, count)}
        if self._classes > 1:
            result["accuracy"] = _ratio(float(np.trace(confusion)), count)
            result["by_class"] = {
                str(label): {"rows": round(float(row.sum())), "recall": _ratio(float(row[number]), float(row.sum()))}
                for number, (label, row) in enumerate(zip(self._plan.model.labels, confusion, strict=True))
            }
        else:
            result["mean_squared_error"] = _ratio(float(parts["squared"][0]), count)
        result["groups"] = {
            group.name: _of_group(group.categories, parts[f"group/{group.name}"]) for group in self._plan.evaluation.by
        }
        result["membership"] = membership(parts["members"], parts["others"])
        result["attributes"] = {
            name: _of_attribute(parts[f"attribute/{name}"]) for name in self._plan.evaluation.attributes
        }
        return result


def membership(members: Numbers, others: Numbers) -> dict[str, Any] | None:
    """Return advantage and AUC of the threshold attack; None unless both kinds of rows exist.

    Args:
        members: number of training rows by probability of their true class, ascending.
        others: the same for the holdout.
    """
    if members.sum() < 1 or others.sum() < 1:
        return None
    true, false = np.cumsum(members[::-1]) / members.sum(), np.cumsum(others[::-1]) / others.sum()
    true, false = np.r_[0.0, true], np.r_[0.0, false]
    area = float(((true[1:] + true[:-1]) / 2 * np.diff(false)).sum())
    noise = math.sqrt(1 / members.sum() + 1 / others.sum()) / 2
    return {
        "attack": "threshold on the loss",
        "advantage": max(0.0, float((true - false).max())),
        "auc": area,
        "standard_error": noise,
        "members": round(float(members.sum())),
        "others": round(float(others.sum())),
    }


def _of_group(categories: tuple[Any, ...], sums: Numbers) -> dict[str, Any]:
    counts, right = sums[: len(categories)], sums[len(categories) :]
    return {
        str(category): {"rows": round(float(count)), "accuracy": _ratio(float(good), float(count))}
        for category, count, good in zip(categories, counts, right, strict=True)
    }


def _of_attribute(sums: Numbers) -> Mapping[str, Any]:
    members, guessed, others, guessed_others = map(float, sums[:4])
    prior = sums[4:]
    return {
        "attack": "likeliest category given the label",
        "members": _ratio(guessed, members),
        "others": _ratio(guessed_others, others),
        "most_frequent_category": _ratio(float(prior.max()), float(prior.sum())),
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole >= 1 else None
