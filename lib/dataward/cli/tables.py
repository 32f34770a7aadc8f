"""The verb publish."""

from __future__ import annotations

import argparse
import dataclasses
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dataward.cli import monitor
from dataward.cli.parsing import Verb, with_contract, with_monitoring, with_run_id
from dataward.cli.say import print_json, say
from dataward.errors import UsageError, counted

if TYPE_CHECKING:
    from dataward.report import RunResult

__all__ = ["add", "failed_rules", "importing"]

MOST = 10  # failed rules that the terminal shows
MANY = 20
"""Kept columns beyond which --explain lists their names in one line."""
INTERVAL = re.compile(r"[0-9]{1,6} (millisecond|second|minute|hour|day)s?", re.IGNORECASE)


def add(verb: Verb) -> None:
    """Add the verbs."""
    command = with_contract(verb("publish", _publish, "Check, split, protect, commit and seal one table."))
    with_run_id(command, "name of this run; a rerun under the same name changes nothing")
    command.add_argument("--report", default="reports", metavar="DIR", help="folder for reports (default: reports)")
    command.add_argument("--explain", action="store_true", help="print what a run would measure and how, without a run")
    command.add_argument(
        "--stream",
        metavar="CHECKPOINT",
        help="publish the data since the checkpoint, batch by batch, each batch exactly once",
    )
    command.add_argument(
        "--every",
        metavar="INTERVAL",
        help='with --stream: repeat at this interval, e.g. "30 seconds"; default: end after all present data',
    )
    with_monitoring(command)


