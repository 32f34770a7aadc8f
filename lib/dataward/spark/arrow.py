"""Convert between Spark's types and Arrow's, alike in Spark 3.5 and 4."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import DataType, StructType

__all__ = ["arrow_schema", "arrow_type", "spark_type"]


def arrow_type(kind: DataType) -> pa.DataType:
    """Return the Arrow type of a Spark type; timestamps are in UTC."""
    from pyspark.sql.pandas.types import to_arrow_type

    return to_arrow_type(kind, **_in_utc())


def arrow_schema(schema: StructType) -> pa.Schema:
    """Return the Arrow schema of a Spark schema; timestamps are in UTC."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(schema, **_in_utc())


def spark_type(kind: pa.DataType) -> DataType:
    """Return the Spark type of an Arrow type."""
    from pyspark.sql.pandas.types import from_arrow_type

    return from_arrow_type(kind, prefer_timestamp_ntz=True)


@functools.cache
def _in_utc() -> dict[str, Any]:
    """Return the arguments for timestamps: Spark 4 requires their time zone, which is always UTC in Spark 3.5."""
    from pyspark.sql.pandas.types import to_arrow_type

    return {"timezone": "UTC"} if "timezone" in inspect.signature(to_arrow_type).parameters else {}
