"""Regressions and perceptrons: trained by the gradient over all sites' rows, or by epochs at each site (FedAvg, FedProx).

McMahan et al., *Communication-Efficient Learning of Deep Networks from Decentralized Data*, AISTATS 2017; Li et al., *Federated
Optimization in Heterogeneous Networks*, MLSys 2020. Under privacy: gradients clipped per person, momentum, and the mean of the
second half of the rounds; otherwise Adam (Kingma, Ba 2015).
"""

from __future__ import annotations

import numpy as np

from dataward.federated.encode import Numbers, pack, unpack
from dataward.federated.family import Body, kind_of
from dataward.federated.network import Shape, gradient, gradients, initial, scores, steady
from dataward.federated.plan import TrainingPlan
from dataward.federated.rows import Rows

__all__ = ["Descent"]

RATES = {"gradient": 0.1, "fedavg": 0.1, "fedprox": 0.1}
PRIVATE_RATE = 8.0
PRIVATE_MOMENTUM = 0.5


class Descent:
    """Family of networks without or with hidden layers."""

    def __init__(self, plan: TrainingPlan) -> None:
        """Derive the shape of the network from the plan."""
        model, self._how, self._private = plan.model, plan.training, plan.privacy is not None
        hidden = model.hidden if model.type == "mlp" else ()
        self.kind = kind_of(plan)
        self.shape = Shape((model.inputs, *hidden, model.outputs), self.kind)
        self.bound = plan.privacy.clip if plan.privacy else 0.0
        self._rounds = plan.rounds
        slower = 5 if hidden else 1
        default = (PRIVATE_RATE / self.bound if self._private else RATES[self._how.algorithm]) / slower
        self._rate = self._how.rate or default

    def start(self) -> Body:
        """Return the first weights and empty moments."""
        flat = initial(self.shape, self._how.seed)
        nothing = pack(np.zeros_like(flat))
        return {"weights": pack(flat), "first": nothing, "second": nothing, "sum": nothing, "summed": 0, "taken": 0}

    def ask(self, body: Body, round_: int) -> Body:
        """Ask for gradients, or for the change by epochs at the site, at the present weights."""
        what = "gradient" if self._how.algorithm == "gradient" else "local"
        return {"kind": what, "round": round_, "weights": body["weights"]}

    def size(self, question: Body) -> int:
        """Return the number of parameters, after checking the weights."""
        self._weights(question)
        return self.shape.size

    def per_row(self, question: Body, rows: Rows) -> Numbers:
        """Return each row's gradient."""
        return gradients(self.shape, self._weights(question), rows.inputs, rows.labels)

    def total(self, question: Body, rows: Rows) -> Numbers:
        """Return the sum of gradients, or the change of the weights by local epochs times the number of rows."""
        weights = self._weights(question)
        if question["kind"] == "gradient":
            return gradient(self.shape, weights, rows.inputs, rows.labels)
        return (self._local(weights, rows, int(question["round"])) - weights) * len(rows)

    def _local(self, weights: Numbers, rows: Rows, round_: int) -> Numbers:
        how, common = self._how, weights
        draw = np.random.default_rng([how.seed, round_])
        for _ in range(how.epochs):
            order = draw.permutation(len(rows))
            for begin in range(0, len(rows), how.batch):
                some = order[begin : begin + how.batch]
                slope = gradient(self.shape, weights, rows.inputs[some], rows.labels[some]) / len(some)
                slope = slope + how.l2 * weights
                if how.algorithm == "fedprox":
                    slope = slope + how.proximal * (weights - common)
                weights = weights - self._rate * slope
        return weights

    def take(self, body: Body, question: Body, sums: Numbers, units: float) -> tuple[Body, bool]:
        """Take one step by the mean over all sites."""
        weights, mean = self._weights(body), sums / max(units, 1.0)
        taken = body["taken"] + 1
        if question["kind"] == "local":
            return {**body, "weights": pack(weights + mean), "taken": taken}, True
        slope = mean + self._how.l2 * weights
        first, second = self._array(body["first"]), self._array(body["second"])
        if self._private:
            first = PRIVATE_MOMENTUM * first + slope
            weights = weights - self._rate * first
        else:
            keep = self._how.momentum
            first = keep * first + (1 - keep) * slope
            second = 0.99 * second + 0.01 * slope**2
            step = (first / (1 - keep**taken)) / (np.sqrt(second / (1 - 0.99**taken)) + 1e-8)
            weights = weights - self._rate * step
        late = taken > self._rounds // 2
        return {
            "weights": pack(weights),
            "first": pack(first),
            "second": pack(second),
            "sum": pack(self._array(body["sum"]) + weights) if late else body["sum"],
            "summed": body["summed"] + late,
            "taken": taken,
        }, True

    def trained(self, body: Body) -> Body:
        """Return the weights; under privacy their mean over the later rounds, which reduces noise."""
        if self._private and body["summed"]:
            return {"weights": pack(self._array(body["sum"]) / body["summed"])}
        return {"weights": body["weights"]}

    def scores(self, trained: Body, inputs: Numbers) -> Numbers:
        """Return the outputs before the sigmoid or softmax."""
        return steady(self.shape, self._weights(trained), inputs)

    def asked_scores(self, question: Body, inputs: Numbers) -> Numbers:
        """Return the outputs at the question's weights."""
        return scores(self.shape, self._weights(question), inputs)

    def steps(self) -> int:
        """Return one sum per round."""
        return self._rounds

    def _weights(self, body: Body) -> Numbers:
        return self._array(body.get("weights"))

    def _array(self, text: object) -> Numbers:
        values: Numbers = unpack(text, np.float64, self.shape.size)
        return values
