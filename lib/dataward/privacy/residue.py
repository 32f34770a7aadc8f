"""Search the bytes of files for values that must not be in them.

Every file below a folder is read, hidden ones included: data, log, checkpoints, checksums, change data, deletion vectors, reports.
Parquet (data, change data, checkpoints) is searched as it lies, where footers keep minima and maxima, and decoded, where
pages are compressed. A value is looked for in the forms that :func:`forms` gives, as a word of its own: Smith is not in
Smithson. Nothing that is found is shown: a residue names the file, the place in it and what the value was, never the value.
"""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dataward.contract.reserved import SHADOW
from dataward.privacy.paths import leaves
from dataward.spark.sql import identifier
from dataward.spark.workers import mapped, settled
from dataward.tables.files import escaped
from dataward.tables.maintenance import files, read_bytes

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

__all__ = [
    "SHORTEST",
    "Needle",
    "Residue",
    "Searched",
    "at_home",
    "erased",
    "forms",
    "holds",
    "common",
    "search",
    "stands",
]

SHORTEST = 5
"""Characters of the shortest value that is looked for inside of longer text; shorter ones only as whole cells of tables."""

STANDING = "needle bigint"
ON_DRIVER = 64 * 1024 * 1024
FOUND = "path string, named string, inside string"

SPACED = 0x0E00
"""Scripts below this code point separate words; in others (Thai, Chinese, Japanese) a word has no bounds to check."""

ESCAPED = re.compile(rb"(\\[nrtbf]|\\u[0-9a-fA-F]{4}|%[0-9a-fA-F]{2})$")
"""What ends in a letter or digit and stands for another character, in JSON and in URLs."""


@dataclass(frozen=True)
class Needle:
    """A value, and what it is called in reports: the column, and whether it is raw or protected. ``home``: where it was found."""

    named: str
    value: str
    home: str = ""

    def __repr__(self) -> str:
        """Return a text without the value."""
        return f"Needle({self.named!r})"


@dataclass(frozen=True)
class Residue:
    """A file in which something was found; ``kind`` is what the file is for, ``inside`` the column (or the footer) of Parquet."""

    path: str
    kind: str
    named: str
    inside: str = ""

    @property
    def next(self) -> str:
        """What to do about it."""
        if self.named.startswith("given "):
            return "if the value is other people's as well, leave it out of --values; else " + _NEXT[self.kind]
        return _NEXT[self.kind]


_NEXT = {
    "data": "a row of somebody else holds the value: correct the source, publish again, and erase again",
    "change data": "vacuum the table, then erase again",
    "deletion vector": "purge and vacuum the table, then erase again",
    "log": "take the value out of the table's properties, then erase again; if it is in a path, rename the folder",
    "checkpoint": "erase again, which writes the checkpoint anew",
    "checksum": "delete the file, which Delta makes anew, then erase again",
    "file": "delete the file or take the value out of it, then erase again with --prove",
}


@dataclass(frozen=True)
class Searched:
    """``unread``: files that could not be searched; they may hold anything."""

    files: int
    bytes: int
    residues: tuple[Residue, ...]
    unread: tuple[str, ...]


def forms(value: str) -> set[bytes]:
    """A value as it may stand in a file: as UTF-8, in JSON (with and without escapes), in HTML, in a path or URL, in base64."""
    return words(value) | coded(value)


def words(value: str) -> set[bytes]:
    """The forms that letters and digits before or after would make another value of."""
    nested = json.dumps(json.dumps(value)[1:-1])[1:-1]  # JSON inside of JSON: Delta's statistics
    made = {
        value.encode(),
        json.dumps(value)[1:-1].encode(),
        nested.encode(),
        json.dumps(value, ensure_ascii=False)[1:-1].encode(),
    }
    return made | {html.escape(value).encode(), quote(value).encode(), quote(value, safe="").encode()}


def coded(value: str) -> set[bytes]:
    """A value in base64, wherever it begins inside of a longer text: 4 characters in 3 bytes, without those that neighbours share."""
    plain = value.encode()
    return {_base64(plain, shift) for shift in range(3)} if len(plain) >= 9 else set()


