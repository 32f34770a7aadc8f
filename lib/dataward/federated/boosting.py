"""Gradient-boosted trees from histograms: sites sum gradients by bin, the coordinator chooses splits.

Chen, Guestrin, *XGBoost*, KDD 2016 (second-order gain). All trees are complete; a leaf holds one value per output.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dataward.errors import SiteRefused
from dataward.federated.encode import Numbers
from dataward.federated.family import Body, kind_of
from dataward.federated.network import errors, probabilities
from dataward.federated.plan import TrainingPlan
from dataward.federated.rows import Rows

__all__ = ["Boosted"]

RATE, LAMBDA, RANGE = 0.3, 1.0, 3.0


class Boosted:
    """Family of boosted trees."""

    def __init__(self, plan: TrainingPlan) -> None:
        """Set bins of equal width over the standardised inputs."""
        model = plan.model
        self.kind = kind_of(plan)
        self._depth, self._bins, self._features, self._outputs = model.depth, model.bins, model.inputs, model.outputs
        self._edges = np.linspace(-RANGE, RANGE, self._bins - 1)
        self._rate = plan.training.rate or RATE
        self._rounds = plan.rounds
        self.bound = plan.privacy.clip * float(np.sqrt(self._features)) if plan.privacy else 0.0

    def start(self) -> Body:
        """Return a forest without trees."""
        return {"trees": [], "open": []}

    def ask(self, body: Body, round_: int) -> Body:
        """Ask for the histograms of the open tree's nodes at its present depth."""
        return {"kind": "histogram", "round": round_, **body}

    def size(self, question: Body) -> int:
        """Return the number of sums: gradient and curvature by node, output, feature and bin."""
        self._checked(question)
        return int(2 ** len(question["open"])) * self._outputs * self._features * self._bins * 2

    def per_row(self, question: Body, rows: Rows) -> Numbers:
        """Return each row's histogram."""
        size, count = self.size(question), len(rows)
        index, values = self._entries(question, rows)
        result = np.zeros((count, size))
        for entry, value in zip(index, values, strict=True):
            result[np.arange(count), entry] += value
        return result

    def total(self, question: Body, rows: Rows) -> Numbers:
        """Return the histogram of all rows."""
        index, values = self._entries(question, rows)
        return np.bincount(index.ravel(), weights=values.ravel(), minlength=self.size(question)).astype(np.float64)

    def _entries(self, question: Body, rows: Rows) -> tuple[NDArray[np.int64], Numbers]:
        """Return position and value of each addend, one line per (gradient or curvature, output, feature)."""
        outputs = self.scores(question, rows.inputs)
        slopes = errors(self.kind, outputs, rows.labels)
        if self.kind == "linear":
            curves = np.ones_like(slopes)
        else:
            share = probabilities(self.kind, outputs)
            curves = share * (1 - share)
        node = self._nodes(question["open"], rows.inputs)
        bins = np.searchsorted(self._edges, rows.inputs, side="right")
        index, values = [], []
        for which, parts in enumerate((slopes, curves)):
            for output in range(self._outputs):
                for feature in range(self._features):
                    place = ((node * self._outputs + output) * self._features + feature) * self._bins + bins[:, feature]
                    index.append(place * 2 + which)
                    values.append(parts[:, output])
        return np.array(index), np.array(values)

    def take(self, body: Body, question: Body, sums: Numbers, units: float) -> tuple[Body, bool]:
        """Split every open node where the gain is largest; close the tree at its full depth."""
        nodes = 2 ** len(body["open"])
        sums = sums.reshape(nodes, self._outputs, self._features, self._bins, 2)
        slope, curve = sums[..., 0], np.maximum(sums[..., 1], 0.0)
        left, left_curve = slope.cumsum(axis=-1), curve.cumsum(axis=-1)
        whole, whole_curve = left[..., -1:], left_curve[..., -1:]
        gain = (
            left**2 / (left_curve + LAMBDA)
            + (whole - left) ** 2 / (np.maximum(whole_curve - left_curve, 0) + LAMBDA)
            - whole**2 / (whole_curve + LAMBDA)
        ).sum(axis=1)
        best = gain.reshape(nodes, -1).argmax(axis=1)
        splits = [[int(number // self._bins), int(number % self._bins)] for number in best]
        level = [*body["open"], splits]
        if len(level) < self._depth:
            return {"trees": body["trees"], "open": level}, False
        leaves = []
        for node, (feature, edge) in enumerate(splits):
            here, curved = left[node, :, feature, edge], left_curve[node, :, feature, edge]
            rest = whole[node, :, feature, 0] - here
            rest_curved = np.maximum(whole_curve[node, :, feature, 0] - curved, 0)
            leaves += [(-here / (curved + LAMBDA)).tolist(), (-rest / (rest_curved + LAMBDA)).tolist()]
        return {"trees": [*body["trees"], {"splits": level, "leaves": leaves}], "open": []}, True

    def trained(self, body: Body) -> Body:
        """Return the finished trees."""
        return {"trees": body["trees"]}

    def scores(self, trained: Body, inputs: Numbers) -> Numbers:
        """Return the sum of the leaves that contain each row."""
        result = np.zeros((len(inputs), self._outputs))
        for tree in trained["trees"]:
            leaf = self._nodes(tree["splits"], inputs)
            result += self._rate * np.asarray(tree["leaves"], dtype=np.float64)[leaf]
        return result

    def asked_scores(self, question: Body, inputs: Numbers) -> Numbers:
        """Return the scores of the finished trees."""
        return self.scores(question, inputs)

    def steps(self) -> int:
        """Return one sum per level of each tree."""
        return self._rounds * self._depth

    def _nodes(self, splits: list[list[list[int]]], inputs: Numbers) -> NDArray[np.int64]:
        """Return the leaf node of each row."""
        edges = np.append(self._edges, np.inf)
        node = np.zeros(len(inputs), dtype=np.int64)
        for level in splits:
            chosen = np.asarray(level, dtype=np.int64)[node]
            value = inputs[np.arange(len(inputs)), chosen[:, 0]]
            node = 2 * node + (value >= edges[chosen[:, 1]])
        return node

    def _checked(self, question: Body) -> None:
        trees, level = question.get("trees"), question.get("open")
        if not isinstance(trees, list) or not isinstance(level, list) or len(trees) >= self._rounds + 1:
            raise SiteRefused("the step's trees are malformed")
        for splits, full in [(level, False), *((tree.get("splits"), True) for tree in trees)]:
            if (
                not isinstance(splits, list)
                or len(splits) > self._depth - (not full)
                or (full and len(splits) != self._depth)
            ):
                raise SiteRefused("a tree has another depth than the plan's")
            for depth, nodes in enumerate(splits):
                if len(nodes) != 2**depth or not all(
                    0 <= int(feature) < self._features and 0 <= int(edge) < self._bins for feature, edge in nodes
                ):
                    raise SiteRefused("a split names a feature or bin that the plan does not have")
        for tree in trees:
            leaves = np.asarray(tree.get("leaves"), dtype=np.float64)
            if leaves.shape != (2**self._depth, self._outputs) or not np.isfinite(leaves).all():
                raise SiteRefused("a tree's leaves are malformed")
