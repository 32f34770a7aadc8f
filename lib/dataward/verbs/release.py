"""Answer a query with differential privacy, pay for it from a budget, and seal the answer.

The order of writes: the drawn answer as ciphertext, the charge with its key, the ledger's entry of the charge, the target, its
seal. A run that is killed anywhere and started again under its run id finishes what was begun; it neither draws nor pays twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract, Document, Location, Target
from dataward.errors import SourceError
from dataward.integrity import ledger
from dataward.integrity.canonical import sha256
from dataward.integrity.records import Charge
from dataward.integrity.seal import code_version
from dataward.keys import Keyring, open_keys
from dataward.pipeline.guard import watched
from dataward.pipeline.plan import Plan
from dataward.pipeline.seal import seal_version, signer
from dataward.pipeline.units import vouched
from dataward.quality.suite import Suite
from dataward.release import budget, draws
from dataward.release.account import Entry, decided
from dataward.release.aggregate import exact_of
from dataward.release.answers import Forecast, drawn, forecasts
from dataward.release.audit import Audited, audit
from dataward.release.once import once
from dataward.release.plan import Cost, ReleasePlan, compiled
from dataward.release.query import Query, load
from dataward.release.shape import schema_of, table_of
from dataward.spark.session import demand_encryption, isolated, who
from dataward.spark.sql import column
from dataward.tables import commits, delta
from dataward.tables.reason import reason
from dataward.verbs.verify import Proof, verify

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Planned", "Released", "audit_release", "plan_release", "release", "verify_release"]


@dataclass(frozen=True)
class Planned:
    """What a release would cost and how far off its answers would be; nothing is read or spent.

    Attributes:
        release: name of the query.
        version: version of the table.
        mechanism: noise of the release.
        cost: its privacy loss.
        threshold: fewest units, with noise, of a released group; None: all groups are listed.
        forecasts: half widths of the answers' intervals.
        covered: why the budget does not cover it; empty where it does.
    """

    release: str
    version: int
    mechanism: str
    cost: Cost
    threshold: int | None
    forecasts: tuple[Forecast, ...]
    covered: str


@dataclass(frozen=True)
class Released:
    """Result of a release.

    Attributes:
        release: name of the query.
        run_id: the run.
        status: released, or unchanged where this run was sealed before.
        target: the table of answers, and ``version``, the one with this answer.
        groups: number of groups in it.
        source: what was asked: place and version.
        cost: what was charged; and ``mechanism``, by which noise.
    """

    release: str
    run_id: str
    status: str
    target: str
    version: int
    groups: int
    source: dict[str, Any]
    cost: Cost
    mechanism: str


def _nothing(_: str) -> None:
    """Print no progress."""


@dataclass(frozen=True)
class _Asked:
    """A query on a pinned version of its table, with what both come to."""

    query: Query
    sha256: str
    plan: ReleasePlan
    version: int
    keys: Keyring
    charge: Entry

    @property
    def draws(self) -> Location:
        return self.query.target.beside("draws")


def plan_release(spark: SparkSession, query: Query | str | Path) -> Planned:
    """Forecast the errors of a release and what it would cost.

    Raises:
        UsageError: the query does not fit the table.
    """
    with isolated(spark) as own:
        asked = _asked(own, _query(query), "")
        plan, answer = asked.plan, decided(budget.entries(own, asked.query.spend.budget), asked.charge)
        covered = answer.reason if answer.kind == "refusal" else ""
        return Planned(
            asked.query.release,
            asked.version,
            plan.mechanism,
            plan.cost,
            plan.threshold,
            tuple(forecasts(plan)),
            covered,
        )


def release(
    spark: SparkSession, query: Query | str | Path, run_id: str | None = None, say: Callable[[str], None] = _nothing
) -> Released:
    """Answer a query, charge its budget and seal the answer.

    Args:
        spark: the session.
        query: a query, or the path of its file.
        run_id: name of the run; under the same name nothing is drawn or paid twice.
        say: prints progress.

    Raises:
        Overdrawn: the budget does not cover it; nothing is written.
        UsageError: the query does not fit the table, or the run id belongs to another query.
        SourceError: the table does not exist, or is not sealed.
    """
    asked_for = _query(query)
    with watched("release", spark=spark, contract=asked_for.contract) as finish:
        released = _released(spark, asked_for, run_id, say)
        finish(released)
        return released


def _released(spark: SparkSession, asked_for: Query, run_id: str | None, say: Callable[[str], None]) -> Released:
    run_id = run_id or f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    with isolated(spark) as own:
        if asked_for.keys.spill == "encrypted":
            demand_encryption(own)
        asked = _asked(own, asked_for, run_id)
        charged = once(_InDelta(own, asked), asked.charge, lambda: _draw(own, asked, say))
        return _published(own, asked, charged, say)


def audit_release(spark: SparkSession, query: Query | str | Path, draws: int = 40_000) -> Audited:
    """Attack a query on worst-case neighbours; reads the table's schema alone, and spends nothing.

    Raises:
        UsageError: the query does not fit the table.
    """
    with isolated(spark) as own:
        return audit(_compiled(own, _query(query))[1], draws)


def verify_release(spark: SparkSession, query: Query | str | Path, version: int | None = None) -> Proof:
    """Check a sealed version of a release's target, as ``dataward verify`` does for a contract's."""
    found = _query(query)
    said = _sha256(found)
    return verify(spark, Plan(found.contract, Suite(), said, Document("", {}, {}, ())), version)


def _query(given: Query | str | Path) -> Query:
    return given if isinstance(given, Query) else load(given)


def _sha256(query: Query) -> str:
    return sha256(query.model_dump(mode="json", by_alias=True))


def _compiled(spark: SparkSession, query: Query) -> tuple[int, ReleasePlan, list[str]]:
    """Return the pinned version, the plan for its schema, and its columns."""
    source = query.source
    if not delta.exists(spark, source):
        raise SourceError(f"{source}: there is no Delta table here; releases are answered from Delta tables")
    version = delta.latest_version(spark, source) if source.version is None else source.version
    try:
        fields = delta.read(spark, source, version).schema.fields
    except Exception as error:
        raise SourceError(f"{source} version {version}: {reason(error)}") from None
    plan = compiled(query, {field.name: field.dataType.simpleString() for field in fields})
    return version, plan, [field.name for field in fields]


def _asked(spark: SparkSession, query: Query, run_id: str) -> _Asked:
    """Pin the table's version, compile the query for it, and check whom the unit stands for."""
    source = query.source
    version, plan, columns = _compiled(spark, query)
    keys = open_keys(query.keys)
    vouched(spark, query, version, plan.unit, columns)
    charge = Entry(
        "charge",
        delta.location(spark, source).rstrip("/"),
        query.unit,
        run_id,
        plan.cost.epsilon,
        plan.cost.delta,
        plan.cost.rho,
        plan.cost.hidden,
        f"release {query.release}",
        query.spend.reservation,
        sha256=_sha256(query),
        who=who(spark),
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    return _Asked(query, charge.sha256, plan, version, keys, charge)


@dataclass(frozen=True)
class _InDelta:
    """Draws beside the target, charges in the table of budgets."""

    spark: SparkSession
    asked: _Asked

    @property
    def _place(self) -> Location:
        return self.asked.query.spend.budget

    def found(self, charge: Entry) -> Entry | None:
        return budget.found(self.spark, self._place, charge)

    def covered(self, charge: Entry) -> str:
        answer = decided(budget.entries(self.spark, self._place), charge)
        if answer.kind != "refusal":
            return ""
        if delta.exists(self.spark, self._place):
            answer = budget.ask(self.spark, self._place, answer)
        return answer.reason

    def stage(self, answer: Any) -> draws.Staged:
        about = {"version": self.asked.version, "rows": answer.num_rows}
        return draws.stage(self.spark, self.asked.draws, answer, about)

    def ask(self, charge: Entry) -> Entry:
        return budget.ask(self.spark, self._place, charge)


def _draw(spark: SparkSession, asked: _Asked, say: Callable[[str], None]) -> Any:
    """Aggregate the pinned version and draw its answer."""
    query = asked.query
    secret = asked.keys.key("release", query.keys.domain, asked.keys.current(query.keys.domain))
    say(f"  aggregate {query.source} version {asked.version}")
    try:
        exact = exact_of(delta.read(spark, query.source, asked.version), asked.plan, secret)
    except Exception as error:
        raise SourceError(f"{query.source} version {asked.version}: {reason(error)}. Nothing was charged") from None
    say(f"  draw {asked.plan.mechanism} noise, charge {query.spend.budget}")
    return table_of(asked.plan, drawn(asked.plan, exact))


def _published(spark: SparkSession, asked: _Asked, charged: Entry, say: Callable[[str], None]) -> Released:
    """Write and seal a charged answer; what an earlier attempt did is not done again."""
    query, run_id, contract = asked.query, charged.run_id, asked.query.contract
    done = ledger.find(query.ledger_location, run_id, query.target)
    table, about = draws.opened(spark, asked.draws, draws.Staged(charged.draw, charged.secret))
    cost = Cost(charged.epsilon, charged.delta, charged.rho, charged.hidden)
    source = {"described": str(query.source), "version": about["version"]}
    made = Released(
        query.release, run_id, "released", str(query.target), -1, about["rows"], source, cost, asked.plan.mechanism
    )
    if done is not None:
        say(f"  run '{run_id}' is sealed already as version {done.seal.version}: nothing to do")
        return replace(made, status="unchanged", version=done.seal.version)
    _enter(asked, charged)
    say(f"  write and seal {query.target}")
    metadata = {"release": query.release, "query_sha256": asked.sha256, "read": about["version"]}
    frame = _frame(spark, asked.plan, table)
    target = Target(path=query.target.path, table=query.target.table)
    written = commits.commit_target(spark, frame, target, run_id, metadata, [])
    _sealed(spark, asked, contract, written.version, made)
    return replace(made, version=written.version)


def _frame(spark: SparkSession, plan: ReleasePlan, table: Any) -> DataFrame:
    """Return an answer as a frame, its keys of the source's types."""
    frame = spark.createDataFrame(table.to_pandas(), schema_of(plan)).coalesce(1)
    keys = dict(zip(plan.keys, plan.types, strict=True))
    return frame.select(*(column(name).cast(keys.get(name, kind)).alias(name) for name, kind in frame.dtypes))


def _enter(asked: _Asked, charged: Entry) -> None:
    """Enter the charge in the ledger, once."""
    query, place = asked.query, asked.query.spend.budget
    if ledger.find(query.ledger_location, charged.run_id, place, "charge") is not None:
        return
    record = Charge(
        contract=query.release,
        run_id=charged.run_id,
        target=str(place),
        version=None,
        time=charged.time,
        who=charged.who,
        code=code_version(),
        key=signer(asked.keys, query.keys.domain),
        budget=str(place),
        dataset=charged.dataset,
        unit=charged.unit,
        purpose=charged.purpose,
        epsilon=charged.epsilon,
        delta=charged.delta,
        rho=charged.rho,
        query_sha256=charged.sha256,
    )
    ledger.append(query.ledger_location, asked.keys, record)


def _sealed(spark: SparkSession, asked: _Asked, contract: Contract, version: int, made: Released) -> None:
    """Seal the target's version; each answer is named with the protection that noise is."""
    cost, unit = made.cost, asked.query.unit
    how = f"differential privacy, {made.mechanism}, epsilon {cost.epsilon:g}, delta {cost.delta:g} in all, unit {unit}"
    protections = [
        {"column": answer.label, "class_": None, "protection": how, "domain": None, "key_version": None}
        for answer in asked.query.answers
    ]
    rows = {"in": made.groups, "published": made.groups, "quarantined": 0, "dropped": 0}
    told: dict[str, Any] = {
        "source": made.source,
        "verdicts": [],
        "rows": rows,
        "protections": protections,
        "quarantine": None,
    }
    seal_version(spark, contract, asked.sha256, asked.keys, made.run_id, version, **told)
