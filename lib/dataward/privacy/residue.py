"""Search the bytes of files for values that must not be in them.

Every file below a folder is read, hidden ones included: data, log, checkpoints, checksums, change data, deletion vectors, reports.
Parquet (data, change data, checkpoints) is searched both as bytes, because footers hold minima and maxima, and decoded, because
pages are compressed. A value is searched in all of its :func:`~dataward.privacy.needles.forms`, as a word of its own: Smith is not in
Smithson. A residue names the file, the place in it and the needle's name, never the value.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.privacy.needles import SHORTEST, Needle, Wanted, at_home, stands
from dataward.privacy.paths import leaves
from dataward.spark.sql import identifier
from dataward.spark.workers import mapped, without_delay
from dataward.tables.files import escaped
from dataward.tables.maintenance import files, read_bytes

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Residue", "Searched", "common", "search"]

STANDING = "needle bigint"
ON_DRIVER = 64 * 1024 * 1024
FOUND = "path string, named string, inside string"


@dataclass(frozen=True)
class Residue:
    """A file in which a value was found.

    Attributes:
        path: the file.
        kind: purpose of the file.
        named: name of the needle.
        inside: column or footer of a Parquet file.
    """

    path: str
    kind: str
    named: str
    inside: str = ""

    @property
    def next(self) -> str:
        """The remedy."""
        if self.named.startswith("given "):
            return "if the value is other people's as well, leave it out of --values; else " + _NEXT[self.kind]
        return _NEXT[self.kind]


_NEXT = {
    "data": "a row holds the value: the person's own until it is erased, afterwards one of somebody else: then correct the source, "
    "publish again, and erase again",
    "change data": "vacuum the table, then erase again",
    "deletion vector": "purge and vacuum the table, then erase again",
    "log": "take the value out of the table's properties, then erase again; if it is in a path, rename the folder",
    "checkpoint": "erase again, which writes a new checkpoint",
    "checksum": "delete the file, which Delta makes again, then erase again",
    "file": "delete the file or take the value out of it, then erase again with --prove",
}


@dataclass(frozen=True)
class Searched:
    """Result of a search.

    Attributes:
        files: number of files.
        bytes: their size.
        residues: what was found.
        unread: files that could not be searched.
    """

    files: int
    bytes: int
    residues: tuple[Residue, ...]
    unread: tuple[str, ...]


def kind_of(path: str) -> str:
    """Return the purpose of a file, by its path."""
    name = path.rsplit("/", 1)[-1]
    for sign, kind in (("/_delta_log/", "checkpoint" if ".checkpoint" in name else "checksum" if name.endswith(".crc") else "log"),
                       ("/_change_data/", "change data")):  # fmt: skip
        if sign in path:
            return kind
    if name.startswith("deletion_vector"):
        return "deletion vector"
    return "data" if name.endswith(".parquet") else "checksum" if name.endswith(".crc") else "file"


def search(spark: SparkSession, folders: Iterable[str], needles: Iterable[Needle]) -> Searched:
    """Search every file below the folders in Spark tasks; the driver reads only small hidden files, which Spark does not list."""
    wanted = [Wanted.of(needle) for needle in needles]
    listed = {file.path: file for folder in folders for file in files(spark, folder)}
    residues, unread, plain = set(), [], []
    for path, file in listed.items():
        for one in wanted:
            if len(one.value) >= SHORTEST and any(stands(path.encode(), shape) for shape in one.words):
                residues.add((path, one.named, "its path"))
        hidden = path.rsplit("/", 1)[-1].startswith((".", "_"))
        if not hidden:
            plain.append(path)
        elif file.size > ON_DRIVER:
            unread.append(path)
        else:
            residues |= {(path, *found) for found in _in_bytes(read_bytes(spark, path), wanted)}
    if plain:
        done = set()
        for row in _contents(spark, plain).mapInArrow(without_delay(_searching(wanted)), FOUND).collect():
            done.add(row.path)
            if row.named is None:
                unread.append(row.path)
            elif row.named:
                residues.add((row.path, row.named, row.inside))
        unread += sorted({_absolute(path) for path in plain} - {_absolute(path) for path in done})
    ordered = tuple(Residue(path, kind_of(path), named, inside) for path, named, inside in sorted(residues))
    return Searched(len(listed), sum(file.size for file in listed.values()), ordered, tuple(sorted(unread)))


def _contents(spark: SparkSession, paths: list[str]) -> DataFrame:
    """Return path and bytes of the readable files, whether or not Hadoop's checksums agree."""
    reader = spark.read.format("binaryFile").option("ignoreCorruptFiles", "true")
    reader = reader.option("fs.file.impl", "org.apache.hadoop.fs.RawLocalFileSystem").option(
        "fs.file.impl.disable.cache", "true"
    )
    read = reader.load([escaped(path) for path in paths]).select("path", "content")
    return read.repartition(min(len(paths), 256))


def _absolute(path: str) -> str:
    """Return a path without the scheme of local files."""
    return re.sub(r"^file:/*", "/", path)


Found = tuple[str, str]
"""Name of a needle, and its place inside of the file."""


