"""``vault``: a random token, ``vt.<128 bits as hex>``; the encrypted originals are in a separate Delta table.

Protects against: learning anything about a value from its token, even with the keys: the vault's table is needed to recover it,
and access to that table can be audited and revoked. Does not protect against: holders of table and key, and frequency analysis
(equal values have equal tokens).

``dataward.privacy.protect.entries`` describes the rows of the vault. It needs Spark, and takes two passes over the column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dataward.contract.protections import Vault
from dataward.contract.reserved import INTERNAL
from dataward.keys import Purpose
from dataward.privacy.protect.entries import Entered, Table, opened
from dataward.spark.sql import column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["VaultOperator", "out_of_vault", "through_vault"]


@dataclass(frozen=True)
class VaultOperator(Entered):
    """Implementation of ``vault``."""

    parameters: Vault
    purpose: ClassVar[Purpose | None] = "vault"


VALUE, TOKEN = f"{INTERNAL}value", f"{INTERNAL}token"


def through_vault(
    spark: SparkSession, frame: DataFrame, raw: DataFrame, name: str, operator: VaultOperator
) -> DataFrame:
    """Replace a column's values by tokens, after adding unknown values to the vault.

    Args:
        spark: the session.
        frame: the frame.
        raw: a frame with the same values that is cheaper to read.
        name: name of the column.
        operator: the vault and its key.

    Raises:
        TargetError: the vault cannot be written.
    """
    from pyspark.sql import functions as F

    values_column, key = column(name), operator.key
    assert key is not None  # noqa: S101 - operators with a purpose have a key
    values = raw.select(values_column.alias("value")).where("value is not null").distinct()
    entries = Table(spark, operator.parameters.path, "vault").found(values, operator.secret, key.version)
    tokens = entries.select(F.col("value").alias(VALUE), F.col("token").alias(TOKEN))
    joined = frame.join(tokens, values_column == F.col(VALUE), "left")
    return joined.select(*(column(TOKEN if n == name else n).alias(n) for n in frame.columns))


def out_of_vault(
    spark: SparkSession, path: str, tokens: Iterable[str], secret: Callable[[int], bytes]
) -> dict[str, bytes]:
    """Return the originals' texts by token, on the driver; ``secret`` maps a key version to the vault's key.

    Raises:
        ValueError: an entry is damaged, or belongs to another key; the message holds no value.
    """
    rows = Table(spark, path, "vault").of_tokens(tokens)
    return {row.token: opened(secret(row.key_version), bytes(row.sealed), row.token) for row in rows}
