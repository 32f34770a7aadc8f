"""``vault``: a random token, ``vt.<128 bits as hex>``; the originals, encrypted, in a Delta table of their own.

Protects against: learning anything about a value from its token, even with the keys: without the vault's table there is
no way back, and whoever may read the table can be watched and cut off. Does not protect against: whoever has table and
key, and counting (equal values have equal tokens).

A row of the vault holds ``lookup`` (HMAC-SHA-256 of the value's text, so that a value is found again), ``token``
(random, from the operating system), ``sealed`` (the text, by AES-256-GCM with the token as associated data) and
``key_version``. It needs Spark, and takes two passes over the column.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dataward.contract import Location
from dataward.contract.protections import Vault
from dataward.privacy.keys import KeyProvider, Purpose
from dataward.privacy.protect.operator import Made, Operator, Rows
from dataward.privacy.protect.texts import messages
from dataward.privacy.protect.token import macs
from dataward.sql import identifier
from dataward.tables import delta

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["VaultOperator", "out_of_vault", "rekey_vault", "through_vault", "vault_carries"]

NONCE = 12  # bytes
SCHEMA = "lookup binary, token string, sealed binary, key_version int"


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


def out_of_vault(
    spark: SparkSession, path: str, tokens: Iterable[str], secret: Callable[[int], bytes]
) -> dict[str, bytes]:
    """The texts behind tokens; ``secret`` gives the vault key of a version. For as many as the driver may hold.

    Raises:
        ValueError: an entry is damaged or of another key (told without the value).
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from pyspark.sql import functions as F

    place, wanted = Location(path=path), spark.createDataFrame([(token,) for token in set(tokens)], "token string")
    kept = delta.read(spark, place, delta.latest_version(spark, place))
    found = {}
    for row in kept.join(F.broadcast(wanted), "token", "leftsemi").collect():
        sealed = bytes(row.sealed)
        try:
            opened = AESGCM(secret(row.key_version)[32:]).decrypt(sealed[:NONCE], sealed[NONCE:], row.token.encode())
        except InvalidTag:
            raise ValueError("an entry of the vault is damaged, or sealed under another key") from None
        found[row.token] = opened
    return found


def vault_carries(spark: SparkSession, path: str, version: int) -> int:
    """How many entries are sealed under a key version."""
    place = Location(path=path)
    return delta.read(spark, place, delta.latest_version(spark, place)).where(f"key_version = {version}").count()


def rekey_vault(spark: SparkSession, path: str, keys: KeyProvider, domain: str, old: int, new: int) -> None:
    """Bring the entries of a vault from one key version to another; tokens stay what they are.

    Raises:
        TargetError: it cannot be written, or somebody else wrote meanwhile.
    """
    if not vault_carries(spark, path, old):
        return
    place = Location(path=path)
    version = delta.latest_version(spark, place)
    secrets_ = keys.key("vault", domain, old), keys.key("vault", domain, new)
    rekeyed = delta.read(spark, place, version).mapInArrow(_rekeyed(*secrets_, old, new), SCHEMA)
    told = {"step": f"{domain} v{old} -> v{new}"}
    delta.replace_all(spark, rekeyed, place, f"rekey-{secrets.token_hex(6)}", told, [], version)


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

        assert operator.key is not None  # noqa: S101 - it has a purpose
        encrypt, version = AESGCM(operator.secret[32:]).encrypt, operator.key.version
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
                pa.array([version] * len(sealed), pa.int32()),
            ]
            yield pa.RecordBatch.from_arrays(columns, names=["lookup", "token", "sealed", "key_version"])

    return run


def _rekeyed(outgoing: bytes, incoming: bytes, old: int, new: int) -> Stage:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        decrypt, encrypt = AESGCM(outgoing[32:]).decrypt, AESGCM(incoming[32:]).encrypt
        for batch in batches:
            made = []
            for row in batch.to_pylist():
                if row["key_version"] == old:
                    text = decrypt(row["sealed"][:NONCE], row["sealed"][NONCE:], row["token"].encode())
                    nonce, token = os.urandom(NONCE), row["token"]
                    lookup = macs(incoming[:32], [text])[0].tobytes()
                    row = {"lookup": lookup, "token": token, "sealed": nonce + encrypt(nonce, text, token.encode())}
                    row["key_version"] = new
                made.append(row)
            yield pa.RecordBatch.from_pylist(made, batch.schema)

    return run
