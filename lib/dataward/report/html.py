"""The page drawn from a result: self-contained, no script, nothing fetched."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from dataward.report.model import RunResult

__all__ = ["page"]


def page(result: RunResult) -> str:
    return str(_template().render(result=result, flow=_flow(result.rows), phases=_phases(result)))


@cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = _number
    return environment.from_string((files("dataward") / "report/report.html.j2").read_text(encoding="utf-8"))


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.6g}" if abs(value) >= 1e-4 else f"{value:.3e}"


def _flow(rows: dict[str, int]) -> list[dict[str, Any]]:
    """The parts that rows in are split into, each with its share; a part that holds rows is never drawn too thin to see."""
    total = rows["in"] or 1
    parts = [(name, rows[name]) for name in ("published", "quarantined", "dropped")]
    rest = rows["in"] - sum(count for _, count in parts)
    parts.append(("not published", rest))
    return [
        {"name": name, "count": count, "share": count / total, "width": max(count / total, 0.006)}
        for name, count in parts
        if count
    ]


def _phases(result: RunResult) -> list[dict[str, Any]]:
    longest = max((phase.seconds for phase in result.phases), default=1) or 1
    return [{**phase.model_dump(), "width": phase.seconds / longest} for phase in result.phases]
