"""``dataward access``: query a contract's policies; needs no Spark."""

from __future__ import annotations

import argparse
import dataclasses
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from dataward.cli.parsing import Verb
from dataward.cli.say import print_json, say
from dataward.errors import UsageError, counted

if TYPE_CHECKING:
    from dataward.verbs.access import Question

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verb and its actions."""
    action = verb.group("access", "Ask a contract's policies who may do what; generate views; approve exceptions.")
    command = action(
        "explain", _explain, "Say whether a principal may do something, why, and which policy would change it."
    )
    command.add_argument("who", metavar="WHO", help="a user as the platform names it: login, ARN, or e-mail")
    _about(command)
    _with_groups(command)
    command = action("who-can", _who_can, "List the users and groups of the policies that may do something.")
    _about(command)
    command = action("sees", _sees, "Show what a reader sees of each column, and of which rows.")
    command.add_argument("who", metavar="WHO", help="a user as the platform names it")
    command.add_argument("table", metavar="CONTRACT", help="the table's contract (YAML)")
    _when(command)
    _with_groups(command)
    command = action("test", _test, "Decide every case of a file and compare with what it expects.")
    command.add_argument("file", metavar="FILE", help="YAML: contract, and cases with who, verb and expect")
    command = action("views", _views, "Generate what enforces the policies elsewhere: views, masks and filters.")
    command.add_argument("table", metavar="CONTRACT", help="the table's contract (YAML)")
    command.add_argument("--for", dest="platform", required=True, choices=("sql", "unity", "lakeformation"),
                         help="SQL views, Unity Catalog masks and row filters, or Lake Formation cell filters")  # fmt: skip
    command.add_argument(
        "--group", default="", metavar="G", help="sql: the group that the view is for; default: everybody"
    )
    command.add_argument("--purpose", default="", metavar="P", help="the purpose that readers there have")
    command.add_argument(
        "--name", default="", metavar="T", help="the table's name in the catalog; default: the target's"
    )
    command.add_argument("--account", default="", metavar="A", help="lakeformation: AWS account of the Data Catalog")
    command = action(
        "approve", _approve, "Sign that a column may be protected less than the policy asks; prints the approval."
    )
    command.add_argument("table", metavar="CONTRACT", help="the table's contract (YAML)")
    command.add_argument("--column", required=True, metavar="C", help="the column, whose line is signed as it is now")
    command.add_argument("--by", required=True, metavar="NAME", help="the approver's name in the policy")
    command.add_argument("--key", required=True, metavar="FILE", help="the approver's Ed25519 private key (PEM)")
    command.add_argument("--until", metavar="DATE", help="the last day on which it holds (UTC), e.g. 2027-06-30")
    command.add_argument("--reason", default="", metavar="TEXT", help="why, for whoever reads the seal")
    action("schema", _schema, "Print the Cedar schema that policies are validated against.")


def _about(command: argparse.ArgumentParser) -> None:
    command.add_argument("verb", metavar="VERB", help="such as publish, read, read_clear, reidentify, erase")
    command.add_argument("table", metavar="CONTRACT", help="the table's contract (YAML)")
    command.add_argument("--column", metavar="C", help="for verbs that are decided by column")
    _when(command)


def _when(command: argparse.ArgumentParser) -> None:
    command.add_argument("--purpose", default="", metavar="P", help="the stated purpose")
    command.add_argument("--at", metavar="TIME", help="ISO 8601; default: now (UTC)")


def _with_groups(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--groups", default="", metavar="A,B", help="groups of WHO; policies are asked about these alone"
    )


def _question(arguments: argparse.Namespace, who: str) -> Question:
    from dataward.verbs.access import Question

    at = None
    if arguments.at:
        try:
            at = datetime.fromisoformat(arguments.at.replace("Z", "+00:00"))
        except ValueError:
            raise UsageError(f"--at {arguments.at}: write a time such as 2026-11-25T10:00:00+00:00") from None
        at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    groups = tuple(name.strip() for name in getattr(arguments, "groups", "").split(",") if name.strip())
    column = getattr(arguments, "column", None)
    return Question(who, getattr(arguments, "verb", "read"), groups, column, arguments.purpose, at)


def _explain(arguments: argparse.Namespace) -> int:
    from dataward.verbs.access import explained

    found = explained(arguments.table, _question(arguments, arguments.who))
    decision = found.decision
    if arguments.json:
        near = [{**dataclasses.asdict(one), "lacks": list(one.lacks)} for one in found.near]
        print_json({"allowed": decision.allowed, "why": decision.why, "policies": list(decision.policies), "rows": decision.rows,
                    "errors": list(decision.errors), "near": near})  # fmt: skip
        return 0 if decision.allowed else 4
    print(f"{'ALLOWED' if decision.allowed else 'DENIED'}: {decision.why}")
    for text in found.texts:
        print(_indented(text))
    if decision.allowed and decision.rows:
        print(f"rows: {decision.rows}")
    for one in found.near:
        print(f"{one.words}:")
        print(_indented(one.text))
    if not decision.allowed and not found.near and not decision.errors and not decision.policies:
        print("no policy comes close: add one that permits this verb on this table")
    return 0 if decision.allowed else 4


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _who_can(arguments: argparse.Namespace) -> int:
    from dataward.verbs.access import who

    found = who(arguments.table, _question(arguments, ""))
    able = [one for one in found if one[2].allowed]
    if arguments.json:
        print_json(
            [{"kind": kind, "name": name, "why": decision.why, "rows": decision.rows} for kind, name, decision in able]
        )
        return 0
    for kind, name, decision in able:
        rows = f", rows where {decision.rows}" if decision.rows else ""
        print(f"{kind:<7} {name or '(everybody)'}: {decision.why}{rows}")
    if not able:
        say("nobody whom the policies name, and nobody else")
    return 0


def _sees(arguments: argparse.Namespace) -> int:
    from dataward.verbs.access import LEVELS, seen

    found = seen(arguments.table, _question(arguments, arguments.who))
    if arguments.json:
        columns: dict[str, Any] = {look.column.name: LEVELS[look.shown] for look in found.columns}
        print_json(
            {"allowed": found.decision.allowed, "why": found.decision.why, "rows": found.rows, "columns": columns}
        )
        return 0 if found.decision.allowed else 4
    print(f"{'ALLOWED' if found.decision.allowed else 'DENIED'}: {found.decision.why}")
    if found.decision.allowed:
        print(f"rows: {found.rows or 'all'}")
        for look in found.columns:
            class_ = f" ({look.column.class_})" if look.column.class_ else ""
            print(
                f"  {look.shown:<9} {look.column.name}{class_}"
                + (f": {', '.join(look.policies)}" if look.policies else "")
            )
    return 0 if found.decision.allowed else 4


def _test(arguments: argparse.Namespace) -> int:
    from dataward.verbs.access import run_cases

    results = run_cases(arguments.file)
    failed = [result for result in results if not result.holds]
    if arguments.json:
        print_json({"holds": not failed, "cases": [{**dataclasses.asdict(one), "holds": one.holds} for one in results]})
        return 1 if failed else 0
    for result in failed:
        print(
            f"FAILED  case {result.number}: {result.asked}: expected {result.expected}, found {result.found} ({result.why})"
        )
    print(f"{counted(len(results), 'case')}, {len(failed)} failed")
    return 1 if failed else 0


def _views(arguments: argparse.Namespace) -> int:
    from dataward.contract import load
    from dataward.spark import session
    from dataward.verbs.access import For, views

    contract = load(arguments.table)
    wanted = For(arguments.platform, arguments.group, arguments.purpose, arguments.name, arguments.account)
    made = views(session.get(), contract, wanted)
    if arguments.json:
        print_json({"statements": list(made.statements), "notes": list(made.notes)})
    elif arguments.platform == "lakeformation":
        print_json(list(made.statements))
    else:
        print("".join(f"{statement};\n" for statement in made.statements), end="")
    if not arguments.json:
        for note in made.notes:
            say(f"note: {note}")
    return 0 if made.statements else 4


def _approve(arguments: argparse.Namespace) -> int:
    from datetime import date

    from dataward.contract import Approval
    from dataward.contract.load import from_caller
    from dataward.verbs.access import approve

    try:
        until = date.fromisoformat(arguments.until) if arguments.until else None
    except ValueError:
        raise UsageError(f"--until {arguments.until}: write a date such as 2027-06-30") from None
    given = {"column": arguments.column, "by": arguments.by, "until": until, "reason": arguments.reason}
    asked = from_caller(Approval, {**given, "signature": "-"})
    signed = approve(arguments.table, asked, arguments.key).model_dump(mode="json", exclude_none=True)
    if arguments.json:
        print_json(signed)
        return 0
    say(f"add to {arguments.table}:")
    print("approvals:")
    print(
        "  - {"
        + ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in signed.items() if value)
        + "}"
    )
    return 0


def _schema(arguments: argparse.Namespace) -> int:
    from dataward.access.policies import schema

    if arguments.json:
        print_json({"cedar": schema()})
    else:
        print(schema(), end="")
    return 0
