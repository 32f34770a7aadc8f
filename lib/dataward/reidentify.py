"""Give originals back to those who may have them; every ask, granted or denied, is a signed entry of the ledger."""

from __future__ import annotations

import base64
import csv
import dataclasses
import os
import pwd
import re
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.contract.operation import KEPT
from dataward.errors import NotPermitted, TargetError, UsageError, did_you_mean
from dataward.integrity import ledger
from dataward.integrity.canonical import sha256
from dataward.integrity.key_uses import live_versions
from dataward.integrity.records import Ask
from dataward.integrity.seal import code_version
from dataward.integrity.sealing import signer
from dataward.plan import Plan
from dataward.privacy.keys import Keyring, open_keys
from dataward.privacy.protect import arrow_schema
from dataward.privacy.reidentify import allowed, originals
from dataward.pure import Impure, condition
from dataward.session import isolated, platform
from dataward.sql import identifier
from dataward.tables import delta
from dataward.tables.reason import reason

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Given", "Wanted", "principal", "reidentify"]


@dataclass(frozen=True)
class Wanted:
    """What is asked for: columns of the rows that a SQL condition on the protected table chooses, why, and under which ticket."""

    columns: tuple[str, ...]
    where: str
    purpose: str
    ticket: str


@dataclass(frozen=True)
class Given:
    """What was given: the file, or the rows themselves where they were asked for."""

    entry: int
    principal: str
    version: int
    rows: int
    left_today: int
    out: str | None
    shown: list[dict[str, Any]] | None = dataclasses.field(default=None, repr=False)


def principal(spark: SparkSession, plan: Plan) -> str:
    """Who asks: with KMS the caller as STS knows it, on Databricks the user of the session, else the process's login.

    An environment variable cannot change it. What it cannot be is more than the machine: whoever may read the keyring's
    file can open values without this command, so give that right to nobody else (security.md).
    """
    if plan.contract.keys.provider == "aws_kms":
        from dataward.privacy.keys.aws import caller

        return caller()
    if platform() == "databricks":
        return str(spark.sql("select current_user()").first()[0])  # type: ignore[index]
    return pwd.getpwuid(os.geteuid()).pw_name


def reidentify(spark: SparkSession, plan: Plan, wanted: Wanted, out: str | None, show: bool = False) -> Given:
    """Write the originals to a new file of mode 0600 (CSV), or give them back to be shown where that is asked for.

    Raises:
        UsageError: a column is unknown or one-way, the condition does not fit, or the file exists.
        NotPermitted: the contract does not allow it, or the day's rows are spent; the ledger says so as well.
        KeyringError: a key is gone or disabled.
    """
    _sensible(plan, wanted, out, show)
    with isolated(spark) as own:
        asking = _Asking(own, plan, wanted)
        chosen = asking.chosen()
        entry, left = asking.entered(chosen)
        rows = asking.opened(chosen)
        if out is not None:
            _written(Path(out), rows, wanted.columns)
        return Given(entry.seq, asking.who, asking.version, len(rows), left, out, rows if show else None)


class _Asking:
    def __init__(self, spark: SparkSession, plan: Plan, wanted: Wanted) -> None:
        self.spark, self.plan, self.contract, self.wanted = spark, plan, plan.contract, wanted
        if not delta.exists(spark, self.contract.target):
            raise TargetError(f"{self.contract.target}: there is no table yet. Publish first")
        self.keys: Keyring = open_keys(self.contract.keys)
        self.version = delta.latest_version(spark, self.contract.target)
        self.who = principal(spark, plan)
        self.protected = [name for name in wanted.columns if self.contract.column(name).protect.op != "keep"]

    def chosen(self) -> DataFrame:
        whole = delta.read(self.spark, self.contract.target, self.version)
        for name in self.wanted.columns:
            if name.lower() not in {there.lower() for there in whole.columns}:
                raise UsageError(
                    f"{self.contract.target} has no column '{name}'; {did_you_mean(name, whole.columns) or 'see its schema'}"
                )
        if not self.protected:
            raise UsageError("none of these columns is protected: read the table itself")
        try:
            return whole.where(self.wanted.where).select(*map(identifier, self.wanted.columns))
        except Exception as error:
            raise UsageError(f"--where does not fit {self.contract.target}: {reason(error)}") from None

    def entered(self, chosen: DataFrame) -> tuple[ledger.Entry, int]:
        """The ledger's entry of this ask, and how many rows are left for today; raises where it is denied."""
        line, why = allowed(self.contract, self.who, self.protected, self.wanted.purpose)
        rows = chosen.limit(line.rows_per_day + 1).count() if line else 0
        left = [0]

        def ask() -> Ask:
            if line is None:
                return self.record(rows, why)
            spent = self.spent_today()
            left[0] = line.rows_per_day - spent - rows
            over = f"{rows} rows or more were asked for, and {spent} of {line.rows_per_day} a day are spent"
            return self.record(rows, over if left[0] < 0 else "")

        entry = ledger.append(self.spark, self.contract.ledger_location, self.keys, ask)
        record = entry.record
        assert isinstance(record, Ask)  # noqa: S101 - it was entered above
        if not record.granted:
            raise NotPermitted(
                f"not permitted: {record.reason}. The ask is entry {entry.seq} of ledger {self.contract.ledger_location}"
            )
        return entry, left[0]

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
            classes=sorted({contract.column(name).class_ or "" for name in self.protected}),
            purpose=self.wanted.purpose,
            ticket=self.wanted.ticket,
            where_sha256=sha256(self.wanted.where),
            rows=rows,
            granted=not denied,
            reason=denied,
        )

    def spent_today(self) -> int:
        """Rows that the principal was granted of this table since midnight, UTC."""
        today = f"{datetime.now(timezone.utc):%Y-%m-%d}"
        return sum(
            record.rows
            for record in ledger.records(self.spark, self.contract.ledger_location)
            if isinstance(record, Ask) and record.granted and record.who == self.who and record.time.startswith(today)
        )

    def opened(self, chosen: DataFrame) -> list[dict[str, Any]]:
        """The rows with originals; no more than the budget allowed, so the driver may hold them."""
        table = _arrow(chosen)
        live = live_versions(self.spark, self.contract, self.contract.target, self.version)
        made: dict[str, list[Any]] = {}
        for name in self.wanted.columns:
            values = table.column(name).combine_chunks()
            line = self.contract.column(name)
            if name not in self.protected:
                made[name] = values.to_pylist()
                continue
            texts = originals(self.spark, self.contract, line, self.keys, values, live.get(name, set()))
            made[name] = [None if text is None else _text(text) for text in texts]
        return [dict(zip(made, row, strict=True)) for row in zip(*made.values(), strict=True)]


def _arrow(frame: DataFrame) -> pa.Table:
    import pyarrow as pa

    given: Any = frame  # DataFrame.toArrow comes with Spark 4
    return pa.Table.from_batches(given._collect_as_arrow(), arrow_schema(frame.schema))


def _text(data: bytes) -> str:
    """UTF-8 as it is; other bytes as base64."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(data).decode()}"


def _sensible(plan: Plan, wanted: Wanted, out: str | None, show: bool) -> None:
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
    for name in wanted.columns:
        operator = plan.contract.column(name).protect
        if not (operator.reversible or operator.strength == KEPT):
            raise UsageError(
                f"column '{name}' is protected by {operator.op}, which is one-way: no original can be given back"
            )


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
