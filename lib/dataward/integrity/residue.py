"""Search the bytes of files for values that must not be in them.

Every file below a folder is read, hidden ones included: data, log, checkpoints, checksums, change data, deletion vectors, reports.
Parquet (data, change data, checkpoints) is searched as it lies, where footers keep minima and maxima, and decoded, where
pages are compressed. A value is looked for in the forms that :func:`forms` gives. Nothing that is found is shown: a residue names the file
and what the value was, never the value.
"""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dataward.tables.files import escaped
from dataward.tables.maintenance import files, read_bytes
from dataward.workers import settled

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["SHORTEST", "Needle", "Residue", "Searched", "forms", "search"]

SHORTEST = 5
"""Characters of the shortest value that is looked for inside of longer text; shorter ones only as whole cells of tables."""

ON_DRIVER = 64 * 1024 * 1024
FOUND = "path string, named string"


@dataclass(frozen=True)
class Needle:
    """A value, and what it is called in reports: the column, and whether it is raw or protected."""

    named: str
    value: str

    def __repr__(self) -> str:
        return f"Needle({self.named!r})"


@dataclass(frozen=True)
class Residue:
    """A file in which something was found; ``kind`` is what the file is for."""

    path: str
    kind: str
    named: str


@dataclass(frozen=True)
class Searched:
    """``unread``: files that could not be searched; they may hold anything."""

    files: int
    bytes: int
    residues: tuple[Residue, ...]
    unread: tuple[str, ...]


def forms(value: str) -> set[bytes]:
    """A value as it may stand in a file: as UTF-8, in JSON (with and without escapes), in HTML, in a path or URL, in base64."""
    plain = value.encode()
    nested = json.dumps(json.dumps(value)[1:-1])[1:-1]  # JSON inside of JSON: Delta's statistics
    made = {
        plain,
        json.dumps(value)[1:-1].encode(),
        nested.encode(),
        json.dumps(value, ensure_ascii=False)[1:-1].encode(),
    }
    made |= {html.escape(value).encode(), quote(value).encode(), quote(value, safe="").encode()}
    if len(plain) >= 9:
        # Wherever the value begins inside of a longer text, 4 characters in 3 bytes: without the ones that its neighbours share.
        made |= {_base64(plain, shift) for shift in range(3)}
    return made


