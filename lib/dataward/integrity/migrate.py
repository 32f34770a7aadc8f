"""Migrate a ledger of an older Dataward, a hash-chained Delta table, to a log.

The old chain is verified first. Each of its entries becomes an entry of the log with the same statement, and keeps the
previous hash, the hash and the signature of the chain, so that the old proof can still be checked; a last entry of kind
``migration`` names the old head. A killed migration is resumed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature

from dataward.contract import Location
from dataward.errors import KeyringError, ProofError
from dataward.integrity import ledger
from dataward.integrity.canonical import canonical, sha256
from dataward.integrity.ledger import About, Draft, Keys
from dataward.integrity.log.entries import Body
from dataward.integrity.log.log import Log
from dataward.integrity.records import AnyRecord, Erased, Erasure, parsed
from dataward.integrity.seal import Record
from dataward.keys import PublicKeys
from dataward.tables import delta
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["CONTEXT", "SCHEMA", "START", "ChainEntry", "FileContent", "chain_flaws", "migrate", "old_place"]

SCHEMA = (
    "seq bigint, run_id string, contract string, target string, version bigint, time string, seal string, "
    "files array<struct<path: string, rows: bigint, digest: string>>, previous string, hash string, signature string"
)
START = "0" * 64
CONTEXT = b"dataward ledger entry 1\0"
MIGRATION = "migration"


@dataclass(frozen=True)
class FileContent:
    """Name and number of rows of one data file, and the SHA-256 (hex) of its bytes."""

    path: str
    rows: int
    digest: str


@dataclass(frozen=True)
class ChainEntry:
    """An entry of the old chain with its files, hash and signature."""

    seq: int
    seal_text: str
    files: tuple[FileContent, ...]
    previous: str
    hash: str
    signature: str

    @property
    def record(self) -> Any:
        """The parsed record; raises ValueError where the text is not a record."""
        return parsed(self.seal_text)

    @property
    def computed_hash(self) -> str:
        """Hash of the entry, computed from its content and predecessor."""
        seal_sha256 = sha256(self.seal_text)
        with suppress(ValueError):
            if isinstance(record := self.record, Erased):
                seal_sha256 = record.seal_sha256
        return sha256([self.seq, self.previous, seal_sha256, sha256(_listed(self.files))])


def _listed(files: tuple[FileContent, ...]) -> str:
    """Return the canonical text of a list of files."""
    return canonical([[file.path, file.rows, file.digest] for file in files])


def migrate(spark: SparkSession, place: Location, keys: Keys) -> int:
    """Migrate the ledger at a place to a log at the same place, and return the number of migrated entries.

    The files of a Delta table at a path stay beside the log; a table of the catalog is renamed to NAME_before_log.

    Raises:
        ProofError: there is no old ledger, its chain does not verify, or the log has other entries.
        TargetError: the log cannot be written.
    """
    old = old_place(spark, place)
    chain = _entries(spark, old)
    if flaws := chain_flaws(chain, keys):
        raise ProofError(f"ledger {old}: its chain does not verify, so it is not brought over: {'; '.join(flaws[:3])}")
    log = ledger.open_log(place)
    done = _brought(log, chain)
    for entry in chain[done:]:
        ledger.enter(log, keys, _draft(entry))
    version = delta.latest_version(spark, old)
    said = {
        "from": str(old),
        "table_version": version,
        "entries": len(chain),
        "head": chain[-1].hash if chain else START,
    }
    key = _key(chain[-1].record) if chain else None
    if key and log.size() == len(chain):
        ledger.enter(log, keys, Draft(MIGRATION, canonical(said).encode(), key, ledger.now(), About()))
    log.store.create(ledger.MIGRATED, canonical(said).encode())
    return len(chain)


def old_place(spark: SparkSession, place: Location) -> Location:
    """Return the location of the old ledger; a table of the catalog is renamed first.

    Raises:
        ProofError: there is no old ledger, or it was migrated already.
    """
    log = ledger.open_log(place)
    if place.path is not None:
        if log.store.exists(ledger.MIGRATED):
            raise ProofError(f"ledger {place}: it is migrated already")
        if not delta.exists(spark, place):
            raise ProofError(f"ledger {place}: there is no ledger of an older Dataward, so nothing is to be migrated")
        return place
    renamed = place.beside("before_log")
    if delta.exists(spark, place) and "seal" in spark.table(str(place)).columns:
        spark.sql(f"ALTER TABLE {place.table} RENAME TO {renamed.table}")
    if not delta.exists(spark, renamed):
        raise ProofError(f"ledger {place}: there is no ledger of an older Dataward, so nothing is to be migrated")
    return renamed


def _brought(log: Log, chain: list[ChainEntry]) -> int:
    """Return the number of entries that an earlier attempt migrated."""
    there = log.entries(0, log.size())
    for position, (entry, old) in enumerate(zip(there, chain, strict=False)):
        if Body.parsed(entry).about.get("chain", ["", ""])[1] != old.hash:
            raise ProofError(
                f"ledger {log}: entry {position} is not entry {position} of the old ledger: something else is there"
            )
    return min(len(there), len(chain))


def _draft(entry: ChainEntry) -> Draft:
    record = entry.record
    about = About(
        run_id=record.run_id,
        target=record.target,
        version=record.version,
        manifest=_listed(entry.files).encode() if entry.files else None,
        more={"chain": [entry.previous, entry.hash, entry.signature]},
    )
    return Draft(record.kind, entry.seal_text.encode(), _key(record), record.time, about)


def _key(record: AnyRecord) -> tuple[str, int]:
    return str(record.key["domain"]), int(record.key["version"])


def _entries(spark: SparkSession, place: Location) -> list[ChainEntry]:
    try:
        frame = delta.read(spark, place, delta.latest_version(spark, place))
        return [
            ChainEntry(row.seq, row.seal, tuple(FileContent(file.path, file.rows, file.digest) for file in row.files),
                       row.previous, row.hash, row.signature)
            for row in frame.orderBy("seq").collect()
        ]  # fmt: skip
    except Exception as error:
        raise ProofError(f"ledger {place}: {reason(error)}: its files were changed or removed") from None


def chain_flaws(chain: list[ChainEntry], provider: PublicKeys) -> list[str]:
    """Verify an old chain, and return its flaws with their entries; empty if it verifies."""
    found = []
    previous = START
    erased = {seq for entry in chain if isinstance(record := _record_of(entry), Erasure) for seq in record.redacted}
    for position, entry in enumerate(chain):
        name = f"ledger entry {entry.seq}"
        if entry.seq != position:
            found.append(f"{name}: stands where entry {position} should; one was removed or entered twice")
            break
        if entry.previous != previous:
            found.append(f"{name}: does not follow entry {entry.seq - 1}; one of the two was changed")
        if entry.computed_hash != entry.hash:
            found.append(f"{name}: its seal or its hash was changed")
        elif isinstance(_record_of(entry), Erased) and entry.seq not in erased:
            found.append(f"{name}: its seal was taken out, and no erasure says so")
        elif trouble := _signature_flaw(entry, provider):
            found.append(f"{name}: {trouble}")
        previous = entry.hash
    return found


def _record_of(entry: ChainEntry) -> Record | None:
    try:
        found: Record = entry.record
    except ValueError:
        return None
    return found


def _signature_flaw(entry: ChainEntry, provider: PublicKeys) -> str:
    try:
        key = provider.public_key(*_key(entry.record))
        key.verify(bytes.fromhex(entry.signature), CONTEXT + bytes.fromhex(entry.hash))
    except InvalidSignature:
        return "its signature is not by this keyring's key"
    except (KeyringError, ValueError, KeyError) as error:
        return (
            f"its signature cannot be checked: {error if isinstance(error, KeyringError) else 'the seal is malformed'}"
        )
    return ""
