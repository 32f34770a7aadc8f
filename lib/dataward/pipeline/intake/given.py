"""Take in a DataFrame of the caller, which has no version: the seal holds a keyed digest of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataward.errors import SourceError
from dataward.integrity.canonical import sha256
from dataward.integrity.digest import schema_sha256, summed
from dataward.integrity.encoding import ENCODING
from dataward.pipeline import resume
from dataward.pipeline.context import Context
from dataward.pipeline.intake.base import Pinned
from dataward.pipeline.intake.whole import WholeTable
from dataward.tables.frame import evaluated
from dataward.tables.reason import reason
from dataward.tables.source import Pin

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["GivenFrame"]


class GivenFrame(WholeTable):
    """Every row of a frame, evaluated once."""

    def __init__(self, frame: DataFrame) -> None:
        """Keep the caller's frame."""
        self._frame = frame

    def pin(self, ctx: Context) -> Pinned:
        """Evaluate the frame and digest its rows; pin the references.

        Raises:
            SourceError: the frame cannot be evaluated.
            SourceChanged: an earlier attempt of the run had other rows.
        """
        resume.no_stream_before(ctx.spark, ctx.contract, ctx.target)
        source = ctx.contract.source
        held = evaluated(ctx.spark, self._frame, source)
        ctx.resources.callback(held.release)
        domain = ctx.contract.keys.domain
        version = ctx.keys.current(domain)
        digest = _digest(held.frame, ctx.keys.key("digest", domain, version))
        described = (
            f"a DataFrame of the caller, without a version; its rows were evaluated once, and are identified by a digest "
            f"under key {domain} v{version}"
        )
        found = Pin(held.frame, described, None, digest, source, None, held.size)
        earlier = ctx.earlier.metadata
        resume.same_rows("source", found, ctx.run_id, earlier["source"] if earlier else None)
        references = resume.references(ctx.spark, ctx.contract, ctx.run_id, earlier)
        return Pinned(found, references, described, ctx.contract.target.mode == "overwrite")


def _digest(frame: DataFrame, key: bytes) -> str:
    try:
        total = summed(frame, key)
    except Exception as error:
        raise SourceError(f"the caller's DataFrame cannot be read: {reason(error)}") from None
    return sha256([ENCODING, "frame", schema_sha256(frame.schema), total.rows, list(total.lanes)])