def _base64(value: bytes, shift: int) -> bytes:
    coded = base64.b64encode(b"\0" * shift + value)
    begin = -(-shift * 8 // 6)
    end = (shift + len(value)) * 8 // 6
    return coded[begin:end]


def kind_of(path: str) -> str:
    name = path.rsplit("/", 1)[-1]
    for sign, kind in (("/_delta_log/", "checkpoint" if ".checkpoint" in name else "checksum" if name.endswith(".crc") else "log"),
                       ("/_change_data/", "change data")):  # fmt: skip
        if sign in path:
            return kind
    if name.startswith("deletion_vector"):
        return "deletion vector"
    return "data" if name.endswith(".parquet") else "checksum" if name.endswith(".crc") else "file"


def search(spark: SparkSession, folders: Iterable[str], needles: Iterable[Needle]) -> Searched:
    """Search every file below the folders, by as many tasks as there are; the driver reads only what Spark hides."""
    wanted = [(needle.named, needle.value, sorted(forms(needle.value))) for needle in needles]
    listed = {file.path: file for folder in folders for file in files(spark, folder)}
    residues, unread, plain = set(), [], []
    for path, file in listed.items():
        for named, value, _ in wanted:
            if len(value) >= SHORTEST and (value in path or quote(value) in path):
                residues.add((path, named))
        hidden = path.rsplit("/", 1)[-1].startswith((".", "_"))
        if not hidden:
            plain.append(path)
        elif file.size > ON_DRIVER:
            unread.append(path)
        else:
            residues |= {(path, named) for named in _in_bytes(read_bytes(spark, path), wanted, path)}
    if plain:
        done = set()
        for row in _contents(spark, plain).mapInArrow(settled(_searching(wanted)), FOUND).collect():
            done.add(row.path)
            if row.named is None:
                unread.append(row.path)
            elif row.named:
                residues.add((row.path, row.named))
        unread += sorted({_absolute(path) for path in plain} - {_absolute(path) for path in done})
    told = tuple(Residue(path, kind_of(path), named) for path, named in sorted(residues))
    return Searched(len(listed), sum(file.size for file in listed.values()), told, tuple(sorted(unread)))


def _contents(spark: SparkSession, paths: list[str]) -> DataFrame:
    """Path and bytes of files. What cannot be read is left out, and missed; Hadoop's own checksums do not count: bytes are bytes."""
    reader = spark.read.format("binaryFile").option("ignoreCorruptFiles", "true")
    reader = reader.option("fs.file.impl", "org.apache.hadoop.fs.RawLocalFileSystem").option(
        "fs.file.impl.disable.cache", "true"
    )
    read = reader.load([escaped(path) for path in paths]).select("path", "content")
    return read.repartition(min(len(paths), 256))


def _absolute(path: str) -> str:
    """Without the many ways to write that a file is local."""
    return re.sub(r"^file:/*", "/", path)


Wanted = list[tuple[str, str, list[bytes]]]


def _searching(wanted: Wanted) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            for path, content in zip(batch.column("path").to_pylist(), batch.column("content"), strict=True):
                data = content.as_buffer().to_pybytes() if content.is_valid else b""
                try:
                    found: list[str | None] = ["", *_in_bytes(data, wanted, path)]
                except Exception:
                    found = [None]  # it cannot be decoded: nobody knows what is in it
                yield pa.RecordBatch.from_pydict(
                    {"path": pa.array([path] * len(found), pa.string()), "named": pa.array(found, pa.string())}
                )

    return run


def _in_bytes(data: bytes, wanted: Wanted, path: str) -> set[str]:
    found = {
        named for named, value, shapes in wanted if len(value) >= SHORTEST and any(shape in data for shape in shapes)
    }
    if data[:4] == b"PAR1":
        found |= _in_parquet(data, [one for one in wanted if one[0] not in found])
    return found


def _in_parquet(data: bytes, wanted: Wanted) -> set[str]:
    import pyarrow.parquet as pq

    found: set[str] = set()
    if not wanted:
        return found
    for batch in pq.ParquetFile(io.BytesIO(data)).iter_batches(65_536):
        for column in batch.columns:
            for leaf in _leaves(column):
                found |= _in_leaf(leaf, [one for one in wanted if one[0] not in found])
    return found


def _leaves(column: Any) -> Iterable[Any]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        yield from _leaves(column.dictionary)
    elif pa.types.is_struct(kind):
        for inner in column.flatten():
            yield from _leaves(inner)
    elif pa.types.is_map(kind):
        yield from _leaves(column.keys)
        yield from _leaves(column.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaves(column.flatten())
    else:
        yield column


def _in_leaf(values: Any, wanted: Wanted) -> set[str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        # The bytes of all values lie one after another: first a look at all at once, then, where that finds something, at each.
        buffer = values.buffers()[2]
        whole = buffer.to_pybytes() if buffer is not None else b""
        likely = [one for one in wanted if any(shape in whole for shape in one[2])]
        return {named for named, value, shapes in likely if _holds(values, value, shapes)}
    texts = (
        pc.unique(values).cast(pa.string()) if not pa.types.is_boolean(kind) and not pa.types.is_null(kind) else None
    )
    if texts is None:
        return set()
    here = set(texts.to_pylist())
    return {named for named, value, _ in wanted if value in here}


def _holds(values: Any, value: str, shapes: list[bytes]) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    binary = values.cast(pa.binary())
    if len(value) < SHORTEST:
        return bool(pc.any(pc.equal(binary, pa.scalar(value.encode(), pa.binary()))).as_py())
    return any(pc.any(pc.match_substring(binary, shape)).as_py() for shape in shapes)
