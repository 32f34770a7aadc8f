"""The verbs for rights over data: reidentify, rotate, erase."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from dataward.cli.parsing import Verb, with_contract
from dataward.cli.say import print_json, say
from dataward.errors import UsageError, counted

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verbs."""
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
    command = verb("erase", _erase, "Forget a person: delete or shred, then search every byte that is left.")
    command.add_argument(
        "--contract", action="append", required=True, metavar="FILE", help="a table; give each that holds them"
    )
    command.add_argument(
        "--subject",
        required=True,
        metavar="S",
        help="who, one person: @FILE, - for standard input, or the value itself",
    )
    command.add_argument("--ticket", required=True, metavar="T", help="what the ask can be looked up by")
    command.add_argument("--values", metavar="FILE", help="more of their values to look for, one a line")
    command.add_argument("--also", action="append", default=[], metavar="PATH", help="one more folder to look in")
    command.add_argument("--report", default="reports", metavar="DIR", help="folder of reports (default: reports)")
    command.add_argument("--prove", action="store_true", help="only look: change nothing")
    command = with_contract(
        verb("anonymize", _anonymize, "Find the least loss that makes a target k-anonymous, and write a copy.")
    )
    command.add_argument(
        "--k", type=int, required=True, metavar="K", help="rows that agree in all quasi-identifiers, at least"
    )
    command.add_argument(
        "--suppress", type=float, default=0.05, metavar="S", help="share of rows that may be left out (0.05)"
    )
    command.add_argument("--out", metavar="PATH", help="where to write the copy; without it, only tell")


def _rotate(arguments: argparse.Namespace) -> int:
    from dataward.pipeline.plan import plan
    from dataward.spark import session
    from dataward.verbs.rotate import rotate

    plans = [plan(file) for file in arguments.contract]
    spark = session.get()  # output before it would be printed on stdout under spark-submit
    say(f"rotate {arguments.domain}" + (": finish" if arguments.finish else ""))
    done = rotate(spark, arguments.domain, plans, arguments.finish, say)
    if arguments.json:
        print_json(dataclasses.asdict(done))
        return 0
    for carrier in done.carriers:
        rows = "" if carrier.rows is None else f", {carrier.rows:,} rows"
        column = "" if carrier.column == "*" else f" {carrier.column}"
        print(f"still carries version {done.old}: {carrier.place}{column}{rows}: {carrier.remedy}")
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
    from dataward.pipeline.plan import plan
    from dataward.spark import session
    from dataward.verbs.reidentify import Wanted, reidentify

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
    if given.skipped:
        say(
            f"{given.skipped} value(s) without an original: their protection did not make them, or their key was destroyed"
        )
    say(
        f"{given.rows} row(s){place} for {given.principal}; entry {given.entry} of the ledger; {given.left_today} left today"
    )
    return 0


def _erase(arguments: argparse.Namespace) -> int:
    from dataward.pipeline.plan import plan
    from dataward.spark import session
    from dataward.verbs.erase import Asked, erase

    plans = [plan(file) for file in arguments.contract]
    values = tuple(filter(None, _text_of(arguments.values).split("\n"))) if arguments.values else ()
    asked = Asked(
        _subject(arguments.subject), arguments.ticket, values, tuple(arguments.also), arguments.report, arguments.prove
    )
    spark = session.get()
    say("erase: looking only" if asked.prove else "erase: nobody may be writing to these tables meanwhile")
    done = erase(spark, plans, asked, say)
    if arguments.json:
        residues = [{**dataclasses.asdict(one), "next": one.next} for one in done.residues]
        print_json({**dataclasses.asdict(done), "residues": residues, "holds": done.holds})
        return 0 if done.holds else 1
    for residue in done.residues:
        inside = f", {residue.inside}" if residue.inside else ""
        print(f"FOUND   {residue.named} in {residue.kind} {residue.path}{inside}: {residue.next}")
    for path in done.unread:
        print(f"UNREAD  {path}: nobody knows what is in it")
    for place, rows in done.rows.items():
        print(f"erased  {rows} row(s) of {place}")
    if done.source_rows:
        print(
            f"note    the source still holds {done.source_rows} row(s) of this person: later runs divert or drop them (erasure.returns)"
        )
    if not (asked.prove or done.source_rows or any(done.rows.values())):
        print(
            "note    no row of these tables or their sources was about this person: check the identifier, unless they were erased before"
        )
    print(f"searched {done.files:,} files ({done.bytes:,} bytes) for {counted(done.forms, 'value')}"
          + (f"; {done.short} of them too short to be found inside of longer text" if done.short else "")
          + (f"; {done.shared} more stand in other people's rows too and were not looked for" if done.shared else ""))  # fmt: skip
    for entry in done.entries:
        print(f"entry {entry} of the ledger")
    left = (
        "what is left of this person here nobody can read" if done.shredded else "nothing of this person is left here"
    )
    print(f"the proof holds: {left}" if done.holds else "THE PROOF DOES NOT HOLD")
    return 0 if done.holds else 1


def _subject(given: str) -> str:
    """Return the subject, which must not be on a job's command line, because Spark's event log stores that."""
    if given == "-":
        return sys.stdin.readline().rstrip("\n")
    if given.startswith("@"):
        named = _text_of(given[1:]).rstrip("\n")
        if "\n" in named:
            raise UsageError(
                f"{given[1:]}: it holds {named.count(chr(10)) + 1} lines: one person at a time, repeat the command for each"
            )
        return named
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        raise UsageError("under spark-submit the command line is kept in logs: give --subject @FILE")
    return given


def _text_of(path: str) -> str:
    """Return a text without the byte order mark of Windows' editors, which would be taken for a part of the first value."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8 text: save it as UTF-8") from None


def _anonymize(arguments: argparse.Namespace) -> int:
    from dataward.pipeline.plan import plan
    from dataward.spark import session
    from dataward.verbs.anonymize import anonymize

    planned = plan(arguments.contract)
    done = anonymize(session.get(), planned, arguments.k, arguments.suppress, arguments.out)
    if arguments.json:
        print_json(dataclasses.asdict(done))
        return 0
    chosen = done.chosen
    print(f"{planned.contract.target} version {done.version}: k is {chosen.k_before} as it is")
    for column, level in done.levels.items():
        print(f"  {column}: {level}")
    print(f"gives k {done.k or chosen.k_after} at a loss of {chosen.loss:.4f} (0 nothing lost, 1 everything); "
          f"{chosen.suppressed:,} of {chosen.rows:,} rows left out; {chosen.nodes} combinations of levels tried")  # fmt: skip
    print(f"written to {done.out}" if done.out else "nothing written: give --out PATH")
    return 0
