"""Read columns of a proven version without Spark: every file's bytes are hashed and parsed from the same memory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dataward.errors import ProofError
from dataward.integrity.manifest import Attested, ManifestFile
from dataward.tables.deltalog.folder import Folder, Missing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NeedsSpark", "names_of", "read"]

HARMLESS = frozenset(["deletionVectors", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"])
"""Reader features that do not change what a data file without deletion vector contains."""


class NeedsSpark(Exception):
    """Only Spark reads these columns; the message says why."""


def names_of(state: Attested) -> list[str]:
    """Return the columns of a version, in the table's order."""
    return [str(field["name"]) for field in _fields(state)]


def read(table: Folder, state: Attested, columns: Sequence[str]) -> pa.Table:
    """Return columns of all rows of a version; NaN is null, as in a frame that comes from Spark by pandas.

    Args:
        table: the table's folder.
        state: the version according to verified manifests.
        columns: names of columns that the version has.

    Raises:
        ProofError: a file is not the sealed one.
        NeedsSpark: the table has deletion vectors or mapped columns, or a column is a partition or of another type than
            text, a number, a boolean or a date.
    """
    import pyarrow as pa

    _demand_plain(state, columns)
    kinds = {str(field["name"]): field["type"] for field in _fields(state)}
    schema = pa.schema([(name, _kind(name, kinds[name])) for name in columns])
    parts = [_part(table, state.files[key], schema) for key in sorted(state.files)]
    return pa.concat_tables([schema.empty_table(), *parts])


def _fields(state: Attested) -> list[Mapping[str, Any]]:
    return list((state.metadata or {})["schema"]["fields"])


def _demand_plain(state: Attested, columns: Sequence[str]) -> None:
    metadata, protocol = state.metadata or {}, state.protocol or {}
    if metadata["configuration"].get("delta.columnMapping.mode", "none") != "none":
        raise NeedsSpark("its columns are mapped to other names")
    if other := set(protocol.get("reader_features") or ()) - HARMLESS:
        raise NeedsSpark(f"it has reader features {', '.join(sorted(other))}")
    if any(one.vector for one in state.files.values()):
        raise NeedsSpark("it has deletion vectors")
    if parts := [name for name in columns if name in metadata["partition_columns"]]:
        raise NeedsSpark(f"it is partitioned by {', '.join(parts)}")


def _kind(name: str, kind: Any) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, str) and (decimal := re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", kind)):
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    plain = {
        "string": pa.string(),
        "byte": pa.int8(),
        "short": pa.int16(),
        "integer": pa.int32(),
        "long": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
    }
    if not isinstance(kind, str) or kind not in plain:
        raise NeedsSpark(f"its column '{name}' is {kind if isinstance(kind, str) else kind.get('type', 'nested')}")
    return plain[kind]


def _part(table: Folder, sealed: ManifestFile, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        data = table.read(sealed.path)
    except Missing:
        raise ProofError(f"{table}/{sealed.path} is missing, and the seal names it") from None
    if hashlib.sha256(data).hexdigest() != sealed.sha256:
        raise ProofError(f"{table}/{sealed.path} is not the sealed file: it was changed")
    file = pq.ParquetFile(pa.BufferReader(data))
    found = file.read([name for name in schema.names if name in file.schema_arrow.names])
    # A file that is older than a column has none of its values.
    columns = [
        _column(found[field.name], field.type) if field.name in found.column_names else pa.nulls(len(found), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _column(values: Any, kind: pa.DataType) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    values = values.cast(kind)
    return pc.if_else(pc.is_nan(values), pa.scalar(None, kind), values) if pa.types.is_floating(kind) else values
