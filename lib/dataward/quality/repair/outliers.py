"""What is done about numbers beyond their fences."""

from __future__ import annotations

import re

from dataward.contract.treatment import Outliers
from dataward.quality.internal import INTERNAL
from dataward.quality.repair.working import Working
from dataward.quality.spread import Fences, Spreads, outlying
from dataward.sql import identifier, literal

__all__ = ["fenced", "tame"]

LOW, HIGH = f"{INTERNAL}low", f"{INTERNAL}high"


def fenced(column: str, how: Outliers) -> Fences:
    return Fences(column, how.method, how.factor, how.per, how.skewed)


def tame(working: Working, column: str, how: Outliers, spreads: Spreads) -> None:
    """Divert the rows, bring the numbers to the nearest fence, or take them away; NaN has no nearest fence."""
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
            {name: f"if({beyond}, {_tamed(name, working.kind(name)) if how.do == 'winsorise' else 'null'}, {cell})"}
        )
    working.frame = working.frame.drop(LOW, HIGH)


def _tamed(name: str, kind: str) -> str:
    """SQL of the nearest number within the fences that the column's type can hold."""
    number = f"cast({identifier(name)} as double)"
    scale = re.fullmatch(r"decimal\(\d+,(\d+)\)", kind)
    digits = int(scale[1]) if scale else 0 if kind not in ("float", "double") else None
    low = LOW if digits is None else f"ceil({LOW}, {digits})"
    high = HIGH if digits is None else f"floor({HIGH}, {digits})"
    if kind == "float":  # it must not be rounded to beyond the fence
        low, high = f"{LOW} + abs({LOW}) * 1.2e-7d", f"{HIGH} - abs({HIGH}) * 1.2e-7d"
    inside = f"if({number} < {LOW}, {low}, {high})"
    return f"if(isnan({number}), null, cast({inside} as {kind}))"
