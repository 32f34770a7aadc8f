"""The verbs about rights over data: reidentify, rotate."""

from __future__ import annotations

import argparse
import dataclasses

from dataward.cli.parsing import Verb, with_contract
from dataward.cli.say import print_json, say

__all__ = ["add"]


def add(verb: Verb) -> None:
    command = with_contract(
        verb("reidentify", _reidentify, "Give originals of reversible protections to whom the contract allows.")
    )
    command.add_argument(
        "--columns", required=True, metavar="A,B", help="columns; those that are kept come along as they are"
    )
    command.add_argument(
        "--where", default="true", metavar="SQL", help="which rows, by what stands in the protected table"
    )
    command.add_argument("--purpose", required=True, metavar="P", help="as the contract's access.reidentify names it")
    command.add_argument("--ticket", required=True, metavar="T", help="what the ask can be looked up by")
    command.add_argument("--out", metavar="FILE", help="new CSV file, mode 0600")
    command.add_argument("--show", action="store_true", help="show originals on the terminal instead")
    command = verb(
        "rotate", _rotate, "Bring the tables of a key domain to a new key version; killed, it goes on from there."
    )
    command.add_argument("domain", metavar="DOMAIN")
    command.add_argument(
        "--contract", action="append", required=True, metavar="FILE", help="a table of the domain; give each"
    )
    command.add_argument(
        "--finish", action="store_true", help="close the window in which old and new tokens stand side by side"
    )


def _rotate(arguments: argparse.Namespace) -> int:
    from dataward import session
    from dataward.plan import plan
    from dataward.rotate import rotate

    plans = [plan(file) for file in arguments.contract]
    say(f"rotate {arguments.domain}" + (": finish" if arguments.finish else ""))
    done = rotate(session.get(), arguments.domain, plans, arguments.finish, say)
    if arguments.json:
        print_json(dataclasses.asdict(done))
        return 0
    for carrier in done.carriers:
        rows = "" if carrier.rows is None else f", {carrier.rows:,} rows"
        print(f"still carries version {done.old}: {carrier.place} {carrier.column}{rows}: {carrier.remedy}")
    if not done.window:
        print(f"{done.domain} is at version {done.new}; the window is closed")
        return 0
    print(
        f"{done.domain}: new writes use version {done.new}; joins hold with version {done.old} by the columns ...__v{done.old}"
    )
    if not any(carrier.blocks for carrier in done.carriers):
        print(
            "everything named here is over: close the window with --finish, once every contract of the domain was named"
        )
    return 0


def _reidentify(arguments: argparse.Namespace) -> int:
    from dataward import session
    from dataward.plan import plan
    from dataward.reidentify import Wanted, reidentify

    planned = plan(arguments.contract)
    columns = tuple(name.strip() for name in arguments.columns.split(",") if name.strip())
    wanted = Wanted(columns, arguments.where, arguments.purpose, arguments.ticket)
    given = reidentify(session.get(), planned, wanted, arguments.out, arguments.show)
    if arguments.json:
        print_json({"granted": True, **dataclasses.asdict(given)})
        return 0
    for row in given.shown or ():
        print("\t".join("" if value is None else str(value) for value in row.values()))
    place = f" in {given.out} (mode 0600)" if given.out else ""
    say(
        f"{given.rows} row(s){place} for {given.principal}; entry {given.entry} of the ledger; {given.left_today} left today"
    )
    return 0
