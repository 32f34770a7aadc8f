"""Read checkpoints of Delta's log: a single file, several parts, and v2 with sidecars, in Parquet and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dataward.tables.deltalog.actions import Added, Damaged, action
from dataward.tables.deltalog.folder import Folder, Missing
from dataward.tables.deltalog.log import LOG, Checkpoint, State, actions_of, metadata_of, protocol_of

__all__ = ["read_checkpoint"]

KINDS = ("add", "metaData", "protocol", "sidecar")


def read_checkpoint(table: Folder, checkpoint: Checkpoint) -> State:
    """Return the state in a checkpoint.

    Raises:
        Damaged: a part or a sidecar is missing, or is not a checkpoint.
    """
    files, metadata, protocol = {}, None, None
    pending = [f"{LOG}/{name}" for name in checkpoint.files]
    seen: set[str] = set()
    while pending:
        path = pending.pop()
        if path in seen:
            raise Damaged("a sidecar is named twice")
        seen.add(path)
        for kind, body in _actions(table, path):
            if kind == "add":
                found = action(kind, body)
                assert isinstance(found, Added)  # noqa: S101 - what `action` returns for this kind
                files[found.key] = found
            elif kind == "metaData":
                metadata = metadata_of(body)
            elif kind == "protocol":
                protocol = protocol_of(body)
            elif kind == "sidecar":
                pending.append(_sidecar(body))
    return State(checkpoint.version, files, metadata, protocol)


def _sidecar(body: dict[str, Any]) -> str:
    name = body.get("path")
    if not isinstance(name, str) or ".." in name:
        raise Damaged("a sidecar has no name inside of the log")
    return f"{LOG}/_sidecars/{name.rsplit('/', 1)[-1]}"


def _actions(table: Folder, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        data = table.read(path)
    except Missing:
        raise Damaged(f"{path.rsplit('/', 1)[-1]} is missing") from None
    yield from actions_of(data) if path.endswith(".json") else _rows(data)


def _rows(data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        names = [name for name in KINDS if name in file.schema_arrow.names]
        # Statistics as structs and irrelevant actions are not read.
        wanted = [
            name
            for position in range(len(file.schema))
            if not (name := file.schema.column(position).path).startswith(
                ("add.stats_parsed", "add.partitionValues_parsed")
            )
            and name.split(".", 1)[0] in names
        ]
        for batch in file.iter_batches(columns=wanted):
            for kind in names:
                column = batch.column(kind)
                found = column.drop_null()
                # By field, as rows of nested values take ten times as long.
                fields = [field.to_pylist() for field in found.flatten()]
                labels = [field.name for field in found.type]
                for values in zip(*fields, strict=True):
                    yield kind, dict(zip(labels, values, strict=True))
    except Damaged:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError):
        raise Damaged("it is no checkpoint in Parquet") from None
