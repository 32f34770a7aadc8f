"""Models of the contract's ``treat`` section: repairs in the order normalise, duplicates, outliers, missing."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from dataward.contract.base import Model, Name, Scalar
from dataward.contract.pure import Impure, expressions

__all__ = [
    "Comparison",
    "Duplicates",
    "Kind",
    "Lookup",
    "Method",
    "Missing",
    "Normalise",
    "Outliers",
    "Treatment",
    "Unit",
]

Kind = Literal["name", "text", "address", "id", "date", "exact"]
"""Similarity measure of two values."""

Method = Literal["iqr", "zscore", "mad"]
"""Method that computes the fences of outliers."""


UNIT = re.compile(r"(1|{0})([ ]?[*/ ][ ]?{0}){{0,5}}".format(r"([^\W\d]|[°%])[\w°%]{0,31}((\*\*|\^)-?[1-9])?"))
"""Products and quotients of names only: pint evaluates any arithmetic in a text, which may take unbounded time."""


class Number(Model):
    """Notation of numbers: ``1.234,50`` has decimal "," and group "."."""

    decimal: str = Field(default=".", min_length=1, max_length=1)
    group: str = Field(default="", max_length=1)

    @model_validator(mode="after")
    def _differ(self) -> Number:
        if self.decimal == self.group:
            raise ValueError("'decimal' and 'group' must be two different signs")
        return self


class Unit(Model):
    """Conversion of numbers to the unit ``to``; ``column`` names the column that holds each number's unit."""

    column: str
    to: str = Field(description="a unit as pint knows it: kg, degC, km/h")
    from_: tuple[str, ...] = Field(alias="from", min_length=1, description="the units that may occur in 'column'")

    @model_validator(mode="after")
    def _convert(self) -> Unit:
        for unit in (self.to, *self.from_):
            if not UNIT.fullmatch(unit):
                raise ValueError(f"'{unit[:40]}' is no unit: write it as pint does (lb, degF, km/h, m/s**2)")
        for unit in self.from_:
            self.factor(unit)
        return self

    def factor(self, unit: str) -> tuple[float, float]:
        """Return (factor, offset) of the conversion from a unit to ``to``: value * factor + offset.

        Raises:
            ValueError: a unit is unknown, or the two measure different quantities.
        """
        import pint

        registry = _units()
        try:
            zero, one = (registry.Quantity(number, unit).to(self.to).magnitude for number in (0.0, 1.0))
        except pint.UndefinedUnitError as error:
            raise ValueError(
                f"unit {error.unit_names} is unknown to pint: write it as pint does (lb, degF, m/s)"
            ) from None
        except pint.DimensionalityError:
            raise ValueError(f"'{unit}' and '{self.to}' do not measure the same thing") from None
        return one - zero, zero


def _units() -> Any:
    """Return pint's registry of units."""
    import pint

    registry: Any = pint.get_application_registry  # its annotations are incomplete
    return registry()


