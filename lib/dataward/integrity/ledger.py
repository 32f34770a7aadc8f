"""The ledger: the append-only, hash-chained, signed history of all seals, itself a Delta table.

Entry n holds ``hash = SHA-256(canonical [n, previous hash, SHA-256(seal), SHA-256(files)])`` and an Ed25519 signature of
it. Entries cannot be changed, reordered or taken out of the middle without breaking the chain. A tail that is cut off
shows as target versions without a seal; if the target is cut back too, only a head kept elsewhere can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dataward.contract import Location
from dataward.errors import DatawardError, KeyringError, ProofError, TargetError
from dataward.integrity.canonical import sha256
from dataward.integrity.digest import FileContent
from dataward.integrity.records import Ask, Charge, Discard, Erased, Erasure, parsed
from dataward.integrity.seal import Record, Seal
from dataward.keys import KeyProvider, PublicKeys, signing_key
from dataward.tables import commits, delta, maintenance
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Entry", "append", "entries", "find", "flaws", "newest_seal", "public_key", "records", "redact"]

SCHEMA = (
    "seq bigint, run_id string, contract string, target string, version bigint, time string, seal string, "
    "files array<struct<path: string, rows: bigint, digest: string>>, previous string, hash string, signature string"
)
START = "0" * 64
CONTEXT = b"dataward ledger entry 1\0"
TRIES = 8


@dataclass(frozen=True)
class Entry:
    """An entry of the ledger with its files, hash and signature."""

    seq: int
    seal_text: str
    files: tuple[FileContent, ...]
    previous: str
    hash: str
    signature: str

    @property
    def record(self) -> Seal | Ask | Charge | Discard | Erasure | Erased:
        """The parsed record; raises ValueError where the text is no record."""
        return parsed(self.seal_text)

    @property
    def seal(self) -> Seal:
        """The parsed seal; raises ValueError where the entry is no seal."""
        return Seal.model_validate_json(self.seal_text)

    @property
    def computed_hash(self) -> str:
        """Hash of the entry, computed from its content and predecessor."""
        seal_sha256 = sha256(self.seal_text)
        with suppress(ValueError):
            if isinstance(record := self.record, Erased):
                seal_sha256 = record.seal_sha256
        return sha256([self.seq, self.previous, seal_sha256, files_sha256(self.files)])


def files_sha256(files: tuple[FileContent, ...]) -> str:
    return sha256([[file.path, file.rows, file.digest] for file in files])


def public_key(provider: KeyProvider, domain: str, version: int) -> str:
    """Return the raw Ed25519 public key (hex)."""
    return signing_key(provider, domain, version).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def append(
    spark: SparkSession,
    place: Location,
    provider: KeyProvider,
    given: Record | Callable[[], Record],
    files: tuple[FileContent, ...] = (),
) -> Entry:
    """Append a record to the chain, once; concurrent writers are serialised by retries.

    A function is asked for the record in every turn, so that what it reads in the ledger holds when it is entered.

    Raises:
        TargetError: the ledger cannot be written.
    """
    trouble = "another writer was always faster"
    for _ in range(TRIES):
        try:
            head = _head(spark, place)
            seq, previous = (head[0] + 1, head[1]) if head else (0, START)
            seal = given if isinstance(given, Record) else given()
            key = signing_key(provider, seal.key["domain"], seal.key["version"])
            draft = Entry(seq, seal.text(), files, previous, "", "")
            signature = key.sign(CONTEXT + bytes.fromhex(draft.computed_hash)).hex()
            entry = Entry(seq, draft.seal_text, files, previous, draft.computed_hash, signature)
            row = (seq, seal.run_id, seal.contract, seal.target, seal.version, seal.time, entry.seal_text)
            listed = [(file.path, file.rows, file.digest) for file in files]
            frame = spark.createDataFrame([(*row, listed, previous, entry.hash, signature)], SCHEMA)
            told = {"seq": seq, "hash": entry.hash}
            commits.append_in_turn(spark, frame.coalesce(1), place, "dataward/ledger", seq, ["seq", "run_id"], told)
        except DatawardError:
            raise
        except Exception as error:
            trouble = reason(error)
            if "another writer" not in trouble:
                break
            continue
        if _head(spark, place) == (seq, entry.hash):
            return entry
    raise TargetError(
        f"ledger {place}: {trouble}. What was to be entered is not: a published version is not sealed yet (rerun with the "
        "same --run-id), an ask is not granted"
    )


def entries(spark: SparkSession, place: Location) -> list[Entry]:
    """Return all entries, oldest first.

    Raises:
        ProofError: the ledger is gone or cannot be read.
    """
    if not delta.exists(spark, place):
        raise ProofError(
            f"ledger {place}: there is none. Nothing can be proved without it; restore it from your backup"
        )
    try:
        return [_entry(row) for row in _read(spark, place).orderBy("seq").collect()]
    except Exception as error:
        raise ProofError(f"ledger {place}: {reason(error)}: its files were changed or removed") from None


def records(spark: SparkSession, place: Location) -> list[Seal | Ask | Charge | Discard | Erasure | Erased]:
    """Return the readable records, oldest first; none where there is no ledger."""
    found = []
    for entry in entries(spark, place) if delta.exists(spark, place) else ():
        with suppress(ValueError):
            found.append(entry.record)
    return found


def find(spark: SparkSession, place: Location, run_id: str, target: Location) -> Entry | None:
    """Return the entry of a run on a target; None where there is none."""
    from pyspark.sql import functions as F

    if not delta.exists(spark, place):
        return None
    mine = (F.col("run_id") == run_id) & (F.col("target") == str(target))
    row = _read(spark, place).where(mine).first()
    return _entry(row) if row else None


def newest_seal(spark: SparkSession, place: Location, target: Location) -> Seal | None:
    """Return the newest seal of a target, searching the newest entries first; None where there is none."""
    from pyspark.sql import functions as F

    head = _head(spark, place)
    if head is None:
        return None
    mine = _read(spark, place).where(F.col("target") == str(target))
    for since in dict.fromkeys(
        (max(0, head[0] - 50), 0)
    ):  # statistics of files hold the numbers, so that few files are opened
        for row in mine.where(F.col("seq") >= since).select("seal", "seq").orderBy("seq", ascending=False).collect():
            with suppress(ValueError):
                return Seal.model_validate_json(row.seal)
    return None


def flaws(chain: list[Entry], provider: PublicKeys) -> list[str]:
    """Verify a chain; returns its flaws with their entries, empty where it verifies."""
    found = []
    previous = START
    told = {seq for entry in chain if isinstance(record := _record_of(entry), Erasure) for seq in record.redacted}
    for position, entry in enumerate(chain):
        name = f"ledger entry {entry.seq}"
        if entry.seq != position:
            found.append(f"{name}: stands where entry {position} should; one was removed or entered twice")
            break
        if entry.previous != previous:
            found.append(f"{name}: does not follow entry {entry.seq - 1}; one of the two was changed")
        if entry.computed_hash != entry.hash:
            found.append(f"{name}: its seal or its hash was changed")
        elif isinstance(_record_of(entry), Erased) and entry.seq not in told:
            found.append(f"{name}: its seal was taken out, and no erasure says so")
        elif trouble := _signature_flaw(entry, provider):
            found.append(f"{name}: {trouble}")
        previous = entry.hash
    return found


def redact(spark: SparkSession, place: Location, seqs: list[int], run_id: str) -> None:
    """Replace the text of seals by its hash, and delete the earlier versions of the ledger's table.

    Raises:
        TargetError: the ledger cannot be written.
    """
    kept = []
    for entry in entries(spark, place):
        record = entry.record
        if entry.seq in seqs and not isinstance(record, Erased):
            left = record.model_dump(include={"contract", "run_id", "target", "version", "time", "code", "key"})
            entry = replace(entry, seal_text=Erased(**left, who="", seal_sha256=sha256(entry.seal_text)).text())
        kept.append(entry)
    rows = [
        (entry.seq, (told := entry.record).run_id, told.contract, told.target, told.version, told.time, entry.seal_text,
         [(file.path, file.rows, file.digest) for file in entry.files], entry.previous, entry.hash, entry.signature)
        for entry in kept
    ]  # fmt: skip
    told_too = {"seq": kept[-1].seq, "hash": kept[-1].hash}
    maintenance.append_only(spark, place, False)
    read = delta.latest_version(spark, place)
    commits.replace_all(
        spark, spark.createDataFrame(rows, SCHEMA).coalesce(1), place, run_id, told_too, ["seq", "run_id"], read
    )
    maintenance.append_only(spark, place, True)
    maintenance.forget_past(spark, place, {"run_id": run_id, **told_too})


def _record_of(entry: Entry) -> Record | None:
    try:
        return entry.record
    except ValueError:
        return None


def _signature_flaw(entry: Entry, provider: PublicKeys) -> str:
    try:
        seal = entry.record
        key = provider.public_key(str(seal.key["domain"]), int(seal.key["version"]))
        key.verify(bytes.fromhex(entry.signature), CONTEXT + bytes.fromhex(entry.hash))
    except InvalidSignature:
        return "its signature is not by this keyring's key"
    except (KeyringError, ValueError, KeyError) as error:
        return (
            f"its signature cannot be checked: {error if isinstance(error, KeyringError) else 'the seal is malformed'}"
        )
    return ""


def _read(spark: SparkSession, place: Location) -> Any:
    return spark.read.format("delta").load(place.path) if place.path else spark.table(str(place.table))


def _head(spark: SparkSession, place: Location) -> tuple[int, str] | None:
    """Return number and hash of the newest entry, from its commit if that is the newest, else from the rows."""
    if not delta.exists(spark, place):
        return None
    told = delta.history(spark, place, limit=1)[0].metadata
    if "seq" in told:
        return told["seq"], told["hash"]
    row = _read(spark, place).orderBy("seq", ascending=False).select("seq", "hash").first()
    return (row.seq, row.hash) if row else None


def _entry(row: Any) -> Entry:
    files = tuple(FileContent(file.path, file.rows, file.digest) for file in row.files)
    return Entry(row.seq, row.seal, files, row.previous, row.hash, row.signature)
