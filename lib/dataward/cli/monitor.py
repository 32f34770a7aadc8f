"""``dataward monitor``, and metrics and alerts of other verbs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dataward.cli.parsing import Verb, with_monitoring
from dataward.cli.say import flushed, print_json, say
from dataward.errors import DatawardError, UsageError

if TYPE_CHECKING:
    from dataward.pipeline.monitoring import Destinations
    from dataward.report import RunResult

__all__ = ["add", "destinations", "failing", "sent"]


def add(verb: Verb) -> None:
    """Add the verb."""
    command = with_monitoring(
        verb("monitor", _monitor, "Send the metrics and alerts of runs that have ended; needs no Spark.")
    )
    command.add_argument("reports", nargs="+", metavar="REPORT", help="report.json of a run, or a folder of reports")


def destinations(arguments: argparse.Namespace) -> Destinations:
    """Return the destinations of metrics and alerts from the arguments, or else from the environment."""
    from dataward.pipeline.monitoring import Destinations

    return Destinations.of(arguments.metrics, arguments.alert, os.environ)


def sent(result: RunResult, where: Destinations, json: bool) -> None:
    """Send the metrics and alert of a run; with a JSON document on stdout, metrics are printed on stderr."""
    if where:
        from dataward.pipeline.monitoring import deliver

        deliver(result, where, say if json else lambda line: flushed(line + "\n"), lambda line: say(f"warning: {line}"))


@contextmanager
def failing(contract: str, run_id: str | None, where: Destinations) -> Iterator[None]:
    """Send an alert if a run fails, and raise its error again."""
    try:
        yield
    except DatawardError as error:
        if where.alerts:
            from dataward.pipeline.monitoring import alert
            from dataward.report.alerts import failure

            alert(failure(contract, run_id or "", error), where, lambda line: say(f"warning: {line}"))
        raise


def _monitor(arguments: argparse.Namespace) -> int:
    where = destinations(arguments)
    if not where:
        raise UsageError(
            "name a destination, such as --metrics stdout or --alert webhook:env:NAME (dataward monitor --help lists them), or set "
            "DATAWARD_METRICS or DATAWARD_ALERTS"
        )
    from dataward.pipeline.guard import watched

    with watched("monitor", source=arguments.reports[0]):
        results: list[RunResult] = []
        unread: list[UsageError] = []
        for file in [file for given in arguments.reports for file in _files(Path(given))]:
            try:
                results.append(_read(file))
            except UsageError as error:  # a damaged report holds up no other run
                unread.append(error)
        for result in results:
            sent(result, where, arguments.json)
        if unread:
            raise UsageError("\n".join(map(str, unread)))
    if arguments.json:
        print_json({"runs": [{"contract": result.contract, "run": result.run_id} for result in results]})
    return 0


def _files(path: Path) -> list[Path]:
    found = sorted(path.rglob("report.json")) if path.is_dir() else [path]
    if not found:
        raise UsageError(f"{path}: no report.json in this folder")
    return found


def _read(file: Path) -> RunResult:
    from dataward.report import RunResult

    try:
        return RunResult.model_validate_json(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{file}: not the report.json of a run") from None
