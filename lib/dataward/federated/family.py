"""Interface of a kind of model that is trained by sums: two of its functions run at sites, the others at the coordinator."""

from __future__ import annotations

from typing import Any, Protocol

from dataward.federated.encode import Numbers
from dataward.federated.network import Kind
from dataward.federated.plan import TrainingPlan
from dataward.federated.rows import Rows

__all__ = ["Family", "kind_of"]

Body = dict[str, Any]
"""State of a model in training, or a question to the sites: plain data with a JSON form."""


class Family(Protocol):
    """A kind of model. Vectors contain only the part of the training rows; :mod:`.course` adds the holdout's part."""

    kind: Kind
    bound: float
    """Largest L2 norm of a person's contribution under privacy."""

    def start(self) -> Body:
        """Return the state before the first round."""
        ...

    def ask(self, body: Body, round_: int) -> Body:
        """Return the next question to the sites."""
        ...

    def size(self, question: Body) -> int:
        """Return the length of the answer; raise SiteRefused where the question is malformed."""
        ...

    def per_row(self, question: Body, rows: Rows) -> Numbers:
        """Return each row's contribution; shape (rows, size)."""
        ...

    def total(self, question: Body, rows: Rows) -> Numbers:
        """Return the contribution of all rows."""
        ...

    def take(self, body: Body, question: Body, sums: Numbers, units: float) -> tuple[Body, bool]:
        """Return the state after an answer of all sites, and whether the round is complete."""
        ...

    def trained(self, body: Body) -> Body:
        """Return the present parameters of the model."""
        ...

    def scores(self, trained: Body, inputs: Numbers) -> Numbers:
        """Return the outputs for rows, each independent of the others; shape (rows, outputs)."""
        ...

    def asked_scores(self, question: Body, inputs: Numbers) -> Numbers | None:
        """Return the outputs of the model in a question; None where the site cannot compute them."""
        ...

    def steps(self) -> int:
        """Return the number of sums of all rounds."""
        ...


def kind_of(plan: TrainingPlan) -> Kind:
    """Return the kind of a plan's outputs."""
    if not plan.model.labels:
        return "linear"
    return "sigmoid" if plan.model.outputs == 1 else "softmax"
