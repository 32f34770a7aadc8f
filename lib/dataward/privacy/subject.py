"""What there is of one person in a table: the rows, and every form of their values that could be found in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract
from dataward.errors import KeyringError, ProtectionError, UsageError
from dataward.privacy.keys import Keyring, Purpose
from dataward.privacy.protect import arrow_schema, compiled, key_of
from dataward.privacy.reidentify import originals
from dataward.reserved import INTERNAL
from dataward.sql import column, identifier

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["MOST_ROWS", "among", "of_values", "protected_ids", "raw_values", "shared", "values_of"]

AMONG = f"{INTERNAL}among"

MOST_ROWS = 100_000
"""Of one person; the driver holds their values."""


@dataclass(frozen=True)
class _At:
    """A keyring whose new writes use one version."""

    keys: Keyring
    version: int

    def current(self, domain: str) -> int:
        return self.version

    def window(self, domain: str) -> None:
        return None

    def key(self, purpose: Purpose, domain: str, version: int) -> bytes:
        return self.keys.key(purpose, domain, version)


def protected_ids(contract: Contract, keys: Keyring, given: str, kind: pa.DataType) -> list[str]:
    """The subject's identifier as it stands in the table: once for every version of the key that is enabled.

    Raises:
        UsageError: it cannot be protected, so nobody of this name can be in the table.
    """
    import pyarrow as pa

    assert contract.erasure is not None  # noqa: S101 - the caller has asked
    name = contract.erasure.subject
    line = contract.column(name)
    if line.protect.op == "keep":
        return [given]
    domain = contract.domain(line)
    found = []
    for version, key in keys.versions(domain).items():
        if not key.enabled:
            continue
        try:
            value = pa.array([given]).cast(kind)
            schema = pa.schema([pa.field(name, kind)])
            ready = compiled(contract, key_of(_At(keys, version)), schema).apply(
                pa.RecordBatch.from_arrays([value], schema=schema)
            )
        except (pa.ArrowInvalid, ProtectionError):
            raise UsageError(f"--subject is no value that column '{name}' ({line.protect.op}) can hold") from None
        found.append(str(ready.column(0)[0].as_py()))
    return found


def of_values(frame: DataFrame, name: str, values: Iterable[str], how: str = "leftsemi") -> DataFrame:
    """The rows whose column's text is among values (``leftanti``: is not). By a join: a literal would stand in plans and logs."""
    from pyspark.sql import functions as F

    wanted = among(frame.sparkSession, values)
    return frame.join(F.broadcast(wanted), column(name).cast("string") == F.col(AMONG), how)


def among(spark: SparkSession, values: Iterable[str]) -> DataFrame:
    """Values as a frame of one column, ``AMONG``."""
    return spark.createDataFrame([(value,) for value in sorted(set(values))], f"{AMONG} string")


def values_of(contract: Contract, rows: DataFrame) -> dict[str, set[str]]:
    """By column that is sensitive, the texts that stand in rows, also inside of lists, maps and structs.

    Raises:
        UsageError: there are more than :data:`MOST_ROWS` rows.
    """
    import pyarrow as pa

    names = [name for name in rows.columns if contract.sensitive(name)]
    if not names:
        return {}
    given: Any = rows.select(*map(identifier, names)).limit(MOST_ROWS + 1)
    table = pa.Table.from_batches(given._collect_as_arrow(), arrow_schema(given.schema))
    if table.num_rows > MOST_ROWS:
        raise UsageError(f"more than {MOST_ROWS:,} rows name this subject: that is no person")
    return {name: set(_texts(table.column(name).combine_chunks())) for name in names}


def raw_values(
    spark: SparkSession, contract: Contract, keys: Keyring, rows: DataFrame, live: dict[str, set[int]]
) -> dict[str, set[str]]:
    """By column whose protection can be reversed, the originals of a person's rows, as far as the keys still open them."""
    import pyarrow as pa

    found = {}
    plain = {
        field.name
        for field in rows.schema.fields
        if field.dataType.typeName() in ("string", "integer", "long", "short", "byte")
    }
    for name in [name for name in rows.columns if name in plain and contract.column(name).protect.reversible]:
        given: Any = rows.select(identifier(name)).limit(MOST_ROWS)
        values = pa.Table.from_batches(given._collect_as_arrow(), arrow_schema(given.schema)).column(0).combine_chunks()
        try:
            texts = originals(spark, contract, contract.column(name), keys, values, live.get(name, set()))
        except KeyringError:
            continue  # what no key opens is no raw value any more
        found[name] = {text.decode(errors="replace") for text in texts if text}
    return found


def shared(contract: Contract, others: DataFrame, values: dict[str, set[str]]) -> dict[str, set[str]]:
    """Which of a person's values stand in other people's rows as well."""

    found = {}
    for name in [name for name in values if name in others.columns and values[name]]:
        rows = of_values(others, name, values[name]).select(column(name).cast("string")).distinct().collect()
        found[name] = {row[0] for row in rows}
    return found


def _texts(array: pa.Array) -> Iterator[str]:
    import pyarrow as pa

    kind = array.type
    if pa.types.is_struct(kind):
        for inner in array.flatten():
            yield from _texts(inner)
    elif pa.types.is_map(kind):
        yield from _texts(array.keys)
        yield from _texts(array.items)
    elif pa.types.is_list(kind):
        yield from _texts(array.flatten())
    elif pa.types.is_binary(kind):
        yield from (value.decode(errors="replace") for value in array.to_pylist() if value)
    elif not pa.types.is_boolean(kind) and not pa.types.is_null(kind):
        yield from (text for text in array.cast(pa.string()).to_pylist() if text)
