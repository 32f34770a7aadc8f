"""A Delta table of sealed entries, which a vault and the keys of subjects have in common.

An entry holds ``lookup`` (HMAC-SHA-256 of a text, so that it is found again), ``token`` (random, from the operating
system), ``sealed`` (random bytes, if any are asked for, and the text, by AES-256-GCM with the token as associated data) and
``key_version``. The key is 64 bytes: the first half looks up, the second seals.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract, Location
from dataward.contract.protections import Shred, Vault
from dataward.privacy.keys import KeyProvider, Purpose
from dataward.privacy.protect.operator import Made, Operator, Rows
from dataward.privacy.protect.texts import messages
from dataward.privacy.protect.token import macs
from dataward.tables import commits, delta, maintenance
from dataward.workers import settled

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["KEY", "NONCE", "Entered", "Table", "opened", "tables_of"]

NONCE, KEY = 12, 32  # bytes, of AES-GCM's nonce and of a subject's key
SCHEMA = "lookup binary, token string, sealed binary, key_version int"
LOOKED_UP = "value {}, lookup binary"

Stage = Callable[[Iterable["pa.RecordBatch"]], Iterable["pa.RecordBatch"]]


class Entered(Operator):
    """An operator that needs such a table, and so Spark."""

    def output(self, kind: pa.DataType) -> pa.DataType:
        import pyarrow as pa

        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        raise NotImplementedError("its entries are a Delta table, which only Spark reads")


def opened(secret: bytes, sealed: bytes, token: str) -> bytes:
    """What an entry holds.

    Raises:
        ValueError: it is damaged or of another key (told without the value).
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(secret[32:]).decrypt(sealed[:NONCE], sealed[NONCE:], token.encode())
    except InvalidTag:
        raise ValueError("an entry is damaged, or sealed under another key") from None


@dataclass(frozen=True)
class Table:
    """The table at a path; ``random`` bytes stand before the text of each entry."""

    spark: SparkSession
    path: str
    purpose: Purpose
    random: int = 0

    @property
    def place(self) -> Location:
        return Location(path=self.path)

    def rows(self) -> DataFrame:
        return delta.read(self.spark, self.place, delta.latest_version(self.spark, self.place))

    def found(self, values: DataFrame, secret: bytes, version: int) -> DataFrame:
        """The different values of a frame (one column, ``value``) beside their entries, which are made where there are none.

        Raises:
            TargetError: the table cannot be written.
        """
        kind = values.schema["value"].dataType.simpleString()
        known = values.mapInArrow(settled(_looked_up(secret)), LOOKED_UP.format(kind))
        fresh = values.mapInArrow(settled(_fresh(secret, version, self.random)), SCHEMA)
        commits.insert_missing(self.spark, fresh, SCHEMA, self.place, "lookup")
        return known.join(self.rows(), "lookup")

    def of_tokens(self, tokens: Iterable[str]) -> list[Any]:
        """The entries of tokens, on the driver."""
        from pyspark.sql import functions as F

        wanted = self.spark.createDataFrame([(token,) for token in set(tokens)], "token string")
        return self.rows().join(F.broadcast(wanted), "token", "leftsemi").collect()

    def carries(self, version: int) -> int:
        """How many entries are sealed under a key version."""
        return self.rows().where(f"key_version = {version}").count()

    def rekey(self, keys: KeyProvider, domain: str, old: int, new: int) -> None:
        """Bring the entries from one key version to another; tokens stay what they are.

        Raises:
            TargetError: it cannot be written, or somebody else wrote meanwhile.
        """
        if not self.carries(old):
            return
        version = delta.latest_version(self.spark, self.place)
        both = keys.key(self.purpose, domain, old), keys.key(self.purpose, domain, new)
        rekeyed = delta.read(self.spark, self.place, version).mapInArrow(
            settled(_rekeyed(*both, old, new, self.random)), SCHEMA
        )
        told = {"step": f"{domain} v{old} -> v{new}"}
        commits.replace_all(self.spark, rekeyed, self.place, f"rekey-{secrets.token_hex(6)}", told, [], version)

    def forget(self, tokens: Iterable[str], metadata: dict[str, Any]) -> int:
        """Delete entries, and whatever any file of the table still held of them; how many there were.

        Raises:
            TargetError: it cannot be written.
        """
        wanted = self.spark.createDataFrame([(token,) for token in sorted(set(tokens))], "token string")
        rows = maintenance.delete_rows(self.spark, self.place, "token", wanted, metadata)
        maintenance.forget_past(self.spark, self.place, metadata)
        return rows


def tables_of(spark: SparkSession, contract: Contract, domain: str | None = None) -> dict[Table, list[str]]:
    """The tables of entries that a contract's columns (of a domain) need and that are there, with these columns."""
    found: dict[Table, list[str]] = {}
    for name, line in contract.columns.items():
        given = line.protect
        if isinstance(given, Vault | Shred) and domain in (None, contract.domain(line)):
            table = Table(spark, given.path, given.op, KEY if isinstance(given, Shred) else 0)
            if delta.exists(spark, table.place):
                found.setdefault(table, []).append(name)
    return found


def _lookups(secret: bytes, texts: Iterable[bytes]) -> pa.Array:
    import pyarrow as pa

    return pa.array([mac.tobytes() for mac in macs(secret[:32], texts)], pa.binary())


def _sealer(secret: bytes) -> Callable[[bytes, str], bytes]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # on the worker: the class cannot be pickled

    encrypt = AESGCM(secret[32:]).encrypt

    def seal(text: bytes, token: str) -> bytes:
        nonce = os.urandom(NONCE)
        return nonce + encrypt(nonce, text, token.encode())

    return seal


def _looked_up(secret: bytes) -> Stage:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            lookups = _lookups(secret, messages(batch.column(0)))
            yield pa.RecordBatch.from_arrays([batch.column(0), lookups], names=["value", "lookup"])

    return run


def _fresh(secret: bytes, version: int, random: int) -> Stage:
    """A new entry for every value; the table takes those that it does not know."""

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
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        seal = _sealer(incoming)
        for batch in batches:
            made = batch.to_pylist()
            for row in made:
                if row["key_version"] == old:
                    text = opened(outgoing, row["sealed"], row["token"])
                    lookup = _lookups(incoming, [text[random:]])[0].as_py()
                    row |= {"lookup": lookup, "sealed": seal(text, row["token"]), "key_version": new}
            yield pa.RecordBatch.from_pylist(made, batch.schema)

    return run
