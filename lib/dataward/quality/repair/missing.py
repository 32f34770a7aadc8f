"""Fill missing values, and list the most frequent sets of columns that are null together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.contract.treatment import Lookup, Missing
from dataward.quality.internal import INTERNAL, content
from dataward.quality.metrics import WHOLE
from dataward.quality.repair.working import Working
from dataward.quality.spread import KEY, Spreads, group_key
from dataward.spark.compare import paired_columns
from dataward.spark.sql import column, identifier, literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Pattern", "fill", "patterns"]

FILLED = f"{INTERNAL}filled"
SHOWN = 20


@dataclass(frozen=True)
class Pattern:
    """Number of rows in which exactly these columns are null."""

    columns: tuple[str, ...]
    rows: int


def fill(working: Working, column: str, how: Missing, spreads: Spreads, references: Mapping[str, DataFrame]) -> None:
    """Fill or divert the rows in which a column is null."""
    name = working.name(column)
    cell, treatment = identifier(name), f"missing.{name}"
    lost = f"({cell} is null and {working.live()})"
    if how.divert:
        working.tally(treatment, name, ("diverted",), f"if({lost}, 'diverted', null)")
        working.divert(literal(f"{treatment}: no value"), [name], lost)
        return
    if how.constant is not None:
        working.replace({FILLED: f"cast({literal(how.constant_text)} as {working.kind(name)})"})
    elif how.with_ == "mode":
        _beside_mode(working, name, how.per)
    elif how.with_ is not None:
        number = spreads.numbers[(column, how.per)]
        working.frame = spreads.beside(working.frame, how.per, {FILLED: f"{how.with_}{number}"})
        value = f"round({FILLED})" if working.kind(name) in WHOLE else FILLED
        working.replace({FILLED: f"cast({value} as {working.kind(name)})"})
    elif how.from_ is not None:
        _beside_nearest(working, name, how)
    elif how.lookup is not None:
        _beside_looked_up(working, name, how.lookup, references)
    working.tally(treatment, name, ("filled", "left"), f"if({lost}, if({FILLED} is null, 'left', 'filled'), null)")
    working.replace({name: f"if({lost}, {FILLED}, {cell})"})
    working.frame = working.frame.drop(FILLED)


def _beside_mode(working: Working, name: str, per: tuple[str, ...]) -> None:
    """Add the most frequent value of the group as :data:`FILLED`; the smallest of equally frequent ones."""
    from pyspark.sql import functions as F

    live = working.frame.where(f"{working.live()} and {identifier(name)} is not null")
    counted = live.groupBy(F.expr(group_key(per)).alias(KEY), column(name).alias("value")).count()
    modes = counted.groupBy(KEY).agg(F.expr(f"min_by(value, struct(-count, value)) as {FILLED}"))
    joined = working.frame.withColumn(f"{KEY}_ours", F.expr(group_key(per)))
    working.frame = joined.join(modes, F.expr(f"{KEY}_ours = {KEY}"), "left").drop(KEY, f"{KEY}_ours")


def _beside_nearest(working: Working, name: str, how: Missing) -> None:
    """Add the last earlier (or first later) value by ``by`` as :data:`FILLED`, among rows of the same key that stay."""
    assert how.by is not None  # noqa: S101 - the contract requires it
    time = identifier(working.name(how.by))
    partition = [f"({working.live()} and {time} is not null)", *map(identifier, how.key)]
    function = "last" if how.from_ == "previous" else "first"
    rows = "unbounded preceding and current row" if how.from_ == "previous" else "current row and unbounded following"
    # Rows of one time are ordered by content, so that every pass fills the same values.
    window = f"partition by {', '.join(partition)} order by {time}, {content(working.own)} rows between {rows}"
    near = f"{function}({identifier(name)}, true) over ({window})"
    working.replace({FILLED: f"if({partition[0]}, {near}, null)"})


def _beside_looked_up(working: Working, name: str, how: Lookup, references: Mapping[str, DataFrame]) -> None:
    """Add the value of the reference's rows with the key as :data:`FILLED`; null where these have different values."""
    from pyspark.sql import functions as F

    pairs = paired_columns(working.frame, how.on, references[how.reference], how.on.values())
    keys = [F.expr(theirs).alias(f"{KEY}{n}") for n, (_, theirs) in enumerate(pairs)]
    taken = column(how.take).cast(working.kind(name)).alias("value")
    answers = references[how.reference].select(*keys, taken).where("value is not null")
    known = answers.groupBy(*(f"{KEY}{n}" for n in range(len(keys)))).agg(
        F.expr(f"if(min(value) = max(value), min(value), null) as {FILLED}")
    )
    on = " and ".join(f"{ours} = {KEY}{n}" for n, (ours, _) in enumerate(pairs))
    working.frame = working.frame.join(known, F.expr(on), "left").drop(*(f"{KEY}{n}" for n in range(len(keys))))


def patterns(working: Working) -> tuple[Pattern, ...]:
    """Return the most frequent sets of null columns before filling; runs one Spark job."""
    from pyspark.sql import functions as F

    own = list(working.own)
    bits = ", ".join(f"if({identifier(name)} is null, '1', '0')" for name in own)
    counted = working.frame.where(working.live()).groupBy(F.expr(f"concat({bits})").alias("bits")).count()
    rows = counted.where("bits like '%1%'").orderBy(F.desc("count"), "bits").limit(SHOWN).collect()
    return tuple(
        Pattern(tuple(name for name, bit in zip(own, row["bits"], strict=True) if bit == "1"), row["count"])
        for row in rows
    )
