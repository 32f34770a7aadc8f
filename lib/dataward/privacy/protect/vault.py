"""``vault``: a random token, ``vt.<128 bits as hex>``; the originals, encrypted, in a Delta table of their own.

Protects against: learning anything about a value from its token, even with the keys: without the vault's table there is
no way back, and whoever may read the table can be watched and cut off. Does not protect against: whoever has table and
key, and counting (equal values have equal tokens).

A row of the vault holds ``lookup`` (HMAC-SHA-256 of the value's text, so that a value is found again), ``token``
(random, from the operating system) and ``sealed`` (the text, by AES-256-GCM with the token as associated data). It needs
Spark, and takes two passes over the column.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dataward.contract import Location
from dataward.contract.protections import Vault
from dataward.privacy.keys import Purpose
from dataward.privacy.protect.operator import Made, Operator, Rows
from dataward.privacy.protect.texts import messages
from dataward.privacy.protect.token import macs
from dataward.sql import identifier
from dataward.tables import delta

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["VaultOperator", "through_vault"]

NONCE = 12  # bytes
SCHEMA = "lookup binary, token string, sealed binary"


@dataclass(frozen=True)
class VaultOperator(Operator):
    parameters: Vault
    purpose: ClassVar[Purpose | None] = "vault"

    def output(self, kind: pa.DataType) -> pa.DataType:
        import pyarrow as pa

        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        raise NotImplementedError("a vault is a Delta table: see through_vault")


def through_vault(
    spark: SparkSession, frame: DataFrame, raw: DataFrame, name: str, operator: VaultOperator
) -> DataFrame:
    """The frame with tokens in place of a column's values; ``raw`` holds the same values, and is cheaper to read.

    Values that the vault does not know are added to it first.

    Raises:
        TargetError: the vault cannot be written.
    """
    from pyspark.sql import functions as F

    place, column = Location(path=operator.parameters.path), F.col(identifier(name))
    values = raw.select(column.alias("value")).where("value is not null").distinct()
    kind = values.schema["value"].dataType
    known = values.mapInArrow(_looked_up(operator), f"value {kind.simpleString()}, lookup binary")
    delta.insert_missing(spark, values.mapInArrow(_sealed(operator), SCHEMA), SCHEMA, place, "lookup")
    tokens = delta.read(spark, place, delta.latest_version(spark, place)).select("lookup", "token")
    found = known.join(tokens, "lookup").select(F.col("value").alias("__value"), F.col("token").alias("__token"))
    joined = frame.join(found, column == F.col("__value"), "left")
    return joined.select(*(F.col("__token" if n == name else identifier(n)).alias(n) for n in frame.columns))


Stage = Callable[[Iterable["pa.RecordBatch"]], Iterable["pa.RecordBatch"]]


def _lookups(operator: VaultOperator, values: pa.Array) -> pa.Array:
    import pyarrow as pa

    return pa.array([mac.tobytes() for mac in macs(operator.secret[:32], messages(values))], pa.binary())


def _looked_up(operator: VaultOperator) -> Stage:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            lookups = _lookups(operator, batch.column(0))
            yield pa.RecordBatch.from_arrays([batch.column(0), lookups], names=["value", "lookup"])

    return run


def _sealed(operator: VaultOperator) -> Stage:
    """A fresh token for every value, and the value sealed with it; the vault takes those it does not know."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # inside: the class cannot be pickled

        encrypt = AESGCM(operator.secret[32:]).encrypt
        for batch in batches:
            values = batch.column(0).drop_null()
            texts = messages(values)
            tokens = [f"vt.{secrets.token_hex(16)}" for _ in texts]
            nonces = [os.urandom(NONCE) for _ in texts]
            sealed = [
                nonce + encrypt(nonce, text, token.encode())
                for nonce, text, token in zip(nonces, texts, tokens, strict=True)
            ]
            columns = [
                _lookups(operator, values),
                pa.array(tokens),
                pa.array(sealed, pa.binary()),
            ]
            yield pa.RecordBatch.from_arrays(columns, names=["lookup", "token", "sealed"])

    return run
