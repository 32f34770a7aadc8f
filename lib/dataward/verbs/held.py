"""Columns of a site's verified table: read without Spark where its files allow it, else by Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.errors import ProofError, SourceError, UsageError
from dataward.integrity import ledger
from dataward.integrity.canonical import sha256
from dataward.integrity.proof import rows
from dataward.integrity.seal import Seal
from dataward.pipeline.plan import Plan
from dataward.tables.deltalog.folder import Folder, folder
from dataward.verbs.verify import Asked, Proof, verified, verify

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

__all__ = ["Held", "held", "protections_of", "sealed", "statement_of"]


@dataclass(frozen=True)
class Held:
    """Verified columns of a contract's target.

    Attributes:
        seal: the seal of the version.
        names: all columns of the version.
        rows: the asked columns.
    """

    seal: Seal
    names: tuple[str, ...]
    rows: pa.Table


def held(spark: SparkSession | None, contract: Plan, version: int | None, columns: Sequence[str], reader: str) -> Held:
    """Verify a version of a contract's target (None: the newest sealed one) and read columns of it.

    Args:
        spark: the session; None: one is started only where the table needs Spark: its place is a name in the catalog or in
            a file system of Hadoop, it has deletion vectors or mapped columns, or a column is a partition or nested.
        contract: the contract.
        version: the version.
        columns: names of columns.
        reader: who reads, for the message about a missing column.

    Raises:
        ProofError: the seal does not hold.
        UsageError: the version lacks a column.
    """
    if spark is None and (place := _folder(contract)) is not None:
        try:
            return _without_spark(contract, version, place, columns, reader)
        except rows.NeedsSpark:
            pass
    from dataward.spark.session import get, isolated
    from dataward.tables import delta

    spark = spark or get()
    seal = sealed(spark, contract, version)
    with isolated(spark) as own:
        frame = delta.read(own, contract.contract.target, seal.version)
        _demand(frame.columns, columns, reader, contract)
        return Held(seal, tuple(frame.columns), _arrow(frame.select(*columns)))


def sealed(spark: SparkSession, contract: Plan, version: int | None) -> Seal:
    """Verify a version of a contract's target (None: the newest sealed one) and return its seal.

    Raises:
        ProofError: the seal does not hold.
    """
    proof = verify(spark, contract, version)
    _demand_proof(proof)
    for entry in reversed(ledger.entries(contract.contract.ledger_location, "seal", contract.contract.target)):
        if entry.seal_text and entry.seal.version == proof.version:
            return entry.seal
    raise ProofError(f"{proof.target} version {proof.version}: its seal is gone from the ledger")


def statement_of(contract: Plan, seal: Seal, how: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the site's statement about its table."""
    return {
        "contract": contract.name,
        "version": seal.version,
        "seal_sha256": sha256(seal.text()),
        "sealed_at": seal.time,
        "content_digest": seal.content.digest,
        "protections": how,
    }


def protections_of(seal: Seal, columns: list[str]) -> dict[str, dict[str, Any]]:
    """Return how columns are protected according to a seal; kept columns are left out."""
    fingerprints = seal.key.get("fingerprints") or {}
    found = {}
    for one in seal.protections:
        if one["column"] in columns and one["protection"] != "keep":
            domain, version = one.get("domain"), one.get("key_version")
            found[one["column"]] = {
                "protection": one["protection"],
                "domain": domain,
                "key_version": version,
                "fingerprint": fingerprints.get(f"{domain} v{version}") if domain else None,
            }
    return found


def _without_spark(contract: Plan, version: int | None, place: Folder, columns: Sequence[str], reader: str) -> Held:
    proof, found = verified(None, contract.contract, Asked(version))
    _demand_proof(proof)
    seal, state = found.sealed.seal, found.state
    if seal is None or state is None or state.version != seal.version or state.metadata is None:
        raise rows.NeedsSpark("its manifests do not cover the version")
    names = rows.names_of(state)
    _demand(names, columns, reader, contract)
    return Held(seal, tuple(names), rows.read(place, state, columns))


def _folder(contract: Plan) -> Folder | None:
    """Return the target's folder; None where only Spark knows it."""
    try:
        return folder(contract.contract.target.path) if contract.contract.target.path else None
    except SourceError:
        return None


def _demand_proof(proof: Proof) -> None:
    if not proof.holds:
        failed = "; ".join(f"{check.name}: {check.detail}" for check in proof.checks if not check.holds)
        raise ProofError(
            f"{proof.target} version {proof.version} is not what was sealed, so nothing is trained on it: {failed}"
        )


def _demand(names: Sequence[str], columns: Sequence[str], reader: str, contract: Plan) -> None:
    if missing := [name for name in columns if name not in names]:
        raise UsageError(f"{reader} reads {', '.join(missing)}, which {contract.contract.target} does not have")


def _arrow(frame: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_pandas(frame.toPandas(), preserve_index=False)  # DataFrame.toArrow comes with Spark 4
