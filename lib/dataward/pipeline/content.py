"""The content of a version for its seal: the content sealed before, plus and minus the rows of the run.

A version's sum follows from the sealed sum before it, so that old rows are never read again. Rows that somebody else changed are in
neither the added nor the removed rows; the table then differs from its seals until a run replaces all rows.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
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
    digest_one,
    extends,
    new_nonce,
    schema_sha256,
    summed,
    unmasked,
)
from dataward.integrity.encoding import ENCODING
from dataward.integrity.seal import Seal, SealedContent
from dataward.keys import KeyProvider
from dataward.tables import delta
from dataward.tables.delta import Commit
from dataward.tables.written import rows_added, rows_removed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

__all__ = [
    "ENCODINGS",
    "REREAD",
    "Change",
    "Sealing",
    "commit_mac",
    "content_of",
    "digest_of",
    "earlier_seal",
    "restored",
    "verified",
    "without",
]

COMMIT = b"\4"
ENCODINGS = (1, ENCODING)
"""Encodings of rows whose seals can be verified."""


@dataclass(frozen=True)
class Change:
    """Effect of a commit on the rows of a table.

    Attributes:
        whole: the commit left no row of the version before.
        added: sum of the added rows as they were written; None: the added files are read.
        removed: sum of the removed rows; None: the removed files are read.
        basis: set where the sum of the version is known, or must not follow from an earlier one (``whole``).
        total: the sum of the version; None: the version is read.
        unsealed: with a basis: versions of other writers since it.
        changed: with a basis: files that runs before it replaced after somebody had changed them.
    """

    whole: bool = False
    added: Sum | None = None
    removed: Sum | None = None
    basis: int | Literal["whole"] | None = None
    total: Sum | None = None
    unsealed: tuple[int, ...] = ()
    changed: tuple[str, ...] = ()


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


def content_of(sealing: Sealing, change: Change) -> SealedContent:
    """Return the content of a version for its seal.

    Raises:
        TargetError: an earlier version that the sum must follow from differs from its seal, or cannot be read.
    """
    schema, secret = sealing.read(sealing.version).schema, sealing.secret
    found = _total(sealing, change, schema)
    nonce, schema_digest = new_nonce(), schema_sha256(schema)
    return SealedContent(
        encoding=ENCODING,
        digest=digest(found.total, secret, nonce, schema_digest),
        nonce=nonce,
        rows=found.total.rows,
        schema_sha256=schema_digest,
        basis=found.basis,
        measured=found.measured,
        unsealed=found.unsealed,
        changed=found.changed,
    )


@dataclass(frozen=True)
class _Found:
    total: Sum
    basis: int | Literal["written", "whole"]
    measured: Literal["written", "read"]
    unsealed: tuple[int, ...] = ()
    changed: tuple[str, ...] = ()


def _total(sealing: Sealing, change: Change, schema: StructType) -> _Found:
    if change.basis is not None:
        total = change.total or summed(sealing.read(sealing.version), sealing.secret)
        return _Found(total, change.basis, "read", change.unsealed, change.changed)
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
    changed = earlier.content.changed
    for version in ours:
        before += _read_back(sealing, version)
    if change.added is None or change.removed is None:
        return _Found(before + _read_back(sealing, sealing.version), earlier.version, "read", unsealed, changed)
    total = before + change.added - change.removed
    return _Found(total, earlier.version, "read" if ours else "written", unsealed, changed)


def without(sealing: Sealing, rows: DataFrame) -> Change:
    """Return the change that deletes rows of the table's newest version (that of ``sealing``) together with all earlier versions."""
    after = replace(sealing, version=sealing.version + 1)
    earlier = earlier_seal(after)
    schema = sealing.read(sealing.version).schema
    if earlier is None or _carried(after, earlier, schema) is None:
        return Change(basis="whole")
    removed = summed(rows, sealing.secret)
    found = _total(after, Change(added=Sum(), removed=removed), schema)
    return Change(basis=earlier.version, total=found.total, unsealed=found.unsealed, changed=found.changed)


def restored(sealing: Sealing, seal: Seal) -> Change:
    """Return the change that makes the rows of an earlier sealed version the rows of this one."""
    total = _carried(sealing, seal, sealing.read(sealing.version).schema)
    return Change(basis=seal.version, total=total, unsealed=seal.content.unsealed, changed=seal.content.changed)


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
    """Return the sum of a sealed version; None where its rows have another encoding now, so that the whole version must be read.

    Where the key, the columns or the encoding changed, the earlier version is read, and must equal its seal.
    """
    if earlier.content.encoding not in ENCODINGS:
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
            f"{sealing.version} must rest on it, as key, columns or encoding changed. See dataward verify; publish once in mode "
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
    """Return the digest and the number of rows of a frame, with the nonce and in the encoding of a seal."""
    if seal.content.encoding == 1:
        return digest_one(frame, secret, seal.content.nonce)
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
    parts = [str(contract.target), run_id, metadata.get("contract_sha256"), metadata.get("as_of")]
    return hmac.digest(secret, COMMIT + canonical(parts).encode(), "sha256").hex()
