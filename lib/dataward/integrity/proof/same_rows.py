"""Compare the rows of data files as multisets, without Spark: by column names, without the rows that deletion vectors delete."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.integrity.manifest import ManifestFile
from dataward.tables.deltalog.folder import Folder
from dataward.tables.deltalog.vectors import deleted_rows, vector_bytes

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Unequal", "parquet", "same_rows"]

FIELD_ID = b"PARQUET:field_id"


class Unequal(Exception):
    """The files cannot be what the commit says; the message says why."""


@dataclass(frozen=True)
class _File:
    """A data file, opened, and which of its rows are deleted (None: none)."""

    partition: str
    opened: Any
    deleted: Any = None


def same_rows(
    table: Folder, gone: Sequence[ManifestFile], added: Sequence[ManifestFile], ignored: Collection[str] = ()
) -> bool:
    """Return whether files contain the same rows in each partition, in any order, without the ignored columns.

    Raises:
        Missing: a file does not exist.
        TypeError: a column has different types in two files.
        Unequal: a file is not Parquet, not the sealed one, or its deletion vector is damaged.
    """
    import pyarrow as pa

    before, after = ([_opened(table, one) for one in files] for files in (gone, added))
    schemas = [file.opened.schema_arrow for file in (*before, *after)]
    if _ids_differ(schemas):
        raise Unequal("its files have the columns' field IDs exchanged")
    try:
        schema = pa.unify_schemas([pa.schema([field for field in one if field.name not in ignored]) for one in schemas])
    except pa.ArrowException:
        raise TypeError from None
    key = secrets.token_bytes(32)
    return all(
        _sum((one for one in before if one.partition == part), schema, key)
        == _sum((one for one in after if one.partition == part), schema, key)
        for part in {one.partition for one in (*before, *after)}
    )


def parquet(table: Folder, path: str, sha256: str | None = None) -> Any:
    """Return an opened data file (pyarrow's ParquetFile).

    Raises:
        Missing: the file does not exist.
        Unequal: the file is not Parquet, or has another SHA-256 than the given one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = table.read(path)
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise Unequal(f"{path} is not the sealed file: it was changed")
    try:
        return pq.ParquetFile(pa.BufferReader(data))
    except (pa.ArrowException, OSError, ValueError):
        raise Unequal(f"{path} cannot be read as Parquet") from None


def _opened(table: Folder, file: ManifestFile) -> _File:
    opened = parquet(table, file.path, file.sha256)
    if file.vector is None:
        return _File(file.partition, opened)
    try:
        bitmaps = vector_bytes(table, file.vector.identity, file.vector.path)
        deleted = deleted_rows(bitmaps, opened.metadata.num_rows)
    except (ValueError, MemoryError):
        raise Unequal(f"{file.path}: its deletion vector cannot be read") from None
    if int(deleted.sum()) != file.vector.cardinality:
        raise Unequal(f"{file.path}: its deletion vector deletes another number of rows than the commit says")
    return _File(file.partition, opened, deleted)


def _ids_differ(schemas: Iterable[pa.Schema]) -> bool:
    """Return whether a column has two field IDs, by which a table with mapped columns may find it."""
    found: dict[str, bytes] = {}
    for schema in schemas:
        for field in schema:
            number = (field.metadata or {}).get(FIELD_ID)
            if number is not None and found.setdefault(field.name, number) != number:
                return True
    return False


def _sum(files: Iterable[_File], schema: pa.Schema, secret: bytes) -> tuple[int, list[int]]:
    """Return the number of rows of files and the sum of their MACs; columns missing in a file are null."""
    import pyarrow as pa

    from dataward.integrity.encoding import row_macs

    count, lanes = 0, [0, 0, 0, 0]
    for file in files:
        at = 0
        try:
            for batch in file.opened.iter_batches():
                columns = [
                    batch.column(field.name)
                    if field.name in batch.schema.names
                    else pa.nulls(batch.num_rows, field.type)
                    for field in sorted(schema, key=lambda field: field.name)
                ]
                macs = row_macs(columns, batch.num_rows, secret)
                if file.deleted is not None:
                    macs = macs[~file.deleted[at : at + batch.num_rows]]
                at += batch.num_rows
                lanes = [(lane + int(more)) % 2**64 for lane, more in zip(lanes, macs.sum(axis=0), strict=True)]
                count += len(macs)
        except (pa.ArrowException, OSError, ValueError, KeyError):
            raise Unequal("a file of it cannot be read as Parquet") from None
    return count, lanes
