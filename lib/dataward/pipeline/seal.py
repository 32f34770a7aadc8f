"""Seal a version: digest its content, sign the statement about it, and append it to the ledger."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract
from dataward.errors import KeyringError
from dataward.integrity import ledger
from dataward.integrity.digest import Content, digest, sums
from dataward.integrity.seal import Seal, SealedCommit, SealedContent, code_version
from dataward.keys import KeyProvider, Keyring
from dataward.pipeline.attest import attached, beside_of, environment
from dataward.spark.session import who
from dataward.tables import delta
from dataward.tables.partitions import parts_of_version

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["same_keys", "seal_version", "signer", "stranger"]


def signer(keys: KeyProvider, domain: str) -> dict[str, Any]:
    """Return the current signing key of a domain, as records name it."""
    version = keys.current(domain)
    return {"domain": domain, "version": version, "public_key": ledger.public_key(keys, domain, version)}


def same_keys(spark: SparkSession, contract: Contract, keys: Keyring) -> None:
    """Compare the keyring with the newest seal of the target by fingerprints, without unwrapping keys.

    Raises:
        KeyringError: a version that the seal names is missing, or is another secret.
    """
    seal = ledger.newest_seal(contract.ledger_location, contract.target)
    if seal is None:
        return
    if trouble := stranger(seal, keys):
        raise KeyringError(
            f"keyring {contract.keys.path} is not the one that sealed {contract.target} version {seal.version}: {trouble}. "
            "Restore that keyring from your backup: tokens of two keys do not join, and without the first nothing of this "
            "table can be verified. To begin anew without it, publish to another target and ledger"
        )


def stranger(seal: Seal, keys: Keyring) -> str:
    """Return why a keyring is not the one of a seal; empty if it is."""
    domain, version = str(seal.key["domain"]), int(seal.key["version"])
    sealed = seal.key.get("fingerprints")
    try:
        if sealed is None:  # by an older Dataward; a version that is disabled now cannot be compared
            with suppress(KeyringError):
                if ledger.public_key(keys, domain, version) != seal.key["public_key"]:
                    return f"version {version} of domain '{domain}' is another secret"
            return ""
        for name, fingerprint in sealed.items():
            domain, number = name.rsplit(" v", 1)
            if keys.fingerprint(domain, int(number)) != fingerprint:
                return f"version {number} of domain '{domain}' is another secret"
    except KeyringError as error:
        return str(error)
    return ""


def seal_version(
    spark: SparkSession,
    contract: Contract,
    sha256: str,
    keys: Keyring,
    run_id: str,
    version: int,
    since: str | None = None,
    **told: Any,
) -> Seal:
    """Seal a version of the target. ``told``: the fields of :class:`Seal` that the run itself knows.

    Files that the seal of run ``since`` has are not read again; a change of their bytes would show against both seals.

    Raises:
        TargetError: the ledger cannot be written.
    """
    key = signer(keys, contract.keys.domain)
    used = {(one["domain"], one["key_version"]) for one in told["protections"] if one["domain"] and one["key_version"]}
    used.add((key["domain"], key["version"]))
    fingerprints = {f"{domain} v{number}": keys.fingerprint(domain, number) for domain, number in sorted(used)}
    secret = keys.key("digest", key["domain"], key["version"])
    earlier = ledger.find(contract.ledger_location, since, contract.target) if since else None
    content = (
        _since(spark, contract, version, earlier, secret)
        if earlier
        else digest(delta.read(spark, contract.target, version), secret)
    )
    file, file_sha256 = delta.commit_file(spark, contract.target, version)
    seal = Seal(
        contract=contract.contract,
        contract_sha256=sha256,
        run_id=run_id,
        target=str(contract.target),
        version=version,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        who=who(spark),
        content=SealedContent(
            digest=content.digest,
            nonce=content.nonce,
            rows=content.rows,
            files_sha256=ledger.files_sha256(content.files),
        ),
        commit=SealedCommit(file=file.rsplit("/", 1)[-1], sha256=file_sha256),
        code=code_version(),
        environment=environment(spark),
        beside=beside_of(spark, contract),
        key={**key, "fingerprints": fingerprints},
        **told,
    )
    listed = ledger.listed(content.files).encode()
    ledger.append(contract.ledger_location, keys, seal, attached(spark, contract, keys, seal, (listed,)))
    return seal


def _since(spark: SparkSession, contract: Contract, version: int, earlier: ledger.Entry, secret: bytes) -> Content:
    """Digest a version, reading only the partitions with files that the earlier seal does not have."""
    frame, of = delta.read(spark, contract.target, version), earlier.seal.content
    sealed = sums(frame, Content(of.digest, of.nonce, of.rows, earlier.files), secret)
    parts = parts_of_version(spark, contract.target, version, contract.target.partition_by)
    # A mark says that rows of the file were deleted since it was written.
    names = {part: {name.rsplit("/", 1)[-1]: mark for name, mark in files} for part, files in parts.files.items()}
    known = {name for files in names.values() for name, mark in files.items() if name in sealed and not mark}
    new = [part for part, files in names.items() if not files.keys() <= known]
    kept = {name: sealed[name] for part, files in names.items() if part not in new for name in files}
    return digest(frame.where(parts.among(new)) if kept else frame, secret, known=kept)
