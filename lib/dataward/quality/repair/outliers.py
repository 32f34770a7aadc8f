"""Repair outliers: divert rows, winsorise numbers, or set them to null."""

from __future__ import annotations

import re

from dataward.contract.treatment import Outliers
from dataward.quality.internal import INTERNAL
from dataward.quality.repair.working import Working
from dataward.quality.spread import Fences, Spreads, outlying
from dataward.spark.sql import identifier, literal

__all__ = ["fenced", "tame"]

LOW, HIGH = f"{INTERNAL}low", f"{INTERNAL}high"


def fenced(column: str, how: Outliers) -> Fences:
    """Return the fences that a contract's entry describes."""
    return Fences(column, how.method, how.factor, how.per, how.skewed)


def tame(working: Working, column: str, how: Outliers, spreads: Spreads) -> None:
    """Divert the rows of outliers, set outliers to the nearest fence, or to null; NaN becomes null in both cases."""
    name = working.name(column)
    number = spreads.numbers[fenced(column, how)]
    working.frame = spreads.beside(working.frame, how.per, {LOW: f"low{number}", HIGH: f"high{number}"})
    cell, treatment = identifier(name), f"outliers.{name}"
    beyond = f"({working.live()} and {outlying(name, LOW, HIGH)})"
    side = f"if(isnan(cast({cell} as double)), 'not a number', if(cast({cell} as double) < {LOW}, 'low', 'high'))"
    working.tally(treatment, name, ("low", "high", "not a number"), f"if({beyond}, {side}, null)")
    if how.do == "divert":
        working.divert(literal(f"{treatment}: beyond the {how.method} fences"), [name], beyond)
    else:
        working.replace(
            {
                name: f"if({beyond}, {_winsorised(name, working.kind(name)) if how.do == 'winsorise' else 'null'}, {cell})"
            }
        )
    working.frame = working.frame.drop(LOW, HIGH)


def _winsorised(name: str, kind: str) -> str:
    """Return SQL of the number within the fences that is nearest and that the column's type can represent."""
    number = f"cast({identifier(name)} as double)"
    scale = re.fullmatch(r"decimal\(\d+,(\d+)\)", kind)
    digits = int(scale[1]) if scale else 0 if kind not in ("float", "double") else None
    low = LOW if digits is None else f"ceil({LOW}, {digits})"
    high = HIGH if digits is None else f"floor({HIGH}, {digits})"
    if kind == "float":  # float rounding must not leave the fences
        low, high = f"{LOW} + abs({LOW}) * 1.2e-7d", f"{HIGH} - abs({HIGH}) * 1.2e-7d"
    inside = f"if({number} < {LOW}, {low}, {high})"
    return f"if(isnan({number}), null, cast({inside} as {kind}))"
