"""The course of a training as pure functions: the next sum, a site's contribution, and the effect of a sum.

Phases: ``moments`` (means, then standard deviations, of the inputs), ``fit`` (the rounds), ``evaluate`` (one last sum), ``done``.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from dataward.errors import SiteRefused
from dataward.federated.boosting import Boosted
from dataward.federated.custom import Custom, Fit
from dataward.federated.descent import Descent
from dataward.federated.encode import Integers, Numbers, to_fixed, to_signed
from dataward.federated.evaluation import HOLDOUT, LARGEST, Evaluator, holdout_block
from dataward.federated.family import Body, Family
from dataward.federated.noise import Budgeted, budgeted, epsilon_of, gaussian, rho_of_sum, rounded, sensitivity
from dataward.federated.plan import TrainingPlan
from dataward.federated.rows import Rows

__all__ = ["Course", "State", "standardised"]

Phase = Literal["mean", "spread", "fit", "evaluate", "done"]
FIXED = 2.0**24
FIXED_MOMENTS = 2.0**16
PRIVATE_UNITS = 2.0**20
"""Integers for a contribution of the largest norm under privacy: rounding then costs almost nothing."""
PRIVATE_SPREAD = 0.5
COUNT = 0.3
"""Weight of a person's count relative to the mean of its inputs, under privacy."""
FEWEST = 1e-9


