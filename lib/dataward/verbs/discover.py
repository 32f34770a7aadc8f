"""Find the classes of sensitive data in one table or many, with confidence and evidence; draft a contract; report an estate.

No value leaves the workers: results are counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from dataward import report
from dataward.contract import CustomDetector, Document, Source, problems_of
from dataward.contract.draft import Drafting, DraftLine, choices, draft
from dataward.contract.load import from_caller
from dataward.contract.reserved import CHANGE, CHANGED, FAILED_COLUMNS, FAILED_RULES, REPAIRS, ROW_ID, RUN_ID
from dataward.errors import DatawardError, Problem, SourceError, UsageError
from dataward.integrity import migrate
from dataward.integrity.log.table import SCHEMA as LEDGER
from dataward.pipeline import metric_history as memory
from dataward.pipeline import refresh
from dataward.pipeline.guard import guarded
from dataward.privacy.discover.columns import outside
from dataward.privacy.discover.custom import with_custom
from dataward.privacy.discover.detectors import DETECTORS
from dataward.privacy.discover.score import UNSEEN, Finding
from dataward.privacy.discover.spark import discover_frame, sample
from dataward.privacy.protect import arrow_schema, entries, misfits, tree
from dataward.spark.session import isolated
from dataward.spark.sql import identifier
from dataward.tables import catalog, files
from dataward.tables.reading import counted
from dataward.tables.reason import reason
from dataward.tables.source import MALFORMED, Pin, pin

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

__all__ = ["Asked", "Discovered", "discover", "discover_all", "draft_lines", "drafted", "html", "source_of"]

FORMATS = get_args(Source.model_fields["format"].annotation)


def _names(schema: str) -> frozenset[str]:
    return frozenset(field.split()[0] for field in schema.split(", ") if ":" not in field.split()[0])


RECORDS = {
    "a ledger": _names(LEDGER),
    "an old ledger": _names(migrate.SCHEMA),
    "a history": _names(memory.SCHEMA),
    "a table of states": _names(refresh.SCHEMA),
    "a table of windows": frozenset({"start", "end", "rule", "kind", "count", "total", "run_id"}),
    "a vault": _names(entries.SCHEMA),
}
"""Tables without rows of a source, by the columns that identify them."""

BESIDE_ROWS = (
    frozenset({FAILED_RULES, FAILED_COLUMNS, ROW_ID, RUN_ID}),
    frozenset({CHANGE, CHANGED, REPAIRS, ROW_ID, RUN_ID}),
)
"""Columns that Dataward adds to rows of a quarantine and of a table of changes: they hold no personal data."""


@dataclass(frozen=True)
class Asked:
    """``rows``: approximate size of a random sample; None: all rows. ``custom``: user-defined detectors."""

    rows: int | None = 10_000
    custom: Mapping[str, CustomDetector] | None = None


@dataclass(frozen=True)
class Discovered:
    """Findings about one table.

    Attributes:
        source: the table.
        rows: its number of rows.
        looked: the size of the sample.
        columns: the finding of each column and path.
        schema: names and types of the columns.
        warnings: records that could not be read as they are meant.
    """

    source: str
    rows: int
    looked: int
    columns: tuple[Finding, ...]
    schema: pa.Schema
    warnings: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return the data that ``--json`` prints; ``class`` is null where nothing was found."""
        columns = [
            {
                "name": found.column,
                "class": found.class_,
                "confidence": vars(found.confidence),
                "evidence": list(found.evidence),
                "inside": [{"class": class_, "share": share} for class_, share in found.inside],
                "values": found.values,
                "free_text": found.prose,
            }
            for found in self.columns
        ]
        numbers = {"source": self.source, "rows": self.rows, "looked": self.looked}
        return {**numbers, "columns": columns, "warnings": list(self.warnings)}


@guarded("discover")
def discover(spark: SparkSession, source: Source | str, asked: Asked | None = None) -> Discovered:
    """Examine one table, given as a source, a path or a name of the catalog: one job counts its rows, one examines the sample.

    Raises:
        SourceError: the table cannot be read.
    """
    with isolated(spark) as own:
        return _looked(pin(own, as_source(own, source)), asked or Asked())


def as_source(spark: SparkSession, source: Source | str) -> Source:
    """Return a source as it is, and a path or a name of the catalog as :func:`source_of` has it."""
    return source_of(spark, source, None, {}) if isinstance(source, str) else source


