"""Examine the stored lines of CSV files: line endings, bytes that are not UTF-8, and open quoted fields.

Spark's reader replaces bytes that are not UTF-8, reads everything after an open quote up to the end of the file as one value, and
guesses line endings. The files are therefore examined first, as bytes, by Spark's own functions: in parallel, and the driver receives
only one row per file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Source
from dataward.spark.sql import literal
from dataward.tables.files import LITERAL, plain

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Lines", "look", "undecodable"]

PLACE = "struct(start, id)"


@dataclass(frozen=True)
class Lines:
    """One file: its line ending (None: detected by Spark), whether some lines end differently, and the number of lines not in UTF-8."""

    uri: str
    separator: str | None
    mixed: bool
    undecodable: int
    left_open: bool

    @property
    def path(self) -> str:
        """Path of the file."""
        return plain(self.uri)


def undecodable(binary: str) -> str:
    """Return SQL of whether bytes are not UTF-8."""
    return f"encode(decode({binary}, 'UTF-8'), 'UTF-8') != {binary}"


def look(spark: SparkSession, source: Source, paths: Sequence[str]) -> list[Lines]:
    """Examine the lines of CSV files: one pass over their bytes, and a second where unquoted fields contain quotes.

    Files in UTF-16 and UTF-32 are not examined: their lines cannot be recognised from bytes.
    """
    if source.encoding.startswith(("UTF-16", "UTF-32")):
        return []
    lines = _lines(spark, source, paths)
    found = lines.groupBy("file").agg(*_aggregates()).collect()
    last = {row.file: row.last_certain for row in found if row.last_certain is not None}
    after = _toggles_after(lines, last) if last and source.multi_line else {}
    return [_of(row, source, after.get(row.file, 0)) for row in found]


def _of(row: Any, source: Source, after: int) -> Lines:
    if not source.multi_line:  # Spark reads each line as a record
        return Lines(row.file, None, False, row.undecodable, row.opening > 0)
    toggles, state = (after, row.last_certain.open) if row.last_certain is not None else (row.toggles, False)
    only_returns = row.lines == 1 and row.returns_inside  # a file of Mac OS 9
    separator = None if only_returns or "linesep" in source.reader_options else "\r\n" if row.returns_first else "\n"
    left_open = not only_returns and state != bool(toggles % 2)
    return Lines(row.file, separator, separator == "\n" and row.returns > 0, row.undecodable, left_open)


def _lines(spark: SparkSession, source: Source, paths: Sequence[str]) -> DataFrame:
    """Return a row for each line: its position, and whether a quoted field is open at its end, for both states at its start."""
    reader: Any = spark.read.option(*LITERAL)
    if source.multi_line:
        reader = reader.option("lineSep", str(source.reader_options.get("linesep", "\n")))
    lines = reader.text(list(paths)).selectExpr(
        "_metadata.file_path as file",
        "_metadata.file_block_start as start",
        "monotonically_increasing_id() as id",
        "value",
        "cast(value as binary) as bytes",
    )
    if comment := source.reader_options.get("comment"):
        lines = lines.where(f"not startswith(value, {literal(str(comment))})")
    seen: DataFrame = lines.selectExpr(
        "file",
        "start",
        "id",
        "endswith(value, '\\r') as returns",
        "instr(value, '\\r') between 1 and length(value) - 1 as returns_inside",
        f"{undecodable('bytes')} as undecodable",
        *_quotes(source),
    )
    return seen


def _quotes(source: Source) -> Iterable[str]:
    """Yield SQL of whether a quoted field is open at a line's end: if the line begins outside of one, and if inside one."""
    options = source.reader_options
    quote, escape = str(options.get("quote") or ""), str(options.get("escape") or "")
    if not quote:
        return ("false as open", "false as open_still", "false as quoted")
    given = str(options.get("sep") or options.get("delimiter") or ",")
    separator = "\\t" if given == "\\t" else f"\\Q{given}\\E"
    spaces = "[ \\t]*" if source.switched_on("ignoreLeadingWhiteSpace") else ""
    text = f"replace(value, {literal(quote * 2)}, '')"  # a doubled quote opens and closes nothing
    if escape not in (quote, ""):
        text = f"replace(regexp_replace(value, {literal(f'{re.escape(escape)}.')}, ''), {literal(quote * 2)}, '')"
    q = re.escape(quote)
    closed, opened = f"({{}}{separator}){spaces}{q}[^{q}]*{q}", f"({{}}{separator}){spaces}{q}[^{q}]*$"

    def ends_open(rest: str, start: str) -> str:
        without = f"regexp_replace({rest}, {literal(closed.format(start))}, '$1')"
        return f"{without} rlike {literal(opened.format(start))}"

    rest = f"substring({text}, instr({text}, {literal(quote)}) + 1)"
    there = f"instr({text}, {literal(quote)}) > 0"
    return (
        f"{there} and {ends_open(text, '^|')} as open",
        f"not {there} or {ends_open(rest, '')} as open_still",
        f"{there} as quoted",
    )


def _aggregates() -> list[Any]:
    from pyspark.sql import functions as F

    aggregates = {
        "lines": "count(*)",
        "returns": "count_if(returns)",
        "returns_inside": "bool_or(returns_inside)",
        "returns_first": f"coalesce(min_by(returns, {PLACE}) filter (where not open), false)",
        "undecodable": "count_if(undecodable)",
        "opening": "count_if(open)",
        # Lines with the same state at their end for both states at their start, and those that swap the states.
        "last_certain": "max(struct(start, id, open)) filter (where quoted and open = open_still)",
        "toggles": "count_if(open and not open_still)",
    }
    return [F.expr(sql).alias(name) for name, sql in aggregates.items()]


def _toggles_after(lines: DataFrame, last: dict[str, Any]) -> dict[str, int]:
    """Return by file the number of lines that change the state of a field after the last line that determines it."""
    from pyspark.sql import functions as F

    known = lines.sparkSession.createDataFrame(
        [(file, row.start, row.id) for file, row in last.items()], "file string, last_start long, last_id long"
    )
    after = lines.where("open and not open_still").join(F.broadcast(known), "file")
    after = after.where("start > last_start or start = last_start and id > last_id")
    return {row.file: row["count"] for row in after.groupBy("file").count().collect()}
