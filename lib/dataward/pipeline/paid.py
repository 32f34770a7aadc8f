"""Answer queries that a budget pays for: pinned, drawn once, charged, published and sealed; shared by releases and synthetic data.

The order of writes: the drawn answer as ciphertext, the charge with its key, the ledger's entry of the charge, the target, its
seal. A killed run that is started again under its run ID finishes the remaining writes; it neither draws nor pays twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from dataward.contract import Location, Target
from dataward.errors import SourceError
from dataward.integrity import ledger
from dataward.integrity.canonical import sha256
from dataward.integrity.records import Charge
from dataward.integrity.seal import code_version
from dataward.keys import Keyring, open_keys
from dataward.pipeline.guard import caller
from dataward.pipeline.seal import SealingRun, seal_version, signer
from dataward.pipeline.units import vouched
from dataward.release import budget, draws
from dataward.release.account import Entry, decided
from dataward.release.aggregate import exact_of
from dataward.release.answers import drawn
from dataward.release.once import once
from dataward.release.plan import Cost, ReleasePlan, compiled
from dataward.release.query import Query
from dataward.release.shape import schema_of, table_of
from dataward.spark.session import demand_encryption, isolated
from dataward.spark.sql import column
from dataward.tables import commits, delta
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = [
    "Asked",
    "InDelta",
    "Released",
    "answer",
    "asked_of",
    "compiled_for",
    "enter",
    "published",
    "seal_answer",
    "sha256_of",
]


@dataclass(frozen=True)
class Released:
    """Result of a release.

    Attributes:
        release: name of the query.
        run_id: the run.
        status: released, or unchanged where this run was sealed before.
        target: the table of answers; ``version``: its version with this answer.
        groups: number of its rows.
        source: location and version of the queried table.
        cost: the charge; ``mechanism``: the noise mechanism.
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


@dataclass(frozen=True)
class Asked:
    """A query on a pinned version of its table, with its hash, its plan, the keyring and the charge."""

    query: Query
    sha256: str
    plan: ReleasePlan
    version: int
    keys: Keyring
    charge: Entry

    @property
    def draws(self) -> Location:
        """Location of the table of draws."""
        return self.query.target.beside("draws")


def answer(spark: SparkSession, asked_for: Query, run_id: str | None, say: Callable[[str], None]) -> Released:
    """Answer a query, charge its budget and seal the answer; under the same run ID nothing is drawn or charged twice."""
    run_id = run_id or f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    say(f"  run id {run_id}")
    with isolated(spark) as own:
        if asked_for.keys.spill == "encrypted":
            demand_encryption(own)
        asked = asked_of(own, asked_for, run_id)
        charged = once(InDelta(own, asked), asked.charge, lambda: _draw(own, asked, say))
        return published(own, asked, charged, say, lambda table: _frame(own, asked.plan, table))


def _draw(spark: SparkSession, asked: Asked, say: Callable[[str], None]) -> Any:
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


def _frame(spark: SparkSession, plan: ReleasePlan, table: Any) -> DataFrame:
    """Return an answer as a frame; its keys have the types of the source."""
    frame = spark.createDataFrame(table.to_pandas(), schema_of(plan)).coalesce(1)
    keys = dict(zip(plan.keys, plan.types, strict=True))
    return frame.select(*(column(name).cast(keys.get(name, kind)).alias(name) for name, kind in frame.dtypes))


@dataclass(frozen=True)
class InDelta:
    """Draws beside the target, charges in the table of budgets."""

    spark: SparkSession
    asked: Asked

    @property
    def _place(self) -> Location:
        return self.asked.query.spend.budget

    def found(self, charge: Entry) -> Entry | None:
        """Return the earlier charge of the same run."""
        return budget.found(self.spark, self._place, charge)

    def covered(self, charge: Entry) -> str:
        """Return why a charge would be refused now, and enter the refusal where a table of budgets exists."""
        answer = decided(budget.entries(self.spark, self._place), charge)
        if answer.kind != "refusal":
            return ""
        if delta.exists(self.spark, self._place):
            answer = budget.ask(self.spark, self._place, answer)
        return answer.reason

    def stage(self, answer: Any) -> draws.Staged:
        """Append the drawn answer as ciphertext."""
        return draws.stage(self.spark, self.asked.draws, answer, {"version": self.asked.version})

    def ask(self, charge: Entry) -> Entry:
        """Enter the charge or its refusal, and return the entry."""
        return budget.ask(self.spark, self._place, charge)


def compiled_for(spark: SparkSession, query: Query) -> tuple[int, ReleasePlan, list[str]]:
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


def asked_of(spark: SparkSession, query: Query, run_id: str) -> Asked:
    """Pin the table's version, compile the query for it, and check that the unit identifies people."""
    source = query.source
    version, plan, columns = compiled_for(spark, query)
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
        sha256=sha256_of(query),
        who=caller(spark, query.contract).name,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    return Asked(query, charge.sha256, plan, version, keys, charge)


def published(
    spark: SparkSession, asked: Asked, charged: Entry, say: Callable[[str], None], form: Callable[[Any], DataFrame]
) -> Released:
    """Write and seal a charged answer; writes of an earlier attempt are not repeated.

    ``form`` makes the target's rows from the staged draw; it must be deterministic.
    """
    query, run_id = asked.query, charged.run_id
    done = ledger.find(query.ledger_location, run_id, query.target)
    table, about = draws.opened(spark, asked.draws, draws.Staged(charged.draw, charged.secret))
    cost = Cost(charged.epsilon, charged.delta, charged.rho, charged.hidden)
    source = {"described": str(query.source), "version": about["version"]}
    made = Released(query.release, run_id, "released", str(query.target), -1, 0, source, cost, asked.plan.mechanism)
    if done is not None:
        say(f"  run '{run_id}' is sealed already as version {done.seal.version}: nothing to do")
        return replace(made, status="unchanged", version=done.seal.version, groups=done.seal.rows["published"])
    enter(asked, charged)
    say(f"  write and seal {query.target}")
    metadata = {"release": query.release, "query_sha256": asked.sha256, "read": about["version"]}
    frame = form(table)
    target = Target(path=query.target.path, table=query.target.table)
    written = commits.commit_target(spark, frame, target, commits.Transaction(run_id, metadata))
    made = replace(made, version=written.version, groups=written.rows)
    keys = {key.lower() for key in asked.plan.keys}
    seal_answer(spark, asked, made, (name for name in frame.columns if name.lower() not in keys))
    return made


def enter(asked: Asked, charged: Entry) -> None:
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


def seal_answer(spark: SparkSession, asked: Asked, made: Released, answers: Iterable[str]) -> None:
    """Seal the target's version; the protection of each answer is its noise."""
    cost, unit = made.cost, asked.query.unit
    how = f"differential privacy, {made.mechanism}, epsilon {cost.epsilon:g}, delta {cost.delta:g} in all, unit {unit}"
    protections = [
        {"column": answer, "class_": None, "protection": how, "domain": None, "key_version": None} for answer in answers
    ]
    rows = {"in": made.groups, "published": made.groups, "quarantined": 0, "dropped": 0}
    facts: dict[str, Any] = {
        "source": made.source,
        "verdicts": [],
        "rows": rows,
        "protections": protections,
        "quarantine": None,
    }
    run = SealingRun(asked.query.contract, asked.sha256, asked.keys, made.run_id)
    seal_version(spark, run, made.version, **facts)


def sha256_of(query: Query) -> str:
    """Return the hash of a query's content."""
    return sha256(query.model_dump(mode="json", by_alias=True))
