"""Read checkpoints of Delta's log: a single file, several parts, and v2 with sidecars, in Parquet and JSON."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dataward.tables.deltalog.actions import Added, Damaged, Key, Marked, action
from dataward.tables.deltalog.folder import Folder, Missing
from dataward.tables.deltalog.log import LOG, Checkpoint, State, actions_of, metadata_of, protocol_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Known", "read_checkpoint"]

KINDS = ("add", "metaData", "protocol", "sidecar", "txn", "domainMetadata")
PARSED = "add.stats_parsed"
"""Statistics as a struct."""
FIELDS = ("path", "partitionValues", "size", "stats", "deletionVector")
VECTOR = ("storageType", "pathOrInlineDv", "offset", "sizeInBytes", "cardinality")

Known = dict[str, tuple[Key, Added]]
"""Listed files with their keys, by all that is read of them as text: consecutive checkpoints list almost the same files."""


def read_checkpoint(table: Folder, checkpoint: Checkpoint, known: Known | None = None) -> State:
    """Return the state in a checkpoint. ``known``: files of earlier ones, which are not parsed again; new ones are added.

    Raises:
        Damaged: a part or a sidecar is missing, or is not a checkpoint.
    """
    files: dict[Key, Added] = {}
    only: dict[str, Any] = {}
    rest: list[tuple[str, Any]] = []
    pending = [f"{LOG}/{name}" for name in checkpoint.files]
    seen: set[str] = set()
    while pending:
        path = pending.pop()
        if path in seen:
            raise Damaged("a sidecar is named twice")
        seen.add(path)
        for kind, body in _actions(table, path, {} if known is None else known):
            if kind == "add":
                before = len(files)
                files.update(body)
                if len(files) != before + len(body):
                    raise Damaged("it lists a file twice")
            elif kind == "sidecar":
                pending.append(_sidecar(body))
            elif kind in ONCE and kind in only:  # readers might take either
                raise Damaged(f"it has two actions '{kind}'")
            elif kind in ONCE:
                only[kind] = ONCE[kind](body)
            else:
                rest.append((kind, body))
    found = (action(kind, body) for kind, body in rest if kind in KINDS)
    marks = frozenset(one for one in found if isinstance(one, Marked))
    return State(checkpoint.version, files, only.get("metaData"), only.get("protocol"), marks, (PARSED, None) in rest)


ONCE = {"metaData": metadata_of, "protocol": protocol_of}


def _sidecar(body: dict[str, Any]) -> str:
    name = body.get("path")
    if not isinstance(name, str) or ".." in name:
        raise Damaged("a sidecar has no name inside of the log")
    return f"{LOG}/_sidecars/{name.rsplit('/', 1)[-1]}"


def _actions(table: Folder, path: str, known: Known) -> Iterator[tuple[str, Any]]:
    try:
        data = table.read(path)
    except Missing:
        raise Damaged(f"{path.rsplit('/', 1)[-1]} is missing") from None
    if not path.endswith(".json"):
        yield from _rows(data, known)
        return
    for kind, body in actions_of(data):
        yield kind, [_file(body)] if kind == "add" else body


def _rows(data: bytes, known: Known) -> Iterator[tuple[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        names = [name for name in KINDS if name in file.schema_arrow.names]
        # Statistics as structs and irrelevant actions are not read.
        paths = [file.schema.column(position).path for position in range(len(file.schema))]
        unread = (PARSED, "add.partitionValues_parsed")
        wanted = [path for path in paths if not path.startswith(unread) and path.split(".", 1)[0] in names]
        if any(path.startswith(PARSED) for path in paths):
            yield PARSED, None
        for batch in file.iter_batches(columns=wanted):
            for kind in names:
                found = batch.column(kind).drop_null()
                if kind == "add":
                    yield kind, _files(found, known)
                else:
                    yield from ((kind, body) for body in _bodies(found))
    except Damaged:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError):
        raise Damaged("it is no checkpoint in Parquet") from None


def _bodies(found: pa.StructArray) -> Iterator[dict[str, Any]]:
    # By field, as rows of nested values take ten times as long.
    fields = [field.to_pylist() for field in found.flatten()]
    labels = [field.name for field in found.type]
    return (dict(zip(labels, values, strict=True)) for values in zip(*fields, strict=True))


def _files(found: pa.StructArray, known: Known) -> list[tuple[Key, Added]]:
    """Return the listed files; only those are parsed that no earlier checkpoint lists with the same text."""
    texts = _texts(found)
    new = [position for position, text in enumerate(texts) if text not in known]
    for position, body in zip(new, _bodies(found.take(_positions(new))), strict=True):
        known[texts[position]] = _file(body)
    return [known[text] for text in texts]


def _file(body: dict[str, Any]) -> tuple[Key, Added]:
    found = action("add", body)
    assert isinstance(found, Added)  # noqa: S101 - what `action` returns for this kind
    return found.key, found


# Arrow imports pandas to convert values of Python, which takes longer than a small table's whole proof: hence buffers.
def _text(value: str) -> pa.Scalar:
    import pyarrow as pa

    data = value.encode()
    ends = pa.py_buffer(array("i", [0, len(data)]))
    return pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(data)])[0]


def _positions(numbers: Iterable[int]) -> pa.Array:
    import pyarrow as pa

    held = array("q", numbers)
    return pa.Array.from_buffers(pa.int64(), len(held), [None, pa.py_buffer(held)])


def _texts(found: pa.StructArray) -> list[str]:
    """Return all that is read of each file as one text; different files have different texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = dict(zip((field.name for field in found.type), found.flatten(), strict=True))
    parts = []
    for name in FIELDS:
        column = columns.get(name, pa.nulls(len(found), pa.string()))
        if name == "deletionVector" and pa.types.is_struct(column.type):
            inner = dict(zip((field.name for field in column.type), column.flatten(), strict=True))
            parts += [_tokens(inner.get(one, pa.nulls(len(found), pa.string()))) for one in VECTOR]
        elif pa.types.is_map(column.type):
            parts.append(_entries(column))
        else:
            parts.append(_tokens(column))
    return pc.binary_join_element_wise(*parts, _text("")).to_pylist() if len(found) else []


def _tokens(column: pa.Array) -> pa.Array:
    """Return each value with its length before it, so that joined values cannot be cut in another way; ``~`` for null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = column.cast(pa.string())
    whole = pc.binary_join_element_wise(pc.binary_length(text).cast(pa.string()), text, _text(":"))
    return pc.fill_null(whole, _text("~"))


def _entries(column: pa.MapArray) -> pa.Array:
    """Return the entries of each map as tokens, after their number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # `take` gives an array whose offsets begin at 0, whatever part of a batch the map was.
    column = column.take(_positions(range(len(column))))
    both = pc.binary_join_element_wise(_tokens(column.keys), _tokens(column.items), _text(""))
    lists = pa.ListArray.from_arrays(column.offsets, both)
    joined = pc.binary_join_element_wise(
        pc.list_value_length(lists).cast(pa.string()), pc.binary_join(lists, _text("")), _text("/")
    )
    return pc.if_else(pc.is_null(column), _text("~"), joined)
