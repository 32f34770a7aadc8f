"""``dataward lineage``: the lineage of tables over many contracts."""

from __future__ import annotations

import argparse
import dataclasses
from datetime import datetime, timezone
from pathlib import Path

from dataward.cli.parsing import Verb
from dataward.cli.say import print_json, say
from dataward.errors import counted

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verb."""
    command = verb("lineage", _lineage, "Show which table was made of which, over many contracts.")
    command.add_argument("contracts", nargs="+", metavar="CONTRACT", help="contract files, or folders of them")
    command.add_argument("--html", metavar="FILE", help="write the graph as a page")


def _lineage(arguments: argparse.Namespace) -> int:
    from dataward.report.lineage import html
    from dataward.spark import session
    from dataward.tables.replacing import replace_file
    from dataward.verbs.lineage import lineage, plans_of

    plans = plans_of(arguments.contracts, say)
    found = lineage(session.get(), plans)
    if arguments.html:
        page = html(found, f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC")
        replace_file(Path(arguments.html), page.encode())
    if arguments.json:
        print_json({**dataclasses.asdict(found), "page": arguments.html})
        return 0
    for layer in found.layers():
        for table in layer:
            sealed = f"version {table.version} sealed {table.sealed_at}" if table.version is not None else "no seal"
            print(f"{table.place}: {sealed}")
            for edge in found.edges:
                if edge.target == table.place:
                    version = "" if edge.source_version is None else f" version {edge.source_version}"
                    how = "from" if edge.role == "source" else f"compared with ({edge.role})"
                    protected = f", {counted(len(edge.protected), 'column')} protected" if edge.role == "source" else ""
                    print(f"  {how} {edge.source}{version} by contract '{edge.contract}'{protected}")
    if arguments.html:
        say(f"page: {arguments.html}")
    return 0
