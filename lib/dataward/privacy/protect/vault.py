"""``vault``: a random token, ``vt.<128 bits as hex>``; the originals, encrypted, in a Delta table of their own.

Protects against: learning anything about a value from its token, even with the keys: without the vault's table there is
no way back, and whoever may read the table can be watched and cut off. Does not protect against: whoever has table and
key, and counting (equal values have equal tokens).

What a row of the vault holds stands in ``dataward.privacy.protect.entries``. It needs Spark, and takes two passes over the column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dataward.contract.protections import Vault
from dataward.privacy.keys import Purpose
from dataward.privacy.protect.entries import Entered, Table, opened
from dataward.reserved import INTERNAL
from dataward.sql import column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["VaultOperator", "out_of_vault", "through_vault"]


@dataclass(frozen=True)
class VaultOperator(Entered):
    parameters: Vault
    purpose: ClassVar[Purpose | None] = "vault"


VALUE, TOKEN = f"{INTERNAL}value", f"{INTERNAL}token"


def through_vault(
    spark: SparkSession, frame: DataFrame, raw: DataFrame, name: str, operator: VaultOperator
) -> DataFrame:
    """The frame with tokens in place of a column's values; ``raw`` holds the same values, and is cheaper to read.

    Values that the vault does not know are added to it first.

    Raises:
        TargetError: the vault cannot be written.
    """
    from pyspark.sql import functions as F

    held, key = column(name), operator.key
    assert key is not None  # noqa: S101 - it has a purpose
    values = raw.select(held.alias("value")).where("value is not null").distinct()
    entries = Table(spark, operator.parameters.path, "vault").found(values, operator.secret, key.version)
    found = entries.select(F.col("value").alias(VALUE), F.col("token").alias(TOKEN))
    joined = frame.join(found, held == F.col(VALUE), "left")
    return joined.select(*(column(TOKEN if n == name else n).alias(n) for n in frame.columns))


def out_of_vault(
    spark: SparkSession, path: str, tokens: Iterable[str], secret: Callable[[int], bytes]
) -> dict[str, bytes]:
    """The texts behind tokens; ``secret`` gives the vault key of a version. For as many as the driver may hold.

    Raises:
        ValueError: an entry is damaged or of another key (told without the value).
    """
    rows = Table(spark, path, "vault").of_tokens(tokens)
    return {row.token: opened(secret(row.key_version), bytes(row.sealed), row.token) for row in rows}
