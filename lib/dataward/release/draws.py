"""Drawn answers, stored until they are published, each encrypted under its own key that only the charge contains.

A draw is staged as ciphertext before it is charged, and its key is entered with the charge. A run killed before the
charge leaves unreadable bytes; a run killed after it finds its answer again. So no answer is readable without a
committed charge, and no charge has two draws.
"""

from __future__ import annotations

import io
import json
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dataward.contract import Location
from dataward.errors import ProofError
from dataward.tables import commits, delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Staged", "opened", "stage"]

SCHEMA = "draw string, nonce binary, sealed binary"


@dataclass(frozen=True)
class Staged:
    """ID of a staged draw, and the key (hex) that decrypts it; ``repr`` shows no key."""

    draw: str
    secret: str

    def __repr__(self) -> str:
        """Return a text with the ID only."""
        return f"Staged({self.draw})"


def stage(spark: SparkSession, place: Location, table: Any, about: dict[str, Any]) -> Staged:
    """Append a drawn answer, encrypted (AES-256-GCM, a fresh key, bound to its id).

    Args:
        spark: the session.
        place: the table of draws.
        table: the answer, a ``pyarrow.Table``.
        about: further facts for a rerun.
    """
    import pyarrow as pa

    draw, key, nonce = uuid.uuid4().hex, AESGCM.generate_key(256), secrets.token_bytes(12)
    sink = io.BytesIO()
    table = table.replace_schema_metadata({"about": json.dumps(about)})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    sealed = AESGCM(key).encrypt(nonce, sink.getvalue(), draw.encode())
    frame = spark.createDataFrame([(draw, bytearray(nonce), bytearray(sealed))], SCHEMA).coalesce(1)
    commits.append_once(spark, frame, place, commits.Transaction(f"draw-{draw}", {}))
    return Staged(draw, key.hex())


def opened(spark: SparkSession, place: Location, staged: Staged) -> tuple[Any, dict[str, Any]]:
    """Return a staged answer and its facts.

    Raises:
        ProofError: the draw is missing or was changed.
    """
    import pyarrow as pa

    gone = f"draw {staged.draw} of {place} was removed or changed: it is charged and cannot be drawn again. Use a new run id"
    if not delta.exists(spark, place):
        raise ProofError(gone)
    row = delta.delta_table(spark, place).toDF().where(f"draw = '{staged.draw}'").first()
    if row is None:
        raise ProofError(gone)
    try:
        plain = AESGCM(bytes.fromhex(staged.secret)).decrypt(bytes(row.nonce), bytes(row.sealed), staged.draw.encode())
    except InvalidTag:
        raise ProofError(gone) from None
    table = pa.ipc.open_stream(plain).read_all()
    return table, json.loads(table.schema.metadata[b"about"])
