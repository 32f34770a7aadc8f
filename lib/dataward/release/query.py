"""The query of a release as frozen data. YAML keys are the field names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from dataward.contract import Contract, Keys, Location, Source, Target, read_model
from dataward.contract.base import Model, Name, Scalar
from dataward.errors import ContractError, did_you_mean

__all__ = [
    "ROW",
    "Answer",
    "Bounds",
    "Count",
    "CountDistinct",
    "Histogram",
    "Mean",
    "Quantiles",
    "Query",
    "ReleaseSource",
    "Spend",
    "Sum",
    "Variance",
    "contract_of",
    "load",
]

ROW = "row"
"""The privacy unit of a query that protects single rows instead of persons."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Range = tuple[Finite, Finite]
Label = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]


class _Answer(Model):
    name: Label | None = Field(default=None, description="column of the target; default: the kind and the column")

    @property
    def label(self) -> str:
        """Name of the answer's column in the target."""
        column = getattr(self, "column", None)
        return self.name or (f"{getattr(self, 'kind', '')}_{column}" if column else str(getattr(self, "kind", "")))


class Count(_Answer):
    """Number of rows, after the bounds."""

    kind: Literal["count"] = "count"


class CountDistinct(_Answer):
    """Number of different values of a column; of the unit's column, the number of units."""

    kind: Literal["count_distinct"] = "count_distinct"
    column: str


class _Clamped(_Answer):
    column: str
    between: Range = Field(description="values outside are clamped to the nearer bound")

    @field_validator("between")
    @classmethod
    def _ordered(cls, between: Range) -> Range:
        if not between[0] < between[1]:
            raise ValueError("'between' is [low, high] with low below high")
        return between


class Sum(_Clamped):
    """Sum of the clamped values that are not null."""

    kind: Literal["sum"] = "sum"


class Mean(_Clamped):
    """Mean of the clamped values that are not null."""

    kind: Literal["mean"] = "mean"


class Variance(_Clamped):
    """Variance (of the population) of the clamped values that are not null."""

    kind: Literal["variance"] = "variance"


class Quantiles(_Clamped):
    """Quantiles of the clamped values that are not null."""

    kind: Literal["quantiles"] = "quantiles"
    at: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(min_length=1, max_length=99)


