"""Read the rows and columns of a verified version of a table that policies allow the caller to see."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dataward.access.decide import Asking
from dataward.access.nested import MASK
from dataward.access.policies import of_access
from dataward.access.sight import Sight, narrowed, open_sight, projection, sight, table_facts
from dataward.access.site import settings
from dataward.contract.parts import Layout, layout, shape_of
from dataward.errors import NotPermitted, ProofError, TargetError, UsageError
from dataward.integrity import ledger
from dataward.integrity.canonical import sha256
from dataward.integrity.records import Ask
from dataward.integrity.seal import code_version
from dataward.keys import open_keys
from dataward.pipeline.guard import caller, guarded
from dataward.pipeline.key_uses import live_versions, seals_and_commits
from dataward.pipeline.plan import Plan, plan
from dataward.pipeline.seal import signer
from dataward.privacy.opening import Display, displayed, openable
from dataward.spark.session import isolated
from dataward.spark.workers import collected
from dataward.tables import delta
from dataward.tables.reason import from_worker, reason
from dataward.verbs.verify import Asked, verify

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Reading", "Wish", "read", "reading"]

Form = Literal["spark", "pandas", "arrow"]


@dataclass(frozen=True)
class Wish:
    """Version, purpose and form of a reading.

    Attributes:
        version: a sealed version; None: the newest.
        as_of: a time, to read the version that was the newest then; without a zone UTC.
        purpose: the stated purpose, which policies may demand.
        verified: prove the version first: ledger, log and the hash of every file.
        public_keys: PEM files of trusted keys, for a reader without the keyring.
    """

    version: int | None = None
    as_of: datetime | None = None
    purpose: str = ""
    form: Form = "spark"
    verified: bool = True
    public_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """A frame and its description.

    Attributes:
        sees: how each column is shown: original, opened, stored, masked or absent.
        condition: the SQL condition that its rows fulfil; empty: all rows.
        rows: number of rows; None for a Spark frame, which is not counted.
        entry: the ledger's entry of the opened originals.
    """

    frame: Any = field(repr=False)
    version: int
    run_id: str
    sees: dict[str, str]
    condition: str = ""
    rows: int | None = None
    entry: int | None = None


def read(
    spark: SparkSession,
    contract: str | Path | Plan,
    *,
    version: int | None = None,
    as_of: datetime | str | None = None,
    purpose: str = "",
    form: Form = "spark",
) -> Any:
    """Return the rows and columns of a verified version that the caller may see.

    Columns are clear (reversible protections opened), stored, masked, or absent; policies' conditions choose the rows.
    Every call is an event; opening originals is an entry of the ledger too. :func:`reading` returns the details, and can
    skip the proof.

    Args:
        spark: the session.
        contract: the contract's file, or its plan.
        version: a sealed version; default: the newest.
        as_of: a time instead of a version: a datetime, or ISO 8601; without a zone UTC.
        purpose: the stated purpose.
        form: ``spark``, ``pandas`` or ``arrow``.

    Raises:
        NotPermitted: no policy permits the caller to read the table.
        ProofError: the version is not sealed, or its proof does not hold.
    """
    return reading(spark, contract, Wish(version, _time(as_of), purpose, form)).frame


def reading(spark: SparkSession, contract: str | Path | Plan, wish: Wish | None = None) -> Reading:
    """Return a frame with its version, and the display of each column; see :func:`read`."""
    planned = contract if isinstance(contract, Plan) else plan(contract)
    return _read(spark, planned, wish or Wish())


def _time(given: datetime | str | None) -> datetime | None:
    if isinstance(given, str):
        try:
            given = datetime.fromisoformat(given.replace("Z", "+00:00"))
        except ValueError:
            raise UsageError(f"as_of '{given}': write a time such as 2026-11-25T10:00:00+00:00") from None
    return given.replace(tzinfo=timezone.utc) if given and given.tzinfo is None else given


@guarded("read")
def _read(spark: SparkSession, plan: Plan, wish: Wish) -> Reading:
    contract = plan.contract
    if wish.form not in ("spark", "pandas", "arrow"):
        raise UsageError(f"form '{wish.form}': give spark, pandas or arrow")
    # Not in a session of its own: the caller uses the frame later.
    version, run_id = _version(spark, plan, wish)
    whole = delta.read(spark, contract.target, version)
    layouts = tuple(layout(contract, one.name, shape_of(one.dataType)) for one in whole.schema.fields)
    seen = _sight(spark, plan, wish, layouts)
    sees = {look.column.name: str(look.shown) for look in seen.columns}
    looks = {look.column.name: look for look in seen.columns}
    frame = whole if seen.rows is None else _where(whole, seen.rows)
    frame = frame.selectExpr(*(sql for one in layouts if (sql := projection(one, looks, view=False))))
    display, entry = Display(layouts, sees, MASK), None
    if any(display.needed(one) for one in layouts):
        opened = seen.named("opened")
        live: dict[str, set[int]] = {}
        if opened:
            with isolated(spark) as own:
                live = live_versions(own, contract, contract.target, version)
        frame = displayed(spark, contract, open_keys(contract.keys) if opened else None, frame, live, display)
        if opened:
            lines = {part.name: part.line for one in layouts for part in one.parts}
            entry = _entered(spark, plan, wish, {name: lines[name].class_ or "" for name in opened}, version, seen.rows)
    made, rows = _formed(frame, wish.form)
    return Reading(made, version, run_id, sees, seen.rows or "", rows, entry)


def _version(spark: SparkSession, plan: Plan, wish: Wish) -> tuple[int, str]:
    """Return the version to read and its run, after its proof unless the wish skips it.

    Raises:
        ProofError: the version is not sealed, or its proof does not hold.
    """
    if wish.version is not None and wish.as_of is not None:
        raise UsageError("give version or as_of, not both")
    version, as_of = wish.version, _time(wish.as_of)
    if as_of is not None or not wish.verified:
        with isolated(spark) as own:
            seals, _ = seals_and_commits(own, plan.contract)
        sealed = sorted(seals)
        if as_of is not None:
            sealed = [number for number in sealed if datetime.fromisoformat(seals[number].time) <= as_of]
        if not sealed:
            raise ProofError(f"{plan.contract.target}: no version was sealed" + (f" at {as_of}" if as_of else ""))
        version = sealed[-1] if version is None else version
        if version not in seals:
            raise ProofError(
                f"{plan.contract.target}: version {version} is not sealed; sealed are {sealed[0]} to {sealed[-1]}"
            )
        if not wish.verified:
            return version, seals[version].run_id
    # Ledger, log and the hash of every file, without the keyed digest of rows, which would read the table once more.
    proof = verify(spark, plan, version, Asked(version, public_keys=wish.public_keys))
    if not proof.holds:
        raise ProofError(
            f"{proof.target} version {proof.version}: the proof does not hold: {proof.wrong}. Nothing was read"
        )
    return proof.version, proof.run_id


def _sight(spark: SparkSession, plan: Plan, wish: Wish, layouts: tuple[Layout, ...]) -> Sight:
    """Return what the caller may see; what cannot be opened where it is, such as keys of maps, is shown as stored."""
    contract = plan.contract
    table, governing = table_facts(contract, layouts), settings(contract)
    if governing.access.governed:
        who = caller(spark, contract)
        asking = Asking(who, "read", table, None, wish.purpose)
        seen = sight(of_access(governing.access), asking)
        if governing.binding is not None:
            seen = narrowed(seen, sight(of_access(governing.binding), asking))
    else:
        seen = open_sight(table)
    if not seen.decision.allowed:
        raise NotPermitted(f"not permitted to read {contract.target}: {seen.decision.why}")
    closed = {part.name for one in layouts for part in one.parts if not openable(one, part)}
    looks = tuple(
        replace(look, shown="stored") if look.shown == "opened" and look.column.name in closed else look
        for look in seen.columns
    )
    if all(look.shown == "absent" for look in looks):
        raise NotPermitted(f"not permitted to read {contract.target}: no policy shows any of its columns")
    return replace(seen, columns=looks)


def _where(whole: DataFrame, condition: str) -> DataFrame:
    try:
        return whole.where(condition)
    except Exception as error:
        raise UsageError(f"the policies' condition on rows does not fit the table: {reason(error)}") from None


def _entered(
    spark: SparkSession, plan: Plan, wish: Wish, opened: dict[str, str], version: int, rows: str | None
) -> int:
    """Enter the opening of originals in the ledger, before the frame is returned; ``opened``: the class of each part."""
    contract = plan.contract
    keys = open_keys(contract.keys)
    record = Ask(
        contract=contract.contract,
        run_id=f"read-{uuid.uuid4().hex[:12]}",
        target=str(contract.target),
        version=version,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        who=caller(spark, contract).name,
        code=code_version(),
        key=signer(keys, contract.keys.domain),
        columns=list(opened),
        classes=sorted(set(opened.values())),
        purpose=wish.purpose,
        ticket="",
        where_sha256=sha256(rows or "true"),
        rows=0,
        granted=True,
        reason="read",
    )
    return ledger.append(contract.ledger_location, keys, record).seq


def _formed(frame: DataFrame, form: Form) -> tuple[Any, int | None]:
    if form == "spark":
        return frame, None
    try:
        table = collected(frame)
    except Exception as error:
        raise TargetError(from_worker(error) or f"the frame cannot be collected: {reason(error)}") from None
    return (table if form == "arrow" else table.to_pandas()), table.num_rows