class Normalise(Model):
    """Normalisation of a column, in the order of the fields; ``else`` treats values that cannot be read."""

    null_when: tuple[str, ...] = Field(
        default=(), description="texts that mean 'no value', compared trimmed and without case"
    )
    trim: bool = Field(default=False, description="remove white space at both ends")
    squeeze: bool = Field(default=False, description="replace runs of white space by one space")
    unicode: Literal["NFC", "NFKC"] | None = Field(default=None, description="normal form (UAX 15)")
    case: Literal["lower", "upper", "title"] | None = None
    values: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="category: [spellings of it], compared without case"
    )
    date: tuple[str, ...] = Field(
        default=(), description="accepted patterns (Spark's), first match wins; becomes a date"
    )
    timestamp: tuple[str, ...] = Field(default=(), description="accepted patterns; becomes a timestamp")
    number: Number | None = Field(default=None, description="how numbers are written; becomes a number")
    as_: str = Field(
        default="double",
        alias="as",
        pattern=r"^(double|float|int|bigint|decimal\(\d{1,2}, ?\d{1,2}\))$",
        description="with number: its type",
    )
    unit: Unit | None = None
    else_: Literal["divert", "null", "keep"] = Field(
        default="divert", alias="else", description="what happens to a value that cannot be read, or is in no category"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Normalise:
        kinds = [self.date, self.timestamp, self.number, self.unit, self.values]
        if sum(map(bool, kinds)) > 1:
            raise ValueError("give one of 'date', 'timestamp', 'number', 'unit' and 'values'")
        if self.else_ == "keep" and not self.values:
            raise ValueError("'else: keep' goes with 'values': a text is no date and no number")
        if self.unit and (self.trim or self.squeeze or self.case or self.unicode or self.null_when):
            raise ValueError("'unit' goes with a column of numbers: give nothing else")
        spelled: dict[str, str] = {}
        for category, spellings in self.values.items():
            for text in (category, *spellings):
                if spelled.setdefault(text.lower(), category) != category:
                    raise ValueError(f"'{text}' is a spelling of '{spelled[text.lower()]}' and of '{category}'")
        return self


class Comparison(Model):
    """Comparison of two values of a column.

    ``name`` and ``text`` use the Jaro-Winkler similarity, ``address`` the similarity of the sorted words, ``id`` and ``date``
    the Damerau-Levenshtein similarity, ``exact`` equality.
    """

    as_: Kind = Field(default="text", alias="as")
    weight: float = Field(default=1.0, gt=0, le=100)


Compared = Annotated[Comparison, BeforeValidator(lambda given: {"as": given} if isinstance(given, str) else given)]


class Duplicates(Model):
    """Definition of duplicates: rows with equal ``on``, or with a similarity (``similar``) of at least ``above``."""

    on: tuple[str, ...] = Field(
        default=(), description="columns that are equal; a row with a null in one is no duplicate"
    )
    similar: dict[str, Compared] = Field(default_factory=dict, description="columns that are compared, and how")
    above: float = Field(default=0.85, gt=0, le=1, description="with similar: the weighted mean of similarities")
    block: tuple[str, ...] = Field(
        default=(),
        description="with similar: SQL keys (columns separated by commas); two rows are compared if one key is equal. "
        "Default: each compared column",
    )
    largest_block: int = Field(
        default=1000,
        ge=2,
        le=1_000_000,
        description="in larger blocks, each row is compared with its next neighbours in sort order only",
    )
    keep: Literal["newest", "oldest", "most_complete", "merge", "none"] = Field(
        default="most_complete",
        description="which row stays; merge: the most complete, its nulls filled from the others; the rest is diverted",
    )
    by: str | None = Field(default=None, description="with newest and oldest: the column that orders the rows")

    @model_validator(mode="after")
    def _pure(self) -> Duplicates:
        for text in self.block:
            try:
                expressions(text)
            except Impure as error:
                raise ValueError(f"block '{text[:60]}': {error.what}; {error.remedy}") from None
        return self

    @model_validator(mode="after")
    def _one_way(self) -> Duplicates:
        if bool(self.on) == bool(self.similar):
            raise ValueError("give either 'on' (equal columns) or 'similar' (columns that are alike)")
        if (self.by is not None) != (self.keep in ("newest", "oldest")):
            raise ValueError("keep newest and oldest need 'by' (a column), and only these take it")
        return self


class Outliers(Model):
    """Treatment of numbers beyond fences: Tukey's (``iqr``), standard deviations (``zscore``), modified z-score (``mad``)."""

    method: Method = "iqr"
    factor: float | None = Field(default=None, gt=0, description="default: 1.5 for iqr, 3 for zscore, 3.5 for mad")
    skewed: bool = Field(default=False, description="with iqr: fences that follow the skew (medcouple)")
    per: tuple[str, ...] = Field(default=(), description="columns: every group has its own fences")
    do: Literal["divert", "winsorise", "null"] = "divert"

    @model_validator(mode="after")
    def _fits(self) -> Outliers:
        if self.skewed and self.method != "iqr":
            raise ValueError("'skewed' goes with method iqr")
        return self


class Lookup(Model):
    """A value from a table of the contract's ``references``, used where all rows of the key agree on it."""

    reference: str
    on: dict[str, str] = Field(min_length=1, description="this table's column: the reference's")
    take: str


class Missing(Model):
    """Replacement of missing values; exactly one of its ways is given."""

    constant: Scalar | None = None
    with_: Literal["mean", "median", "mode"] | None = Field(default=None, alias="with")
    per: tuple[str, ...] = Field(default=(), description="with 'with': columns, every group has its own")
    from_: Literal["previous", "next"] | None = Field(
        default=None, alias="from", description="the nearest value by time"
    )
    key: tuple[str, ...] = Field(default=(), description="with from: columns whose rows belong together")
    by: str | None = Field(default=None, description="with from: the column that orders them")
    lookup: Lookup | None = None
    divert: bool = Field(default=False, description="such rows go to the quarantine")

    @model_validator(mode="after")
    def _one_way(self) -> Missing:
        ways = [
            self.constant is not None,
            self.with_ is not None,
            self.from_ is not None,
            self.lookup is not None,
            self.divert,
        ]
        if sum(ways) != 1:
            raise ValueError("give exactly one of 'constant', 'with', 'from', 'lookup', 'divert: true'")
        if self.per and not self.with_:
            raise ValueError("'per' goes with 'with' (mean, median or mode)")
        if (self.by is not None) != (self.from_ is not None) or (self.key and not self.from_):
            raise ValueError("'from' needs 'by' (and takes 'key'); nothing else takes them")
        return self

    @property
    def constant_text(self) -> str:
        """The constant as text for a cast in Spark."""
        return str(self.constant).lower() if isinstance(self.constant, bool) else str(self.constant)


class Treatment(Model):
    """All repairs, applied in the order of the fields; repairs are counted, and the rules are evaluated on the repaired rows."""

    normalise: dict[str, Normalise] = Field(default_factory=dict)
    duplicates: dict[Name, Duplicates] = Field(default_factory=dict)
    outliers: dict[str, Outliers] = Field(default_factory=dict)
    missing: dict[str, Missing] = Field(default_factory=dict)
    changes: bool = Field(
        default=False, description="keep each changed cell, before and after, in a table beside the target"
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Treatment:
        if self.changes and not self:
            raise ValueError("'changes' keeps what repairs change, and none is named")
        return self

    @model_validator(mode="after")
    def _fills_in_categories(self) -> Treatment:
        for name, missing in self.missing.items():
            normalise = self.normalise.get(name)
            if (
                normalise
                and normalise.values
                and normalise.else_ != "keep"
                and missing.constant is not None
                and missing.constant not in normalise.values
            ):
                raise ValueError(
                    f"missing.{name}: '{missing.constant}' is none of the column's categories: add it to normalise.{name}.values"
                )
        return self

    @model_validator(mode="after")
    def _compares_what_was_there(self) -> Treatment:
        replaced = {name.lower() for name, missing in self.missing.items() if not missing.divert}
        replaced |= {name.lower() for name, outliers in self.outliers.items() if outliers.do != "divert"}
        for name, one in self.duplicates.items():
            if replaced_columns := [column for column in (*one.on, *one.similar) if column.lower() in replaced]:
                raise ValueError(
                    f"duplicates.{name} compares '{replaced_columns[0]}', whose values later repairs replace (missing, outliers), "
                    "which could make other rows equal: compare other columns, or divert such rows"
                )
        return self

    def __bool__(self) -> bool:
        """Return whether any repair is named."""
        return bool(self.normalise or self.duplicates or self.outliers or self.missing)

    @property
    def diverts(self) -> bool:
        """Whether a repair can divert rows to the quarantine."""
        return bool(
            self.duplicates
            or any(
                one.else_ == "divert" and (one.date or one.timestamp or one.number or one.unit or one.values)
                for one in self.normalise.values()
            )
            or any(one.do == "divert" for one in self.outliers.values())
            or any(one.divert for one in self.missing.values())
        )

    def named(self) -> list[tuple[tuple[str, ...], str]]:
        """Return (place in the contract, column) for every column that a repair names."""
        columns = [(("normalise", name), name) for name in self.normalise]
        columns += [(("normalise", name), one.unit.column) for name, one in self.normalise.items() if one.unit]
        for name, duplicates in self.duplicates.items():
            by_column = (duplicates.by,) if duplicates.by else ()
            columns += [(("duplicates", name), column) for column in (*duplicates.on, *duplicates.similar, *by_column)]
        for name, outliers in self.outliers.items():
            columns += [(("outliers", name), column) for column in (name, *outliers.per)]
        for name, missing in self.missing.items():
            by_column = (missing.by,) if missing.by else ()
            lookup_columns = tuple(missing.lookup.on) if missing.lookup else ()
            columns += [
                (("missing", name), column)
                for column in (name, *missing.per, *missing.key, *by_column, *lookup_columns)
            ]
        return [(("treat", *place), name) for place, name in columns]
