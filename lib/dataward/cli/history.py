"""``dataward history``: the versions of a target, and the measurements of its runs."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dataward.cli.parsing import Verb, with_contract
from dataward.cli.say import print_json, say
from dataward.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from dataward.pipeline.metric_history import Measured

__all__ = ["add"]

BLOCKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
SHOWN = 40  # runs in a sparkline
LISTED = 20


def add(verb: Verb) -> None:
    """Add the verb."""
    command = with_contract(verb("history", _history, "List the target's versions with their seals."))
    command.add_argument(
        "--metric",
        nargs="?",
        const="",
        metavar="SERIES",
        help="what the runs measured: every series as a line, or one (such as RowCount) run by run",
    )
    command.add_argument("--mark-bad", metavar="RUN", help="rules must not compare with this run any more")
    command.add_argument("--mark-good", metavar="RUN", help="rules may compare with this run, though it was stopped")
    command.add_argument("--reason", metavar="TEXT", help="with --mark-bad and --mark-good: why")
    command.add_argument("--windows", action="store_true", help="what the rules came to per window of event time")
    command.add_argument("--keys", action="store_true", help="what depends on which key version")


def _history(arguments: argparse.Namespace) -> int:
    from dataward.pipeline.plan import plan
    from dataward.spark import session
    from dataward.verbs.history import history

    planned = plan(arguments.contract)
    if (arguments.mark_bad or arguments.mark_good) and not arguments.reason:
        raise UsageError("say why with --reason, for whoever reads the history")
    if arguments.mark_bad or arguments.mark_good:
        return _mark(arguments, planned)
    if arguments.metric is not None:
        return _metrics(arguments, planned)
    if arguments.keys:
        return _key_uses(arguments, planned)
    if arguments.windows:
        return _windows(arguments, planned)
    records = history(session.get(), planned)
    if arguments.json:
        versions = [dataclasses.asdict(record) for record in records]
        print_json({"contract": planned.name, "target": str(planned.contract.target), "versions": versions})
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


def _metrics(arguments: argparse.Namespace, planned: Any) -> int:
    from dataward.pipeline.metric_history import measured
    from dataward.spark import session

    found = measured(session.get(), planned)
    series: dict[str, list[Measured]] = {}
    for one in found:
        if not arguments.metric or one.series == arguments.metric:
            series.setdefault(one.series, []).append(one)
    if arguments.metric and not series:
        known = sorted({one.series for one in found})
        remedy = did_you_mean(arguments.metric, known) or f"there are {', '.join(known) or 'none yet'}"
        raise UsageError(f"no run measured '{arguments.metric}': {remedy}")
    if arguments.json:
        points = [{**dataclasses.asdict(one), "time": one.time.isoformat()} for runs in series.values() for one in runs]
        print_json({"contract": planned.name, "measured": points})
    elif arguments.metric:
        _told_series(arguments.metric, series[arguments.metric])
    else:
        _told_all(series)
    return 0


def _told_all(series: Mapping[str, Sequence[Measured]]) -> None:
    if not series:
        print("no run yet: publish")
    for name, runs in series.items():
        newest = next((one.measured for one in reversed(runs) if one.measured is not None), None)
        print(f"{_sparkline(runs):>{SHOWN}}  {'-' if newest is None else f'{newest:,.6g}':>12}  {name}")


def _told_series(name: str, runs: list[Measured]) -> None:
    print(f"{name}  {_sparkline(runs)}")
    for one in runs[-LISTED:]:
        number = "-" if one.measured is None else f"{one.measured:,.6g}"
        verdict = f"  {one.outcome}  {one.rule}" if one.rule else ""
        mark = "" if one.status == "accepted" else f"  ({one.status})"
        print(f"  {one.time:%Y-%m-%d %H:%M}  {number:>12}  run {one.run_id}{mark}{verdict}")
    if len(runs) > LISTED:
        print(f"  ({len(runs) - LISTED:,} earlier runs are not shown; --json has them)")


def _sparkline(runs: Sequence[Measured]) -> str:
    """Return one block per run, its height between the smallest and the largest value; a dot for a run without a measurement."""
    values = list({(one.run_id, one.time): one.measured for one in runs}.values())[-SHOWN:]
    known = [value for value in values if value is not None]
    low, span = (min(known), max(known) - min(known)) if known else (0.0, 0.0)
    top = len(BLOCKS) - 1
    return "".join(
        "\u00b7" if value is None else BLOCKS[round((value - low) / span * top) if span else top // 2]
        for value in values
    )


def _mark(arguments: argparse.Namespace, planned: Any) -> int:
    from dataward.pipeline.metric_history import mark
    from dataward.spark import session

    if arguments.mark_bad and arguments.mark_good:
        raise UsageError("a run is marked bad or good: give one of --mark-bad and --mark-good")
    run_id, good = arguments.mark_bad or arguments.mark_good, bool(arguments.mark_good)
    mark(session.get(), planned, run_id, good, arguments.reason)
    say(f"run {run_id} is marked {'good: rules may' if good else 'bad: rules do not'} compare with it")
    if arguments.json:
        print_json({"contract": planned.name, "run": run_id, "marked": "good" if good else "bad"})
    return 0


def _windows(arguments: argparse.Namespace, planned: Any) -> int:
    from dataward.pipeline.windows import windows
    from dataward.spark import session

    found = windows(session.get(), planned)
    if arguments.json:
        listed = [dataclasses.asdict(window) for window in found]
        print_json({"contract": planned.name, "target": str(planned.contract.target), "windows": listed})
        return 0
    if not found:
        print("no window yet: add windows: {column: ..., length: 1 hour} to the contract, and publish")
    last = ""
    for window in found:
        if window.start != last:
            print(f"{window.start} to {window.end}")
        last = window.start
        print(
            f"  {'-' if window.measured is None else f'{window.measured:,.6g}':>12}  {window.rule}  (of {window.count:,})"
        )
    return 0


def _key_uses(arguments: argparse.Namespace, planned: Any) -> int:
    from dataward.contract import having
    from dataward.pipeline.key_uses import key_uses
    from dataward.spark import session

    uses = key_uses(session.get(), planned.contract)
    target = planned.contract.target
    if arguments.json:
        keys = [dataclasses.asdict(use) for use in uses]
        print_json({"contract": planned.name, "target": str(target), "keys": keys})
        return 0
    print(f"{target}: what disabling a key version would take away")
    for use in uses:
        marks = [word for word, holds in (("DISABLED", not use.enabled), ("current", use.current)) if holds]
        print(f"{use.domain} v{use.version}" + (f" ({', '.join(marks)})" if marks else ""))
        for column, versions in use.columns.items():
            operator = use.protections[column].partition(",")[0]
            lost = (
                "originals could not be given back"
                if operator in having("reversible")
                else "new values would not be equal to these"
            )
            print(f"  {column}: {operator}, in version {_ranges(versions)}; {lost}")
        if use.quarantined:
            print(f"  quarantine: {', '.join(use.quarantined)}")
        for place, count in use.entries.items():
            print(f"  {place}: {count:,} entries; these could not be opened")
        if use.sealed:
            print(
                f"  seals of version {_ranges(use.sealed)}; their signatures stay good, their rows could not be summed again"
            )
        if not (use.columns or use.quarantined or use.sealed or use.entries):
            print("  nothing of this table")
    return 0


def _ranges(numbers: Sequence[int]) -> str:
    """Return numbers as ranges: 1, 2, 3, 5 as ``1-3, 5``."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in ranges)


def _of_run(run_id: str | None) -> str:
    return f", run {run_id}" if run_id else ""
