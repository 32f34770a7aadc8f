"""Store encrypted entries in a Delta table: the vault, and the keys of data subjects.

An entry holds ``lookup`` (HMAC-SHA-256 of a text, to find the entry again), ``token`` (random, from the operating system),
``sealed`` (optional random bytes and the text, encrypted by AES-256-GCM with the token as associated data) and ``key_version``.
The key has 64 bytes: the first half is for the MAC, the second for the encryption.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract, Location
from dataward.contract.protections import Shred, Vault
from dataward.keys import KeyProvider, Purpose
from dataward.privacy.protect.operator import Made, Operator, Rows
from dataward.privacy.protect.texts import messages
from dataward.privacy.protect.token import macs
from dataward.spark.workers import without_delay
from dataward.tables import commits, delta, maintenance

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["KEY", "NONCE", "Entered", "Table", "opened", "tables_of"]

NONCE, KEY = 12, 32  # bytes of AES-GCM's nonce and of a subject's key
SCHEMA = "lookup binary, token string, sealed binary, key_version int"
LOOKED_UP = "value {}, lookup binary"

Stage = Callable[[Iterable["pa.RecordBatch"]], Iterable["pa.RecordBatch"]]


class Entered(Operator):
    """Base of operators that need a table of entries, and therefore Spark."""

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return string, the output type for every input type."""
        import pyarrow as pa

        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Raise NotImplementedError: only Spark reads the table."""
        raise NotImplementedError("its entries are a Delta table, which only Spark reads")


def opened(secret: bytes, sealed: bytes, token: str) -> bytes:
    """Decrypt an entry; returns its random bytes and text.

    Raises:
        ValueError: the entry is damaged, or belongs to another key; the message holds no value.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(secret[32:]).decrypt(sealed[:NONCE], sealed[NONCE:], token.encode())
    except InvalidTag:
        raise ValueError("an entry is damaged, or sealed under another key") from None


@dataclass(frozen=True)
class Table:
    """A table of entries.

    Attributes:
        spark: the session.
        path: path of the Delta table.
        purpose: purpose of its keys.
        random: number of random bytes before the text of each entry.
    """

    spark: SparkSession
    path: str
    purpose: Purpose
    random: int = 0

    @property
    def place(self) -> Location:
        """Location of the table."""
        return Location(path=self.path)

    def rows(self) -> DataFrame:
        """Read the newest version of the table."""
        return delta.read(self.spark, self.place, delta.latest_version(self.spark, self.place))

    def found(self, values: DataFrame, secret: bytes, version: int) -> DataFrame:
        """Join the distinct values of a frame (one column, ``value``) to their entries, and insert missing entries.

        Raises:
            TargetError: the table cannot be written.
        """
        kind = values.schema["value"].dataType.simpleString()
        lookups = values.mapInArrow(without_delay(_looked_up(secret)), LOOKED_UP.format(kind))
        fresh = values.mapInArrow(without_delay(_fresh(secret, version, self.random)), SCHEMA)
        commits.insert_missing(self.spark, fresh, SCHEMA, self.place, "lookup")
        return lookups.join(self.rows(), "lookup")

    def of_tokens(self, tokens: Iterable[str]) -> list[Any]:
        """Collect the entries of tokens."""
        from pyspark.sql import functions as F

        wanted = self.spark.createDataFrame([(token,) for token in set(tokens)], "token string")
        return self.rows().join(F.broadcast(wanted), "token", "leftsemi").collect()

    def carries(self, version: int) -> int:
        """Count the entries that are encrypted under a key version."""
        return int(self.rows().where(f"key_version = {version}").count())

    def rekey(self, keys: KeyProvider, domain: str, old: int, new: int) -> None:
        """Encrypt the entries of one key version under another; tokens stay the same.

        Raises:
            TargetError: the table cannot be written, or another writer changed it meanwhile.
        """
        if not self.carries(old):
            return
        version = delta.latest_version(self.spark, self.place)
        old_and_new = keys.key(self.purpose, domain, old), keys.key(self.purpose, domain, new)
        rekeyed = delta.read(self.spark, self.place, version).mapInArrow(
            without_delay(_rekeyed(*old_and_new, old, new, self.random)), SCHEMA
        )
        metadata = {"step": f"{domain} v{old} -> v{new}"}
        transaction = commits.Transaction(f"rekey-{secrets.token_hex(6)}", metadata)
        commits.replace_all(self.spark, rekeyed, self.place, transaction, version)

    def forget(self, tokens: Iterable[str], metadata: dict[str, Any]) -> int:
        """Delete entries, and all files of earlier versions that hold them; returns the number of entries.

        Raises:
            TargetError: the table cannot be written.
        """
        wanted = self.spark.createDataFrame([(token,) for token in sorted(set(tokens))], "token string")
        rows = maintenance.delete_rows(self.spark, self.place, "token", wanted, metadata)
        maintenance.forget_past(self.spark, self.place, metadata)
        return rows


