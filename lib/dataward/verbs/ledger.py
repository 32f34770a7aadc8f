"""List a contract's ledger, prove an entry, check it, repair it, and migrate an older one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract
from dataward.errors import ProofError, TargetError, UsageError
from dataward.integrity import ledger
from dataward.integrity.heads import Published, known_heads, publish
from dataward.integrity.heads.cloudtrail import Digest, Trail, public_keys
from dataward.integrity.log import repair as repairing
from dataward.integrity.log.check import Checked, check
from dataward.integrity.log.entries import KeyringRules, derived
from dataward.integrity.log.log import Log
from dataward.integrity.log.notes import Checkpoint, Note, Verifier, parse
from dataward.integrity.log.pinned import PinnedKeys
from dataward.integrity.log.proofs import InclusionProof
from dataward.integrity.log.repair import Repaired
from dataward.keys import PublicKeys, open_keys
from dataward.pipeline.guard import guarded

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    "HeadOf",
    "LedgerCheck",
    "check_ledger",
    "cloudtrail",
    "head",
    "listed",
    "migrate",
    "note_of",
    "prove",
    "publish_heads",
    "repair",
]


@dataclass(frozen=True)
class HeadOf:
    """The newest checkpoint of a ledger and the keys that signed it, as text for other tools."""

    ledger: str
    origin: str
    size: int
    root: str
    checkpoint: str
    keys: tuple[str, ...]


@guarded("ledger_show")
def listed(contract: Contract, kind: str | None = None) -> list[ledger.Entry]:
    """Return the entries of a contract's ledger, oldest first; optionally of one kind.

    Raises:
        ProofError: there is no ledger, or it is damaged.
    """
    return ledger.entries(contract.ledger_location, kind)


@guarded("ledger_show")
def head(contract: Contract) -> HeadOf:
    """Return the newest checkpoint.

    Raises:
        ProofError: there is none, or it does not verify.
    """
    log = _log(contract)
    rules = _rules(log, open_keys(contract.keys))
    note = log.checkpoint()
    if note is None:
        raise ProofError(f"ledger {log}: there is no checkpoint. Repair with: dataward ledger repair")
    checkpoint = Checkpoint.parsed(note.text)
    keys = tuple(one.vkey for one in rules.known(note) if one.signed(note))
    if checkpoint.origin != rules.origin or not keys:
        raise ProofError(
            f"ledger {log}: its checkpoint is not signed by a key of this keyring for this log. See: dataward ledger check"
        )
    return HeadOf(str(log), rules.origin, checkpoint.size, checkpoint.root.hex(), str(note), keys)


@guarded("ledger_show")
def prove(contract: Contract, index: int) -> tuple[InclusionProof, bytes]:
    """Return the offline proof of an entry, and the entry.

    Raises:
        ProofError: the checkpoint does not cover it, or the proof does not hold.
    """
    log = _log(contract)
    proof, entry = log.proof(index), log.entry(index)
    if trouble := proof.trouble(entry, _rules(log, open_keys(contract.keys)).known(proof.note)):
        raise ProofError(f"ledger {log}: entry {index} cannot be proved: {trouble}. See: dataward ledger check")
    return proof, entry


@dataclass(frozen=True)
class LedgerCheck:
    """Result of a check; ``pointers``: number of missing or wrong derived pointers; ``unread``: heads that could not be read."""

    checked: Checked
    heads: int
    pointers: int
    unread: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the ledger is intact, and every required place of heads could be read."""
        return not self.checked.flaws and not self.unread


@guarded("ledger_show")
def check_ledger(contract: Contract, heads: Sequence[Note] = (), pinned: Sequence[Verifier] = ()) -> LedgerCheck:
    """Check a whole ledger, against given heads and those of the contract; with pinned public keys, or else with the keyring.

    Raises:
        ProofError: there is no ledger.
        KeyringError: no key was pinned and there is no keyring.
    """
    log = _log(contract)
    keys: PublicKeys = PinnedKeys(log, pinned) if pinned else open_keys(contract.keys)
    kept, unread = known_heads(log, contract.heads)
    checked = check(log, _rules(log, keys), _excused(log, keys).__contains__, [*heads, *kept])
    return LedgerCheck(
        checked, len(heads) + len(kept), _wrong_pointers(log, checked.head.size), tuple(map(str, unread))
    )


