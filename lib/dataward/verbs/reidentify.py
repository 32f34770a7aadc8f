"""Return originals to permitted principals; every request, granted or denied, is a signed entry of the ledger."""

from __future__ import annotations

import base64
import csv
import dataclasses
import os
import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.access.decide import Asking, Principal
from dataward.access.reidentify import budget
from dataward.access.sight import table_facts
from dataward.contract.operation import KEPT
from dataward.contract.protections import Json
from dataward.contract.pure import Impure, condition
from dataward.errors import KeyringError, NotPermitted, TargetError, UsageError, did_you_mean
from dataward.integrity import ledger
from dataward.integrity.canonical import sha256
from dataward.integrity.records import Ask
from dataward.integrity.seal import code_version
from dataward.keys import Keyring, open_keys
from dataward.pipeline.guard import caller, guarded
from dataward.pipeline.heads import RERUN, keep_heads
from dataward.pipeline.key_uses import live_versions
from dataward.pipeline.plan import Plan
from dataward.pipeline.seal import signer
from dataward.privacy.paths import Inside, located
from dataward.privacy.protect import arrow_schema, within
from dataward.privacy.reidentify import originals
from dataward.spark.session import isolated
from dataward.spark.sql import column, identifier
from dataward.spark.workers import collected
from dataward.tables import delta
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Given", "Wanted", "principal", "reidentify"]


@dataclass(frozen=True)
class Wanted:
    """A request: columns of the rows that a SQL condition on the protected table selects, with reason and ticket."""

    columns: tuple[str, ...]
    where: str
    purpose: str
    ticket: str


@dataclass(frozen=True)
class Given:
    """Result of a request: the file, or the rows themselves where they were requested.

    ``rows`` counts rows with an original, which are charged; ``skipped`` counts values without one: the column's operator did
    not make them, or their subject's key was destroyed.
    """

    entry: int
    principal: str
    version: int
    rows: int
    left_today: int
    out: str | None
    skipped: int = 0
    shown: list[dict[str, Any]] | None = dataclasses.field(default=None, repr=False)


def principal(spark: SparkSession, plan: Plan) -> Principal:
    """Return the principal (see :func:`dataward.pipeline.guard.caller`)."""
    return caller(spark, plan.contract)


@guarded("reidentify")
def reidentify(spark: SparkSession, plan: Plan, wanted: Wanted, out: str | None, show: bool = False) -> Given:
    """Write the originals to a new file of mode 0600 (CSV), or return them to be shown on request.

    Raises:
        UsageError: a column is unknown or one-way, the condition does not fit, or the file exists.
        NotPermitted: the contract does not allow it, or the day's rows are spent; the denial is entered in the ledger as well.
        KeyringError: a key is missing or disabled.
    """
    _sensible(wanted, out, show)
    with isolated(spark) as own:
        asking = _Asking(own, plan, wanted)
        chosen = asking.chosen()
        entry, opened, left = asking.entered(chosen)
        if out is not None:
            _written(Path(out), opened.rows, wanted.columns)
        return Given(
            entry.seq,
            asking.who,
            asking.version,
            opened.given,
            left,
            out,
            opened.skipped,
            opened.rows if show else None,
        )


@dataclass(frozen=True)
class _Opened:
    """Rows with originals, the number of rows with at least one, and the number of values without one."""

    rows: list[dict[str, Any]]
    given: int
    skipped: int


