"""``dataward release-set``: publish several tables as one, and verify and read what was released."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from dataward.cli.parsing import Verb, with_run_id
from dataward.cli.say import print_json, say
from dataward.errors import counted

if TYPE_CHECKING:
    from dataward.verbs.release_set import Released

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verbs."""
    group = verb.group("release-set", "Publish several tables as one entry: readers get all of them or none.")
    command = _with_set(group("publish", _publish, "Publish every table of a set, then release them together."))
    with_run_id(command, "default: a fresh one; that of a killed run finishes it")
    command.add_argument("--reports", default="reports", metavar="DIR", help="folder of the runs' reports")
    command.add_argument(
        "--newest",
        action="store_true",
        help="publish nothing: release the newest sealed version of every table, verified",
    )
    command = _with_set(group("verify", _verify, "Prove a release and all of its tables, without Spark."))
    command.add_argument("--number", type=int, metavar="N", help="number of the release; default: the newest")
    command.add_argument("--public-key", action="append", default=[], metavar="PEM",
                         help="trusted public keys (of: dataward keys public); default: the keyrings")  # fmt: skip
    command = _with_set(group("show", _show, "Show the tables of a release with their versions."))
    command.add_argument("--number", type=int, metavar="N", help="number of the release; default: the newest")


def _with_set(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("set", metavar="SET", help="the file of the set (YAML; docs/release-set.md)")
    return command


def _plain(released: Released) -> dict[str, Any]:
    return dataclasses.asdict(released) | {"members": [one.model_dump() for one in released.members]}


def _publish(arguments: argparse.Namespace) -> int:
    from dataward.contract.sets import load_set
    from dataward.verbs.release_set import publish_set

    given, spark = load_set(arguments.set), None
    if not arguments.newest:
        from dataward.spark import session

        spark = session.get()
    done = publish_set(spark, given, arguments.run_id, arguments.reports, say)
    if arguments.json:
        print_json(_plain(done))
    if done.entry is None:
        say(
            f"contract {', '.join(done.stopped)}: its run was stopped, so set {done.set} was not released; readers keep the release before"
        )
        say(f"mend the data or the rules, then run it again (run id {done.run_id} is spent)")
        return 1
    say(f"set {done.set} is released: entry {done.entry}, {counted(len(done.members), 'table')}, run {done.run_id}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from dataward.contract.sets import load_set
    from dataward.verbs.release_set import verify_set

    proof = verify_set(load_set(arguments.set), tuple(arguments.public_key), arguments.number)
    if arguments.json:
        print_json({**dataclasses.asdict(proof), "holds": proof.holds, "released": _plain(proof.released)})
        return 0 if proof.holds else 1
    print(
        f"set {proof.released.set}, entry {proof.released.entry}, released {proof.released.time} by run {proof.released.run_id}"
    )
    for finding in proof.findings:
        print(f"  {'FAILED' if finding.fails else 'note  '}  {finding}")
    for table in proof.proofs:
        wrong = table.wrong
        print(
            f"  {'ok    ' if table.holds else 'FAILED'}  {table.target} version {table.version}{': ' if wrong else ''}{wrong}"
        )
    print("the proof holds" if proof.holds else "THE PROOF DOES NOT HOLD")
    return 0 if proof.holds else 1


def _show(arguments: argparse.Namespace) -> int:
    from dataward.contract.sets import load_set
    from dataward.verbs.release_set import show_set

    released = show_set(load_set(arguments.set), arguments.number)
    if arguments.json:
        print_json(_plain(released))
        return 0
    print(f"set {released.set}, entry {released.entry}, released {released.time} by run {released.run_id}")
    for one in released.members:
        print(f"  {one.contract}: {one.target} version {one.version}, run {one.run_id}")
    return 0