def _excused(log: Log, keys: PublicKeys) -> set[int]:
    with suppress(ProofError):
        return ledger.redacted(log, keys)
    return set()


def _wrong_pointers(log: Log, size: int) -> int:
    with suppress(ProofError):
        return sum(log.store.read(name) != data for name, data in derived(log.entries(0, size)).items())
    return 0


@guarded("ledger_publish")
def publish_heads(contract: Contract) -> list[Published]:
    """Publish the newest checkpoint to every place that the contract names.

    Raises:
        UsageError: the contract names no place.
        ProofError: there is no checkpoint.
    """
    if not contract.heads:
        raise UsageError("the contract names no place of heads: add heads: [{directory: ...}]; see docs/ledger.md")
    return publish(_log(contract), contract.heads)


@guarded("ledger_repair")
def repair(contract: Contract, heads: Sequence[Note] = ()) -> Repaired:
    """Rebuild tiles, pointers and checkpoint from the entries.

    Raises:
        ProofError: entries under a checkpoint or head were changed; only a backup restores them.
        TargetError: a place of heads cannot be read.
    """
    log, keys = _log(contract), open_keys(contract.keys)
    domain = contract.keys.domain
    kept, unread = known_heads(log, contract.heads)
    if unread:
        raise TargetError(f"ledger {log}: nothing is signed again before its heads are compared: {unread[0]}")
    heads = [*heads, *kept]
    return repairing.repair(log, _rules(log, keys), ledger.signer_of(log, keys, domain, keys.current(domain)), heads)


@guarded("ledger_migrate")
def migrate(spark: SparkSession, contract: Contract) -> int:
    """Migrate a ledger of an older Dataward; returns its number of entries.

    Raises:
        ProofError: there is no such ledger, or it does not verify.
    """
    from dataward.integrity.migrate import migrate as bring

    return bring(spark, contract.ledger_location, open_keys(contract.keys))


@guarded("ledger_cloudtrail")
def cloudtrail(contract: Contract, trail: Trail, key_file: str) -> tuple[Digest | None, dict[str, Any]]:
    """Export the entries since the last export in CloudTrail's format; returns the digest (None: no new entries) and the public key.

    Raises:
        UsageError: the file holds no RSA key.
        ProofError: the ledger does not extend the earlier export.
        TargetError: the bucket cannot be read or written.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from dataward.integrity.heads.aws import export_cloudtrail

    key = None
    with suppress(OSError, ValueError, TypeError):
        key = load_pem_private_key(Path(key_file).read_bytes(), None)
    if not isinstance(key, RSAPrivateKey):
        raise UsageError(
            f"{key_file}: it holds no RSA key (PEM, without password). Make one: openssl genrsa -out {key_file} 3072"
        )
    return export_cloudtrail(_log(contract), trail, key), public_keys(key)


def note_of(path: str) -> Note:
    """Read a checkpoint from a file.

    Raises:
        UsageError: the file is missing or is not a checkpoint.
    """
    try:
        note = parse(Path(path).read_bytes())
        Checkpoint.parsed(note.text)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{path}: {why}. Give a checkpoint as 'dataward ledger head' prints it") from None
    return note


def _log(contract: Contract) -> Log:
    if not ledger.exists(contract.ledger_location):
        raise ProofError(f"ledger {contract.ledger_location}: there is none yet. Publish first")
    return ledger.open_log(contract.ledger_location)


def _rules(log: Log, keys: PublicKeys) -> KeyringRules:
    return KeyringRules(log, log.origin() or "", keys)
