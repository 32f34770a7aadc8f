"""A chain of contracts as a graph of tables: what was made of what, drawn as one SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dataward.report.html import draw

__all__ = ["Edge", "Graph", "Table", "html"]

WIDE, HIGH = 250, 84  # of a table's box
ACROSS, DOWN = 170, 34  # between boxes
APART = 18  # between curves that join the same boxes


@dataclass(frozen=True)
class Table:
    """A table or a folder of files. ``version`` is the newest sealed one; None: no seal is known."""

    place: str
    version: int | None = None
    sealed_at: str | None = None
    rows: int | None = None


@dataclass(frozen=True)
class Edge:
    """How one table was made of another, by the newest seal of the contract's target.

    Attributes:
        contract: name of the contract.
        source: place of what was read.
        target: place of what was written.
        role: ``source``, or the alias of a reference.
        run_id: the run; None: no version is sealed.
        source_version: the version that was read; None for files.
        verdicts: number of rules by outcome.
        protected: protected columns with their protection.
    """

    contract: str
    source: str
    target: str
    role: str
    run_id: str | None
    source_version: int | None
    verdicts: dict[str, int]
    protected: dict[str, str]


@dataclass(frozen=True)
class Graph:
    """Tables, and what was made of what."""

    tables: tuple[Table, ...]
    edges: tuple[Edge, ...]

    def layers(self) -> list[list[Table]]:
        """Return the tables by the longest way to them, so that edges lead to the right; tables of a cycle come last."""
        depth = {table.place: 0 for table in self.tables}
        for _ in self.tables:
            for edge in self.edges:
                depth[edge.target] = min(max(depth[edge.target], depth[edge.source] + 1), len(self.tables))
        return [
            [table for table in self.tables if depth[table.place] == level] for level in sorted(set(depth.values()))
        ]


def html(graph: Graph, time: str) -> str:
    """Render the page."""
    return draw("lineage.html.j2", graph=graph, drawing=_drawing(graph), time=time)


def _drawing(graph: Graph) -> dict[str, Any]:
    """Return boxes and curves with their coordinates."""
    layers = _ordered(graph)
    tallest = max((len(layer) for layer in layers), default=1)
    corners = {}
    for column, layer in enumerate(layers):
        top = (tallest - len(layer)) * (HIGH + DOWN) / 2
        for row, table in enumerate(layer):
            corners[table.place] = (column * (WIDE + ACROSS) + 2, top + row * (HIGH + DOWN) + 2)
    boxes = [
        {"table": table, "x": x, "y": y, "name": _short(table.place)}
        for table in graph.tables
        for x, y in [corners[table.place]]
    ]
    curves = []
    for number, edge in enumerate(graph.edges):
        (x1, y1), (x2, y2) = corners[edge.source], corners[edge.target]
        same = sum((one.source, one.target) == (edge.source, edge.target) for one in graph.edges[:number])
        y1, y2 = y1 + min(same, 2) * APART, y2 + min(same, 2) * APART  # below those between the same boxes
        begin, end, bend = (x1 + WIDE, y1 + HIGH / 2), (x2 - 7, y2 + HIGH / 2), ACROSS / 2
        path = f"M{begin[0]} {begin[1]} C{begin[0] + bend} {begin[1]} {end[0] - bend} {end[1]} {end[0]} {end[1]}"
        label = edge.contract if edge.role == "source" else f"{edge.contract}: {edge.role}"
        middle = ((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2 - 6)
        curves.append({"path": path, "label": label, "x": middle[0], "y": middle[1], "edge": edge})
    return {
        "boxes": boxes,
        "curves": curves,
        "wide": WIDE,
        "high": HIGH,
        "width": len(layers) * (WIDE + ACROSS) - ACROSS + 4,
        "height": tallest * (HIGH + DOWN) - DOWN + 4,
    }


def _ordered(graph: Graph) -> list[list[Table]]:
    """Return the layers, each ordered by the mean position of what its tables were made of, so that few edges cross."""
    places: dict[str, float] = {}
    layers = []
    for layer in graph.layers():
        means = {table.place: _mean([places[e.source] for e in graph.edges if e.target == table.place and e.source in places])
                 for table in layer}  # fmt: skip
        ordered = sorted(layer, key=lambda table: (means[table.place], table.place))
        places |= {table.place: row - len(ordered) / 2 for row, table in enumerate(ordered)}
        layers.append(ordered)
    return layers


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0


def _short(place: str) -> str:
    """Return the end of a path, which distinguishes tables."""
    name = "/".join(place.rstrip("/").split("/")[-2:])
    return name if len(name) <= 32 else "…" + name[-31:]
