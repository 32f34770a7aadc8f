"""Privacy accounts: entries, their composition, and the decision on charges. Pure; the table is in :mod:`dataward.release.budget`.

An account is a data set and a privacy unit. Its entries are only ever added: a cap or a reservation replaces the previous one;
a charge is never refunded, neither by an erasure nor by a failed run.

Composition is chosen with the cap and holds for adaptively chosen releases: ``basic`` adds epsilons and deltas (Dwork et al.
2006; Rogers et al. 2016), ``zcdp`` adds rhos (Bun, Steinke 2016; Feldman, Zrnic 2021) and converts them once, by dp-accounting.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from dataward.release.accounting import composed, exactly

__all__ = ["Account", "Composition", "Entry", "Spent", "account_of", "decided"]

Kind = Literal["cap", "reserve", "charge", "refusal"]
Composition = Literal["basic", "zcdp"]


@dataclass(frozen=True)
class Entry:
    """One line of the table of budgets.

    Attributes:
        kind: cap, reserve, charge or refusal (which costs nothing).
        dataset: the table, as an absolute location.
        unit: the privacy unit.
        run_id: the charging run; for a reservation, its name.
        epsilon: epsilon of a charge, cap or reservation.
        delta: its delta.
        rho: zCDP of a charge with Gaussian noise; None: only its epsilon is known.
        hidden: part of delta in addition to ``rho``.
        purpose: kind of the charge: a release, synthetic data, training, metrics.
        reservation: the paying reservation, if any.
        composition: composition of charges (for a cap).
        sha256: hash of the query.
        draw: ID of the staged draw; ``secret``: the key that decrypts it.
        who: the requesting user.
        time: time in UTC.
        reason: reason of a refusal.
    """

    kind: Kind
    dataset: str
    unit: str
    run_id: str = ""
    epsilon: float = 0.0
    delta: float = 0.0
    rho: float | None = None
    hidden: float = 0.0
    purpose: str = ""
    reservation: str | None = None
    composition: Composition = "basic"
    sha256: str = ""
    draw: str = ""
    secret: str = ""
    who: str = ""
    time: str = ""
    reason: str = ""

    def __repr__(self) -> str:
        """Return the entry as text without its secret."""
        return f"Entry({self.kind} {self.dataset} {self.unit} {self.run_id} epsilon={self.epsilon} delta={self.delta})"


@dataclass(frozen=True)
class Spent:
    """Privacy loss of an account, by the composition of its cap."""

    epsilon: float
    delta: float


@dataclass(frozen=True)
class Account:
    """An account: its cap (None: none was set), its reservations by name, and its charges."""

    cap: Entry | None
    reservations: dict[str, Entry]
    charges: tuple[Entry, ...]
    refusals: int = 0

    @property
    def spent(self) -> Spent:
        """Composed loss of the charges."""
        return self._total(self.charges)

    @property
    def bound(self) -> Spent:
        """Composed loss of charges and open reservations; the whole amount of a reservation counts, whatever part of it is charged."""
        return self._total((*self.charges, *self._open()))

    def _open(self) -> list[Entry]:
        """Return the unspent parts of reservations."""
        left = []
        for name, one in self.reservations.items():
            mine = [charge for charge in self.charges if charge.reservation == name]
            epsilon = exactly(one.epsilon) - sum((exactly(charge.epsilon) for charge in mine), Decimal(0))
            delta = exactly(one.delta) - sum((exactly(charge.delta) for charge in mine), Decimal(0))
            left.append(replace(one, epsilon=max(0.0, float(epsilon)), delta=max(0.0, float(delta)), rho=None))
        return left

    def _total(self, entries: Iterable[Entry]) -> Spent:
        entries = tuple(entries)
        delta = sum((exactly(one.delta) for one in entries), Decimal(0))
        if self.cap is None or self.cap.composition == "basic":
            return Spent(float(sum((exactly(one.epsilon) for one in entries), Decimal(0))), float(delta))
        rhos = sum((exactly(_rho(one)) for one in entries), Decimal(0))
        hidden = sum((exactly(one.delta if one.rho is None else one.hidden) for one in entries), Decimal(0))
        left = exactly(self.cap.delta) - hidden
        if rhos == 0:
            return Spent(0.0, float(hidden))
        return Spent(composed(rhos, float(left)), max(float(hidden), self.cap.delta))

    @property
    def fits(self) -> bool:
        """Whether the bound loss is within the cap."""
        if self.cap is None:
            return False
        bound = self.bound
        return bound.epsilon <= self.cap.epsilon and bound.delta <= self.cap.delta


def _rho(entry: Entry) -> float:
    """Return the zCDP of an entry: epsilon-DP is epsilon^2/2-zCDP (Bun, Steinke 2016, proposition 1.4)."""
    return entry.epsilon**2 / 2 if entry.rho is None else entry.rho


def account_of(entries: Iterable[Entry], dataset: str, unit: str) -> Account:
    """Return the account of a data set and unit from all entries, oldest first."""
    cap, reservations, charges, refusals = None, {}, [], 0
    for one in entries:
        if (one.dataset, one.unit.lower()) != (dataset, unit.lower()):
            continue
        if one.kind == "cap":
            cap = one
        elif one.kind == "reserve":
            reservations[one.run_id] = one
        elif one.kind == "charge":
            charges.append(one)
        else:
            refusals += 1
    return Account(cap, reservations, tuple(charges), refusals)


def decided(entries: Iterable[Entry], asked: Entry) -> Entry:
    """Return the answer to a request: the request, an earlier charge of the same run, or a refusal with its reason."""
    account = account_of(entries, asked.dataset, asked.unit)
    if asked.kind in ("cap", "refusal"):
        return asked
    if asked.kind == "charge":
        earlier = next((one for one in account.charges if one.run_id == asked.run_id), None)
        if earlier is not None:
            return earlier
    if reason := _trouble(account, asked):
        return replace(asked, kind="refusal", draw="", secret="", reason=reason)
    return asked


def _trouble(account: Account, asked: Entry) -> str:
    """Return why a request does not fit; empty if it fits."""
    name = f"{asked.dataset}, unit '{asked.unit}'"
    if account.cap is None:
        return (
            f"no budget is set for {name}. Set one in the table that spend.from names: dataward budget set TABLE --table {asked.dataset} "
            f"--unit {asked.unit} --epsilon E --delta D"
        )
    if asked.kind == "reserve":
        if replace(account, reservations={**account.reservations, asked.run_id: asked}).fits:
            return ""
        return _short(account, asked, name)
    if asked.reservation is not None:
        held = account.reservations.get(asked.reservation)
        if held is None:
            return f"there is no reservation '{asked.reservation}' for {name}: dataward budget show lists them"
        mine = [one for one in (*account.charges, asked) if one.reservation == asked.reservation]
        if (sum((exactly(one.epsilon) for one in mine), Decimal(0)) > exactly(held.epsilon)
                or sum((exactly(one.delta) for one in mine), Decimal(0)) > exactly(held.delta)):  # fmt: skip
            return f"reservation '{asked.reservation}' for {name} has less left than epsilon {asked.epsilon:g}, delta {asked.delta:g}"
        return ""
    if replace(account, charges=(*account.charges, asked)).fits:
        return ""
    return _short(account, asked, name)


def _short(account: Account, asked: Entry, name: str) -> str:
    assert account.cap is not None  # noqa: S101 - asked before
    bound, cap = account.bound, account.cap
    return (
        f"the budget of {name} does not cover epsilon {asked.epsilon:g}, delta {asked.delta:g}: of epsilon {cap.epsilon:g}, "
        f"delta {cap.delta:g} ({cap.composition} composition), {bound.epsilon:.4g} and {bound.delta:.4g} are spent or "
        "reserved. Spend less, or let whoever may do so set a higher cap: dataward budget set"
    )
