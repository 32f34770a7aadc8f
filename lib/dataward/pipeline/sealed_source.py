"""Verify the source of a contract that demands `sealed`: its seal, and every byte that was read under the seal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dataward.contract import Keys, Location, Source
from dataward.contract.places import Sealed
from dataward.errors import ProofError
from dataward.integrity import ledger
from dataward.integrity.log.log import Log
from dataward.integrity.proof.proof import Proved, Request, prove
from dataward.integrity.proof.trust import Trust, from_files, from_keys
from dataward.keys import Keyring
from dataward.pipeline.context import Context
from dataward.pipeline.intake.base import Pinned
from dataward.tables import delta
from dataward.tables.deltalog.folder import Folder, folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dataward.tables.source import Pin

__all__ = ["seal_of", "verified"]


def verified(ctx: Context, pinned: Pinned) -> Pinned:
    """Verify the source and the references for which the contract demands a seal, and return them with their seals.

    Threads of the driver hash every file of their versions.

    Raises:
        ProofError: the version is not sealed, or differs from what was sealed.
        UsageError: a file of public keys cannot be read.
        KeyringError: such a file contains no public key.
    """
    source = _with_seal(ctx, pinned.source)
    references = {alias: _with_seal(ctx, pin) for alias, pin in pinned.references.items()}
    return replace(pinned, source=source, references=references)


def _with_seal(ctx: Context, pin: Pin) -> Pin:
    if not pin.source.sealed or pin.version is None:
        return pin
    return replace(pin, seal=seal_of(ctx.spark, pin.source, pin.version, (ctx.contract.keys, ctx.keys)))


def seal_of(spark: SparkSession, source: Source, version: int, keys: tuple[Keys, Keyring]) -> dict[str, Any]:
    """Return the seal that covers a version: ``ledger``, ``entry``, ``statement`` (SHA-256), ``version``, ``run_id``.

    Args:
        spark: the session.
        source: the source.
        version: the version that is read.
        keys: the contract's keys and its opened keyring, which are trusted unless the source names public keys.

    Raises:
        ProofError: the version is not sealed, or differs from what was sealed.
    """
    named = source.sealed.ledger if isinstance(source.sealed, Sealed) else None
    place = Location(path=named) if named else source.beside("ledger")
    if not ledger.exists(place):
        raise ProofError(
            f"source {source}: it must be sealed, and there is no ledger {place}. Name its ledger under 'source.sealed', or "
            "publish the source with Dataward"
        )
    log = ledger.open_log(place)
    table = folder(source.path or delta.location(spark, source))
    found = _proved(log, table, source, _trusted(log, source, *keys), version)
    seal = found.sealed.seal
    failing = [finding for finding in found.findings if finding.fails]
    if failing or seal is None or seal.version > version:
        what = "; ".join(map(str, failing)) or "its newest seal is of a later version"
        raise ProofError(f"source {source}: version {version} is not as it was sealed: {what}. Nothing was read")
    about = found.sealed
    return {
        "ledger": str(place),
        "entry": about.index,
        "statement": about.body.statement,
        "version": seal.version,
        "run_id": seal.run_id,
    }


def _proved(log: Log, table: Folder, source: Source, trust: Trust, version: int) -> Proved:
    """Prove the version, or the newest sealed version before it if all later commits leave the rows unchanged."""
    request = Request(erased=ledger.erased(log, trust))
    target = ledger.table_id(source)
    try:
        return prove(log, table, target, trust, replace(request, version=version))
    except ProofError:
        pass  # the version has no seal of its own
    try:
        return prove(log, table, target, trust, request)
    except ProofError as error:
        raise ProofError(f"source {source}: it must be sealed, and {error}") from None


def _trusted(log: Log, source: Source, named: Keys, ring: Keyring) -> Trust:
    files = source.sealed.public_keys if isinstance(source.sealed, Sealed) else ()
    return from_files(log, files) if files else from_keys(log, named, ring)
