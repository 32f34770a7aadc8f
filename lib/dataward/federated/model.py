"""A trained model as a file: everything to score rows, and the protection of the features in training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataward.errors import NotPermitted, SourceError
from dataward.federated.course import Course, standardised
from dataward.federated.encode import Numbers, canonical, sha256
from dataward.federated.network import probabilities
from dataward.federated.plan import TrainingPlan
from dataward.federated.rows import inputs_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Model", "Protections", "SCORE", "same_protections"]

FORMAT = 1
SCORE = "score"

Protections = Mapping[str, Mapping[str, Any]]
"""By column: ``protection`` (text); with a key also ``domain``, ``key_version`` and ``fingerprint``. Kept columns are left out."""


@dataclass(frozen=True)
class Model:
    """A trained model.

    Attributes:
        plan: the plan; its addresses and keys are irrelevant here.
        digest: digest of the plan that the sites accepted.
        center: mean of each input.
        spread: standard deviation of each input.
        trained: parameters.
        protections: how each site's features were protected.
    """

    plan: TrainingPlan
    digest: str
    center: tuple[float, ...]
    spread: tuple[float, ...]
    trained: Mapping[str, Any] = field(repr=False)
    protections: Mapping[str, Protections]

    def data(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "format": FORMAT,
            "plan": self.plan.model_dump(mode="json"),
            "plan_sha256": self.digest,
            "center": list(self.center),
            "spread": list(self.spread),
            "trained": dict(self.trained),
            "protections": {site: dict(columns) for site, columns in self.protections.items()},
        }

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the file of the model."""
        return sha256(self.bytes())

    def bytes(self) -> bytes:
        """Return the content of the file."""
        return canonical(self.data()) + b"\n"

    @classmethod
    def read(cls, path: Path) -> Model:
        """Read a model from its file, or from a training's output folder.

        Raises:
            SourceError: the file does not exist or is not a model.
        """
        file = path / "model.json" if path.is_dir() else path
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise SourceError(f"{file}: the model has format {data['format']!r}, and this Dataward reads {FORMAT}")
            plan = TrainingPlan.model_validate(data["plan"])
            scaling = tuple(map(float, data["center"])), tuple(map(float, data["spread"]))
            return cls(plan, str(data["plan_sha256"]), *scaling, dict(data["trained"]), dict(data["protections"]))
        except OSError as error:
            raise SourceError(f"{file}: the model cannot be read ({error.strerror})") from None
        except (ValueError, KeyError, TypeError):
            raise SourceError(f"{file} is no model of 'dataward train'") from None

    def scores(self, table: pa.Table) -> Numbers:
        """Return probabilities by class (of the second class, for two), or the predicted number; shape (rows, outputs).

        A row's score is independent of other rows to the last bit, so that batches of any size give the same result.
        """
        course = Course(self.plan)
        inputs = inputs_of(self.plan.model, table, self.plan.training.missing == "mean")
        outputs = course.family.scores(dict(self.trained), standardised(inputs, self.center, self.spread))
        result = probabilities(course.family.kind, outputs)
        if bounds := self.plan.model.label_bounds:
            low, high = bounds
            result = (result + 1) / 2 * (high - low) + low
        return result

    def columns(self) -> list[str]:
        """Return the columns to read for scoring."""
        return [feature.name for feature in self.plan.model.features]

    def answers(self, table: pa.Table) -> pa.Table:
        """Return for each row its ``score`` (of the predicted class, or the number), and ``prediction`` for models with classes."""
        import pyarrow as pa

        scores, labels = self.scores(table), self.plan.model.labels
        if not labels:
            return pa.table({SCORE: pa.array(scores[:, 0], pa.float64())})
        if scores.shape[1] == 1:
            scores = np.concatenate([1 - scores, scores], axis=1)
        best = scores.argmax(axis=1)
        return pa.table(
            {
                "prediction": pa.array([str(labels[number]) for number in best], pa.string()),
                SCORE: pa.array(scores[np.arange(len(best)), best], pa.float64()),
            }
        )

    def permit(self, given: Protections) -> None:
        """Refuse inputs with another protection than in training.

        Raises:
            NotPermitted: the message names the columns and both protections.
        """
        if any(same_protections(given, sealed, self.columns()) == [] for sealed in self.protections.values()):
            return
        sealed = next(iter(self.protections.values()), {})
        differing = [
            f"column '{name}' is {_told(given.get(name))}, and was {_told(sealed.get(name))} in training"
            for name in same_protections(given, sealed, self.columns())
        ]
        raise NotPermitted(
            f"the inputs are protected otherwise than in training: {'; '.join(differing)}. Score rows that are protected by the "
            "same operators and keys"
        )


def same_protections(given: Protections, sealed: Protections, columns: Iterable[str]) -> list[str]:
    """Return the columns whose operator, key domain, key version or key differ; a column without an entry is kept."""
    return [name for name in columns if _facts(given.get(name)) != _facts(sealed.get(name))]


def _facts(one: Mapping[str, Any] | None) -> tuple[Any, ...]:
    if one is None or one.get("protection") == "keep":
        return ("keep", None, None, None)
    return tuple(one.get(key) for key in ("protection", "domain", "key_version", "fingerprint"))


def _told(one: Mapping[str, Any] | None) -> str:
    protection, domain, version, _ = _facts(one)
    return f"protected by {protection}" + (f" (domain {domain}, key version {version})" if domain else "")
