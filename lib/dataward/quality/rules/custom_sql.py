"""``CustomSql "select count(*) from primary where total < 0" = 0``: one number from a query."""

from __future__ import annotations

from decimal import Decimal

from dataward.contract.pure import Impure, patterns, query
from dataward.quality.metrics import Metric, Unmeasured
from dataward.quality.rules.families import Finding, Probe, Scene
from dataward.tables.reason import reason

__all__ = ["CustomSql"]


class CustomSql(Probe):
    """A query over the pinned source (the view ``primary``) and the contract's references (views named by alias).

    With a condition, the query returns one number that must meet it; whole numbers and decimals are compared exactly. Without one, it
    returns the rows that fail: the share of the others must be 1, or meet ``with threshold``; no row is diverted. The rule runs a
    Spark job of its own. Only a single query of these tables with functions without side effects is accepted; anything else is
    refused when the contract loads. A query that fails, or returns anything but one number, is ERRORED.

    Example::

        CustomSql "select count(*) from primary where age > 40" = 2 # 2, PASSED
        CustomSql "select id from primary where age > 40" with threshold > 0.5 # 0.6, PASSED
        CustomSql "select mail from primary" = 0 # none, ERRORED
    """

    name = "CustomSql"
    condition_optional = True
    reads = "query"
    tags = frozenset({"threshold"})

    def check(self) -> None:
        """Validate the statement."""
        super().check()
        try:
            query(self.query)
        except Impure as error:
            self.refuse(error.what, error.remedy)

    @property
    def aliases(self) -> tuple[str, ...]:
        """References that the rule reads."""
        return tuple(sorted(name for name in query(self.query) if name.lower() != "primary"))

    @property
    def patterns(self) -> tuple[str, ...]:
        """Regular expressions of the query."""
        return tuple(patterns(self.query))

    @property
    def query(self) -> str:
        """The query without a final semicolon."""
        return str(self.statement.parameters[0]).strip().rstrip(";")

    def metrics(self, now: object) -> tuple[Metric, ...]:
        """Return the metrics that the rule needs."""
        return () if self.statement.condition else (Metric("size"),)

    def probe(self, scene: Scene) -> Finding:
        """Measure the rule."""
        if self.statement.condition is None:
            rows = scene.values[Metric("size")]
            bad = _one_number(scene, f"select count(*) from (\n{self.query}\n)")  # noqa: S608 - the contract's own SQL
            return Finding(1 - float(bad) / rows if rows and bad is not None else None)
        # A statement that is not a query does not parse as subquery.
        return Finding(_one_number(scene, f"select * from (\n{self.query}\n) limit 2"))  # noqa: S608


def _one_number(scene: Scene, query: str) -> float | Decimal | None:
    """Run a query that returns one number, exactly for whole numbers and decimals."""
    try:
        rows = scene.spark.sql(query).collect()
    except Exception as error:
        raise Unmeasured(f"the query failed: {reason(error)}") from None
    if len(rows) != 1 or len(rows[0]) != 1:
        raise Unmeasured("the query must give one row with one number")
    if rows[0][0] is None:
        return None
    number = rows[0][0]
    try:
        return Decimal(number) if isinstance(number, int | Decimal) and not isinstance(number, bool) else float(number)
    except (TypeError, ValueError):
        raise Unmeasured("the query must give a number") from None
