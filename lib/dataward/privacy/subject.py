"""What there is of one person in a table: the rows, and every form of their values that could be found in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.contract import Column, Contract
from dataward.contract.protections import Json
from dataward.contract.reserved import INTERNAL
from dataward.errors import KeyringError, ProtectionError, UsageError
from dataward.keys import Keyring, Purpose
from dataward.privacy.paths import Inside, leaves
from dataward.privacy.protect import compiled, key_of
from dataward.privacy.reidentify import originals
from dataward.spark.sql import column, identifier
from dataward.spark.workers import collected

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = [
    "MOST_ROWS",
    "among",
    "of_values",
    "protected_ids",
    "raw_values",
    "shared",
    "texts_of",
    "values_of",
]

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
    """Return the subject's identifier as the table holds it: once for every enabled version of the key.

    Raises:
        UsageError: it cannot be protected, so that nobody with this identifier can be in the table.
    """
    import pyarrow as pa

    assert contract.erasure is not None  # noqa: S101 - the caller has asked
    name = contract.erasure.subject
    line = contract.column(name)
    try:
        pa.array([given]).cast(kind)
    except pa.ArrowException:
        raise UsageError(
            f"subject: the given text is no {kind}, which column '{name}' of {contract.source} holds: give the identifier of one "
            "person as it is there"
        ) from None
    if line.protect.keeps:
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
    """Return the rows whose column's text is among values (``leftanti``: is not); a join, because plans and logs show literals."""
    from pyspark.sql import functions as F

    wanted = among(frame.sparkSession, values)
    return frame.join(F.broadcast(wanted), column(name).cast("string") == F.col(AMONG), how)


def among(spark: SparkSession, values: Iterable[str]) -> DataFrame:
    """Return values as a frame of one column, ``AMONG``."""
    return spark.createDataFrame([(value,) for value in sorted(set(values))], f"{AMONG} string")


def values_of(contract: Contract, rows: DataFrame) -> dict[str, pa.Array]:
    """Return by path the distinct sensitive values of rows: in structs, lists and maps, and at the named paths of JSON.

    Raises:
        UsageError: there are more than :data:`MOST_ROWS` rows.
    """
    import pyarrow as pa

    names = [name for name in rows.columns if contract.sensitive(name)]
    if not names:
        return {}
    table = collected(rows.select(*map(identifier, names)).limit(MOST_ROWS + 1))
    if table.num_rows > MOST_ROWS:
        raise UsageError(f"more than {MOST_ROWS:,} rows name this subject: that is no person")
    found: dict[str, pa.Array] = {}
    for name in names:
        for path, leaf in leaves(name, table.column(name).combine_chunks()):
            line = contract.line(name, tuple(path[len(name) + 1 :].split(".")) if path != name else ())
            if line.sensitive or contract.sensitive(path):
                found[path] = leaf.unique()
            if isinstance(line.protect, Json) and pa.types.is_string(leaf.type):
                for field, inner in line.protect.fields.items():
                    if inner.sensitive:
                        place = Inside(path, path, tuple(field.split(".")), inner, in_json=True)
                        found[place.where] = place.of(leaf).values.unique()
    return found


def texts_of(values: Mapping[str, pa.Array]) -> dict[str, set[str]]:
    """Return the values by path as texts."""
    return {path: set(_texts(array)) for path, array in values.items()}


def raw_values(
    spark: SparkSession, contract: Contract, keys: Keyring, values: Mapping[str, pa.Array], live: dict[str, set[int]]
) -> dict[str, set[str]]:
    """Return by path the originals of a person's reversible values, as far as the keys still decrypt them.

    Where values do not name their key version, each possible one is tried.
    """
    found: dict[str, set[str]] = {}
    for path, array in values.items():
        line = _line_of(contract, path)
        if not line.protect.reversible or array.type not in _plain():
            continue
        tried = [{version} for version in live.get(path, ())] if line.protect.silent else [set[int]()]
        for versions in tried:
            try:
                texts = originals(spark, contract, line, keys, array, versions)
            except KeyringError:
                continue  # what no key opens is no raw value any more
            found.setdefault(path, set()).update(text.decode(errors="replace") for text in texts if text)
    return found


def _line_of(contract: Contract, path: str) -> Column:
    column, in_json, field = path.partition(": ")
    head, *inside = column.split(".") if contract.decided(column) is None else (column,)
    line = contract.line(head, tuple(inside))
    return line.protect.fields[field] if in_json and isinstance(line.protect, Json) else line


def _plain() -> tuple[pa.DataType, ...]:
    import pyarrow as pa

    return (pa.string(), pa.int8(), pa.int16(), pa.int32(), pa.int64())


def shared(others: DataFrame, values: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return by column those of the whole values that other rows also have."""
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
