"""``DatasetMatch "reference" "id" >= 0.9``: the same rows as another table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataward.quality.metrics import Unmeasured
from dataward.quality.rules.base import SHARE
from dataward.quality.rules.families import Finding, Probe, Scene
from dataward.spark.compare import Incomparable, paired_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["DatasetMatch"]


class DatasetMatch(Probe):
    """Share of the source's rows that a reference also has, by key: ``DatasetMatch ALIAS KEYS [COLUMNS]``.

    Keys and columns are lists such as ``"id,year->yr"`` (here -> there). Without columns, all others are compared; the
    reference must have them. Nulls equal nulls; columns of two types are compared as :class:`ReferentialIntegrity` says. The key
    must be unique and complete on both sides, else ERRORED.

    Example::

        DatasetMatch "reference" "n" "id,age" >= 0.9 # 0.8, FAILED
        DatasetMatch "reference" "id" "age" >= 0.5 # none, ERRORED
    """

    name = "DatasetMatch"
    span = SHARE
    reads = "reference"
    parameters = (2, 3)

    def check(self) -> None:
        """Validate the statement."""
        super().check()
        for parameter in self.statement.parameters[1:]:
            for here, there in _pairs(parameter):
                if not here or not there:
                    self.refuse(f"'{parameter}' is no list of columns", 'write "id" or "id->other_id,year"')

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the source that the rule reads."""
        return tuple(here for parameter in self.statement.parameters[1:] for here, _ in _pairs(parameter))

    @property
    def aliases(self) -> tuple[str, ...]:
        """References that the rule reads."""
        return (self.statement.parameters[0],)

    def probe(self, scene: Scene) -> Finding:
        """Measure the rule."""
        from pyspark.sql import functions as F

        reference = scene.references[self.aliases[0]]
        keys = _pairs(self.statement.parameters[1])
        taken = {name.lower() for name, _ in keys}
        others = [(name, name) for name in scene.columns if name.lower() not in taken]
        compared = _pairs(self.statement.parameters[2]) if len(self.statement.parameters) > 2 else others
        there = {name.lower() for name in reference.columns}
        if missing := [name for _, name in keys + compared if name.lower() not in there]:
            raise Unmeasured(f"reference '{self.aliases[0]}' has no column {', '.join(missing)}")

        try:
            sql = paired_columns(
                scene.frame, [here for here, _ in keys + compared], reference, [other for _, other in keys + compared]
            )
        except Incomparable as error:
            raise Unmeasured(f"{error.what}: {error.remedy}") from None

        def side(frame: DataFrame, which: int) -> DataFrame:
            cells = [F.expr(both[which]) for both in sql]
            key = [cell.alias(f"k{n}") for n, cell in enumerate(cells[: len(keys)])]
            value = F.struct(*[cell.alias(f"v{n}") for n, cell in enumerate(cells[len(keys) :])])
            return frame.groupBy(*key).agg(F.count("*").alias(f"n{which}"), F.first(value).alias(f"value{which}"))

        joined = side(scene.frame, 0).join(side(reference, 1), [f"k{n}" for n in range(len(keys))], "full")
        complete = " and ".join(f"k{n} is not null" for n in range(len(keys)))
        row = joined.selectExpr(
            "coalesce(sum(n0), 0)",
            f"coalesce(max(greatest(n0, n1)), 0) > 1 or not coalesce(bool_and({complete}), true)",
            "count_if(n0 = 1 and n1 = 1 and value0 <=> value1)",
        ).first()
        rows, unfit, matched = row or (0, False, 0)
        if unfit:
            raise Unmeasured("the key is not unique and complete on both sides: use AggregateMatch or another key")
        return Finding(matched / rows if rows else None, f"{matched:,} of {rows:,} rows match")


def _pairs(text: str) -> list[tuple[str, str]]:
    """Parse ``"a->x,b"`` to [("a", "x"), ("b", "b")]."""
    parts = [part.split("->") for part in text.split(",")]
    return [(part[0].strip(), part[-1].strip()) if len(part) <= 2 else ("", "") for part in parts]
