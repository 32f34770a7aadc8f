"""Budgets: set a cap, reserve a part, show the spent loss."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from dataward.contract import Location
from dataward.contract.load import from_caller
from dataward.errors import Overdrawn, UsageError
from dataward.pipeline.guard import caller, guarded
from dataward.release import budget
from dataward.release.account import Composition, Entry, account_of
from dataward.spark.session import isolated
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Amount", "Payment", "State", "charge", "reserve", "set_cap", "show"]


@dataclass(frozen=True)
class Amount:
    """A privacy loss: epsilon and delta, and ``rho`` where it is known by zCDP (with ``hidden``, an additional part of delta)."""

    epsilon: float
    delta: float = 0.0
    rho: float | None = None
    hidden: float = 0.0


@dataclass(frozen=True)
class Payment:
    """A single payment of a run: its ID, amount, purpose, and reservation (None: none)."""

    run_id: str
    amount: Amount
    purpose: str = ""
    reservation: str | None = None


@dataclass(frozen=True)
class State:
    """State of an account.

    Attributes:
        dataset: the table.
        unit: the privacy unit.
        composition: how its charges add up (basic or zcdp).
        cap: most that may be spent.
        spent: composed loss of the charges.
        bound: composed loss of the charges and open reservations.
        reservations: reserved and spent amount of each reservation, by name.
        charges: number of charges; ``refusals``: number of refusals.
    """

    dataset: str
    unit: str
    composition: str
    cap: Amount
    spent: Amount
    bound: Amount
    reservations: dict[str, tuple[Amount, Amount]]
    charges: int
    refusals: int


@guarded("budget_set", of="table")
def set_cap(
    spark: SparkSession, place: str, table: str, unit: str, cap: Amount, composition: Composition = "basic"
) -> State:
    """Set the cap of a table and unit; a cap below the spent loss stops further charges.

    Args:
        spark: the session.
        place: the table of budgets: a path, or a name as ``table:NAME``.
        table: the queried table, likewise.
        unit: its column of units, or ``row``.
        cap: the cap.
        composition: basic adds epsilons; zcdp adds rhos, better for many releases with Gaussian noise.

    Raises:
        UsageError: the cap is not a privacy loss.
    """
    _checked(cap)
    if composition == "zcdp" and cap.delta == 0:
        raise UsageError("composition zcdp needs a delta above 0: it is what converts rho to epsilon")
    return _entered(spark, place, table, Entry("cap", "", unit, "", cap.epsilon, cap.delta, composition=composition))


@guarded("budget_reserve", of="table")
def reserve(spark: SparkSession, place: str, table: str, unit: str, name: str, amount: Amount) -> State:
    """Reserve a part of the budget for charges that name the reservation; a later reservation of the same name replaces it.

    Raises:
        Overdrawn: the budget does not cover it.
        UsageError: the amount is not a privacy loss.
    """
    if not name:
        raise UsageError("a reservation needs a name")
    if amount != Amount(0.0):  # an amount of 0 cancels a reservation
        _checked(amount)
    return _entered(spark, place, table, Entry("reserve", "", unit, name, amount.epsilon, amount.delta))


@guarded("budget_charge", of="table")
def charge(spark: SparkSession, place: str, table: str, unit: str, payment: Payment) -> State:
    """Charge a run other than a release, such as training, once.

    Raises:
        Overdrawn: the budget does not cover it.
        UsageError: the amount is not a privacy loss.
    """
    amount = payment.amount
    _checked(amount)
    entry = Entry("charge", "", unit, payment.run_id, amount.epsilon, amount.delta, amount.rho, amount.hidden)
    return _entered(spark, place, table, replace(entry, purpose=payment.purpose, reservation=payment.reservation))


@guarded("budget_show", of="place")
def show(spark: SparkSession, place: str, table: str | None = None, unit: str | None = None) -> list[State]:
    """Return the accounts of a table of budgets, or those of one table or unit."""
    with isolated(spark) as own:
        known = budget.entries(own, location(place))
        dataset = _dataset(own, table) if table else None
        accounts = dict.fromkeys((one.dataset, one.unit.lower()) for one in known if one.kind == "cap")
        wanted = [
            (of, who_) for of, who_ in accounts if dataset in (None, of) and (unit is None or unit.lower() == who_)
        ]
        return [_state(known, *one) for one in wanted]


def location(text: str) -> Location:
    """Return a place from the command line: a path, or ``table:NAME``.

    Raises:
        UsageError: it is neither.
    """
    return from_caller(Location, {"table": text[6:]} if text.startswith("table:") else {"path": text})


def _dataset(spark: SparkSession, table: str) -> str:
    return delta.location(spark, location(table)).rstrip("/")


def _checked(amount: Amount) -> None:
    if not (0 < amount.epsilon < math.inf and 0 <= amount.delta < 1):
        raise UsageError(f"epsilon {amount.epsilon}, delta {amount.delta}: epsilon is above 0, delta from 0 to below 1")


def _entered(spark: SparkSession, place: str, table: str, entry: Entry) -> State:
    with isolated(spark) as own:
        time = datetime.now(timezone.utc).isoformat(timespec="seconds")
        asked = replace(entry, dataset=_dataset(own, table), who=caller(spark, None).name, time=time)
        answer = budget.ask(own, location(place), asked)
        if answer.kind == "refusal":
            raise Overdrawn(answer.reason)
        return _state(budget.entries(own, location(place)), asked.dataset, asked.unit)


def _state(known: list[Entry], dataset: str, unit: str) -> State:
    account = account_of(known, dataset, unit)
    assert account.cap is not None  # noqa: S101 - accounts are found by their caps
    held = {}
    for name, one in account.reservations.items():
        mine = [charge for charge in account.charges if charge.reservation == name]
        used = Amount(math.fsum(charge.epsilon for charge in mine), math.fsum(charge.delta for charge in mine))
        held[name] = (Amount(one.epsilon, one.delta), used)
    spent, bound, cap = account.spent, account.bound, account.cap
    return State(
        dataset,
        cap.unit,
        cap.composition,
        Amount(cap.epsilon, cap.delta),
        Amount(spent.epsilon, spent.delta),
        Amount(bound.epsilon, bound.delta),
        held,
        len(account.charges),
        account.refusals,
    )