class _Asking:
    def __init__(self, spark: SparkSession, plan: Plan, wanted: Wanted) -> None:
        self.spark, self.plan, self.contract, self.wanted = spark, plan, plan.contract, wanted
        if not delta.exists(spark, self.contract.target):
            raise TargetError(f"{self.contract.target}: there is no table yet. Publish first")
        self.keys: Keyring = open_keys(self.contract.keys)
        self.version = delta.latest_version(spark, self.contract.target)
        self.principal = principal(spark, plan)
        self.who = self.principal.name
        self.whole = delta.read(spark, self.contract.target, self.version)
        self.places = [self._place(name) for name in wanted.columns]
        self.protected = [place for place in self.places if not place.line.protect.keeps]

    def _place(self, name: str) -> Inside:
        schema = arrow_schema(self.whole.schema)
        place = located(self.contract, schema, name)
        if place is None:
            paths = [path for field in schema for path in within(field)]
            raise UsageError(
                f"{self.contract.target} has no column '{name}'; {did_you_mean(name, paths) or 'see its schema'}"
            )
        inside = sorted(within(schema.field(place.column)) - {place.column})
        if not place.in_json and any(path.startswith(f"{place.where}.") for path in inside):
            raise UsageError(f"'{name}' holds further columns: name one of them, such as '{inside[0]}'")
        operator = place.line.protect
        if isinstance(operator, Json):
            raise UsageError(
                f"'{name}' holds JSON: name a path inside of it, such as '{name}.{next(iter(operator.fields))}'"
            )
        if not (operator.reversible or operator.strength == KEPT):
            raise UsageError(
                f"column '{name}' is protected by {operator.op}, which is one-way: no original can be given back"
            )
        return place

    def chosen(self) -> DataFrame:
        """Return the rows with a value in one of the protected columns."""
        if not self.protected:
            raise UsageError("none of these columns is protected: read the table itself")
        names = [identifier(name) for name in dict.fromkeys(place.column for place in self.places)]
        held = [column(place.column).isNotNull() for place in self.protected]
        try:
            return self.whole.where(self.wanted.where).where(reduce(or_, held)).select(*names)
        except Exception as error:
            raise UsageError(f"--where does not fit {self.contract.target}: {reason(error)}") from None

    def entered(self, chosen: DataFrame) -> tuple[ledger.Entry, _Opened, int]:
        """Return the ledger's entry of this request, the decrypted rows, and the remaining budget of the day in rows.

        Raises:
            NotPermitted: the request is denied; decrypted values are discarded.
            KeyringError: no value can be decrypted; that is entered as well.
        """
        a_day, why = budget(self.contract, self.asking(), {one.name: one.line.class_ for one in self.protected})
        rows = int(chosen.limit(a_day + 1).count()) if a_day else 0
        opened, failed = _Opened([], rows, 0), None
        if a_day and rows <= a_day:
            try:
                opened = self.opened(chosen)
            except KeyringError as error:
                why, failed = str(error), error
        left = [0]

        def ask() -> Ask:
            if not a_day or failed is not None:
                return self.record(0 if failed else rows, why)
            spent = self.spent_today()
            left[0] = a_day - spent - opened.given
            over = f"{opened.given} rows or more were asked for, and {spent} of {a_day} a day are spent"
            return self.record(opened.given, over if left[0] < 0 else "")

        entry = ledger.append(self.contract.ledger_location, self.keys, ask)
        keep_heads(self.contract, f"the ask is entry {entry.seq} and nothing is given", RERUN)
        record = entry.record
        assert isinstance(record, Ask)  # noqa: S101 - it was entered above
        if failed is not None:
            raise failed
        if not record.granted:
            raise NotPermitted(
                f"not permitted: {record.reason}. The ask is entry {entry.seq} of ledger {self.contract.ledger_location}"
            )
        return entry, opened, left[0]

    def asking(self) -> Asking:
        table, wanted = table_facts(self.contract), self.wanted
        return Asking(self.principal, "reidentify", table, None, wanted.purpose, wanted.ticket)

    def record(self, rows: int, denied: str) -> Ask:
        contract = self.contract
        return Ask(
            contract=contract.contract,
            run_id=f"ask-{uuid.uuid4().hex[:12]}",
            target=str(contract.target),
            version=self.version,
            time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            who=self.who,
            code=code_version(),
            key=signer(self.keys, contract.keys.domain),
            columns=list(self.wanted.columns),
            classes=sorted({place.line.class_ or "" for place in self.protected}),
            purpose=self.wanted.purpose,
            ticket=self.wanted.ticket,
            where_sha256=sha256(self.wanted.where),
            rows=rows,
            granted=not denied,
            reason=denied,
        )

    def spent_today(self) -> int:
        """Return the number of rows of this table granted to the principal since midnight, UTC."""
        today = f"{datetime.now(timezone.utc):%Y-%m-%d}"
        return sum(
            record.rows
            for record in ledger.records(self.contract.ledger_location, "ask")
            if isinstance(record, Ask) and record.granted and record.who == self.who and record.time.startswith(today)
        )

    def opened(self, chosen: DataFrame) -> _Opened:
        """Decrypt the rows; at most a day's budget, so that they fit into the driver's memory."""
        table = collected(chosen)
        live = live_versions(self.spark, self.contract, self.contract.target, self.version)
        made: dict[str, list[Any]] = {}
        given, skipped = set[int](), 0
        for place in self.places:
            there = place.of(table.column(place.column).combine_chunks())
            if place not in self.protected:
                made[place.name] = there.by_row(there.values.to_pylist(), table.num_rows)
                continue
            by = live.get(place.where, set())
            texts = originals(self.spark, self.contract, place.line, self.keys, there.values, by)
            held = there.values.is_valid().to_pylist()
            given |= {row for row, text in zip(there.rows, texts, strict=True) if text is not None}
            skipped += sum(valid and text is None for valid, text in zip(held, texts, strict=True))
            made[place.name] = there.by_row([None if text is None else _text(text) for text in texts], table.num_rows)
        rows = [dict(zip(made, row, strict=True)) for row in zip(*made.values(), strict=True)]
        return _Opened(rows, len(given), skipped)


def _text(data: bytes) -> str:
    """Return UTF-8 as text, other bytes as base64."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(data).decode()}"


def _sensible(wanted: Wanted, out: str | None, show: bool) -> None:
    if (out is None) == (not show):
        raise UsageError("give --out FILE, or --show to have originals on the terminal (one of them)")
    if out is not None and os.path.lexists(out):
        raise UsageError(f"{out} exists already: originals are only written to a new file")
    if not re.fullmatch(r"\S.{0,199}", wanted.purpose) or not re.fullmatch(r"\S.{0,99}", wanted.ticket):
        raise UsageError("state a purpose (up to 200 characters) and a ticket (up to 100)")
    try:
        condition(wanted.where)
    except Impure as error:
        raise UsageError(f"--where: {error}") from None


def _written(path: Path, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise TargetError(
            f"{path} cannot be written: {error.strerror}. The ask is in the ledger and its rows are spent; ask again"
        ) from None
