"""The content of a version for its seal: the content sealed before, plus and minus the rows of the run.

A version's sum follows from the sealed sum before it, so that old rows are never read again. Rows that somebody else changed are in
neither the added nor the removed rows; the table then differs from its seals until a run replaces all rows.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from dataward.contract import Contract
from dataward.errors import TargetError
from dataward.integrity import ledger
from dataward.integrity.canonical import canonical
from dataward.integrity.digest import (
    Sum,
    described,
    digest,
    extends,
    new_nonce,
    schema_sha256,
    sum_of,
    summed,
    unmasked,
)
from dataward.integrity.encoding import ENCODING
from dataward.integrity.seal import Seal, SealedContent
from dataward.keys import KeyProvider
from dataward.spark.held import persisted
from dataward.spark.hmac import Observing
from dataward.spark.kind import is_remote
from dataward.spark.sql import column
from dataward.tables import delta
from dataward.tables.commits import Meeting
from dataward.tables.delta import Commit
from dataward.tables.written import rows_added, rows_removed

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import StructField, StructType

__all__ = [
    "REREAD",
    "Change",
    "Sealing",
    "Watch",
    "commit_mac",
    "content_of",
    "digest_of",
    "earlier_seal",
    "verified",
    "without",
]

COMMIT = b"\4"
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Change:
    """Effect of a commit on the rows of a table.

    Attributes:
        whole: the commit left no row of the version before.
        added: sum of the added rows as they were written; None: the added files are read.
        removed: sum of the removed rows; None: the removed files are read.
        basis: set where the sum of the version is known, or must not follow from an earlier one (``whole``).
        total: the sum of the version; None: the version is read.
    """

    whole: bool = False
    added: Sum | None = None
    removed: Sum | None = None
    basis: int | Literal["whole"] | None = None
    total: Sum | None = None


REREAD = Change()
"""A commit with unknown rows: its added and removed files are read."""


@dataclass(frozen=True)
class Sealing:
    """A version to seal, and the key (domain and version) to seal it with."""

    spark: SparkSession
    contract: Contract
    keys: KeyProvider
    domain: str
    key_version: int
    version: int

    @property
    def secret(self) -> bytes:
        """The key of the digest."""
        return self.keys.key("digest", self.domain, self.key_version)

    def read(self, version: int) -> DataFrame:
        """Read a version of the target."""
        return delta.read(self.spark, self.contract.target, version)


class Watch:
    """Sum a run's rows while they are written."""

    def __init__(self, spark: SparkSession, secret: bytes, first: bool = True) -> None:
        """Create the watch for one commit of a session.

        ``first``: whether no earlier attempt may have written the rows; otherwise only the rows in the table are certain.
        """
        self._spark, self._secret, self._first = spark, secret, first
        self._observing = Observing()
        self._meeting: Meeting | None = None
        self._source: DataFrame | None = None
        self._added: Sum | None = None

    def __enter__(self) -> Watch:
        """Start to observe the session's writes."""
        self._observing.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop observing, and unpersist cached rows."""
        self._observing.__exit__()
        if self._source is not None:
            self._source.unpersist()

    def through(self, frame: DataFrame, meeting: Meeting) -> DataFrame:
        """Return the frame to write instead of this one; called by the commit, with what the commit knows about the write."""
        self._meeting = meeting
        if not self._first or meeting.schema is None or _truncates(self._spark, meeting.schema):
            return frame
        if meeting.keys is None and not is_remote(self._spark):
            columns = _as_read(frame, meeting)
            return self._observing.through(frame, columns, meeting.schema, self._secret)  # type: ignore[no-any-return]
        if meeting.keys is not None and len(frame.columns) < len(meeting.schema.fields):
            return frame  # matched rows keep the old values of the other columns
        # A merge reads its source twice, so that its passes cannot be observed; Spark Connect observes none.
        self._source = persisted(frame)
        if self._source is None:
            return frame
        named = zip(_as_read(frame, meeting), meeting.schema.fields, strict=True)
        self._added = summed(self._source.select(*(one.alias(field.name) for one, field in named)), self._secret)
        return self._source

    def change(self, sealing: Sealing, commit: Commit) -> Change:
        """Return what the commit did. If its number of rows differs from that of the rows watched, the rows are read back."""
        meeting = self._meeting
        assert meeting is not None  # noqa: S101 - the commit called `through`
        if meeting.keys is None and (seen := self._observing.result()) is not None:
            self._added = sum_of(bytes(seen))
        added = self._added if self._added is not None and self._added.rows == commit.rows else None
        if (
            added is not None
            and meeting.schema
            and described(sealing.read(commit.version).schema) != described(meeting.schema)
        ):
            added = None
        if meeting.whole or commit.version == 0:
            return Change(whole=True, added=added)
        removed = None
        with suppress(Exception):  # the files that the commit removed are read instead
            removed = self._removed(sealing, commit, meeting) if added is not None else None
        return Change(added=added, removed=removed)

    def _removed(self, sealing: Sealing, commit: Commit, meeting: Meeting) -> Sum | None:
        """Sum the removed rows, by the condition of the run and not by the removed files in the log."""
        if meeting.keys is None and meeting.where is None:
            return Sum()
        if meeting.where is not None:
            return summed(sealing.read(commit.version - 1).where(meeting.where), self._secret)
        if not commit.merged.get("updated") or self._source is None:
            return Sum()
        old = rows_removed(sealing.spark, sealing.contract.target, commit.version)
        matched = old.alias("t").join(self._source.alias("s"), _expression(meeting.keys), "leftsemi")
        removed = summed(matched, self._secret)
        return removed if removed.rows == commit.merged["updated"] else None


def _expression(sql: str | None) -> Column:
    from pyspark.sql import functions as F

    return F.expr(sql or "false")


def _truncates(spark: SparkSession, schema: StructType) -> bool:
    """Return whether timestamps lose their microseconds in files."""
    kind = spark.conf.get("spark.sql.parquet.outputTimestampType", "INT96")
    return kind == "TIMESTAMP_MILLIS" and "timestamp" in schema.json()


def _as_read(frame: DataFrame, meeting: Meeting) -> list[Column]:
    """Return the columns of the committed schema as readers see them: empty text in a partition column and missing columns are null."""
    from pyspark.sql import functions as F

    assert meeting.schema is not None  # noqa: S101 - the caller asked
    here = {name.lower(): name for name in frame.columns}
    partitions = {name.lower() for name in meeting.partition_by}

    def one(field: StructField) -> Column:
        name = here.get(field.name.lower())
        if name is None:
            return F.lit(None).cast(field.dataType)
        if field.name.lower() in partitions and field.dataType.simpleString() == "string":
            return F.when(~column(name).isin("", NO_VALUE), column(name))
        return column(name)

    return [one(field) for field in meeting.schema.fields]


def content_of(sealing: Sealing, change: Change) -> SealedContent:
    """Return the content of a version for its seal.

    Raises:
        TargetError: an earlier version that the sum must follow from differs from its seal, or cannot be read.
    """
    schema, secret = sealing.read(sealing.version).schema, sealing.secret
    found = _total(sealing, change, schema)
    nonce, told = new_nonce(), schema_sha256(schema)
    return SealedContent(
        encoding=ENCODING,
        digest=digest(found.total, secret, nonce, told),
        nonce=nonce,
        rows=found.total.rows,
        schema_sha256=told,
        basis=found.basis,
        measured=found.measured,
        unsealed=found.unsealed,
    )


@dataclass(frozen=True)
class _Found:
    total: Sum
    basis: int | Literal["written", "whole"]
    measured: Literal["written", "read"]
    unsealed: tuple[int, ...] = ()


def _total(sealing: Sealing, change: Change, schema: StructType) -> _Found:
    if change.basis is not None:
        total = change.total or summed(sealing.read(sealing.version), sealing.secret)
        return _Found(total, change.basis, "read")
    if change.whole:
        if change.added is not None:
            return _Found(change.added, "written", "written")
        return _Found(summed(sealing.read(sealing.version), sealing.secret), "written", "read")
    earlier = earlier_seal(sealing)
    before = _carried(sealing, earlier, schema) if earlier is not None else None
    if earlier is None or before is None:
        return _Found(summed(sealing.read(sealing.version), sealing.secret), "whole", "read")
    between = _between(sealing, earlier)
    ours, unsealed = _ours(sealing, between)
    for version in ours:
        before += _read_back(sealing, version)
    if change.added is None or change.removed is None:
        return _Found(before + _read_back(sealing, sealing.version), earlier.version, "read", unsealed)
    total = before + change.added - change.removed
    return _Found(total, earlier.version, "read" if ours else "written", unsealed)


def without(sealing: Sealing, rows: DataFrame) -> Change:
    """Return the change that deletes rows of the table's newest version (that of ``sealing``) together with all earlier versions."""
    after = replace(sealing, version=sealing.version + 1)
    earlier = earlier_seal(after)
    schema = sealing.read(sealing.version).schema
    if earlier is None or _carried(after, earlier, schema) is None:
        return Change(basis="whole")
    removed = summed(rows, sealing.secret)
    return Change(basis=earlier.version, total=_total(after, Change(added=Sum(), removed=removed), schema).total)


