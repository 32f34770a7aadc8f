"""How verbs are added to the parser."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["Verb", "with_contract"]


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