def tables_of(spark: SparkSession, contract: Contract, domain: str | None = None) -> dict[Table, list[str]]:
    """Return the existing tables of entries of a contract (of one domain, if given), with the columns that use them."""
    tables: dict[Table, list[str]] = {}
    for name, line in contract.columns.items():
        protection = line.protect
        if isinstance(protection, Vault | Shred) and domain in (None, contract.domain(line)):
            table = Table(spark, protection.path, protection.op, KEY if isinstance(protection, Shred) else 0)
            if delta.exists(spark, table.place):
                tables.setdefault(table, []).append(name)
    return tables


def _lookups(secret: bytes, texts: Iterable[bytes]) -> pa.Array:
    """Return the MACs of texts."""
    import pyarrow as pa

    return pa.array([mac.tobytes() for mac in macs(secret[:32], texts)], pa.binary())


def _sealer(secret: bytes) -> Callable[[bytes, str], bytes]:
    """Return a function that encrypts a text for a token."""
    from cryptography.hazmat.primitives.ciphers.aead import (
        AESGCM,
    )  # imported on the worker: the class cannot be pickled

    encrypt = AESGCM(secret[32:]).encrypt

    def seal(text: bytes, token: str) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + encrypt(nonce, text, token.encode())

    return seal


def _looked_up(secret: bytes) -> Stage:
    """Return a function for ``mapInArrow`` that adds the MAC to each value."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            lookups = _lookups(secret, messages(batch.column(0)))
            yield pa.RecordBatch.from_arrays([batch.column(0), lookups], names=["value", "lookup"])

    return run


def _fresh(secret: bytes, version: int, random: int) -> Stage:
    """Return a function for ``mapInArrow`` from values to new entries, of which the table inserts the missing ones."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        seal = _sealer(secret)
        for batch in batches:
            texts = messages(batch.column(0).drop_null())
            tokens = [f"vt.{secrets.token_hex(16)}" for _ in texts]
            sealed = [seal(os.urandom(random) + text, token) for text, token in zip(texts, tokens, strict=True)]
            yield pa.RecordBatch.from_arrays(
                [_lookups(secret, texts), pa.array(tokens, pa.string()), pa.array(sealed, pa.binary()),
                 pa.array([version] * len(texts), pa.int32())],
                names=["lookup", "token", "sealed", "key_version"],
            )  # fmt: skip

    return run


def _rekeyed(outgoing: bytes, incoming: bytes, old: int, new: int, random: int) -> Stage:
    """Return a function for ``mapInArrow`` that encrypts entries of the old key version under the new one."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        seal = _sealer(incoming)
        for batch in batches:
            entries = batch.to_pylist()
            for row in entries:
                if row["key_version"] == old:
                    text = opened(outgoing, row["sealed"], row["token"])
                    lookup = _lookups(incoming, [text[random:]])[0].as_py()
                    row |= {"lookup": lookup, "sealed": seal(text, row["token"]), "key_version": new}
            yield pa.RecordBatch.from_pylist(entries, batch.schema)

    return run
