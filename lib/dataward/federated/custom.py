"""A user's own ``fit`` at each site: parameters in, parameters out, averaged by rows. The site's file names the code, never the plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from dataward.errors import UsageError
from dataward.federated.encode import Numbers, pack, unpack
from dataward.federated.family import Body, kind_of
from dataward.federated.plan import TrainingPlan
from dataward.federated.rows import Rows

__all__ = ["Custom", "Estimator", "Fit", "Module"]


class Fit(Protocol):
    """Interface of a site's code; an optional ``scores(parameters, inputs)`` enables evaluation."""

    def fit(self, parameters: Numbers, inputs: Numbers, labels: Numbers, round_: int) -> Numbers:
        """Train from the common parameters (all 0 before the first round) and return the new ones."""
        ...


class Custom:
    """Family of models known only to their owner."""

    def __init__(self, plan: TrainingPlan, fit: Fit | None = None) -> None:
        """Keep the site's code; the coordinator has none."""
        self.kind = kind_of(plan)
        self.bound = 0.0
        self._size, self._rounds, self._fit = int(plan.model.size or 0), plan.rounds, fit
        self._outputs = plan.model.outputs

    def start(self) -> Body:
        """Return parameters of 0."""
        return {"weights": pack(np.zeros(self._size))}

    def ask(self, body: Body, round_: int) -> Body:
        """Ask for the change of the parameters."""
        return {"kind": "custom", "round": round_, "weights": body["weights"]}

    def size(self, question: Body) -> int:
        """Return the number of parameters."""
        self._weights(question)
        return self._size

    def per_row(self, question: Body, rows: Rows) -> Numbers:
        """Refuse: a fit has no contribution per row."""
        raise UsageError("a custom model cannot be trained with 'privacy'")

    def total(self, question: Body, rows: Rows) -> Numbers:
        """Return the change of the parameters times the number of rows."""
        if self._fit is None:
            raise UsageError("this site's file has no 'fit' for the plan")
        weights = self._weights(question)
        fitted = np.asarray(self._fit.fit(weights, rows.inputs, rows.labels, int(question["round"])), dtype=np.float64)
        if fitted.shape != (self._size,):
            raise UsageError(f"the site's fit returned {fitted.size} parameters, and the plan says {self._size}")
        return (fitted - weights) * len(rows)

    def take(self, body: Body, question: Body, sums: Numbers, units: float) -> tuple[Body, bool]:
        """Add the mean change."""
        return {"weights": pack(self._weights(body) + sums / max(units, 1.0))}, True

    def trained(self, body: Body) -> Body:
        """Return the parameters."""
        return {"weights": body["weights"]}

    def scores(self, trained: Body, inputs: Numbers) -> Numbers:
        """Return the outputs by the owner's code."""
        result = self.asked_scores(trained, inputs)
        if result is None:
            raise UsageError("a custom model is scored by its owner's code, which this place does not have")
        return result

    def asked_scores(self, question: Body, inputs: Numbers) -> Numbers | None:
        """Return the outputs; None without the owner's ``scores``."""
        function: Callable[[Numbers, Numbers], Any] | None = getattr(self._fit, "scores", None)
        if function is None:
            return None
        return np.asarray(function(self._weights(question), inputs), dtype=np.float64).reshape(-1, self._outputs)

    def steps(self) -> int:
        """Return one sum per round."""
        return self._rounds

    def _weights(self, body: Body) -> Numbers:
        values: Numbers = unpack(body.get("weights"), np.float64, self._size)
        return values


class Estimator:
    """Adapter of a scikit-learn classifier or regressor with ``partial_fit``, ``coef_`` and ``intercept_`` (e.g. SGDClassifier)."""

    def __init__(self, estimator: Any, classes: int = 0, epochs: int = 1) -> None:
        """Keep the estimator; ``classes`` is the number of classes, 0 for a numeric label."""
        self._estimator, self._classes, self._epochs = estimator, classes, epochs

    def fit(self, parameters: Numbers, inputs: Numbers, labels: Numbers, round_: int) -> Numbers:
        """Continue training from the common coefficients."""
        known = {"classes": np.arange(self._classes)} if self._classes else {}
        if not hasattr(self._estimator, "coef_"):
            self._estimator.partial_fit(inputs[:1], labels[:1], **known)
        self._set(parameters)
        for _ in range(self._epochs):
            self._estimator.partial_fit(inputs, labels)
        return np.concatenate([self._estimator.coef_.ravel(), np.ravel(self._estimator.intercept_)])

    def scores(self, parameters: Numbers, inputs: Numbers) -> Numbers:
        """Return the decision function at the common coefficients."""
        if not hasattr(self._estimator, "coef_"):
            return np.zeros((len(inputs), max(1, self._classes if self._classes > 2 else 1)))
        self._set(parameters)
        decide = getattr(self._estimator, "decision_function", None) or self._estimator.predict
        return np.asarray(decide(inputs), dtype=np.float64)

    def _set(self, parameters: Numbers) -> None:
        shape, size = self._estimator.coef_.shape, self._estimator.coef_.size
        # In place: scikit-learn's solvers keep views of these arrays between calls.
        self._estimator.coef_ = np.array(parameters[:size]).reshape(shape)
        self._estimator.intercept_ = np.array(parameters[size:]).reshape(np.shape(self._estimator.intercept_))


class Module:
    """Adapter of a PyTorch module: a function trains it in place, and its ``state_dict`` is exchanged."""

    def __init__(self, module: Any, train: Callable[[Any, Numbers, Numbers, int], None]) -> None:
        """Keep the module and ``train(module, inputs, labels, round)``."""
        self._module, self._train = module, train

    def fit(self, parameters: Numbers, inputs: Numbers, labels: Numbers, round_: int) -> Numbers:
        """Train from the common parameters; before the first round, from the module's own."""
        if parameters.any():
            start = 0
            for tensor in self._module.state_dict().values():
                part = parameters[start : start + tensor.numel()].reshape(tuple(tensor.shape))
                tensor.copy_(tensor.new_tensor(part.tolist()))
                start += tensor.numel()
        self._train(self._module, inputs, labels, round_)
        return np.concatenate([np.ravel(tensor.tolist()) for tensor in self._module.state_dict().values()])
