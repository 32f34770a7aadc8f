"""Attack a release: draw it on worst-case neighbours, and compare a lower bound of its epsilon with the claim.

The bound is statistical: the true epsilon is at least that large, with an error of one in a million (Clopper, Pearson 1934;
Jagielski, Ullman, Oprea 2020). A bound above the claim proves a bug; a bound below it proves nothing, so that the other checks test
properties without a bound: charges, retries, thresholds, the noise itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dataward.errors import Overdrawn
from dataward.release.account import Entry, account_of, decided
from dataward.release.answers import Drawn, drawn, shown
from dataward.release.draws import Staged
from dataward.release.exact import Exact, aggregated, bounded
from dataward.release.neighbours import Neighbours, neighbours, vector
from dataward.release.noise import Sampler, draw, loss
from dataward.release.once import Store, once
from dataward.release.plan import ReleasePlan

__all__ = ["SHIPPED", "Audited", "Check", "Machinery", "audit"]

EVEN = 400
"""Standard deviation above which the last four bits of whole numbers are uniform for every feasible number of draws."""

UNLIKELY = 1e-6
"""Probability at which a check fails by chance: p-value below which a distribution differs, and error of a bound."""


@dataclass(frozen=True)
class Machinery:
    """The parts of a release, each replaceable, so that a test can plant a bug."""

    bounded: Callable[[ReleasePlan, Sequence[Any], bytes], list[Any]] = bounded
    aggregated: Callable[[ReleasePlan, Sequence[Any]], Exact] = aggregated
    sampler: Sampler = draw
    shown: Callable[[ReleasePlan, Any], Any] = shown
    drawn: Callable[[ReleasePlan, Exact, Sampler], Drawn] = drawn
    once: Callable[[Store, Entry, Callable[[], Any]], Entry] = once

    def exact(self, plan: ReleasePlan, rows: Sequence[Any]) -> Exact:
        """Bound and aggregate a table."""
        return self.aggregated(plan, self.bounded(plan, rows, b"audit" * 7))


SHIPPED = Machinery()


@dataclass(frozen=True)
class Check:
    """One attack and its result."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True)
