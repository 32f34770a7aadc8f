"""Seal a version: digest its content, sign the statement about it, and append it to the ledger."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dataward.contract import Contract
from dataward.errors import KeyringError
from dataward.integrity import ledger
from dataward.integrity.seal import Seal, SealedCommit, code_version
from dataward.keys import KeyProvider, Keyring, signing_key
from dataward.pipeline.attest import attached, beside_of, changed_before, environment, predecessor
from dataward.pipeline.content import REREAD, Change, Sealing, content_of
from dataward.pipeline.guard import caller
from dataward.tables import delta, turns
from dataward.tables.objects import demand

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["SealingRun", "differs", "same_keys", "seal_version", "signer", "stranger"]


def signer(keys: KeyProvider, domain: str) -> dict[str, Any]:
    """Return the current signing key of a domain in the form of records."""
    version = keys.current(domain)
    return {"domain": domain, "version": version, "public_key": _public_key(keys, domain, version)}


def _public_key(provider: KeyProvider, domain: str, version: int) -> str:
    """Return the raw Ed25519 public key (hex)."""
    return signing_key(provider, domain, version).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def same_keys(spark: SparkSession, contract: Contract, keys: Keyring) -> None:
    """Compare the keyring with the newest seal of the target by fingerprints, without unwrapping keys.

    Raises:
        KeyringError: a version that the seal names is missing, or has another secret.
        SessionError: the session does not reach S3 as the contract demands.
    """
    demand(spark, contract)
    seal = ledger.newest_seal(contract.ledger_location, contract.target)
    if seal is None:
        return
    if trouble := stranger(seal, keys):
        raise KeyringError(
            f"keyring {contract.keys.path} is not the one that sealed {contract.target} version {seal.version}: {trouble}. "
            "Restore that keyring from your backup: tokens of two keys do not join, and without the first nothing of this "
            "table can be verified. To start again without it, publish to another target and ledger"
        )


def stranger(seal: Seal, keys: Keyring) -> str:
    """Return why a keyring is not that of a seal; empty if it is."""
    domain, version = str(seal.key["domain"]), int(seal.key["version"])
    sealed = seal.key.get("fingerprints")
    try:
        if sealed is None:  # by an older Dataward; a disabled version cannot be compared
            with suppress(KeyringError):
                if _public_key(keys, domain, version) != seal.key["public_key"]:
                    return f"version {version} of domain '{domain}' is another secret"
            return ""
        for name, fingerprint in sealed.items():
            domain, number = name.rsplit(" v", 1)
            if keys.fingerprint(domain, int(number)) != fingerprint:
                return f"version {number} of domain '{domain}' is another secret"
    except KeyringError as error:
        return str(error)
    return ""


@dataclass(frozen=True)
class SealingRun:
    """The run that seals a version.

    Attributes:
        contract: the contract of the target.
        sha256: SHA-256 (hex) of the contract's text.
        keys: the keyring.
        run_id: ID of the run.
    """

    contract: Contract
    sha256: str
    keys: Keyring
    run_id: str


def seal_version(spark: SparkSession, run: SealingRun, version: int, change: Change = REREAD, **facts: Any) -> Seal:
    """Seal a version of the target.

    Args:
        spark: the session.
        run: the run that seals it.
        version: the version.
        change: rows that the version adds and removes.
        facts: the fields of :class:`Seal` that the run itself knows.

    Raises:
        TargetError: the ledger cannot be written, an earlier version that the sum follows from differs from its seal, or another
            writer on S3 overwrote the version.
    """
    contract, keys = run.contract, run.keys
    key = signer(keys, contract.keys.domain)
    used = {(one["domain"], one["key_version"]) for one in facts["protections"] if one["domain"] and one["key_version"]}
    used.add((key["domain"], key["version"]))
    fingerprints = {f"{domain} v{number}": keys.fingerprint(domain, number) for domain, number in sorted(used)}
    sealing = Sealing(spark, contract, keys, key["domain"], key["version"], version)
    content = content_of(sealing, change)
    earlier = predecessor(contract, version)
    if not change.whole:
        found = changed_before(spark, contract, version, earlier)
        content = content.model_copy(update={"changed": tuple(dict.fromkeys((*content.changed, *found)))})
    file, file_sha256 = delta.commit_file(spark, contract.target, version)
    beside, manifests = beside_of(spark, contract)
    seal = Seal(
        contract=contract.contract,
        contract_sha256=run.sha256,
        run_id=run.run_id,
        target=str(contract.target),
        version=version,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        who=caller(spark, contract).name,
        content=content,
        commit=SealedCommit(file=file.rsplit("/", 1)[-1], sha256=file_sha256),
        code=code_version(),
        environment=environment(spark),
        beside=beside,
        key={**key, "fingerprints": fingerprints},
        **facts,
    )
    attachments = attached(spark, contract, keys, seal, manifests, earlier)
    turns.check(spark, contract.target)  # what was read above is this run's commit
    ledger.append(contract.ledger_location, keys, seal, attachments)
    return seal


def differs(seal: Seal) -> list[str]:
    """Return warnings about changes of others since the last seal: no seal covers them, and verify reports them."""
    target, content = seal.target, seal.content
    found = [
        f"{target}: data file {path} was changed after it was sealed, and a run has replaced it since: its rows may be in newer files. "
        "dataward verify fails: restore a version that was sealed before, or publish in mode overwrite"
        for path in content.changed
    ]
    if not content.unsealed:
        return found
    numbers = ", ".join(map(str, content.unsealed))
    return [
        *found,
        f"{target}: version {numbers} was written by others since version {content.basis} was sealed. The seal does not cover it, "
        "so dataward verify fails: restore the sealed version, or publish in mode overwrite",
    ]
