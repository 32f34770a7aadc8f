"""How verbs are added to the parser."""

from __future__ import annotations

import argparse
from typing import Any

from dataward.errors import UsageError

__all__ = ["Verb", "name_of", "options_of", "with_contract", "with_source"]


class Verb:
    """Adds verbs; ``group`` adds one that has verbs of its own."""

    def __init__(self, parser: argparse.ArgumentParser, metavar: str) -> None:
        self._holder: Any = parser.add_subparsers(title=f"{metavar.lower()}s", required=True, metavar=metavar)

    def __call__(self, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = self._holder.add_parser(name, help=help_text, description=help_text)
        made.add_argument("--json", action="store_true", help="one JSON document on stdout, logs on stderr")
        made.set_defaults(run=run)
        return made

    def group(self, name: str, help_text: str) -> Verb:
        return Verb(self._holder.add_parser(name, help=help_text, description=help_text), "ACTION")


def with_contract(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
    made.add_argument("--contract", required=True, metavar="FILE", help="the table's contract (YAML)")
    return made


def with_source(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """How a table that no contract names is read and looked at."""
    made.add_argument("--format", choices=("delta", "parquet", "csv", "json"), help="default: what the files are")
    made.add_argument(
        "--option", action="append", default=[], metavar="K=V", help="an option of Spark's reader, e.g. sep=;"
    )
    made.add_argument("--detectors", metavar="FILE", help="detectors of your own (YAML)")
    return made


def options_of(arguments: argparse.Namespace) -> dict[str, str]:
    """What ``--option`` said."""
    found = {}
    for text in arguments.option:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"--option {text}: write KEY=VALUE")
        found[key] = value
    return found


def name_of(source: str) -> str:
    """The last part of a path or name, as the name of a file."""
    last = source.rstrip("/").rpartition("/")[2]
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in last) or "place"
