"""``token``: a one-way token, ``v<key version>.<32 hex digits>``; type becomes string, NULL stays NULL.

HMAC-SHA-256 (RFC 2104, FIPS 198-1) of the value's text in UTF-8, truncated to 128 bits (RFC 2104 section 5), computed
wholly in the JVM:

    HMAC(K, m) = SHA256((K xor opad) || SHA256((K xor ipad) || m))

The two padded key blocks travel as columns of a one-row frame that is broadcast: a key in a literal would stand in
plans and event logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataward.contract import Token
from dataward.privacy.protect.field import Field

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["apply", "key_blocks"]

BLOCK = 64  # bytes, of SHA-256


def key_blocks(spark: SparkSession, keys: dict[str, bytes]) -> DataFrame | None:
    """One row with the inner and outer key block of every domain; None when there is no domain."""
    if not keys:
        return None
    row, names = [], []
    for domain, key in keys.items():
        for side, pad in (("inner", 0x36), ("outer", 0x5C)):
            row.append(bytearray(byte ^ pad for byte in key.ljust(BLOCK, b"\0")))
            names.append(f"`{_name(domain, side)}` binary")
    return spark.createDataFrame([tuple(row)], ", ".join(names))


def apply(parameters: Token, field: Field) -> Any:
    from pyspark.sql import functions as F

    inner, outer = (F.col(f"`{_name(field.domain, side)}`") for side in ("inner", "outer"))
    message = field.column.cast("string").cast("binary")
    mac = F.sha2(F.concat(outer, F.unhex(F.sha2(F.concat(inner, message), 256))), 256)
    return F.concat(F.lit(f"v{field.version}."), F.substring(mac, 1, 32))


def _name(domain: str, side: str) -> str:
    return f"__key_{domain}_{side}"
