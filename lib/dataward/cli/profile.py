"""``dataward profile``: profile the columns of a table, and compare with an earlier profile."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from dataward.cli.parsing import Verb, name_of, options_of, with_source
from dataward.cli.say import print_json, say
from dataward.errors import UsageError

if TYPE_CHECKING:
    from dataward.profiling.column import ColumnProfile
    from dataward.profiling.drift import Drift
    from dataward.verbs.profile import Profile

__all__ = ["add"]

BLOCKS = " ▁▂▃▄▅▆▇█"
TYPED = ("integer", "number", "date", "timestamp")


def add(verb: Verb) -> None:
    """Add the verb."""
    command = verb(
        "profile", _profile, "Profile a table column by column; shows no values of columns that look sensitive."
    )
    command.add_argument("source", nargs="?", metavar="SOURCE", help="a path, or a table of the catalog")
    command.add_argument(
        "--contract",
        metavar="FILE",
        help="instead: the source of a contract with target.profile, from the states that refreshes keep",
    )
    with_source(command)
    command.add_argument(
        "--sample", type=float, default=1.0, metavar="SHARE", help="profile a random share of the rows only, e.g. 0.01"
    )
    command.add_argument("--compare", metavar="FILE", help="an earlier profile (its --json) to compare with")
    command.add_argument(
        "--report", default="reports/profile", metavar="DIR", help="folder for the page (default: reports/profile)"
    )


def _profile(arguments: argparse.Namespace) -> int:
    from dataward.contract import detectors, load
    from dataward.report import put
    from dataward.spark import session
    from dataward.verbs.discover import source_of
    from dataward.verbs.profile import compared, html, profile, profile_of, read

    if not 0 < arguments.sample <= 1:
        raise UsageError(f"--sample {arguments.sample:g}: give a share above 0 and up to 1, such as 0.01")
    if bool(arguments.source) == bool(arguments.contract):
        raise UsageError("profile: name either a SOURCE or --contract FILE")
    earlier = read(arguments.compare) if arguments.compare else None
    custom = detectors(arguments.detectors) if arguments.detectors else {}
    contract = load(arguments.contract) if arguments.contract else None
    spark, hints = session.get(), list[str]()
    if contract:
        result, name = profile_of(spark, contract), contract.contract
    else:
        source = source_of(spark, arguments.source, arguments.format, options_of(arguments))
        result, name = profile(spark, source, arguments.sample, custom), name_of(arguments.source)
        if source.format == "csv" and "inferSchema" not in source.options:
            hints = _as_texts(result)
    drift = compared(earlier, result) if earlier else []
    page = f"{arguments.report.rstrip('/')}/{name}.html"
    put(spark, page, html(result, drift))
    if arguments.json:
        extra = {"drift": [dataclasses.asdict(column) for column in drift]} if earlier else {}
        print_json({**result.as_data(), **extra, "report": page})
    else:
        _print(result)
        _print_drift(drift)
    say(*hints, *(f"warning: {warning}" for warning in result.warnings), f"report: {page}")
    return 0


def _as_texts(profile: Profile) -> list[str]:
    """Return a hint about numbers and times in CSV files, which are texts: profile and drift show no distribution of them."""
    typed = [column.name for column in profile.columns if column.inferred in TYPED and not column.sensitive]
    if not typed:
        return []
    return [
        f"read as texts: {', '.join(typed)}. With --option inferSchema=true they are numbers and times, of which distributions are "
        "shown and compared"
    ]


def _print(profile: Profile) -> None:
    sample = (
        ""
        if profile.share == 1
        else f" (a random {profile.share:.4g} of the table; shares are right to within {profile.error:.2%})"
    )
    print(f"{profile.source}: {profile.rows:,} rows{sample}, {len(profile.columns)} columns")
    width = max((len(column.name) for column in profile.columns), default=0)
    kinds = max((len(column.type[:14]) for column in profile.columns), default=0)
    for column in profile.columns:
        completeness = "-" if column.completeness is None else f"{_floor(column.completeness):.1%}"
        distinct = ("~" if column.distinct_error else "") + f"{round(column.distinct):,}"
        kind, facts = column.type[:14], "; ".join(_facts(column))
        print(f"  {column.name:<{width}}  {kind:<{kinds}}  {completeness:>6}  {distinct:>10}  {facts}")
    for correlation in profile.correlations[:10]:
        print(
            f"  {correlation.one} and {correlation.other}: correlation {correlation.value:+.2f} (of {correlation.rows:,} random rows)"
        )


def _floor(share: float) -> float:
    """Return at most 0.999 for a share below 1, so that 99.97 % is not shown as 100 %."""
    return min(share, 0.999) if share < 1 else 1.0


def _facts(column: ColumnProfile) -> list[str]:
    if column.sensitive:
        return [f"looks sensitive ({column.sensitive}): no values are shown", *(["KEY"] if column.key else [])]
    facts = ["KEY"] if column.key else [f"unique {_floor(column.unique):.1%}"] if column.unique is not None else []
    if column.histogram:
        high = max(item.count for item in column.histogram) or 1
        bars = "".join(BLOCKS[min(round(item.count / high * 8 + 0.49), 8)] for item in column.histogram)
        middle = column.written(column.quantiles[50])
        ends = (column.written(column.low), middle, column.written(column.high))
        facts.append(f"{' .. '.join(ends)}  {bars}" if column.low != column.high else middle)
    if column.inferred and column.inferred_share is not None:
        facts.append(f"texts that are {column.inferred}s ({_floor(column.inferred_share):.1%})")
    if column.frequent and not column.histogram:
        facts.append(", ".join(f"{item.value[:24]} ({item.count:,})" for item in column.frequent[:3]))
    elif column.shapes:
        facts.append(f"as {column.shapes[0][0]!r}")
    return facts


def _print_drift(drift: list[Drift]) -> None:
    drifted = [column for column in drift if column.told]
    if drift:
        print(f"since the earlier profile: {len(drifted)} of {len(drift)} columns moved")
    for column in drifted:
        numbers = [
            f"{name} {value:.3f}" for name, value in (("PSI", column.psi), ("KS", column.ks)) if value is not None
        ]
        new = f": {', '.join(value[:24] for value in column.new[:5])}" if column.new else ""
        print(f"  {column.column}: {column.told}{new}" + (f" ({', '.join(numbers)})" if numbers else ""))
    if partly := [column.column for column in drift if column.by_completeness]:
        print(f"  only completeness is compared of: {', '.join(partly)}")
