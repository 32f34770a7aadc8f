"""Log a trained model, its card and its training data to MLflow, or a verified table as the data set of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.errors import ProofError, RunError, UsageError
from dataward.integrity.canonical import sha256
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import Plan
from dataward.verbs.train import verify_model

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Logged", "log_model", "log_table"]

FILES = ("model.json", "card.json", "card.html", "bom.cdx.json", "croissant.json", "statement.json", "sites.json")


@dataclass(frozen=True)
class Logged:
    """A run of MLflow, and the logged items."""

    run_id: str
    experiment: str
    datasets: tuple[str, ...]
    artifacts: tuple[str, ...]


@guarded("mlflow", of="folder")
def log_model(folder: str | Path, experiment: str, tracking: str | None = None) -> Logged:
    """Log a finished training as a run: parameters, metrics, data sets with their seals, and all files as artefacts.

    Args:
        folder: the training's output.
        experiment: name of the experiment; it is created if needed.
        tracking: tracking URI; default: MLflow's configuration.

    Raises:
        ProofError: the training's statement does not hold.
        UsageError: MLflow is not installed.
        RunError: MLflow refuses.
    """
    mlflow, folder = _mlflow(tracking), Path(folder)
    if flaws := [f"{check.name}: {check.detail}" for check in verify_model(folder) if not check.holds]:
        raise ProofError(f"{folder}: nothing is logged, for the training's proof does not hold: {'; '.join(flaws)}")
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    training, privacy, evaluation = card["training"], card["privacy"], card["evaluation"]
    params = {
        "plan_sha256": training["plan_sha256"], "algorithm": training["algorithm"], "rounds": training["rounds"],
        "model_type": card["model"]["type"], "epsilon": privacy["epsilon"] if privacy else "none",
        "delta": privacy["delta"] if privacy else "none",
    }  # fmt: skip
    metrics = {
        name: evaluation[name]
        for name in ("accuracy", "loss", "mean_squared_error")
        if evaluation.get(name) is not None
    }
    if evaluation.get("membership"):
        metrics["membership_advantage"] = evaluation["membership"]["advantage"]
    sites = [(f"{one['site']}/{one['contract']}", one["seal_sha256"], one) for one in training["sites"]]
    files = tuple(name for name in FILES if (folder / name).exists())
    with _run(mlflow, experiment, f"{card['model']['name']} {training['run']}") as run:
        mlflow.log_params(params)
        mlflow.log_metrics(metrics)
        mlflow.set_tags({"dataward.model_sha256": card["model"]["sha256"], "dataward.run": training["run"]})
        _inputs(mlflow, sites)
        for name in files:
            mlflow.log_artifact(str(folder / name), "dataward")
    return Logged(run.info.run_id, experiment, tuple(name for name, _, _ in sites), files)


@guarded("mlflow")
def log_table(
    spark: SparkSession, plan: Plan, experiment: str, tracking: str | None = None, version: int | None = None
) -> Logged:
    """Log a verified version of a contract's target as the data set of a run, to the active run if there is one.

    Raises:
        ProofError: the seal of the version does not hold.
        UsageError: MLflow is not installed.
    """
    from dataward.verbs.held import sealed

    mlflow = _mlflow(tracking)
    seal = sealed(spark, plan, version)
    said: dict[str, Any] = {
        "contract": plan.name, "target": str(plan.contract.target), "version": seal.version, "sealed_at": seal.time,
        "seal_sha256": sha256(seal.text()), "content_digest": seal.content.digest,
    }  # fmt: skip
    name = f"{plan.name}@{seal.version}"
    active = mlflow.active_run()
    if active is not None:
        _inputs(mlflow, [(name, said["seal_sha256"], said)])
        mlflow.log_dict(said, f"dataward/{plan.name}.seal.json")
        return Logged(active.info.run_id, str(active.info.experiment_id), (name,), (f"{plan.name}.seal.json",))
    with _run(mlflow, experiment, name) as run:
        _inputs(mlflow, [(name, said["seal_sha256"], said)])
        mlflow.log_dict(said, f"dataward/{plan.name}.seal.json")
    return Logged(run.info.run_id, experiment, (name,), (f"{plan.name}.seal.json",))


def _mlflow(tracking: str | None) -> Any:
    try:
        import mlflow
    except ImportError:
        raise UsageError("MLflow is not installed: pip install 'dataward[mlflow]'") from None
    if tracking:
        mlflow.set_tracking_uri(tracking)
    return mlflow


def _run(mlflow: Any, experiment: str, name: str) -> Any:
    try:
        mlflow.set_experiment(experiment)
        return mlflow.start_run(run_name=name)
    except Exception as error:
        raise RunError(
            f"MLflow at {mlflow.get_tracking_uri()} refuses ({type(error).__name__}): check the address and rights"
        ) from None


def _inputs(mlflow: Any, found: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Log data sets by name and seal; no row is read."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.meta_dataset import MetaDataset

    for name, seal, said in found:
        tags = {key: str(said[key]) for key in ("version", "seal_sha256", "sealed_at", "content_digest") if key in said}
        # MLflow accepts digests of up to 36 characters; the whole digest is in the tags.
        kind: Any = MetaDataset  # mypy considers its profile abstract
        dataset = kind(CodeDatasetSource(tags={"dataward.seal_sha256": seal}), name=name, digest=seal[:36])
        mlflow.log_input(dataset, context="training", tags=tags)