def _base64(value: bytes, shift: int) -> bytes:
    coded = base64.b64encode(b"\0" * shift + value)
    begin = -(-shift * 8 // 6)
    end = (shift + len(value)) * 8 // 6
    return coded[begin:end]


def spans(data: bytes, shape: bytes) -> Iterator[int]:
    """Where a shape begins in data as a word of its own: no letter or digit goes on before or after it."""
    place = data.find(shape)
    while place >= 0:
        end = place + len(shape)
        if not (_letter(_first(shape)) and _goes_on_before(data, place)) and not (
            _letter(_last(shape)) and _letter(_first(data[end : end + 4]))
        ):
            yield place
        place = data.find(shape, place + 1)


def stands(data: bytes, shape: bytes) -> bool:
    """Whether a shape is in data as a word of its own."""
    return next(spans(data, shape), None) is not None


def erased(data: bytes, value: str) -> bytes:
    """Data with ``[erased]`` in place of a value, wherever it is a word of its own."""
    for shape in sorted(words(value), key=len, reverse=True):
        parts, last = [], 0
        for place in spans(data, shape):
            if place >= last:
                parts += [data[last:place], b"[erased]"]
                last = place + len(shape)
        data = b"".join([*parts, data[last:]])
    for shape in sorted(coded(value), key=len, reverse=True):
        data = data.replace(shape, b"[erased]")
    return data


def holds(data: bytes, value: str) -> bool:
    """Whether a value is in data in any of its forms."""
    return any(stands(data, shape) for shape in words(value)) or any(shape in data for shape in coded(value))


def _goes_on_before(data: bytes, place: int) -> bool:
    return _letter(_last(data[max(0, place - 4) : place])) and ESCAPED.search(data[max(0, place - 6) : place]) is None


def _first(data: bytes) -> str:
    """The first character of bytes; none where they are no UTF-8."""
    for size in range(1, min(4, len(data)) + 1):
        try:
            return data[:size].decode()
        except UnicodeDecodeError:
            continue
    return ""


def _last(data: bytes) -> str:
    for size in range(1, min(4, len(data)) + 1):
        try:
            return data[-size:].decode()
        except UnicodeDecodeError:
            continue
    return ""


def _letter(character: str) -> bool:
    return character.isalnum() and ord(character) < SPACED


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
    wanted = [_Wanted.of(needle) for needle in needles]
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
        for row in _contents(spark, plain).mapInArrow(settled(_searching(wanted)), FOUND).collect():
            done.add(row.path)
            if row.named is None:
                unread.append(row.path)
            elif row.named:
                residues.add((row.path, row.named, row.inside))
        unread += sorted({_absolute(path) for path in plain} - {_absolute(path) for path in done})
    told = tuple(Residue(path, kind_of(path), named, inside) for path, named, inside in sorted(residues))
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


@dataclass(frozen=True)
class _Wanted:
    """A needle with its forms, made once."""

    named: str
    value: str
    words: tuple[bytes, ...]
    coded: tuple[bytes, ...]

    @classmethod
    def of(cls, needle: Needle) -> _Wanted:
        return cls(needle.named, needle.value, tuple(sorted(words(needle.value))), tuple(sorted(coded(needle.value))))

    def anywhere(self, data: bytes) -> bool:
        """Whether any form is in data, be it inside of a longer word."""
        return any(shape in data for shape in (*self.words, *self.coded))

    def within(self, data: bytes) -> bool:
        return any(stands(data, shape) for shape in self.words) or any(shape in data for shape in self.coded)


Found = tuple[str, str]
"""What a value is called, and where it is inside of its file."""


def _searching(wanted: list[_Wanted]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            for path, content in zip(batch.column("path").to_pylist(), batch.column("content"), strict=True):
                data = content.as_buffer().to_pybytes() if content.is_valid else b""
                try:
                    found: list[tuple[str | None, str]] = [("", ""), *_in_bytes(data, wanted)]
                except Exception:
                    found = [(None, "")]  # it cannot be decoded: nobody knows what is in it
                columns = {
                    "path": pa.array([path] * len(found), pa.string()),
                    "named": pa.array([named for named, _ in found], pa.string()),
                    "inside": pa.array([inside for _, inside in found], pa.string()),
                }
                yield pa.RecordBatch.from_pydict(columns)

    return run


def _in_bytes(data: bytes, wanted: list[_Wanted]) -> set[Found]:
    if data[:4] == b"PAR1":
        return _in_parquet(data, wanted)
    return {(one.named, "") for one in wanted if len(one.value) >= SHORTEST and one.within(data)}


def _in_parquet(data: bytes, wanted: list[_Wanted]) -> set[Found]:
    """What cells, statistics and other bytes hold. Bytes that are part of a longer word of some cell are that cell's."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(io.BytesIO(data))
    found: set[Found] = set()
    parts: set[str] = set()  # of values inside of longer words
    for batch in file.iter_batches(65_536):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            for path, leaf in leaves(name, column):
                for one, alone in _in_leaf(leaf, wanted):
                    parts.add(one.value)
                    if alone:
                        found.add((one.named, f"column {path}"))
    within = {named for named, _ in found}
    for one in [one for one in wanted if one.named not in within and len(one.value) >= SHORTEST]:
        if any(one.within(text) for text in _statistics(file)) or (one.value not in parts and one.anywhere(data)):
            found.add((one.named, "its footer or unused bytes"))
    return found


def _statistics(file: Any) -> set[bytes]:
    """Minima and maxima of text that the footer holds."""
    told = file.metadata
    columns = [told.row_group(n).column(m) for n in range(told.num_row_groups) for m in range(told.num_columns)]
    held = [column.statistics for column in columns if column.is_stats_set]
    ends = [end for one in held if one is not None and one.has_min_max for end in (one.min, one.max)]
    return {end.encode() if isinstance(end, str) else end for end in ends if isinstance(end, str | bytes)}


def _in_leaf(values: Any, wanted: list[_Wanted]) -> Iterator[tuple[_Wanted, bool]]:
    """What cells hold, each with whether it is a word of its own in one of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind):
        # The bytes of all values lie one after another: first a look at all at once, then, where that finds something, at each.
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


def _holding(values: Any, one: _Wanted) -> set[bool]:
    """Whether cells hold a value as a word of its own; nothing where none holds it at all."""
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
    """The places in a list of those needles that stand in other people's rows, in the same column (or path) as in the person's."""
    homes = {needle.home.partition(".")[0].partition(":")[0] for needle in needles if needle.home}
    names = [name for name in others.columns if at_home(name) in homes]
    if not names:
        return set()
    found = mapped(others.select(*map(identifier, names)), _standing(needles), STANDING)
    return {row.needle for row in found.distinct().collect()}


def _standing(needles: Sequence[Needle]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` that yields the indexes of needles found in their own column or path."""
    wanted = [_Wanted.of(needle) for needle in needles]
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


def at_home(path: str) -> str:
    """A path as needles name it: the same for a column of a rotation's window and the one beside it, and for all of a document."""
    head, dot, rest = path.partition(": ")[0].partition(".")
    shadowed = SHADOW.fullmatch(head)
    return f"{shadowed.group(1) if shadowed else head}{dot}{rest}".lower()
