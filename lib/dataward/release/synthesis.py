"""The file of ``dataward synthesize``: columns with their public domains, the price, and the location of the synthetic table."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from dataward.contract import Keys, Location, read_model
from dataward.contract.base import Model, Name, Scalar
from dataward.release.query import ROW, Bounds, Finite, Histogram, Query, ReleaseSource, Spend

__all__ = ["Domain", "Synthesis", "load_synthesis"]


class Domain(Model):
    """Values of a synthetic column, known without reading the table: a range in bins, or a list."""

    between: tuple[Finite, Finite] | None = None
    bins: int = Field(default=16, ge=1, le=256, description="bins of equal width between the bounds")
    values: tuple[Scalar, ...] = Field(default=(), max_length=256)

    @model_validator(mode="after")
    def _one_kind(self) -> Domain:
        if (self.between is None) == (not self.values):
            raise ValueError("give either 'between: [low, high]' (and bins) or 'values'")
        if self.between is not None and not self.between[0] < self.between[1]:
            raise ValueError("'between' is [low, high] with low below high")
        return self

    @property
    def edges(self) -> tuple[float, ...]:
        """Edges of the bins of a range."""
        if self.between is None:
            return ()
        low, high = self.between
        return (*(low + (high - low) * n / self.bins for n in range(self.bins)), high)


class Synthesis(Model):
    """A synthetic table: its source, columns and price."""

    synthesize: Name = Field(description="name of the synthetic table")
    source: ReleaseSource
    unit: str = Field(min_length=1, description="column whose values are the privacy units; 'row' protects single rows")
    bounds: Bounds | None = None
    columns: dict[str, Domain] = Field(min_length=1, max_length=40)
    rows: int | None = Field(default=None, ge=1, le=10**8, description="default: the noisy number of rows")
    predict: str | None = Field(default=None, description="column that the utility report predicts; default: the last")
    spend: Spend
    target: Location
    ledger: Location | None = None
    keys: Keys = Field(default_factory=lambda: Keys(path="conf/keys", domain="release"))

    @model_validator(mode="after")
    def _holds_together(self) -> Synthesis:
        if self.spend.delta == 0:
            raise ValueError("synthetic data need a delta above 0 in 'spend': their noise is Gaussian")
        if self.predict is not None and self.predict not in self.columns:
            raise ValueError(f"predict '{self.predict}' is none of the columns")
        _ = self.query  # raises the query's own errors
        return self

    @property
    def query(self) -> Query:
        """The same as a query: the histogram of every column, with the same bounds and locations."""
        answers = [
            Histogram(name=f"h{number}", column=name, edges=domain.edges, values=domain.values)
            for number, (name, domain) in enumerate(self.columns.items())
        ]
        spend = self.spend.model_copy(update={"mechanism": "gaussian"})
        return Query(
            release=self.synthesize,
            source=self.source,
            unit=self.unit,
            bounds=None if self.unit == ROW else self.bounds,
            answers=tuple(answers),
            spend=spend,
            target=self.target,
            ledger=self.ledger,
            keys=self.keys,
        )


def load_synthesis(path: str | Path) -> Synthesis:
    """Read a file of a synthetic table; needs no Spark.

    Raises:
        ContractError: the file has mistakes; the error lists all of them.
    """
    return read_model(path, Synthesis)
