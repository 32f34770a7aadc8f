"""``dataward audit``: query events, deliver and seal them, check them against the ledger, correlate them with CloudTrail."""

from __future__ import annotations

import argparse
import dataclasses
from datetime import datetime, timezone
from typing import Any

from dataward.cli.parsing import Verb, with_contract
from dataward.cli.say import print_json, say
from dataward.errors import UsageError, counted

__all__ = ["add"]

ACTIONS = {
    "query": "list events (the default)",
    "flush": "record killed verbs, and deliver what waits to every sink",
    "seal": "flush, and enter the digest of unsealed events in the ledger",
    "check": "compare the events with their digests in the ledger",
    "correlate": "name accesses to the table's files and keys in CloudTrail that no verb explains",
}


def add(verb: Verb) -> None:
    """Add the verb."""
    command = with_contract(
        verb("audit", _audit, "List the events of a contract's verbs; deliver, seal, check and correlate them.")
    )
    actions = "; ".join(f"{name}: {what}" for name, what in ACTIONS.items())
    command.add_argument("action", nargs="?", choices=tuple(ACTIONS), default="query", help=actions)
    command.add_argument(
        "--who", default="", metavar="NAME", help="query: principal, the last part of its ARN, or a group"
    )
    command.add_argument(
        "--table", default="", metavar="T", help="query: contract or place, where a sink holds several"
    )
    command.add_argument("--verb", default="", metavar="V", help="query: such as publish, read, reidentify")
    command.add_argument(
        "--status", default="", choices=("success", "failure", "denied", "interrupted"), help="query: outcome"
    )
    command.add_argument("--since", metavar="TIME", help="query: ISO 8601, or a length before now such as 24h or 7d")
    command.add_argument("--cloudtrail", metavar="PATH", help="correlate: file or folder of CloudTrail's records")
    command.add_argument("--slack", type=float, default=60.0, metavar="S", help="correlate: seconds around a verb (60)")


def _audit(arguments: argparse.Namespace) -> int:
    from dataward.pipeline.plan import plan
    from dataward.spark import session
    from dataward.verbs.audit import needs_spark

    planned = plan(arguments.contract)
    spark = session.get() if needs_spark(planned) else None
    run = {"query": _query, "flush": _flush, "seal": _flush, "check": _check, "correlate": _correlate}[arguments.action]
    return run(arguments, spark, planned)


def _query(arguments: argparse.Namespace, spark: Any, planned: Any) -> int:
    from dataward.verbs.audit import Filter, events, since

    start = since(arguments.since) if arguments.since else None
    found = events(spark, planned, Filter(arguments.who, arguments.table, arguments.verb, arguments.status, start))
    if arguments.json:
        print_json(found)
        return 0
    for event in found:
        own = event["unmapped"]["dataward"]
        time = datetime.fromtimestamp(event["time"] / 1000, timezone.utc)
        rows = [
            f"{time:%Y-%m-%d %H:%M:%S}Z",
            f"{own['status']:<11}",
            f"{own['verb']:<12}",
            event["actor"]["user"]["name"],
        ]
        about = (event.get("table") or event.get("entity") or {}).get("name", "")
        more = [
            f"{name}={own[name]}"
            for name in ("version", "rows", "run_id", "entry", "purpose", "ticket")
            if own.get(name) not in (None, "")
        ]
        print("  ".join([*rows, about, *more]))
    say(counted(len(found), "event"))
    return 0


def _flush(arguments: argparse.Namespace, spark: Any, planned: Any) -> int:
    from dataward.verbs.audit import flush

    done = flush(spark, planned, arguments.action == "seal")
    if arguments.json:
        print_json(dataclasses.asdict(done))
    else:
        if done.recovered:
            print(f"{counted(done.recovered, 'killed verb')} recorded")
        for trouble in done.troubles:
            print(f"DOWN  {trouble}")
        if done.entry is not None:
            print(f"the digest is entry {done.entry} of the ledger")
        if not done.troubles:
            print("every sink has every event")
    return 3 if done.troubles else 0


def _check(arguments: argparse.Namespace, spark: Any, planned: Any) -> int:
    from dataward.verbs.audit import check

    done = check(spark, planned)
    if arguments.json:
        print_json({**dataclasses.asdict(done), "holds": done.holds})
        return 0 if done.holds else 1
    for flaw in done.flaws:
        print(f"FAILED  {flaw}")
    print(f"{counted(done.events, 'event')} in {done.batches} digest(s) of the ledger; {done.open} not sealed yet")
    print("the events are those that were sealed" if done.holds else "THE EVENTS ARE NOT THOSE THAT WERE SEALED")
    return 0 if done.holds else 1


def _correlate(arguments: argparse.Namespace, spark: Any, planned: Any) -> int:
    from dataward.verbs.audit import correlated

    if not arguments.cloudtrail:
        raise UsageError("correlate needs --cloudtrail PATH: a file or folder of CloudTrail's records")
    found = correlated(spark, planned, arguments.cloudtrail, arguments.slack)
    if arguments.json:
        explained = [{**dataclasses.asdict(one), "event": uid} for one, uid in found.explained]
        print_json({"explained": explained, "unexplained": [dataclasses.asdict(one) for one in found.unexplained]})
        return 1 if found.unexplained else 0
    for one in found.unexplained:
        refused = " (denied by AWS)" if one.denied else ""
        by = f"by {one.who or 'somebody'} from {one.source_ip or '?'}{refused}"
        print(f"UNEXPLAINED  {one.time:%Y-%m-%d %H:%M:%S}Z  {one.action}  {one.what}  {by}")
    total = len(found.explained) + len(found.unexplained)
    print(f"{len(found.explained)} of {total} accesses are explained by verbs")
    return 1 if found.unexplained else 0