class Audited:
    """Result of an audit: the claim, the largest lower bound of epsilon, and each check."""

    epsilon: float
    delta: float
    bound: float
    draws: int
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether no check failed."""
        return all(check.holds for check in self.checks)


def audit(plan: ReleasePlan, draws: int = 40_000, machinery: Machinery = SHIPPED) -> Audited:
    """Attack a plan on worst-case neighbours; nothing is read, spent or written.

    Args:
        plan: the plan.
        draws: draws per neighbour; more give a tighter bound.
        machinery: implementation that executes the plan.
    """
    checks, bounds = [], [0.0]
    for pair in neighbours(plan):
        found, check = _distinguished(plan, machinery, pair, draws)
        bounds.append(found)
        checks.append(check)
    checks += [
        _claim(plan),
        _distribution(plan, machinery, draws),
        _fresh(plan, machinery),
        *_hidden(plan, machinery),
        *_paid(plan, machinery),
    ]
    return Audited(plan.cost.epsilon, plan.cost.delta, max(bounds), draws, tuple(checks))


def _distinguished(plan: ReleasePlan, machinery: Machinery, pair: Neighbours, draws: int) -> tuple[float, Check]:
    """Distinguish two neighbours by their likelihood ratio, the optimal test; half the draws choose the threshold."""
    import numpy as np

    less, more = (vector(plan, machinery.exact(plan, rows)) for rows in (pair.less, pair.more))
    # A group of only one table is visible by its threshold, which has its own check.
    both = {group for _, group, _, _ in less} & {group for _, group, _, _ in more} if plan.listed is None else None
    scores, whole = [np.zeros(draws), np.zeros(draws)], True
    low_bits = 1.0
    for one in plan.measures:
        places = [place for place in sorted({*less, *more}, key=repr) if place[0] == one.name]
        places = [at for at in places if (both is None or at[1] in both) and less.get(at, 0) != more.get(at, 0)]
        if not places:
            continue
        ends = [np.array([table.get(at, 0) for at in places], np.int64) for table in (less, more)]
        seen = [np.asarray(machinery.sampler(one.noise, np.tile(end, (draws, 1)))) for end in ends]
        whole = whole and all(np.array_equal(values, np.floor(values)) for values in seen)
        if one.noise.deviation > EVEN:
            low_bits = min(low_bits, _same_low_bits(*seen))
        for score, values in zip(scores, seen, strict=True):
            score += _log_ratio(one.noise, values, *ends)
    delta, (low, high) = plan.cost.delta, scores
    found = max(_epsilon_at_least(low, high, delta), _epsilon_at_least(-high, -low, delta))
    holds = found <= plan.cost.epsilon and whole and low_bits > UNLIKELY
    summary = f"epsilon is at least {found:.3f}; claimed {plan.cost.epsilon:g}"
    if not whole:
        summary += "; outputs are not whole numbers, so that their low bits tell the tables apart"
    if low_bits <= UNLIKELY:
        summary += f"; low bits of the outputs differ (p {low_bits:.1e})"
    return found, Check(f"neighbours: {pair.name}", holds, summary)


def _log_ratio(noise: Any, seen: Any, less: Any, more: Any) -> Any:
    """Return the log of the likelihood ratio of outputs on ``more`` and on ``less``."""
    import numpy as np

    if noise.mechanism == "laplace":
        return ((np.abs(seen - less) - np.abs(seen - more)) / noise.scale).sum(axis=1)
    return (((seen - less) ** 2.0 - (seen - more) ** 2.0) / (2 * noise.scale**2)).sum(axis=1)


def _epsilon_at_least(less: Any, more: Any, delta: float) -> float:
    """Return a lower bound of epsilon from scores that are higher on ``more``; half of the draws choose the cut."""
    import numpy as np

    half = len(less) // 2
    cuts = np.unique(np.quantile(np.concatenate([less[:half], more[:half]]), np.linspace(0.01, 0.99, 99)))
    best = max(cuts, key=lambda cut: _ratio(more[:half] >= cut, less[:half] >= cut, delta))
    return _ratio(more[half:] >= best, less[half:] >= best, delta)


def _ratio(hits: Any, alarms: Any, delta: float) -> float:
    """Return log((P_low - delta) / Q_high) of two rates with Clopper-Pearson bounds, each at half of :data:`UNLIKELY`."""
    low = _clopper_pearson(int(hits.sum()), len(hits))[0]
    high = _clopper_pearson(int(alarms.sum()), len(alarms))[1]
    return math.log((low - delta) / high) if low > delta else 0.0


def _clopper_pearson(hits: int, of: int) -> tuple[float, float]:
    """Return one-sided bounds of a rate, each at half of :data:`UNLIKELY`."""
    from scipy.stats import beta

    low = float(beta.ppf(UNLIKELY / 2, hits, of - hits + 1)) if hits else 0.0
    return low, float(beta.ppf(1 - UNLIKELY / 2, hits + 1, of - hits)) if hits < of else 1.0


def _same_low_bits(less: Any, more: Any) -> float:
    """Return the p-value of the hypothesis that the last four bits of outputs have the same distribution."""
    import numpy as np
    from scipy.stats import chi2_contingency

    counts = [
        np.bincount((np.floor(values).astype(np.int64) & 15).reshape(-1), minlength=16) for values in (less, more)
    ]
    table = np.array(counts)
    return float(chi2_contingency(table[:, table.sum(axis=0) > 0])[1])


def _claim(plan: ReleasePlan) -> Check:
    """Add up OpenDP's own privacy maps at the plan's sensitivities."""
    laplace = plan.mechanism == "laplace"
    paid = math.fsum(loss(one.noise, one.l1 if laplace else one.l2) for one in plan.measures)
    asked = plan.cost.epsilon if laplace else plan.cost.rho or 0.0
    return Check(
        "claim", paid <= asked, f"OpenDP's maps add up to {paid:.6g} of {asked:.6g} {'epsilon' if laplace else 'rho'}"
    )


def _distribution(plan: ReleasePlan, machinery: Machinery, draws: int) -> Check:
    """Compare the noise of every measure with its exact probabilities (chi-square)."""
    import numpy as np
    from scipy.stats import chisquare

    worst = 1.0
    for noise in dict.fromkeys(one.noise for one in plan.measures):
        seen = np.asarray(machinery.sampler(noise, np.zeros(draws, np.int64)))
        edges = np.unique([math.floor(noise.deviation * at) for at in np.linspace(-2.5, 2.5, 21)])
        tails = [noise.tail(-edge) if edge < 0 else 1 - noise.tail(edge + 1) for edge in edges.tolist()]  # P(X <= edge)
        expected = np.diff([0.0, *tails, 1.0]) * draws
        observed = np.bincount(np.searchsorted(edges, seen), minlength=len(expected))
        worst = min(worst, float(chisquare(observed, expected * (observed.sum() / expected.sum())).pvalue))
    return Check("noise", worst > UNLIKELY, f"follows its exact distribution (p {worst:.2g})" if worst > UNLIKELY else
                 f"does not follow its exact distribution (p {worst:.1e})")  # fmt: skip


def _fresh(plan: ReleasePlan, machinery: Machinery) -> Check:
    """Draw twice from the same values: a reused seed gives the same noise, whose difference is 0."""
    import numpy as np

    noise = max((one.noise for one in plan.measures), key=lambda one: one.deviation)
    first, second = (np.asarray(machinery.sampler(noise, np.zeros(256, np.int64))) for _ in range(2))
    again = bool(np.array_equal(first, second)) and noise.deviation > 0.5
    return Check("fresh noise", not again, "two draws are equal: a seed is used again" if again else "two draws differ")


def _hidden(plan: ReleasePlan, machinery: Machinery) -> list[Check]:
    """Compute the probability that a group of one unit is released, and test both sides of the threshold."""
    import numpy as np

    if plan.threshold is None:
        return []
    least = next(
        (n for n in range(plan.threshold + 3) if bool(machinery.shown(plan, np.array([n]))[0])), plan.threshold + 3
    )
    noise = plan.units.noise
    seen = noise.tail(least - 1) if least > 1 else 1.0
    chance = 1.0 if seen >= 1 else -math.expm1(plan.query.groups * math.log1p(-seen))
    spare = plan.cost.hidden
    detail = f"groups of one unit show with probability {chance:.3g}; delta has {spare:.3g} for it"
    return [Check("unknown keys", chance <= spare and plan.cost.delta >= spare, detail)]


@dataclass
class _InMemory:
    """A store in memory that tests can inspect."""

    cap: Entry
    entries: list[Entry] = field(default_factory=list)
    draws: dict[str, Any] = field(default_factory=dict)

    def found(self, charge: Entry) -> Entry | None:
        return next((one for one in self.entries if one.kind == "charge" and one.run_id == charge.run_id), None)

    def covered(self, charge: Entry) -> str:
        answer = decided((self.cap, *self.entries), charge)
        return answer.reason if answer.kind == "refusal" else ""

    def stage(self, answer: Any) -> Staged:
        name = f"draw{len(self.draws)}"
        self.draws[name] = answer
        return Staged(name, "key")

    def ask(self, charge: Entry) -> Entry:
        answer = decided((self.cap, *self.entries), charge)
        if answer not in self.entries:
            self.entries.append(answer)
        return answer


def _paid(plan: ReleasePlan, machinery: Machinery) -> list[Check]:
    """Execute a release on a budget in memory: it is charged, repeats are free and equal, and an unaffordable one is refused."""
    cost, rows = plan.cost, next(neighbours(plan)).more
    cap = Entry("cap", "t", "u", epsilon=cost.epsilon, delta=cost.delta)
    charge = Entry("charge", "t", "u", "run", cost.epsilon, cost.delta, cost.rho, cost.hidden, sha256="q")
    store = _InMemory(cap)

    def answer() -> Drawn:
        return machinery.drawn(plan, machinery.exact(plan, rows), machinery.sampler)

    first = machinery.once(store, charge, answer)
    spent = account_of((cap, *store.entries), "t", "u").spent
    held = spent.epsilon >= cost.epsilon and spent.delta >= cost.delta
    found = [Check("charge", held, f"a release is charged epsilon {spent.epsilon:g}, delta {spent.delta:g}")]
    second = machinery.once(store, charge, answer)
    same = len(store.draws) == 1 and first.draw == second.draw
    found.append(
        Check(
            "retry", same, "a run that is run again finds its answer" if same else "a run that is run again draws again"
        )
    )
    try:
        machinery.once(store, replace(charge, run_id="another"), answer)
        found.append(Check("cap", False, "a second release was answered beyond the cap"))
    except Overdrawn:
        found.append(Check("cap", True, "a release beyond the cap is refused"))
    return found
