"""Render HTML pages from templates: self-contained, without scripts or external resources."""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from dataward.report.model import RunResult

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["draw", "page"]


def page(result: RunResult) -> str:
    """Render the report of a run."""
    return draw("report.html.j2", result=result, flow=_flow(result.rows), phases=_phases(result), lines=_lines(result))


def draw(template: str, **data: Any) -> str:
    """Render one of the templates in this folder."""
    return str(_templates().get_template(template).render(**data))


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # most verbs draw no page

    def text_of(name: str) -> str:
        return (files("dataward") / "report" / name).read_text(encoding="utf-8")

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(text_of)
    )
    environment.filters["number"] = _number
    return environment


def _number(value: float | None) -> str:
    """Format a number for people; "-" stands for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.6g}" if abs(value) >= 1e-4 else f"{value:.3e}"


def _flow(rows: dict[str, int]) -> list[dict[str, Any]]:
    """Return the parts of the input rows with their shares; a width has a minimum, so that every part is visible."""
    total = rows["in"] or 1
    parts = [(name, rows[name]) for name in ("published", "quarantined", "dropped")]
    rest = rows["in"] - sum(count for _, count in parts)
    parts.append(("not published", rest))
    return [
        {"name": name, "count": count, "share": count / total, "width": max(count / total, 0.006)}
        for name, count in parts
        if count
    ]


def _lines(result: RunResult) -> list[dict[str, Any]]:
    """Return every series as points of an SVG of 240 x 40, with the band in which its last number was expected."""
    lines = []
    for line in result.past:
        values = line["values"]
        known = [*values, *(end for end in (line["low"], line["high"]) if end is not None)]
        low, span = min(known), (max(known) - min(known)) or 1.0
        vertical = [36 - 32 * (value - low) / span for value in known]
        horizontal = [4 + 228 * n / max(len(values) - 1, 1) for n in range(len(values))]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(horizontal, vertical, strict=False))
        inside = line["low"] is None or line["low"] <= values[-1] <= line["high"]
        band = sorted(vertical[len(values) :])
        lines.append(
            {
                **line,
                "points": points,
                "x": horizontal[-1],
                "y": vertical[len(values) - 1],
                "band": band,
                "inside": inside,
            }
        )
    return lines


def _phases(result: RunResult) -> list[dict[str, Any]]:
    """Return the phases with the widths of their bars."""
    longest = max((phase.seconds for phase in result.phases), default=1) or 1
    return [{**phase.model_dump(), "width": phase.seconds / longest} for phase in result.phases]
