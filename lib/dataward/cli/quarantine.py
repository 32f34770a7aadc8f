"""``dataward quarantine``: list, show, release and discard diverted rows."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from dataward.cli import monitor
from dataward.cli.parsing import Verb, with_contract, with_monitoring, with_run_id
from dataward.cli.say import print_json, say
from dataward.cli.tables import told_run

if TYPE_CHECKING:
    from dataward.verbs.quarantine import Batch

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verb and its actions."""
    action = verb.group("quarantine", "List, show, release or discard diverted rows.")
    with_contract(action("list", _list, "List the runs that diverted rows, with the present state of these rows."))
    command = _with_run(
        action("show", _show, "Show why a run's rows wait, and some of them, protected as they are stored.")
    )
    command.add_argument("--rows", type=int, default=10, metavar="N", help="how many rows to show (10)")
    command = _with_run(
        action(
            "release",
            _release,
            "Evaluate the rules on a run's source again and publish the waiting rows that pass now.",
        )
    )
    with_monitoring(command)
    with_run_id(command, "name of the release; a rerun under the same name completes it")
    command.add_argument("--report", default="reports", metavar="DIR", help="folder for reports (default: reports)")
    command = _with_run(action("discard", _discard, "Delete waiting rows; the ledger records who, how many and why."))
    command.add_argument("--rule", metavar="TEXT", help="only rows that failed this rule, as 'show' lists it")
    command.add_argument(
        "--replaced", action="store_true", help="only rows that a later run judged again, as 'list' counts them"
    )
    command.add_argument("--reason", required=True, metavar="TEXT", help="why, for the ledger")


def _with_run(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    with_contract(command).add_argument(
        "--run", dest="of_run", required=True, metavar="RUN", help="the run that diverted the rows"
    )
    return command


def _session(arguments: argparse.Namespace) -> tuple[Any, Any]:
    from dataward.pipeline.plan import plan
    from dataward.spark import session

    planned = plan(arguments.contract)
    return session.get(), planned


def _list(arguments: argparse.Namespace) -> int:
    from dataward.verbs.quarantine import batches

    spark, planned = _session(arguments)
    runs = batches(spark, planned)
    if arguments.json:
        print_json([{**dataclasses.asdict(batch), "lost": batch.lost} for batch in runs])
        return 1 if any(batch.lost for batch in runs) else 0
    if not runs:
        print("no run has diverted a row")
    for batch in runs:
        print(
            f"{batch.run_id}  {batch.time}  {batch.quarantined:,} diverted = {batch.waiting:,} waiting + "
            f"{batch.released:,} released + {batch.discarded:,} discarded"
            + _replaced(batch)
            + (f"; {batch.lost:,} ARE GONE (erased, or taken out by somebody)" if batch.lost else "")
        )
    return 1 if any(batch.lost for batch in runs) else 0


def _replaced(batch: Batch) -> str:
    if not batch.replaced:
        return ""
    why = (
        f"{batch.by} judged {batch.replaced:,} again"
        if batch.by
        else f"of {batch.replaced:,} the target has newer rows"
    )
    return f"; {why}, remove these: discard --replaced"


def _show(arguments: argparse.Namespace) -> int:
    from dataward.verbs.quarantine import show

    spark, planned = _session(arguments)
    shown = show(spark, planned, arguments.of_run, arguments.rows)
    if arguments.json:
        texts = [[None if value is None else str(value) for value in row] for row in shown.rows]
        rows = [dict(zip(shown.columns, row, strict=True)) for row in texts]
        print_json({"run": arguments.of_run, "rules": shown.rules, "rows": rows})
        return 0
    for rule, count in shown.rules.items():
        print(f"{count:>10,}  {rule}")
    for row in shown.rows:
        print()
        for name, value in zip(shown.columns, row, strict=True):
            print(f"  {name}: {value}")
    return 0


def _release(arguments: argparse.Namespace) -> int:
    from dataward.verbs.quarantine import release

    where = monitor.destinations(arguments)
    spark, planned = _session(arguments)
    say(f"release {arguments.of_run}: {planned.contract.quarantine_location} -> {planned.contract.target}")
    with monitor.failing(planned.name, arguments.run_id, where):
        result = release(spark, planned, arguments.of_run, arguments.run_id, arguments.report, say)
    monitor.sent(result, where, arguments.json)
    return told_run(result, arguments.json, "waited", "waiting on")


def _discard(arguments: argparse.Namespace) -> int:
    from dataward.verbs.quarantine import discard

    spark, planned = _session(arguments)
    rows = discard(spark, planned, arguments.of_run, arguments.rule, arguments.reason, arguments.replaced)
    if arguments.json:
        print_json({"run": arguments.of_run, "discarded": rows})
    else:
        print(f"{rows:,} rows of run {arguments.of_run} discarded")
    return 0
