"""Sealing a version: digest what was committed, sign what is said about it, enter it in the ledger."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract
from dataward.integrity import ledger
from dataward.integrity.digest import digest
from dataward.integrity.seal import Seal, SealedCommit, SealedContent, code_version
from dataward.privacy.keys import KeyProvider
from dataward.session import who
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["seal_version", "signer"]


def signer(keys: KeyProvider, domain: str) -> dict[str, Any]:
    """The key that signs for a domain now, as records name it."""
    version = keys.current(domain)
    return {"domain": domain, "version": version, "public_key": ledger.public_key(keys, domain, version)}


def seal_version(
    spark: SparkSession, contract: Contract, sha256: str, keys: KeyProvider, run_id: str, version: int, **told: Any
) -> Seal:
    """Seal a version of the target. ``told``: the fields of :class:`Seal` that the run itself knows.

    Raises:
        TargetError: the ledger cannot be written.
    """
    key = signer(keys, contract.keys.domain)
    content = digest(delta.read(spark, contract.target, version), keys.key("digest", key["domain"], key["version"]))
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
        key=key,
        **told,
    )
    ledger.append(spark, contract.ledger_location, keys, seal, content.files)
    return seal
