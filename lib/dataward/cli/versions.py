"""``dataward diff``, ``restore``, ``vacuum`` and ``reconcile``: compare, restore, remove and seal versions of a target."""

from __future__ import annotations

import argparse
import dataclasses

from dataward.cli.parsing import Verb, with_contract, with_run_id
from dataward.cli.say import print_json, say
from dataward.errors import counted

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verbs."""
    command = with_contract(verb("diff", _diff, "Compare two versions: rows added, removed and changed by key."))
    command.add_argument("earlier", type=int, metavar="V1")
    command.add_argument("later", type=int, metavar="V2")
    command.add_argument(
        "--key", default="", metavar="A,B", help="columns that identify a row; default: those of a merge"
    )
    command.add_argument(
        "--examples", type=int, default=0, metavar="N", help="also list the keys of N rows, as they are stored"
    )
    command = with_contract(
        verb("restore", _restore, "Bring a sealed version back as the newest, verified before and sealed.")
    )
    command.add_argument("--to", type=int, required=True, metavar="V", help="the sealed version")
    with_run_id(command, "default: a fresh one; that of a killed restore finishes it")
    command = with_contract(
        verb("vacuum", _vacuum, "Remove files of old versions, as far as the contract's retention allows.")
    )
    command.add_argument(
        "--hours", type=int, metavar="H", help="keep versions of the last H hours; default: the contract's retention"
    )
    command.add_argument("--dry-run", action="store_true", help="only count what would go")
    command = with_contract(
        verb(
            "reconcile", _reconcile, "Seal commits of killed runs that cannot be rerun, and list what cannot be sealed."
        )
    )
    command.add_argument("--dry-run", action="store_true", help="only list the commits without a seal")


def _diff(arguments: argparse.Namespace) -> int:
    from dataward.pipeline.plan import plan
    from dataward.spark import session
    from dataward.verbs.diff import diff

    planned = plan(arguments.contract)
    key = tuple(name.strip() for name in arguments.key.split(",") if name.strip())
    found = diff(session.get(), planned, arguments.earlier, arguments.later, key, arguments.examples)
    if arguments.json:
        print_json(dataclasses.asdict(found))
        return 0
    by = f" by {', '.join(found.key)}" if found.key else ", whole rows"
    print(f"{found.target} version {found.earlier} to {found.later}{by}")
    for what in ("added", "removed", "changed", "unchanged"):
        print(f"  {getattr(found, what):>12,}  {what}")
    for name, number in found.columns_changed.items():
        print(f"  {number:>12,}  changed in {name}")
    for what, names in (("added", found.columns_added), ("removed", found.columns_removed)):
        print(*(f"  column {name} {what}" for name in names), sep="\n", end="\n" if names else "")
    for one in found.examples:
        print("  " + ", ".join(f"{name}: {value}" for name, value in one.items()))
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    from dataward.pipeline.plan import plan
    from dataward.spark import session
    from dataward.verbs.restore import restore

    done = restore(session.get(), plan(arguments.contract), arguments.to, arguments.run_id)
    if arguments.json:
        print_json(dataclasses.asdict(done))
    say(f"{done.target} version {done.version} holds what version {done.restored} held: {counted(done.rows, 'row')}")
    say(f"sealed by run {done.run_id}")
    return 0


def _vacuum(arguments: argparse.Namespace) -> int:
    from dataward.pipeline.plan import plan
    from dataward.spark import session
    from dataward.verbs.vacuum import vacuum

    done = vacuum(session.get(), plan(arguments.contract), arguments.hours, arguments.dry_run)
    if arguments.json:
        print_json({"tables": [dataclasses.asdict(one) for one in done]})
    for one in done:
        went = "would go" if one.dry_run else "removed"
        say(
            f"{one.table}: {counted(one.files, 'file')} {went}, {one.bytes:,} bytes; versions of the last {one.hours} hours stay"
        )
    return 0


def _reconcile(arguments: argparse.Namespace) -> int:
    from dataward.pipeline.plan import plan
    from dataward.spark import session
    from dataward.verbs.reconcile import reconcile

    done = reconcile(session.get(), plan(arguments.contract), arguments.dry_run)
    if arguments.json:
        print_json(dataclasses.asdict(done))
    for one in done.adopted:
        how = "can be sealed" if one.entry is None else f"is sealed now, entry {one.entry}"
        say(f"{done.target} version {one.version} of run {one.run_id} {how}; its verdicts are not recorded")
    for left in done.left:
        run = f" of run {left.run_id}" if left.run_id else ""
        say(f"{done.target} version {left.version} ({left.operation}{run}) has no seal: {left.why}. Next: {left.next}")
    if not done.adopted and not done.left:
        say(f"{done.target}: every commit that changes rows is sealed")
    return 1 if done.left else 0