@contextmanager
def importing(module: str) -> Iterator[None]:
    """Import a module while the JVM starts, for which this process only waits; an error of the import is left to who imports it next."""
    thread = threading.Thread(target=_imported, args=(module,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _imported(module: str) -> None:
    with suppress(Exception):
        import_module(module)


def _publish(arguments: argparse.Namespace) -> int:
    from dataward.pipeline.plan import plan
    from dataward.spark import session

    if arguments.every and not arguments.stream:
        raise UsageError("--every goes with --stream CHECKPOINT")
    if arguments.every and not INTERVAL.fullmatch(arguments.every):
        raise UsageError(f'--every {arguments.every}: write a number and a unit, such as "30 seconds" or "5 minutes"')
    if arguments.stream and arguments.run_id:
        raise UsageError("--run-id: a stream's batches have run ids of their own; leave it out")
    planned, where = plan(arguments.contract), monitor.destinations(arguments)
    for warning in planned.warnings:
        say(f"warning: {warning}")
    with importing("dataward.pipeline.publish"):
        spark = session.get()
    if arguments.explain:
        return _explain(arguments, spark, planned)
    if arguments.stream:
        return _stream(arguments, spark, planned)
    from dataward.pipeline.publish import publish

    say(f"publish {planned.name}: {planned.contract.source} -> {planned.contract.target}")
    with monitor.failing(planned.name, arguments.run_id, where):
        result = publish(spark, planned, arguments.run_id, arguments.report, say)
    monitor.sent(result, where, arguments.json)
    return told_run(result, arguments.json)


def _stream(arguments: argparse.Namespace, spark: Any, planned: Any) -> int:
    from dataward.verbs.stream import Following, stream

    say(f"stream {planned.name}: {planned.contract.source} -> {planned.contract.target}")
    codes, where = [0], monitor.destinations(arguments)

    def show(result: RunResult) -> None:
        monitor.sent(result, where, arguments.json)
        codes.append(told_run(result, arguments.json))

    with monitor.failing(planned.name, None, where):
        results = stream(spark, planned, arguments.stream, arguments.every, arguments.report, Following(say, show))
    say(
        (f"{len(results):,} batch" + ("es" if len(results) > 1 else ""))
        if results
        else "nothing new since the checkpoint"
    )
    return max(codes)


def told_run(result: RunResult, json: bool, came: str = "in", stayed: str = "quarantined") -> int:
    """Print the result of a run, and return the exit code."""
    if json:
        print_json(result.model_dump(mode="json"))
    rows = result.rows
    dropped = f" + {rows['dropped']:,} dropped" if came == "in" else ""
    merged = ", ".join(f"{count:,} {what}" for what, count in result.merged.items())
    published = f"{rows['published']:,} published" + (f" ({merged})" if merged else "")
    flow = f"{rows['in']:,} rows {came} = {published} + {rows['quarantined']:,} {stayed}{dropped}"
    if result.status == "stopped":
        say(
            f"STOPPED: nothing was published; {result.target.path} stays as it was",
            *(f"  {reason}" for reason in result.reasons),
        )
    else:
        say(f"{result.status}: {result.target.path} version {result.target.version}, {flow}")
        say(*failed_rules(result.verdicts))
    for repair in result.repairs:
        say(f"  {repair['treatment']}: {_repaired(repair)}")
    for warning in result.warnings:
        say(f"warning: {warning}")
    say(f"report: {result.report}")
    return 1 if result.status == "stopped" else 0


def failed_rules(verdicts: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each rule that failed although the run published, those that diverted most rows first; ten lines at most."""
    failed = [one for one in verdicts if one["outcome"] == "FAILED"]
    failed.sort(key=lambda one: (one["action"] != "quarantine", -(one["failed_rows"] or 0)))
    lines = []
    for one in failed[:MOST]:
        rows = "" if one["failed_rows"] is None else f"{counted(one['failed_rows'], 'row')} "
        number = "" if one["measured"] is None else f"measured {one['measured']:.6g}, expected {one['expected']} "
        what = f"{rows or number}{'failed' if one['action'] == 'quarantine' else 'failed (warning)'}"
        lines.append(f"  {what}: {one['rule']}")
    return lines + ([f"  and {len(failed) - MOST} more rules: see the report"] if len(failed) > MOST else [])


def _repaired(repair: dict[str, Any]) -> str:
    """Return the number of repaired cells or rows, and the kind of repair, as text."""
    number = counted(repair["count"], "cell" if repair["column"] else "row")
    words = {"low": "below the fence", "high": "above the fence", "not a number": "that are not a number"}
    return f"{number} {words.get(repair['what'], repair['what'])}"


def _explain(arguments: argparse.Namespace, spark: Any, planned: Any) -> int:
    from dataward.pipeline.repair import steps
    from dataward.verbs.explain import explain

    explained = explain(spark, planned)
    judging, protections = explained.suite, explained.protections
    repairs = steps(planned.contract.treat)
    if arguments.json:
        columns = [dataclasses.asdict(protected) for protected in protections]
        print_json(
            {
                "contract": planned.name,
                "reads": explained.reads,
                "treatments": repairs,
                "schema_changes": explained.changes,
                "passes": [dataclasses.asdict(one) for one in explained.passes],
            }
            | {**dataclasses.asdict(judging), "protections": columns}
        )
        return 0
    print(f"{planned.name} reads {explained.reads}")
    for change in explained.changes:
        print(f"schema of {planned.contract.target}: the run {change}")
    if repairs:
        print("repaired before the rules, which are evaluated before and after the repairs:")
    for cost, treatment in repairs:
        print(f"  {cost:<18} {treatment}")
    print(f"{planned.name}, engine {judging.engine}: {judging}")
    for rule, how in judging.steps:
        print(f"  {how:<18} {rule}")
    print("passes, in their order:")
    for one in explained.passes:
        print(f"  {one.over:<18} {one.what}{f', if {one.when}' if one.when else ''}")
    arrow = any(protected.stage == "arrow" for protected in protections)
    stages = "the JVM and one Arrow stage" if arrow else "the JVM alone, no Python"
    print(f"columns, protected in the pass that writes them, by {stages}:")
    kept = [one.column for one in protections if one.protection == "keep" and not one.class_]
    shown = protections if len(kept) <= MANY else [one for one in protections if one.column not in kept]
    for protected in shown:
        domain = f", key domain {protected.domain} version {protected.key_version}" if protected.domain else ""
        print(f"  {protected.stage:<8} {protected.column}: {protected.protection}{domain}")
    if len(shown) < len(protections):
        print(f"  kept     {len(kept)} columns without a class: {', '.join(kept)}")
    return 0
