"""Add verbs and their common arguments to the parser."""

from __future__ import annotations

import argparse
import os
from typing import Any

from dataward.cli.say import say
from dataward.errors import UsageError, named_run

__all__ = [
    "Verb",
    "connect_to",
    "name_of",
    "options_of",
    "with_contract",
    "with_monitoring",
    "with_run_id",
    "with_source",
]


class Verb:
    """Function that adds verbs to a parser."""

    def __init__(self, parser: argparse.ArgumentParser, metavar: str) -> None:
        """Create the subparsers of a parser; without one of them, it lists them, with the exit code of a usage error."""

        def listing(_: argparse.Namespace) -> int:
            say(*parser.format_help().splitlines(), f"{parser.prog}: name one of these {metavar.lower()}s")
            return 2

        parser.set_defaults(run=listing)
        self._holder: Any = parser.add_subparsers(title=f"{metavar.lower()}s", metavar=metavar)

    def __call__(self, name: str, run: Any, help_text: str) -> argparse.ArgumentParser:
        """Add a verb and return its parser."""
        command: argparse.ArgumentParser = self._holder.add_parser(name, help=help_text, description=help_text)
        command.add_argument("--json", action="store_true", help="one JSON document on stdout, logs on stderr")
        command.add_argument(
            "--remote",
            metavar="URL",
            help="use Spark Connect at sc://HOST:PORT, without a JVM here (default: $SPARK_REMOTE)",
        )
        command.set_defaults(run=run)
        return command

    def group(self, name: str, help_text: str) -> Verb:
        """Add a verb with sub-verbs."""
        return Verb(self._holder.add_parser(name, help=help_text, description=help_text), "ACTION")


def with_contract(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add ``--contract``."""
    command.add_argument("--contract", required=True, metavar="FILE", help="the table's contract (YAML)")
    return command


def with_run_id(command: argparse.ArgumentParser, help_text: str) -> None:
    """Add ``--run-id``; an ID that no run can have ends the command before Spark starts."""

    def name(text: str) -> str:
        try:
            return named_run(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    command.add_argument("--run-id", type=name, metavar="ID", help=help_text)


def with_source(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the arguments for reading and scanning a table without a contract."""
    command.add_argument(
        "--format", choices=("delta", "parquet", "orc", "avro", "csv", "json"), help="default: what the files are"
    )
    command.add_argument(
        "--option", action="append", default=[], metavar="K=V", help="an option of Spark's reader, e.g. sep=;"
    )
    command.add_argument("--detectors", metavar="FILE", help="detectors of your own (YAML)")
    return command


def with_monitoring(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the destinations of metrics and alerts."""
    command.add_argument(
        "--metrics", action="append", default=[], metavar="DEST",
        help="stdout (CloudWatch's Embedded Metric Format), logs:GROUP, or otel; default: $DATAWARD_METRICS",
    )  # fmt: skip
    command.add_argument(
        "--alert", action="append", default=[], metavar="DEST",
        help="sns:ARN, webhook:@FILE or webhook:env:NAME, notified when a run stops, warns or fails; default: $DATAWARD_ALERTS",
    )  # fmt: skip
    return command


def options_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the reader's options from ``--option``."""
    options = {}
    for text in arguments.option:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"--option {text}: write KEY=VALUE")
        options[key] = value
    return options


def name_of(source: str) -> str:
    """Return the last part of a path or table name, as a valid file name."""
    last = source.rstrip("/").rpartition("/")[2]
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in last) or "place"


def connect_to(url: str) -> None:
    """Make this process use Spark Connect, like the environment variable ``SPARK_REMOTE``.

    Raises:
        UsageError: it is no address of a server.
    """
    if not url.startswith("sc://") or len(url) <= len("sc://"):
        raise UsageError(
            f"--remote: '{url.partition(';')[0]}' is no address of a Spark Connect server; write sc://HOST:PORT"
        )
    os.environ["SPARK_REMOTE"] = url
