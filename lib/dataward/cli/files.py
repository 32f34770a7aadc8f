"""Verbs that need no Spark: contract, dqdl, jars."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dataward.cli.parsing import Verb
from dataward.cli.say import print_json
from dataward.errors import UsageError, counted

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verbs."""
    action = verb.group("contract", "Check a contract file, or print the JSON Schema of contracts.")
    command = action("check", _contract_check, "Check a contract file; needs no Spark.")
    command.add_argument("file", metavar="FILE")
    action("schema", _contract_schema, "Print the JSON Schema of contract files, for editors.")

    action = verb.group("dqdl", "Print a DQDL ruleset in one layout.")
    command = action("fmt", _dqdl_fmt, "Print a ruleset so that it parses to the same rules again; needs no Spark.")
    command.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    command = verb("jars", _jars, "Fetch and check the jars of a local Spark session.")
    command.add_argument("--s3", action="store_true", help="also those for s3:// and s3a:// paths (280 MB, docs/s3.md)")
    command.add_argument(
        "--archive",
        action="store_true",
        help="also write an archive of their classes, with which local sessions start faster (docs/performance.md)",
    )


def _contract_check(arguments: argparse.Namespace) -> int:
    from dataward.pipeline.plan import plan

    planned = plan(arguments.file)
    summary = {
        "contract": planned.name,
        "rules": len(planned.suite.rules),
        "columns": len(planned.contract.columns),
        "warnings": list(planned.warnings),
        "ok": True,
    }
    if arguments.json:
        print_json(summary)
    else:
        sizes = f"{counted(len(planned.suite.rules), 'rule')}, {counted(len(planned.contract.columns), 'column')}"
        print(f"{arguments.file}: contract '{planned.name}' is well formed: {sizes}")
        for warning in planned.warnings:
            print(f"warning: {warning}")
    return 0


def _contract_schema(arguments: argparse.Namespace) -> int:
    from dataward.contract import json_schema

    print_json(json_schema())
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
        print_json({"dqdl": printed})
    else:
        print(printed, end="")
    return 0


def _jars(arguments: argparse.Namespace) -> int:
    from dataward.spark import archive, jars

    paths = jars.ensure() + (jars.fetch_s3() if arguments.s3 else [])
    made = archive.make() if arguments.archive else None
    if arguments.json:
        print_json(
            {
                "folder": str(jars.cache()),
                "jars": [path.name for path in paths],
                **({"archive": str(made)} if made else {}),
            }
        )
    else:
        print(f"{len(paths)} jars in {jars.cache()}, each equal to its committed SHA-256")
        if made:
            print(f"archive of their classes ({made.stat().st_size >> 20} MB): {made}")
    return 0
