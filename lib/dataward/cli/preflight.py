"""``dataward preflight``: check the environment of a contract's job before it runs."""

from __future__ import annotations

import argparse
import dataclasses

from dataward.cli.parsing import Verb
from dataward.cli.say import print_json, say
from dataward.errors import UsageError, counted

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verb."""
    command = verb(
        "preflight", _preflight, "Check settings, buckets, tables and the wire of a contract's job; changes nothing."
    )
    command.add_argument("contract", metavar="CONTRACT", help="the table's contract (YAML)")
    command.add_argument(
        "--conf", default="", metavar="FILE", help="settings of a spark-submit properties file; needs no Spark"
    )
    command.add_argument("--writers", type=int, default=1, metavar="N", help="jobs that write the table at once (1)")
    command.add_argument("--no-storage", action="store_true", help="ask AWS nothing")


def _preflight(arguments: argparse.Namespace) -> int:
    from dataward.pipeline.plan import plan
    from dataward.verbs.preflight import Asked, preflight

    if arguments.writers < 1:
        raise UsageError(f"--writers {arguments.writers}: give the number of jobs, at least 1")
    planned = plan(arguments.contract)
    spark = None
    if not arguments.conf:
        from dataward.spark import session

        spark = session.get()
    found = preflight(spark, planned, Asked(arguments.conf, arguments.writers, not arguments.no_storage))
    stops = sum(finding.stops for finding in found)
    if arguments.json:
        print_json({"contract": planned.name, "ready": not stops, "findings": [dataclasses.asdict(f) for f in found]})
        return 1 if stops else 0
    for finding in found:
        print(f"{'STOP' if finding.stops else 'warn'}  {finding.code:<24} {finding.what}")
        print(f"      {'':<24} -> {finding.remedy}")
    say(f"{planned.name}: " + (f"{counted(stops, 'reason')} not to run" if stops else "ready to run")
        + (f", {counted(len(found) - stops, 'warning')}" if len(found) > stops else ""))  # fmt: skip
    return 1 if stops else 0