def _looked(pinned: Pin, asked: Asked) -> Discovered:
    frame = pinned.frame.drop(MALFORMED)
    frame = frame.drop(*(name for names in BESIDE_ROWS if names <= set(frame.columns) for name in names))
    try:
        total, warnings = counted(pinned.frame)
        drawn = frame if asked.rows is None else sample(frame, asked.rows, total)
        findings = discover_frame(drawn, with_custom(asked.custom or {}))
    except Exception as error:
        raise SourceError(f"source {pinned.source}: {reason(error)}") from None
    looked = total if asked.rows is None else min(asked.rows, total)
    return Discovered(pinned.described, total, looked, tuple(findings), arrow_schema(frame.schema), warnings)


def source_of(spark: SparkSession, text: str, format_: str | None, options: Mapping[str, str]) -> Source:
    """Return a path or a name of the catalog as a source; its format is detected where none is given.

    Raises:
        SourceError: no table or path of that name exists.
        UsageError: an option does not fit.
    """
    if format_ is None and "/" not in text and not files.exists(spark, text):
        if (kind := catalog.kind(spark, text)) is None:
            raise SourceError(f"source {text}: there is no such path, and no such table in the catalog")
        if kind not in FORMATS or kind == "frame":
            raise SourceError(f"source {text}: it is a table stored as {kind}; name a view of it, or a copy in Delta")
        return Source.model_validate({"table": text, "format": kind})
    found = format_ or files.format_of(spark, text)
    if found is None:
        raise SourceError(
            f"source {text}: there is no Delta table, and no Parquet, ORC, Avro, CSV or JSON file. Check the path, or give --format"
        )
    defaults = {"header": "true"} if found == "csv" else {}
    return from_caller(Source, {"path": text, "format": found, "options": {**defaults, **options}})


