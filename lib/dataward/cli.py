"""The command line: arguments in, exit codes out, nothing else.

0 done (warnings included) · 1 the data or the proof failed · 2 usage or contract error · 3 could not run · 4 not permitted
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from dataward import __version__
from dataward.errors import ContractError, DatawardError, UsageError

__all__ = ["entry", "main"]


def entry() -> NoReturn:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


def main(argv: Sequence[str]) -> int:
    """Run one command and return its exit code; nothing is raised and nothing exits (Databricks and YARN need that)."""
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has printed its message
        return 2 if stop.code else 0
    try:
        code: int = arguments.run(arguments)
        return code
    except DatawardError as error:
        _fail(arguments, error)
        return error.exit_code
    except KeyboardInterrupt:
        print("dataward: interrupted; rerun with the same --run-id to finish what was begun", file=sys.stderr)
        return 3
    except Exception as error:
        _fail(arguments, DatawardError(_unexpected(error)))
        return 3


def _unexpected(error: Exception) -> str:
    """Where it happened and of what kind it is: the places hold no data, the message might."""
    from dataward.tables.reason import reason

    frames = [f for f in traceback.extract_tb(error.__traceback__) if "dataward" in f.filename]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-4:]))
    return f"{reason(error)} (unexpected, at {places}; the message is withheld, it may hold data)"


def _fail(arguments: argparse.Namespace, error: DatawardError) -> None:
    if getattr(arguments, "json", False):
        problems = [dataclasses.asdict(p) for p in error.problems] if isinstance(error, ContractError) else []
        _print_json({"error": type(error).__name__, "message": str(error), "problems": problems})
    if not (getattr(arguments, "json", False) and _merged()):
        _say(*(f"dataward: {line}" for line in str(error).splitlines()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dataward", description="Checks, masks and seals Delta tables.")
    parser.add_argument("--version", action="version", version=f"dataward {__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    def verb(name: str, run: Any, help_text: str, holder: Any = verbs) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = holder.add_parser(name, help=help_text, description=help_text)
        made.add_argument("--json", action="store_true", help="one JSON document on stdout, logs on stderr")
        made.set_defaults(run=run)
        return made

    def with_contract(made: argparse.ArgumentParser) -> argparse.ArgumentParser:
        made.add_argument("--contract", required=True, metavar="FILE", help="the table's contract (YAML)")
        return made

    command = with_contract(verb("publish", _publish, "Check, split, protect, commit and seal one table."))
    command.add_argument("--run-id", metavar="ID", help="name of this run; a rerun under the same name changes nothing")
    command.add_argument("--report", default="reports", metavar="DIR", help="folder for reports (default: reports)")
    command.add_argument("--explain", action="store_true", help="print what would be measured and how, and run nothing")
    command = with_contract(verb("verify", _verify, "Recompute a sealed version's proof and name what does not hold."))
    command.add_argument(
        "--version", type=int, dest="table_version", metavar="N", help="default: the newest sealed one"
    )
    with_contract(verb("history", _history, "List the target's versions with their seals."))

    contract = verbs.add_parser("contract", help="Check a contract file, or print the JSON Schema of contracts.")
    actions = contract.add_subparsers(required=True, metavar="ACTION")
    command = verb("check", _contract_check, "Check a contract file; needs no Spark.", actions)
    command.add_argument("file", metavar="FILE")
    verb("schema", _contract_schema, "Print the JSON Schema of contract files, for editors.", actions)

    dqdl = verbs.add_parser("dqdl", help="Print a DQDL ruleset in one layout.")
    actions = dqdl.add_subparsers(required=True, metavar="ACTION")
    command = verb(
        "fmt", _dqdl_fmt, "Print a ruleset so that it parses to the same rules again; needs no Spark.", actions
    )
    command.add_argument("file", metavar="FILE", help="a file, or - for standard input")

    keys = verbs.add_parser("keys", help="Create a keyring.")
    actions = keys.add_subparsers(required=True, metavar="ACTION")
    command = verb("create", _keys_create, "Create a local keyring (mode 0600) with one fresh key version.", actions)
    command.add_argument("path", metavar="PATH")

    verb("jars", _jars, "Fetch and check the jars of a local Spark session.")
    return parser


def _publish(arguments: argparse.Namespace) -> int:
    from dataward import session
    from dataward.plan import plan
    from dataward.publish import publish

    planned = plan(arguments.contract)
    spark = session.get()
    if arguments.explain:
        return _explain(arguments, spark, planned)
    _say(f"publish {planned.name}: {planned.contract.source} -> {planned.contract.target}")
    try:
        result = publish(spark, planned, arguments.run_id, arguments.report, _say)
    finally:
        session.close(spark)
    if arguments.json:
        _print_json(result.model_dump(mode="json"))
    rows = result.rows
    flow = f"{rows['in']:,} rows in = {rows['published']:,} published + {rows['quarantined']:,} quarantined + {rows['dropped']:,} dropped"
    if result.status == "stopped":
        _say(
            f"STOPPED: nothing was published; {result.target.path} stays as it was",
            *(f"  {reason}" for reason in result.reasons),
        )
    else:
        _say(f"{result.status}: {result.target.path} version {result.target.version}, {flow}")
    for warning in result.warnings:
        _say(f"warning: {warning}")
    _say(f"report: {result.report}")
    return 1 if result.status == "stopped" else 0


def _explain(arguments: argparse.Namespace, spark: Any, planned: Any) -> int:
    from dataward.explain import explain

    judging, protections = explain(spark, planned)
    if arguments.json:
        columns = [dataclasses.asdict(protected) for protected in protections]
        _print_json({"contract": planned.name, **dataclasses.asdict(judging), "protections": columns})
        return 0
    print(f"{planned.name}, engine {judging.engine}: {judging}")
    for rule, how in judging.steps:
        print(f"  {how:<18} {rule}")
    arrow = any(protected.stage == "arrow" for protected in protections)
    stages = "the JVM and one Arrow stage" if arrow else "the JVM alone, no Python"
    print(f"columns, protected in the pass that writes them, by {stages}:")
    for protected in protections:
        domain = f", key domain {protected.domain} version {protected.key_version}" if protected.domain else ""
        print(f"  {protected.stage:<8} {protected.column}: {protected.protection}{domain}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from dataward import session
    from dataward.plan import plan
    from dataward.verify import verify

    planned = plan(arguments.contract)
    proof = verify(session.get(), planned, arguments.table_version)
    if arguments.json:
        _print_json({**dataclasses.asdict(proof), "holds": proof.holds})
    else:
        print(f"{proof.target} version {proof.version}, sealed {proof.sealed_at} by run {proof.run_id}")
        for check in proof.checks:
            mark = "note  " if check.warning else "ok    " if check.holds else "FAILED"
            print(f"  {mark}  {check.name:<9} {check.detail}")
        print("the proof holds" if proof.holds else "THE PROOF DOES NOT HOLD")
    return 0 if proof.holds else 1


def _history(arguments: argparse.Namespace) -> int:
    from dataward import session
    from dataward.history import history
    from dataward.plan import plan

    planned = plan(arguments.contract)
    records = history(session.get(), planned)
    if arguments.json:
        versions = [dataclasses.asdict(record) for record in records]
        _print_json({"contract": planned.name, "target": str(planned.contract.target), "versions": versions})
        return 0
    print(f"{planned.contract.target}: {len(records)} version(s), newest first")
    for record in records:
        if not record.sealed:
            print(
                f"  v{record.version:<4} {record.time[:19]:<19}  {record.operation}: not sealed"
                + _of_run(record.run_id)
            )
            continue
        rows, counts = record.rows or {}, record.verdicts or {}
        verdicts = ", ".join(f"{count} {name.lower()}" for name, count in counts.items()) or "no rules"
        print(
            f"  v{record.version:<4} {record.time[:19]:<19}  sealed{_of_run(record.run_id)} by {record.who}, key {record.key}"
        )
        print(f"        from {record.source}; {rows.get('in', 0):,} in, {rows.get('published', 0):,} published, "
              f"{rows.get('quarantined', 0):,} quarantined; rules: {verdicts}")  # fmt: skip
    return 0


def _of_run(run_id: str | None) -> str:
    return f", run {run_id}" if run_id else ""


def _contract_check(arguments: argparse.Namespace) -> int:
    from dataward.plan import plan

    planned = plan(arguments.file)
    told = {
        "contract": planned.name,
        "rules": len(planned.suite.rules),
        "columns": len(planned.contract.columns),
        "ok": True,
    }
    if arguments.json:
        _print_json(told)
    else:
        print(
            f"{arguments.file}: contract '{planned.name}' is well formed: {told['rules']} rules, {told['columns']} columns"
        )
    return 0


def _contract_schema(arguments: argparse.Namespace) -> int:
    from dataward.contract import json_schema

    _print_json(json_schema())
    return 0


def _dqdl_fmt(arguments: argparse.Namespace) -> int:
    from dataward.quality.dqdl import RuleError, read

    try:
        text = sys.stdin.read() if arguments.file == "-" else Path(arguments.file).read_text(encoding="utf-8")
        printed = str(read(text))
    except OSError as error:
        raise UsageError(f"{arguments.file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{arguments.file}: not UTF-8 text") from None
    except RuleError as error:
        name = "standard input" if arguments.file == "-" else arguments.file
        raise UsageError(f"{name}:{error.line}: {error.what}" + (f"; {error.remedy}" if error.remedy else "")) from None
    if arguments.json:
        _print_json({"dqdl": printed})
    else:
        print(printed, end="")
    return 0


def _keys_create(arguments: argparse.Namespace) -> int:
    from dataward.privacy.keys import create_keyring

    ring = create_keyring(Path(arguments.path))
    if arguments.json:
        _print_json({"path": arguments.path, "current": ring.current})
    else:
        print(
            f"created keyring {arguments.path} (mode 0600, key version {ring.current}). Back it up: without it no seal"
        )
        print("can be verified and no new token joins the old ones. Keep it out of version control.")
    return 0


def _jars(arguments: argparse.Namespace) -> int:
    from dataward import jars

    found = jars.ensure()
    if arguments.json:
        _print_json({"folder": str(jars.cache()), "jars": [path.name for path in found]})
    else:
        print(f"{len(found)} jars in {jars.cache()}, each equal to its committed SHA-256")
    return 0


def _say(*lines: str) -> None:
    """Progress and messages, on stderr; under spark-submit on the JVM's, as that is the one its caller sees."""
    jvm = _jvm() if "PYSPARK_GATEWAY_PORT" in os.environ else None
    for line in lines:
        if jvm is not None:
            jvm.System.err.println(line)
        else:
            print(line, file=sys.stderr, flush=True)


def _merged() -> bool:
    """Whether what is written to stderr now would reach stdout: spark-submit joins the two of its Python process."""
    return "PYSPARK_GATEWAY_PORT" in os.environ and _jvm() is None


def _jvm() -> Any:
    from pyspark import SparkContext

    context: Any = SparkContext._active_spark_context
    return context._jvm if context is not None else None


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, default=str), flush=True)


if __name__ == "__main__":
    entry()