def _read_back(sealing: Sealing, version: int) -> Sum:
    """Sum the rows that a commit added minus those that it removed, from its files."""
    spark, target = sealing.spark, sealing.contract.target
    added = summed(rows_added(spark, target, version), sealing.secret)
    return added - summed(rows_removed(spark, target, version), sealing.secret)


def earlier_seal(sealing: Sealing) -> Seal | None:
    """Return the seal of the newest sealed version before this one."""
    contract = sealing.contract
    newest = ledger.newest_seal(contract.ledger_location, contract.target)
    if newest is None or newest.version == sealing.version - 1:
        return newest
    mine = [
        record
        for record in ledger.records(contract.ledger_location, "seal", contract.target)
        if isinstance(record, Seal) and record.version < sealing.version
    ]
    return max(reversed(mine), key=lambda seal: seal.version, default=None)


def _carried(sealing: Sealing, earlier: Seal, schema: StructType) -> Sum | None:
    """Return the sum of a sealed version; None where the encoding of rows has changed, so that the whole version must be read.

    Where the key or the columns changed, the earlier version is read, and must equal its seal.
    """
    if earlier.content.encoding != ENCODING:
        return None
    key = (str(earlier.key["domain"]), int(earlier.key["version"]))
    if key == (sealing.domain, sealing.key_version) and earlier.content.schema_sha256 == schema_sha256(schema):
        return _unmasked(earlier, sealing.secret)
    try:
        frame = sealing.read(earlier.version)
    except Exception:
        raise TargetError(
            f"{sealing.contract.target}: version {earlier.version}, on which the seal of version {sealing.version} must rest, is "
            "gone. Publish once in mode overwrite"
        ) from None
    same = earlier.content.schema_sha256 == schema_sha256(frame.schema)
    if key == (sealing.domain, sealing.key_version) and same and extends(described(schema), described(frame.schema)):
        return _unmasked(earlier, sealing.secret)
    if not verified(sealing.keys, earlier, frame):
        raise TargetError(
            f"{sealing.contract.target}: version {earlier.version} is not as it was sealed, and the seal of version "
            f"{sealing.version} must rest on it, as the key or the columns changed. See dataward verify; publish once in mode "
            "overwrite to replace all rows"
        )
    return summed(frame, sealing.secret) if extends(described(schema), described(frame.schema)) else None


