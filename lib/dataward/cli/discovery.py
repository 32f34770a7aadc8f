"""The verb discover."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from dataward.cli.parsing import Verb, name_of, options_of, with_source
from dataward.cli.say import print_json, say
from dataward.errors import UsageError

__all__ = ["add", "drafts_next", "refuse_existing", "write_draft"]

MANY = 20
"""Columns without findings beyond which their names are listed in one line."""


def add(verb: Verb) -> None:
    """Add the verb."""
    command = verb("discover", _discover, "Find what is sensitive in a table, or in every table of a place.")
    command.add_argument(
        "source", metavar="SOURCE", help="a path, or a table of the catalog; with --all a place or a database"
    )
    command.add_argument(
        "--all",
        action="store_true",
        help="every table below the path, or of the database; goes on where it was interrupted",
    )
    with_source(command)
    command.add_argument(
        "--rows",
        type=int,
        default=10_000,
        metavar="N",
        help="about how many rows are looked at, drawn at random (default: 10000)",
    )
    command.add_argument("--full", action="store_true", help="look at every row")
    command.add_argument(
        "--report", default="reports/discover", metavar="DIR", help="folder for the page (default: reports/discover)"
    )
    command.add_argument(
        "--draft", metavar="FILE", help="write a contract to begin with; an existing file is left alone"
    )
    command.add_argument("--policy", metavar="FILE", help="the policy that the draft follows")


def _discover(arguments: argparse.Namespace) -> int:
    from dataward.contract import detectors
    from dataward.contract.draft import Drafting
    from dataward.contract.load import policy_of
    from dataward.report import put
    from dataward.spark import session
    from dataward.verbs.discover import Asked, discover, discover_all, drafted, html, source_of

    if arguments.rows < 1:
        raise UsageError("--rows: give 1 or more, or --full")
    refuse_existing(arguments.draft)
    if arguments.all and (arguments.draft or arguments.format or arguments.option):
        raise UsageError("--draft, --format and --option go with one table: leave out --all")
    policy = policy_of(arguments.policy) if arguments.policy else None
    custom = detectors(arguments.detectors) if arguments.detectors else {}
    asked = Asked(None if arguments.full else arguments.rows, custom)
    spark = session.get()
    folder = arguments.report.rstrip("/")
    page = f"{folder}/{name_of(arguments.source)}.html"
    if arguments.all:
        tables, failed = discover_all(spark, arguments.source, asked, folder, say)
        put(spark, page, html(arguments.source, tables, failed))
        if arguments.json:
            print_json({"place": arguments.source, "tables": tables, "failed": failed, "report": page})
        else:
            _print_estate(tables)
        say(f"report: {page}")
        return 1 if failed else 0
    source = source_of(spark, arguments.source, arguments.format, options_of(arguments))
    found = discover(spark, source, asked)
    data = found.as_data()
    put(spark, page, html(arguments.source, [data]))
    if arguments.draft:
        how = Drafting(policy, arguments.policy, arguments.detectors)
        write_draft(arguments.draft, drafted(source, found, how))
    if arguments.json:
        print_json({**data, "report": page})
    else:
        _print(data)
    say(*(f"warning: {warning}" for warning in found.warnings), f"report: {page}")
    if arguments.draft:
        say(*drafts_next(arguments.draft))
    return 0


def _print(data: dict[str, Any]) -> None:
    print(f"{data['source']}: {data['rows']:,} rows, {data['looked']:,} looked at")
    plain = [c["name"] for c in data["columns"] if not (c["class"] or c["inside"] or c["free_text"])]
    columns = [c for c in data["columns"] if len(plain) <= MANY or c["name"] not in plain]
    width = max((len(column["name"]) for column in columns), default=0)
    kinds = max((len(column["class"] or "-") for column in data["columns"]), default=0)
    for column in columns:
        sure = column["confidence"]
        probability = f"{sure['value']:.2f} ({sure['low']:.2f}-{sure['high']:.2f})" if column["class"] else ""
        why = "; ".join(
            column["evidence"][:2] if column["class"] else ["free text, seen in part only"] * column["free_text"]
        )
        print(f"  {column['name']:<{width}}  {column['class'] or '-':<{kinds}}  {probability:<16}  {why}".rstrip())
        for inside in column["inside"]:
            print(f"  {'':<{width}}  {inside['class']} inside of {inside['share']:.2%} of its texts")
    if len(columns) < len(data["columns"]):
        print(f"  nothing was found in {len(plain)} further columns: {', '.join(plain)}")


def _print_estate(tables: list[dict[str, Any]]) -> None:
    for table in tables:
        found = [column for column in table["columns"] if column["class"] not in (None, "protected")]
        kept = sum(column["class"] == "protected" for column in table["columns"])
        inside = sum(bool(column["inside"]) for column in table["columns"])
        print(f"{table['table']}: {table['rows']:,} rows, {len(table['columns'])} columns; readable and sensitive {len(found)}, "
              f"protected {kept}, with something inside of texts {inside}")  # fmt: skip
        for column in found:
            print(f"  {column['name']}: {column['class']} {column['confidence']['value']:.2f}")


def drafts_next(path: str) -> tuple[str, ...]:
    """Return what is done with a draft."""
    return (
        f"draft of a contract: {path}. Review every line, then:",
        f"  dataward keys create {path}",
        f"  dataward publish --contract {path}",
    )


def refuse_existing(path: str | None) -> None:
    """Refuse to overwrite a file with a draft."""
    if path and Path(path).exists():
        raise UsageError(f"--draft {path}: the file exists already and is left alone; name another")


def write_draft(path: str, text: str) -> None:
    """Write a draft to its file.

    Raises:
        UsageError: the file cannot be written.
    """
    from dataward.tables.replacing import replace_file

    try:
        replace_file(Path(path), text.encode())
    except OSError as error:
        raise UsageError(f"--draft {path}: {error.strerror}") from None
