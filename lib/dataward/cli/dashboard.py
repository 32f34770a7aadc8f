"""``dataward dashboard``: one static page over all contracts."""

from __future__ import annotations

import argparse
import dataclasses

from dataward.cli.parsing import Verb
from dataward.cli.say import print_json, say
from dataward.errors import counted

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verb."""
    command = verb(
        "dashboard", _dashboard, "Draw one static page over all contracts from their reports; needs no Spark."
    )
    command.add_argument("folder", metavar="DIR", help="the folder of reports, e.g. reports")
    command.add_argument(
        "--events", action="append", default=[], metavar="FILE", help="audit events (JSON lines), or a folder of them"
    )
    command.add_argument(
        "--proof", action="append", default=[], metavar="FILE", help="what 'dataward verify --json' printed"
    )
    command.add_argument(
        "--budgets", action="append", default=[], metavar="FILE", help="JSON: a list of name, unit, spent, cap"
    )
    command.add_argument("--out", default="", metavar="FILE", help="default: DIR/index.html")


def _dashboard(arguments: argparse.Namespace) -> int:
    from dataward.verbs.dashboard import Asked, draw_dashboard

    events, proofs, budgets = (tuple(given) for given in (arguments.events, arguments.proof, arguments.budgets))
    drawn = draw_dashboard(Asked(arguments.folder, events, proofs, budgets, arguments.out))
    for file in drawn.unread:
        say(f"warning: {file} could not be read")
    if not drawn.runs:
        say(f"warning: {arguments.folder} holds no report of a run (CONTRACT/RUN/report.json), so the page is empty: name the --report "
            "folder of your runs, by default 'reports'")  # fmt: skip
    if arguments.json:
        print_json(dataclasses.asdict(drawn))
    else:
        print(
            f"{drawn.page}: {counted(drawn.contracts, 'contract')}, {counted(drawn.runs, 'run')}, {counted(drawn.events, 'event')}"
        )
    return 0