@guarded("discover")
def discover_all(
    spark: SparkSession,
    root: str,
    asked: Asked,
    folder: str,
    progress: Callable[[str], None] = lambda line: None,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Examine every table below a path or of a database; returns the results in the form of ``as_data``, and the failures.

    Finished tables are recorded in ``FOLDER/estate.jsonl``, from which the next run resumes; a table that has changed since is
    examined again. Tables with Dataward's own records are left out, and named by ``progress``.

    Raises:
        UsageError: no table exists there.
    """
    if report.is_remote(folder):
        raise UsageError(f"--report {folder}: what an estate has come to is kept in a local folder: name one")
    tables = list(_tables(spark, root))
    if not tables:
        raise UsageError(f"{root}: there is no table below it, and no database of that name with one")
    state = Path(folder) / "estate.jsonl"
    state.parent.mkdir(parents=True, exist_ok=True)
    done = _done(state)
    made, failed = [], {}
    for number, source in enumerate(tables, 1):
        begun = time.perf_counter()
        try:
            with isolated(spark) as own:
                pinned = pin(own, source)
                if kind := own_records(pinned.frame.columns):
                    progress(f"  {number}/{len(tables)}  {source}: left out, it is {kind} of Dataward's own")
                    continue
                mark = _mark(pinned, asked)
                known = done.get(mark)
                data = known or {**_looked(pinned, asked).as_data(), "table": str(source)}
        except DatawardError as error:
            failed[str(source)] = str(error)
            progress(f"  {number}/{len(tables)}  {source}: {error}")
            continue
        if known is None:
            with state.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"mark": mark, "found": data}) + "\n")
        made.append(data)
        classes = sorted({c["class"] for c in data["columns"] if c["class"]})
        spent = "known" if known else f"{time.perf_counter() - begun:.1f} s"
        progress(f"  {number}/{len(tables)}  {source}: {', '.join(classes) or 'nothing'} ({spent})")
    return made, failed


def html(title: str, tables: list[dict[str, Any]], failed: Mapping[str, str] | None = None) -> str:
    """Return the page of one table or several."""
    where: dict[str, list[dict[str, str]]] = {}
    for table in tables:
        for column in table["columns"]:
            place = {"table": table.get("table", table["source"]), "column": column["name"]}
            if column["class"] not in (None, "protected"):
                sure = column["confidence"]
                where.setdefault(column["class"], []).append({**place, "how": f"{sure['value']:.2f}"})
            for inside in column["inside"]:
                where.setdefault(inside["class"], []).append(
                    {**place, "how": f"inside of {inside['share']:.2%} of its texts"}
                )
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    ordered = dict(sorted(where.items(), key=lambda one: -len(one[1])))
    return report.draw(
        "discovered.html.j2", title=title, tables=tables, where=ordered, failed=dict(failed or {}), time=now
    )


def _tables(spark: SparkSession, root: str) -> Iterator[Source]:
    if not files.exists(spark, root):
        if "/" in root or not spark.catalog.databaseExists(root):
            return
        name = identifier(*root.split("."))
        views = {row["viewName"] for row in spark.sql(f"SHOW VIEWS IN {name}").collect()}
        for row in spark.sql(f"SHOW TABLES IN {name}").collect():
            if not row["isTemporary"] and row["tableName"] not in views:
                yield source_of(spark, f"{root}.{row['tableName']}", None, {})
        return
    for path, format_ in files.tables_below(spark, root):
        yield source_of(spark, path, format_, {})


def own_records(columns: Iterable[str]) -> str:
    """Return the kind of Dataward's own records in a table with these columns; empty for any other table."""
    there = set(columns)
    return next((kind for kind, names in RECORDS.items() if names <= there), "")


def _mark(pinned: Pin, asked: Asked) -> str:
    """Return the key of a table's state and of the requested examination."""
    custom = {name: one.model_dump(by_alias=True) for name, one in (asked.custom or {}).items()}
    known = [(one.class_, one.names, one.hints, [(p.regex, p.odds) for p in one.patterns]) for one in DETECTORS]
    basis = json.dumps([str(pinned.source), pinned.digest, asked.rows, custom, known], sort_keys=True, default=str)
    return sha256(basis.encode()).hexdigest()


def _done(state: Path) -> dict[str, dict[str, Any]]:
    done = {}
    for text in state.read_text(encoding="utf-8").splitlines() if state.exists() else ():
        try:
            line = json.loads(text)
        except ValueError:  # the last line of a run that was killed
            continue
        done[line["mark"]] = line["found"]
    return done


IDENTIFYING = frozenset({"person_name", "health_id", "national_id", "username"})
"""Classes whose values are searched in the free text of the same row."""


def drafted(source: Source, found: Discovered, how: Drafting | None = None) -> str:
    """Return the text of a valid contract that fits the columns of the table.

    Where the first choice for a column does not fit its type, or protects less than the policy demands, the next choice is used.
    """
    how, chosen = how or Drafting(), dict[str, int]()
    lines = list(draft_lines(found))
    given = {line.path: choices(line, how.policy) for line in lines}
    while True:
        text = draft(source, lines, how, chosen)
        contract, problems = problems_of(Document.parse(text))
        refused = {path for problem in problems for path in given if _is_about(problem, path)}
        if contract is not None and not problems:
            unfit = [path for field in found.schema if misfits(contract, field, found.schema) for path in _paths(field)]
            refused = {path for path in unfit if not contract.columns[path].protect.keeps}
        changed = {path: chosen.get(path, 0) + 1 for path in refused if chosen.get(path, 0) + 1 < len(given[path])}
        if not changed:
            return text
        chosen |= changed


def _is_about(problem: Problem, path: str) -> bool:
    where = problem.where.removeprefix("columns.")
    return where == path or where.startswith(f"{path}.")


def draft_lines(found: Discovered) -> Iterator[DraftLine]:
    """Yield an entry for each column and path; paths inside JSON text belong to the entry of the text."""
    import pyarrow as pa

    of_path = {one.column: one for one in found.columns}
    # A string that holds JSON is a column of its own, before the paths inside it.
    whole = [path for field in found.schema for path in _paths(field)]
    in_json: dict[str, list[tuple[str, str | None]]] = {}
    for one in found.columns:
        path, inner = outside(one.column, whole)
        if inner and (one.sensitive or one.inside):
            in_json.setdefault(path, []).append((inner, one.class_ if one.sensitive else None))
    plain = {field.name for field in found.schema if not pa.types.is_nested(field.type)}
    also = tuple(name for name in of_path if name in plain and of_path[name].class_ in IDENTIFYING)
    for path in whole:
        if path not in of_path:
            yield DraftLine(path, None, "holds no text")
            continue
        one, below = of_path[path], tuple(in_json.get(path, ()))
        note = "JSON" if below else _note(one)
        inside = tuple(class_ for class_, _ in one.inside)
        yield DraftLine(path, one.class_, note, inside, below, one.prose, tuple(name for name in also if name != path))


def _paths(field: pa.Field) -> list[str]:
    return [path for path, _ in tree.paths(field)]


def _note(one: Finding) -> str:
    sure = one.confidence
    if one.class_:
        return f"{sure.value:.2f} ({sure.low:.2f}-{sure.high:.2f})"
    note = f"{', '.join(class_ for class_, _ in one.inside)} inside of its texts" if one.inside else ""
    return "; ".join(filter(None, (note, f"free text: {UNSEEN}" if one.prose else ""))) or "nothing found"
