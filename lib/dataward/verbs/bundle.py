"""Write a bundle for offline checks of a table's seals, with its own checker; needs no Spark and no keyring."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from dataward.contract import Contract
from dataward.errors import UsageError
from dataward.integrity import ledger
from dataward.integrity.dsse import pem
from dataward.integrity.log.log import Log
from dataward.integrity.proof.entries import first_needed, table_entries
from dataward.integrity.proof.sealed import SealedVersion, chain, read_sealed
from dataward.integrity.proof.trust import Trust
from dataward.integrity.statement import Subject, test_results
from dataward.keys import open_keys
from dataward.pipeline.attest import signer_of
from dataward.pipeline.guard import guarded
from dataward.tables.replacing import replace_file
from dataward.verbs.verify import Asked, trusted

__all__ = ["Bundled", "bundle", "write_bundle", "write_test_result"]

README = """This bundle proves what Dataward sealed. Check it offline, with Python 3 and its package `cryptography`:

    python check.py BUNDLE.zip --public-key KEYS.pem --table FOLDER

KEYS.pem: the signer's public keys as you got them from the signer (dataward keys public). Without them those in keys.pem are taken.
entries/ and proofs/    ledger entries, and their proofs in C2SP's tlog-proof format
statements/             in-toto statements in DSSE envelopes
manifests/              the files of each version with their SHA-256
heads/                  signed checkpoints of the ledger
"""
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every file of the archive, so that the same proof gives the same bytes."""


@dataclass(frozen=True)
class Bundled:
    """Path of a bundle, and the sealed versions that it proves."""

    path: str
    versions: tuple[int, ...]


@guarded("verify")
def bundle(contract: Contract, asked: Asked, out: str) -> Bundled:
    """Write the bundle of the newest sealed version, of one version, or of all.

    Raises:
        ProofError: the ledger is missing or damaged.
        UsageError: nothing is sealed, or the file cannot be written.
    """
    log = ledger.open_log(contract.ledger_location)
    trust = trusted(log, contract.keys, asked.public_keys)
    return Bundled(out, write_bundle(log, ledger.table_id(contract.target), trust, asked, out))


def write_bundle(log: Log, target: str, trust: Trust, asked: Asked, out: str) -> tuple[int, ...]:
    """Write a bundle and return the versions that it proves. Versions whose statements were erased are left out."""
    found = _found(log, target, trust, asked)
    sealed = [one for one in found if one.seal]
    if not sealed:
        raise UsageError("no version of the table is sealed, so there is nothing to bundle")
    if not asked.every:
        wanted = [
            version for one in sealed if (version := one.manifest.version) == asked.version or asked.version is None
        ]
        if not wanted:
            raise UsageError(_unsealed(asked.version))
        last = max(wanted)
        manifests, _ = chain([one for one in found if one.manifest.version <= last])
        kept = {one.version for one in manifests}
        sealed = [one for one in sealed if one.manifest.version in kept]
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted({**dict(_proofs(log, sealed)), **dict(_rest(log, trust, asked.heads))}.items()):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data, zipfile.ZIP_DEFLATED)
    _write(out, whole.getvalue())
    return tuple(sorted({one.manifest.version for one in sealed}))


def _found(log: Log, target: str, trust: Trust, asked: Asked) -> list[SealedVersion]:
    first = first_needed(log, target, asked.version, asked.every)
    return read_sealed(log, table_entries(log, target, first), trust)[0]


@guarded("verify")
def write_test_result(contract: Contract, asked: Asked, version: int, out: str) -> None:
    """Write the verdicts of a version as an in-toto test result, signed by the contract's key.

    Raises:
        KeyringError: there is no keyring to sign with.
        UsageError: the version has no seal, or the file cannot be written.
    """
    log = ledger.open_log(contract.ledger_location)
    trust = trusted(log, contract.keys, ())
    found = _found(log, ledger.table_id(contract.target), trust, replace(asked, version=version))
    sealed, seal = next(
        ((one, one.seal) for one in reversed(found) if one.manifest.version == version and one.seal), (None, None)
    )
    if sealed is None or seal is None:
        raise UsageError(_unsealed(version))
    key = seal.key
    signer = signer_of(contract.keys, open_keys(contract.keys), str(key["domain"]), int(key["version"]))
    statements = test_results(seal, (Subject("manifest", str(sealed.body.manifest)),))
    _write(out, statements.signed(signer).text())


def _unsealed(version: int | None) -> str:
    return (
        f"version {version} of the table has no seal in the ledger, or its statement was erased: name another version"
    )


def _write(out: str, data: bytes) -> None:
    try:
        replace_file(Path(out), data)
    except OSError as error:
        raise UsageError(f"{out}: {error.strerror}") from None


def _proofs(log: Log, sealed: Sequence[SealedVersion]) -> Iterator[tuple[str, bytes]]:
    for one in sealed:
        yield f"entries/{one.index:08d}.json", log.entry(one.index)
        yield f"proofs/{one.index:08d}.tlog-proof", str(log.proof(one.index)).encode()
        yield f"statements/{one.body.statement}.dsse", log.statement(one.body.statement) or b""
        yield f"manifests/{one.body.manifest}.json", log.statement(str(one.body.manifest)) or b""


def _rest(log: Log, trust: Trust, heads: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    if note := log.checkpoint():
        yield "heads/checkpoint", str(note).encode()
    for number, head in enumerate(heads):
        yield f"heads/{number:04d}", Path(head).read_bytes()
    yield "keys.pem", "".join(pem(trust.keys[name]) for name in sorted(trust.keys)).encode()
    yield "check.py", (files("dataward.integrity") / "checker.py").read_bytes()
    yield "README.txt", README.encode()