@dataclass(frozen=True)
class State:
    """State of a training; plain data with a JSON form, so that another coordinator can resume it.

    Attributes:
        phase: kind of the next sum.
        round: number of finished rounds.
        units: (noisy) number of training rows, or of persons under privacy.
        center: mean of each input.
        spread: standard deviation of each input.
        body: the family's state.
        best: loss, round and parameters of the round with the lowest loss on the holdout.
        history: measurements of each round on the holdout.
        evaluation: report of the last sum.
    """

    phase: Phase
    round: int
    units: float
    center: tuple[float, ...]
    spread: tuple[float, ...]
    body: Body
    best: Body | None = None
    history: tuple[Body, ...] = ()
    evaluation: Body | None = None

    def data(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> State:
        """Return the state from its JSON form."""
        lists = {name: tuple(data[name]) for name in ("center", "spread", "history")}
        return cls(**{**data, **lists})


def standardised(inputs: Numbers, center: Any, spread: Any) -> Numbers:
    """Subtract the means and divide by the standard deviations; a missing number becomes its mean, 0."""
    return np.asarray(np.nan_to_num((inputs - np.asarray(center)) / np.asarray(spread), nan=0.0))


class Course:
    """All decisions of one plan. Sites and coordinator build the same one from the same plan."""

    def __init__(self, plan: TrainingPlan, fit: Fit | None = None) -> None:
        """Choose the family of models and distribute the privacy budget."""
        self.plan = plan
        self.family: Family = (
            Custom(plan, fit) if plan.model.type == "custom"
            else Boosted(plan) if plan.model.type == "boosted"
            else Descent(plan)
        )  # fmt: skip
        self.evaluator = Evaluator(plan, self.family)
        self._numbers = np.array([not f.categories for f in plan.model.features for _ in range(f.width)], dtype=bool)
        self.noise: Budgeted | None = None
        if plan.privacy:
            honest = plan.minimum_sites - plan.privacy.colluding_sites
            self.noise = budgeted(plan.privacy.epsilon, plan.privacy.delta, self.steps, honest)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that must have the same protection at all sites."""
        return (*(feature.name for feature in self.plan.model.features), self.plan.model.label)

    @property
    def steps(self) -> int:
        """Most sums that a site answers, interrupted ones included."""
        moments = 1 if self.plan.privacy else 2
        retries = self.plan.privacy.retries if self.plan.privacy else self.plan.rounds + 100
        return moments + self.family.steps() + 1 + retries

    # the coordinator's side

    def start(self) -> State:
        """Return the state before the first sum."""
        width = self.plan.model.inputs
        return State("mean", 0, 0.0, (0.0,) * width, (1.0,) * width, self.family.start())

    def ask(self, state: State) -> Body:
        """Return the question of the next sum, which every site sees."""
        common = {"center": list(state.center), "spread": list(state.spread)}
        if state.phase in ("mean", "spread"):
            return {"kind": state.phase, **common}
        if state.phase == "evaluate":
            return {**self.family.ask({**state.body, **self.chosen(state)}, state.round), "kind": "evaluate", **common}
        return {**self.family.ask(state.body, state.round), **common}

    def chosen(self, state: State) -> Body:
        """Return the resulting parameters: of the best round if the plan stops early, else of the last round."""
        if self.plan.training.patience and state.best:
            return dict(state.best["trained"])
        return self.family.trained(state.body)

    def take(self, state: State, question: Body, integers: Integers) -> State:
        """Return the state after a sum of all sites' contributions."""
        sums = to_signed(integers) / self.scale(question)
        if state.phase == "mean":
            return self._centered(state, sums)
        if state.phase == "spread":
            there = np.maximum(sums[1 + self._width :], 1.0)
            deviation = np.sqrt(np.maximum(sums[1 : 1 + self._width] / there, 0)) * _unit(state.center)
            spread = np.where(self._numbers & (deviation > FEWEST * _unit(state.center)), deviation, 1.0)
            return replace(state, phase="fit", spread=tuple(spread.tolist()))
        if state.phase == "evaluate":
            return replace(state, phase="done", evaluation=self.evaluator.report(sums))
        return self._fitted(state, question, sums)

    def _centered(self, state: State, sums: Numbers) -> State:
        count, totals, there = sums[0], sums[1 : 1 + self._width], sums[1 + self._width :]
        if self.noise:
            count, totals = count / COUNT, totals * math.sqrt(self._width)
            there = np.full(self._width, count)
        mean = np.where(self._numbers, totals / np.maximum(there, 1.0), 0.0)
        if not self.noise:
            return replace(state, phase="spread", units=float(count), center=tuple(mean.tolist()))
        spread = np.where(self._numbers, PRIVATE_SPREAD, 1.0)
        center = tuple(np.clip(mean, -1, 1).tolist())
        return replace(state, phase="fit", units=max(1.0, float(count)), center=center, spread=tuple(spread.tolist()))

    def _fitted(self, state: State, question: Body, sums: Numbers) -> State:
        part, count, held = sums[: -1 - HOLDOUT], sums[-1 - HOLDOUT], sums[-HOLDOUT:] / self._held_weight
        units = state.units if self.noise else float(count)
        body, complete = self.family.take(state.body, question, part, units)
        state = replace(state, body=body, units=units)
        if not complete:
            return state
        measured = {
            "round": state.round,
            "rows": max(0, round(float(held[0]))),
            "loss": float(held[1] / held[0] * LARGEST) if held[0] >= 1 else None,
            "accuracy": float(held[2] / held[0]) if held[0] >= 1 else None,
        }
        state = replace(state, round=state.round + 1, history=(*state.history, measured))
        # The measurements belong to the parameters at the start of the round.
        if measured["loss"] is not None and (state.best is None or measured["loss"] < state.best["loss"]):
            before = {key: question[key] for key in self.family.trained(state.body) if key in question}
            state = replace(state, best={"loss": measured["loss"], "round": measured["round"], "trained": before})
        return replace(state, phase="evaluate" if self._is_over(state) else "fit")

    def _is_over(self, state: State) -> bool:
        patience = self.plan.training.patience
        since = state.round - 1 - state.best["round"] if state.best else 0
        return state.round >= self.plan.rounds or bool(patience and since >= patience)

    # both sides

    @property
    def _width(self) -> int:
        return self.plan.model.inputs

    @property
    def _held_weight(self) -> float:
        return self.family.bound / math.sqrt(HOLDOUT) if self.noise else 1.0

    def size(self, question: Body) -> int:
        """Return the length of the vectors of a question.

        Raises:
            SiteRefused: the question does not belong to this plan.
        """
        center, spread = question.get("center"), question.get("spread")
        try:
            scaler = np.array([center, spread], dtype=np.float64)
        except (TypeError, ValueError):
            raise SiteRefused("the step's scaling is malformed") from None
        if scaler.shape != (2, self._width) or not np.isfinite(scaler).all() or (scaler[1] <= 0).any():
            raise SiteRefused("the step's scaling does not fit the plan")
        kind = question.get("kind")
        if kind == "mean" or (kind == "spread" and not self.noise):
            return 1 + self._width * (1 if self.noise else 2)
        try:
            size = self.family.size(question)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise SiteRefused("the step's model is malformed") from None
        if kind == "evaluate":
            return self.evaluator.size
        if kind != self.family.ask(self.family.start(), 0)["kind"]:
            raise SiteRefused(f"the plan has no step of kind {str(kind)[:20]!r}")
        return size + 1 + HOLDOUT

    def bound(self, question: Body) -> float:
        """Return the largest L2 norm of a person's contribution under privacy."""
        if question["kind"] == "mean":
            return math.sqrt(1 + COUNT**2)
        return self.evaluator.bound if question["kind"] == "evaluate" else self.family.bound

    def scale(self, question: Body) -> float:
        """Return the factor of the fixed-point numbers of a question."""
        if self.noise:
            return PRIVATE_UNITS / self.bound(question)
        return FIXED_MOMENTS if question["kind"] in ("mean", "spread") else FIXED

    def spent(self, questions: int, largest: int) -> float:
        """Return the epsilon of a number of answered questions, at the plan's delta; infinite without privacy.

        Args:
            questions: number of sums that were masked.
            largest: length of the longest vector.
        """
        if self.noise is None or self.plan.privacy is None:
            return math.inf
        limit = sensitivity(1.0, PRIVATE_UNITS, largest)
        one = rho_of_sum(limit, self.noise.scale(limit), self.noise.honest, largest)
        return epsilon_of(one * questions, self.plan.privacy.delta)

    # a site's side

    def contribution(self, question: Body, rows: Rows) -> Integers:
        """Return a site's contribution to a sum, noise included.

        Args:
            question: the question, checked by :meth:`size`.
            rows: the site's rows.
        """
        if not self.noise:
            return to_fixed(self._total(question, rows), self.scale(question), len(self.plan.sites))
        size, bound, scale = self.size(question), self.bound(question), self.scale(question)
        total = np.zeros(size, dtype=np.int64)
        for part in rows.by_unit(size):
            matrix = self._per_row(question, part)
            starts = np.flatnonzero(np.r_[True, part.units[1:] != part.units[:-1]])
            counts = np.diff(np.r_[starts, len(part)])
            total += rounded(np.add.reduceat(matrix, starts, axis=0) / counts[:, None], bound, scale)
        # A person at several sites is in several contributions, whose norms add up.
        shares = self.plan.privacy.sites_per_unit if self.plan.privacy else 1
        spread = self.noise.scale(sensitivity(bound, scale, size)) * shares
        return np.asarray(total + gaussian(spread, size)).view(np.uint64)

    def _scaled(self, question: Body, rows: Rows) -> Rows:
        return replace(rows, inputs=standardised(rows.inputs, question["center"], question["spread"]))

    def _total(self, question: Body, rows: Rows) -> Numbers:
        kind = question["kind"]
        if kind in ("mean", "spread"):
            away = np.nan_to_num(rows.inputs - np.asarray(question["center"]), nan=0.0)
            train = ~rows.holdout
            sums = away if kind == "mean" else (away / _unit(question["center"])) ** 2
            there = ~np.isnan(rows.inputs[train])
            return np.concatenate([[float(train.sum())], sums[train].sum(axis=0), there.sum(axis=0)])
        scaled = self._scaled(question, rows)
        if kind == "evaluate":
            return np.asarray(self.evaluator.per_row(question, scaled).sum(axis=0))
        training, held = scaled.of(~scaled.holdout), scaled.of(scaled.holdout)
        block = holdout_block(self.family.kind, self.family.asked_scores(question, held.inputs), held.labels)
        part = self.family.total(question, training) if len(training) else np.zeros(self.family.size(question))
        return np.concatenate([part, [float(len(training))], block.sum(axis=0)])

    def _per_row(self, question: Body, rows: Rows) -> Numbers:
        train = ~rows.holdout[:, None]
        if question["kind"] == "mean":
            inputs = np.nan_to_num(rows.inputs, nan=0.0) * self._numbers
            counts = np.full((len(rows), 1), COUNT)
            return np.asarray(np.concatenate([counts, inputs / math.sqrt(self._width)], axis=1) * train)
        scaled = self._scaled(question, rows)
        if question["kind"] == "evaluate":
            return self.evaluator.per_row(question, scaled)
        block = holdout_block(self.family.kind, self.family.asked_scores(question, scaled.inputs), rows.labels)
        # A person either trains or evaluates, so that both parts may use the whole bound.
        block = block * self._held_weight
        part = self.family.per_row(question, scaled) * train
        return np.concatenate([part, np.zeros((len(rows), 1)), block * ~train], axis=1)


def _unit(center: Any) -> Numbers:
    """Return the size of each input, which scales its deviations for fixed point."""
    size = np.abs(np.asarray(center, dtype=np.float64))
    return np.where(size > 1e-6, size, 1.0)