def _searching(wanted: list[Wanted]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            for path, content in zip(batch.column("path").to_pylist(), batch.column("content"), strict=True):
                data = content.as_buffer().to_pybytes() if content.is_valid else b""
                try:
                    found: list[tuple[str | None, str]] = [("", ""), *_in_bytes(data, wanted)]
                except Exception:
                    found = [(None, "")]  # it cannot be decoded
                columns = {
                    "path": pa.array([path] * len(found), pa.string()),
                    "named": pa.array([named for named, _ in found], pa.string()),
                    "inside": pa.array([inside for _, inside in found], pa.string()),
                }
                yield pa.RecordBatch.from_pydict(columns)

    return run


def _in_bytes(data: bytes, wanted: list[Wanted]) -> set[Found]:
    if data[:4] == b"PAR1":
        return _in_parquet(data, wanted)
    return {(one.named, "") for one in wanted if len(one.value) >= SHORTEST and one.within(data)}


def _in_parquet(data: bytes, wanted: list[Wanted]) -> set[Found]:
    """Search cells, statistics and other bytes; bytes that a cell explains as part of a longer word are not reported."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(data))
    found: set[Found] = set()
    parts: set[str] = set()  # values inside of longer words
    for batch in file.iter_batches(65_536):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for path, leaf in leaves(name, column):
                for one, alone in _in_leaf(leaf, [one for one in wanted if not _any_number(one, path, leaf.type)]):
                    parts.add(one.value)
                    if alone:
                        found.add((one.named, f"column {path}"))
    within = {named for named, _ in found}
    for one in [one for one in wanted if one.named not in within and len(one.value) >= SHORTEST]:
        if any(one.within(text) for text in _statistics(file)) or (one.value not in parts and one.anywhere(data)):
            found.add((one.named, "its footer or unused bytes"))
    return found


def _any_number(one: Wanted, path: str, kind: Any) -> bool:
    """Return whether a cell that equals a short whole number says nothing: it is in a column of numbers with another name.

    Customer 5 is not in an order's number 5, and no erasure could remove that.
    """
    import pyarrow as pa

    short = len(one.value) < SHORTEST and one.value.isdecimal() and one.column != "given"
    return short and not _is_text(kind) and not pa.types.is_binary(kind) and one.column != at_home(path)


def _statistics(file: Any) -> set[bytes]:
    """Return the minima and maxima of text in the footer."""
    metadata = file.metadata
    columns = [
        metadata.row_group(n).column(m) for n in range(metadata.num_row_groups) for m in range(metadata.num_columns)
    ]
    held = [column.statistics for column in columns if column.is_stats_set]
    ends = [end for one in held if one is not None and one.has_min_max for end in (one.min, one.max)]
    return {end.encode() if isinstance(end, str) else end for end in ends if isinstance(end, str | bytes)}


def _is_text(kind: Any) -> bool:
    """Return whether an Arrow type is that of strings."""
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _in_leaf(values: Any, wanted: list[Wanted]) -> Iterator[tuple[Wanted, bool]]:
    """Yield the needles in cells, each with whether it is a word of its own in one of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if _is_text(kind) or pa.types.is_binary(kind):
        # All values are in one buffer: search that first, and single cells only where it has a match.
        buffer = values.buffers()[2]
        whole = buffer.to_pybytes() if buffer is not None else b""
        for one in wanted:
            if one.anywhere(whole):
                yield from ((one, alone) for alone in _holding(values, one))
        return
    texts = (
        pc.unique(values).cast(pa.string()) if not pa.types.is_boolean(kind) and not pa.types.is_null(kind) else None
    )
    here = set() if texts is None else set(texts.to_pylist())
    yield from ((one, True) for one in wanted if one.value in here)


def _holding(values: Any, one: Wanted) -> set[bool]:
    """Return whether cells hold a value as a word of its own; empty where none holds it at all."""
    import pyarrow as pa
    import pyarrow.compute as pc

    binary = values.cast(pa.binary())
    if len(one.value) < SHORTEST:
        return {True} if pc.any(pc.equal(binary, pa.scalar(one.value.encode(), pa.binary()))).as_py() else set()
    cells: set[bytes] = set()
    for shape in (*one.words, *one.coded):
        cells |= set(pc.unique(binary.filter(pc.match_substring(binary, shape))).to_pylist())
    return {any(one.within(cell) for cell in cells)} if cells else set()


def common(others: DataFrame, needles: Sequence[Needle]) -> set[int]:
    """Return the indexes of needles that other people's rows hold in the same column or path."""
    homes = {needle.home.partition(".")[0].partition(":")[0] for needle in needles if needle.home}
    names = [name for name in others.columns if at_home(name) in homes]
    if not names:
        return set()
    found = mapped(others.select(*map(identifier, names)), _standing(needles), STANDING)
    return {row.needle for row in found.distinct().collect()}


def _standing(needles: Sequence[Needle]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` that yields the indexes of needles found in their own column or path."""
    wanted = [Wanted.of(needle) for needle in needles]
    homes = [needle.home for needle in needles]

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            found: set[int] = set()
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                for path, leaf in leaves(name, column):
                    mine = {number: wanted[number] for number, home in enumerate(homes) if home == at_home(path)}
                    alone = {id(one) for one, alone in _in_leaf(leaf, list(mine.values())) if alone}
                    found |= {number for number, one in mine.items() if id(one) in alone}
            yield pa.RecordBatch.from_arrays([pa.array(sorted(found), pa.int64())], names=["needle"])

    return run
