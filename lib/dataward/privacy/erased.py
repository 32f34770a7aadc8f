"""Whom a table has forgotten, by keyed hashes, so that a later run does not bring the person back.

A hash is the HMAC-SHA-256 of the subject's text, in the canonical spelling that its token has, under a random secret of the
table's own. The secret is in the same table, encrypted with a key that is derived for this purpose: a rotation encrypts it
under the new version, and hashes of people whom nobody knows any more stay valid.

``begun`` holds, by table, how many rows an erasure that was not finished had found: a rerun counts on from there.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract, Location
from dataward.contract.protections import Token
from dataward.contract.reserved import INTERNAL
from dataward.errors import KeyringError
from dataward.keys import KeyProvider
from dataward.keys.box import Box
from dataward.privacy.protect.leaf import Leaf
from dataward.privacy.protect.operator import Key, Rows
from dataward.privacy.protect.spark import through_arrow
from dataward.privacy.protect.token import TokenOperator
from dataward.spark.sql import column, identifier
from dataward.tables import commits, delta

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["ERASED", "Memory"]

SCHEMA = "hash string, secret binary, key_version int, begun string"
SECRET = ""
"""The hash of the row that holds the secret."""

ERASED = f"{INTERNAL}erased"
"""Column: whether a row is about a person whom the table has forgotten."""

HASH = f"{ERASED}_hash"
PLACE = "the secret of erased subjects"


@dataclass(frozen=True)
class Memory:
    """The table of one contract's erased subjects."""

    spark: SparkSession
    contract: Contract
    keys: KeyProvider

    @property
    def place(self) -> Location:
        """Location of the table."""
        return self.contract.erased_location

    @property
    def domain(self) -> str:
        """Key domain of the table."""
        return self.contract.keys.domain

    def exists(self) -> bool:
        """Return whether the contract keeps the table and it exists."""
        return self.contract.erasure is not None and delta.exists(self.spark, self.place)

    def rows(self) -> DataFrame:
        """Read the newest version of the table."""
        return delta.read(self.spark, self.place, delta.latest_version(self.spark, self.place))

    # by erase

    def remember(self, subject: str, kind: pa.DataType) -> str:
        """Enter a subject, once; gives its hash.

        Raises:
            TargetError: the table cannot be written.
        """
        version = self.keys.current(self.domain)
        fresh = Box(self._key(version)).shut(os.urandom(32), PLACE)
        self._insert(SECRET, fresh, version)
        mark = self._hash(subject, kind)
        self._insert(mark, None, None)
        return mark

    def begun(self, mark: str) -> dict[str, int]:
        """Return the counts of an unfinished erasure of this subject."""
        row = self.rows().where(f"hash = '{mark}'").select("begun").first()
        return dict(json.loads(row.begun)) if row and row.begun else {}

    def begin(self, mark: str, rows: dict[str, int] | None) -> None:
        """Note what an erasure is about to delete; None once its record is in the ledger."""
        frame = self.spark.createDataFrame([(mark, None, None, json.dumps(rows) if rows else None)], SCHEMA)
        commits.insert_missing(self.spark, frame, SCHEMA, self.place, "hash", update=True)

    # by publish

    def flagged(self, frame: DataFrame) -> DataFrame:
        """Add a column to the source's rows that is true for erased people."""
        from pyspark.sql import functions as F

        assert self.contract.erasure is not None  # noqa: S101 - asked before
        name = self.contract.erasure.subject
        kinds = {field.name.lower(): field.dataType.typeName() for field in frame.schema.fields}
        operator, kind = self._operator(), kinds[name.lower()]
        subject = column(name)
        made = operator.column(subject, kind)
        if made is not None:
            hashed = frame.withColumn(HASH, made)
        else:
            hashed = through_arrow(frame.withColumn(HASH, subject), {HASH: Leaf(HASH, operator, strict=False)})
        known = self.rows().where(f"hash <> '{SECRET}'").select(F.col("hash").alias(f"{HASH}_known"))
        both = hashed.join(F.broadcast(known), column(HASH) == column(f"{HASH}_known"), "left")
        flag = column(f"{HASH}_known").isNotNull().alias(ERASED)
        return both.select(*map(identifier, frame.columns), flag)

    # by rotate and history

    def carries(self, version: int) -> int:
        """Return the number of entries (one or none) that are sealed under a key version."""
        return int(self.rows().where(f"key_version = {version}").count())

    def rekey(self, old: int, new: int) -> None:
        """Encrypt the secret under another key version.

        Raises:
            TargetError: it cannot be written.
            KeyringError: it does not open.
        """
        if self.carries(old):
            sealed = Box(self._key(new)).shut(self._secret(), PLACE)
            frame = self.spark.createDataFrame([(SECRET, sealed, new, None)], SCHEMA)
            commits.insert_missing(self.spark, frame, SCHEMA, self.place, "hash", update=True)

    # inside

    def _key(self, version: int) -> bytes:
        return self.keys.key("erased", self.domain, version)

    def _insert(self, mark: str, secret: bytes | None, version: int | None) -> None:
        frame = self.spark.createDataFrame([(mark, secret, version, None)], SCHEMA)
        commits.insert_missing(self.spark, frame, SCHEMA, self.place, "hash")

    def _secret(self) -> bytes:
        row: Any = self.rows().where(f"hash = '{SECRET}'").first()
        if row is None:
            raise KeyringError(
                f"{self.place}: its secret is gone, so nobody can tell who was erased. Restore it from a backup"
            )
        try:
            return Box(self._key(row.key_version)).open(bytes(row.secret), PLACE)
        except ValueError as error:
            raise KeyringError(f"{self.place}: {error}. Use the keyring that it was made with") from None

    def _operator(self) -> TokenOperator:
        assert self.contract.erasure is not None  # noqa: S101 - asked before
        line = self.contract.column(self.contract.erasure.subject)
        given = line.protect if isinstance(line.protect, Token) else Token(canonical=False)
        return TokenOperator(given.model_copy(update={"bits": 256}), Key("erased", 1, self._secret()), line.class_)

    def _hash(self, subject: str, kind: pa.DataType) -> str:
        import pyarrow as pa

        values = pa.array([subject]).cast(kind)
        rows = Rows(pa.RecordBatch.from_arrays([values], names=["subject"]))
        made, _ = self._operator().apply(values, rows)
        return str(made[0].as_py())