class Histogram(_Answer):
    """Rows per bin: between ``edges`` (outer bins include everything outside), or of each of the ``values``."""

    kind: Literal["histogram"] = "histogram"
    column: str
    edges: tuple[Finite, ...] = Field(default=(), max_length=1001)
    values: tuple[Scalar, ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def _one_kind(self) -> Histogram:
        if bool(self.edges) == bool(self.values):
            raise ValueError("give either 'edges' (numbers, rising) or 'values'")
        if self.edges and (
            len(self.edges) < 2 or any(a >= b for a, b in zip(self.edges, self.edges[1:], strict=False))
        ):
            raise ValueError("'edges' are at least two numbers, each above the one before")
        if len(set(self.values)) < len(self.values):
            raise ValueError("'values' names a value twice")
        return self


Answer = Count | CountDistinct | Sum | Mean | Variance | Quantiles | Histogram
KINDS = ("count", "count_distinct", "sum", "mean", "variance", "quantiles", "histogram")


def _answer(given: Any) -> Any:
    """Return an answer in the form of its model: ``count``, ``count_distinct: column`` or ``kind: {parameters}``."""
    if isinstance(given, _Answer):
        return given
    if isinstance(given, str):
        given = {given: {}}
    if not isinstance(given, dict) or len(given) != 1:
        raise ValueError(f"an answer is one of {', '.join(KINDS)}, e.g. count, or sum: {{column: x, between: [0, 1]}}")
    ((kind, parameters),) = given.items()
    if kind not in KINDS:
        raise ValueError(f"unknown answer '{kind}'; {did_you_mean(str(kind), KINDS) or 'use ' + ', '.join(KINDS)}")
    if isinstance(parameters, str):
        parameters = {"column": parameters}
    if parameters is not None and not isinstance(parameters, dict):
        raise ValueError(f"'{kind}' takes a column or a mapping of parameters")
    return {"kind": kind, **(parameters or {})}


class Bounds(Model):
    """Largest contribution of one unit; a keyed hash chooses what is left out."""

    rows_per_unit: int = Field(ge=1, le=2**20)
    groups_per_unit: int | None = Field(default=None, ge=1, le=2**20, description="default: rows_per_unit")


class ReleaseSource(Location):
    """The queried Delta table."""

    version: int | None = Field(default=None, ge=0, le=2**53, description="default: the newest")
    ledger: Location | None = Field(default=None, description="default: the source's place with '_ledger' appended")
    sealed: bool = Field(
        default=True, description="false: take a table that Dataward did not seal, whose units nobody vouches for"
    )


class Spend(Model):
    """Cost of a release, and the budget that pays it."""

    epsilon: float = Field(gt=0, le=100, allow_inf_nan=False)
    delta: float = Field(default=0.0, ge=0, lt=0.1, allow_inf_nan=False)
    from_: str | Location = Field(alias="from", description="the table of budgets: a path, or {table: NAME}")
    reservation: Name | None = Field(default=None, description="pay from this reservation")
    mechanism: Literal["auto", "laplace", "gaussian"] = Field(
        default="auto", description="auto: the one with the smaller forecast error"
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="of each interval")

    @property
    def budget(self) -> Location:
        """Location of the table of budgets."""
        return self.from_ if isinstance(self.from_, Location) else Location(path=self.from_)


class Query(Model):
    """One release: table, answers, price, and target."""

    release: Name = Field(description="the release's own name")
    source: ReleaseSource
    unit: str = Field(min_length=1, description="column whose values are the privacy units; 'row' protects single rows")
    bounds: Bounds | None = Field(default=None, description="required unless the unit is a row")
    group_by: dict[str, Literal["unknown"] | tuple[Scalar, ...]] = Field(default_factory=dict)
    answers: tuple[Annotated[Annotated[Answer, Field(discriminator="kind")], BeforeValidator(_answer)], ...] = Field(
        min_length=1
    )
    spend: Spend
    target: Location
    ledger: Location | None = Field(default=None, description="default: the target's place with '_ledger' appended")
    keys: Keys = Field(default_factory=lambda: Keys(path="conf/keys", domain="release"))

    @model_validator(mode="after")
    def _holds_together(self) -> Query:
        if self.unit != ROW and self.bounds is None:
            raise ValueError(
                "'bounds' is missing: add bounds: {rows_per_unit: N}, what one unit may contribute at most"
            )
        if self.unit == ROW and self.bounds is not None:
            raise ValueError("with unit: row every row is a unit of its own: remove 'bounds'")
        if self.unit in self.group_by:
            raise ValueError(f"'{self.unit}' is the unit: a group of one person cannot be released")
        if self.unknown and self.spend.delta == 0:
            raise ValueError("unknown keys need a delta above 0 in 'spend': list the keys, or add e.g. delta: 1.0e-6")
        if self.spend.mechanism == "gaussian" and self.spend.delta == 0:
            raise ValueError("mechanism gaussian needs a delta above 0 in 'spend'")
        for column, keys in self.group_by.items():
            if keys != "unknown" and (not keys or len(set(keys)) < len(keys)):
                raise ValueError(f"group_by.{column}: list at least one key, and each once")
        self._refuse_clashes()
        return self

    def _refuse_clashes(self) -> None:
        labels = [name.lower() for name in (*self.group_by, *(a.label for a in self.answers))]
        labels += [f"{a.label}_{end}".lower() for a in self.answers for end in ("low", "high")]
        if twice := {name for name in labels if labels.count(name) > 1}:
            raise ValueError(f"two columns of the target are named '{min(twice)}': give an answer a 'name'")
        places = {
            "source": self.source,
            "target": self.target,
            "budget": self.spend.budget,
            "ledger": self.ledger_location,
        }
        listed = list(places.items())
        for number, (one, place) in enumerate(listed):
            for other, beside in listed[number + 1 :]:
                if place.same(beside) or place.holds(beside) or beside.holds(place):
                    raise ValueError(f"{one} and {other} share the place {beside}: put them side by side")

    @property
    def unknown(self) -> bool:
        """Whether some keys are taken from the data, so that groups are released by threshold."""
        return "unknown" in self.group_by.values()

    @property
    def rows(self) -> int:
        """Most rows of one unit."""
        return self.bounds.rows_per_unit if self.bounds else 1

    @property
    def groups(self) -> int:
        """Most groups of one unit."""
        if not self.bounds or not self.group_by:
            return 1
        return min(self.bounds.groups_per_unit or self.bounds.rows_per_unit, self.rows)

    @property
    def ledger_location(self) -> Location:
        """Location of the ledger of the target."""
        return self.ledger or self.target.beside("ledger")

    @property
    def contract(self) -> Contract:
        """The target's contract, under which its versions are sealed and verified."""
        return contract_of(self, self.source, self.target, self.ledger)


def contract_of(query: Query, source: Location, target: Location, ledger: Location | None) -> Contract:
    """Return a contract with a query's keys; its target is the table of releases, or the queried one."""
    return Contract(
        contract=query.release,
        source=Source(path=source.path, table=source.table),
        target=Target(path=target.path, table=target.table),
        ledger=ledger,
        keys=query.keys,
        default="keep",
    )


def load(path: str | Path) -> Query:
    """Read a query; needs no Spark.

    Raises:
        ContractError: the file has mistakes; the error lists all of them.
    """
    try:
        return read_model(path, Query)
    except ContractError as error:
        raise ContractError(
            [replace(one, remedy=one.remedy.replace("contract.md", "release.md")) for one in error.problems]
        ) from None
