"""``shred``: encryption under a key of the row's data subject; ``erase`` destroys that key, and makes every copy unreadable.

Protects against: reading values without the keys; once a subject's key is destroyed, nobody can read the values any more, also
in older versions of the table, in backups and copies. Does not protect against: holders of both the table of subjects' keys and
the domain's key, and anyone who copied a subject's key before. Equal values have different ciphertexts; the ciphertexts of one
subject are recognisable as such.

``s1.<base64url>`` of the name of the subject's key (16 bytes), a nonce (12 bytes) and AES-256-GCM of the value's text with that
name as associated data. Subjects' keys are random, have 32 bytes, and are stored in a separate Delta table, encrypted under the
domain's key (``dataward.privacy.protect.entries``). ``erasure.subject`` names the column of the subject. It needs Spark, and
takes two passes over that column.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dataward.contract.protections import Shred
from dataward.contract.reserved import INTERNAL
from dataward.keys import Purpose
from dataward.privacy.protect.entries import KEY, NONCE, Entered, Table, opened
from dataward.privacy.protect.texts import messages
from dataward.spark.sql import column
from dataward.spark.workers import mapped
from dataward.tables.reason import marked

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["ShredOperator", "key_names", "out_of_keys", "out_of_shred", "through_shred", "shredded"]

NAME = 16  # bytes of the name of a subject's key
PREFIX = "s1."
VALUE, TOKEN, SEALED = (f"{INTERNAL}{name}" for name in ("value", "token", "sealed"))


@dataclass(frozen=True)
class ShredOperator(Entered):
    """Implementation of ``shred``."""

    parameters: Shred
    purpose: ClassVar[Purpose | None] = "shred"

    @property
    def deterministic(self) -> bool:
        """False: the result depends on the subject as well."""
        return False

    @property
    def needs(self) -> str:
        """Description of valid values, for messages."""
        return "a subject in the same row"


def through_shred(
    spark: SparkSession, frame: DataFrame, subject: str, columns: dict[str, ShredOperator], strict: bool
) -> DataFrame:
    """Encrypt columns under the key of each row's subject, after creating missing keys.

    A value in a row without a subject stops the run (``strict``), or becomes null.

    Raises:
        TargetError: the table of keys cannot be written.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import StringType, StructField, StructType

    operator = next(iter(columns.values()))
    assert operator.key is not None  # noqa: S101 - operators with a purpose have a key
    subject_column = column(subject)
    values = frame.select(subject_column.alias("value")).where("value is not null").distinct()
    entries = Table(spark, operator.parameters.path, "shred", KEY).found(values, operator.secret, operator.key.version)
    subject_keys = entries.select(
        F.col("value").alias(VALUE), F.col("token").alias(TOKEN), F.col("sealed").alias(SEALED)
    )
    joined = frame.join(subject_keys, subject_column == F.col(VALUE), "left").drop(VALUE)
    for name in columns if strict else ():
        value = column(name)
        message = marked(
            f"{name}: shred needs a subject (erasure.subject) in every row that has a value; nothing was published"
        )
        checked = F.when(
            value.isNotNull() & F.col(TOKEN).isNull(), F.raise_error(message).cast(joined.schema[name].dataType)
        )
        joined = joined.withColumn(name, checked.otherwise(value))
    schema = StructType([
        StructField(field.name, StringType() if field.name in columns else field.dataType) for field in joined.schema.fields
    ])  # fmt: skip
    return mapped(joined, _encrypted(list(columns), operator.secret), schema).drop(TOKEN, SEALED)


def _encrypted(names: list[str], secret: bytes) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` that encrypts columns."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa
        from cryptography.hazmat.primitives.ciphers.aead import (
            AESGCM,
        )  # imported on the worker: the class cannot be pickled

        ciphers: dict[str, Any] = {}
        for batch in batches:
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            tokens, sealed = columns[TOKEN].to_pylist(), columns[SEALED]
            for number, token in enumerate(tokens):
                if token is not None and token not in ciphers:
                    ciphers[token] = AESGCM(opened(secret, sealed[number].as_py(), token)[:KEY]).encrypt
            for name in names:
                values, ciphertexts = columns[name], []
                for token, text, valid in zip(tokens, messages(values), values.is_valid().to_pylist(), strict=True):
                    ciphertexts.append(_written(ciphers[token], token, text) if valid and token is not None else None)
                columns[name] = pa.array(ciphertexts, pa.string())
            yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))

    return run


def _written(encrypt: Any, token: str, text: bytes) -> str:
    """Encrypt a text under a subject's key."""
    name, nonce = bytes.fromhex(token.removeprefix("vt.")), os.urandom(NONCE)
    whole = name + nonce + encrypt(nonce, text, name)
    return PREFIX + base64.urlsafe_b64encode(whole).rstrip(b"=").decode()


def _parts(text: str) -> tuple[str, bytes, bytes]:
    """Split a value into the token of the subject's key, nonce and ciphertext."""
    if not text.startswith(PREFIX):
        raise ValueError("a value is not encrypted by shred")
    body = text[len(PREFIX) :]
    try:
        whole = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except ValueError:
        raise ValueError("a value is damaged") from None
    return f"vt.{whole[:NAME].hex()}", whole[NAME : NAME + NONCE], whole[NAME + NONCE :]


def shredded(texts: Iterable[str | None]) -> list[str | None]:
    """Replace texts that are not results of shred by None."""
    return [text if text is not None and text.startswith(PREFIX) else None for text in texts]


def key_names(texts: Iterable[str]) -> set[str]:
    """Return the tokens of the keys under which values are encrypted."""
    return {_parts(text)[0] for text in shredded(texts) if text is not None}


def out_of_shred(
    spark: SparkSession, path: str, texts: list[str | None], secret: Callable[[int], bytes]
) -> list[bytes | None]:
    """Decrypt values on the driver; returns the originals' texts, None where the subject's key was destroyed.

    Raises:
        ValueError: a value or an entry is damaged, or belongs to another key; the message holds no value.
    """
    rows = Table(spark, path, "shred", KEY).of_tokens(_parts(text)[0] for text in texts if text is not None)
    return out_of_keys(
        texts, {row.token: opened(secret(row.key_version), bytes(row.sealed), row.token)[:KEY] for row in rows}
    )


def out_of_keys(texts: list[str | None], keys: dict[str, bytes]) -> list[bytes | None]:
    """Decrypt values by the subjects' keys, given by their tokens; returns None where a key was destroyed.

    Raises:
        ValueError: a value is damaged, or belongs to another key; the message holds no value.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    parts = [_parts(text) if text is not None else None for text in texts]
    originals: list[bytes | None] = []
    for part in parts:
        if part is None or part[0] not in keys:
            originals.append(None)
            continue
        token, nonce, data = part
        try:
            originals.append(AESGCM(keys[token]).decrypt(nonce, data, bytes.fromhex(token.removeprefix("vt."))))
        except InvalidTag:
            raise ValueError("a value is damaged, or encrypted under another key") from None
    return originals