def _unmasked(seal: Seal, secret: bytes) -> Sum:
    content = seal.content
    return unmasked(content.digest, content.rows, secret, content.nonce, content.schema_sha256)


def verified(keys: KeyProvider, seal: Seal, frame: DataFrame) -> bool:
    """Return whether the rows of a frame are those of a seal, in one pass."""
    secret = keys.key("digest", str(seal.key["domain"]), int(seal.key["version"]))
    return digest_of(seal, frame, secret)[0] == seal.content.digest


def digest_of(seal: Seal, frame: DataFrame, secret: bytes) -> tuple[str, int]:
    """Return the digest and the number of rows of a frame, with the nonce of a seal."""
    found = summed(frame, secret)
    return digest(found, secret, seal.content.nonce, schema_sha256(frame.schema)), found.rows


def _between(sealing: Sealing, earlier: Seal) -> list[Commit]:
    """Return the commits between a sealed version and this one whose operation may change rows, oldest first."""
    number = sealing.version - earlier.version
    if number == 1:
        return []
    present = delta.newest(sealing.spark, sealing.contract.target)
    since = present.version - earlier.version if present else None
    newest = delta.commits(sealing.spark, sealing.contract.target, since, present)
    found = [one for one in newest if earlier.version < one.version < sealing.version]
    taken_back = {int(one.metadata["takes_back"]) for one in found if "takes_back" in one.metadata}
    return [
        one
        for one in reversed(found)
        if one.operation not in delta.ROW_NEUTRAL and "takes_back" not in one.metadata and one.version not in taken_back
    ]


def _ours(sealing: Sealing, between: list[Commit]) -> tuple[list[int], tuple[int, ...]]:
    """Split commits into those of runs that were killed before their seal, and those of others."""
    ours: dict[str, int] = {}
    others = []
    for one in between:
        run_id = str(one.metadata.get("run_id"))
        mine = one.metadata.get("mac") == commit_mac(sealing.secret, sealing.contract, run_id, one.metadata)
        place, target = sealing.contract.ledger_location, sealing.contract.target
        if mine and run_id not in ours and ledger.find(place, run_id, target) is None:
            ours[run_id] = one.version
        else:
            others.append(one.version)
    return list(ours.values()), tuple(others)


def commit_mac(secret: bytes, contract: Contract, run_id: str, metadata: Mapping[str, Any]) -> str:
    """Return the MAC that proves to a later run that the holder of the key made a commit."""
    told = [str(contract.target), run_id, metadata.get("contract_sha256"), metadata.get("as_of")]
    return hmac.digest(secret, COMMIT + canonical(told).encode(), "sha256").hex()
