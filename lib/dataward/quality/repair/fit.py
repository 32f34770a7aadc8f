"""Check that repairs fit the columns of a frame by their types, without reading data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dataward.contract.treatment import Missing, Treatment
from dataward.errors import did_you_mean
from dataward.quality.duplicates.matching import Matching
from dataward.quality.repair.duplicates import matching
from dataward.quality.repair.normalise import normalise
from dataward.quality.repair.working import Working
from dataward.spark.compare import Incomparable, paired_columns
from dataward.spark.sql import identifier, literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["misfit", "normalised"]

NUMBERS = re.compile(r"tinyint|smallint|int|bigint|float|double|decimal.*")
Trouble = tuple[tuple[str, ...], str, str]


def normalised(frame: DataFrame, how: Treatment) -> DataFrame:
    """Return the frame with the types that its columns have after normalisation."""
    if not how.normalise:
        return frame
    working = Working.of(frame, None)
    for column, spelling in how.normalise.items():
        normalise(working, column, spelling)
    return working.frame.select(*map(identifier, frame.columns))


def misfit(how: Treatment, frame: DataFrame, references: Mapping[str, DataFrame]) -> Iterator[Trouble]:
    """Yield (place below ``treat``, what is wrong, remedy) for every impossible repair; all columns exist."""
    raw = {name.lower(): kind for name, kind in frame.dtypes}
    for column, spelling in how.normalise.items():
        kind, wanted = raw[column.lower()], "a number" if spelling.unit else "text"
        if not (
            NUMBERS.fullmatch(kind)
            if spelling.unit
            else kind in ("string", "date", "timestamp", "double", "int", "bigint")
        ):
            yield ("normalise", column), f"'{column}' is {kind}, and this needs {wanted}", "remove the line"
    typed = normalised(frame, how)
    kinds = {name.lower(): kind for name, kind in typed.dtypes}
    for name, duplicates in how.duplicates.items():
        yield from _unresolved(name, matching(duplicates), typed)
    for column in how.outliers:
        if not NUMBERS.fullmatch(kinds[column.lower()]):
            what = f"'{column}' is {kinds[column.lower()]}: outliers are defined for numbers only"
            yield ("outliers", column), what, "normalise it to a number first, or remove the line"
    for column, missing in how.missing.items():
        yield from _unfillable(column, missing, kinds[column.lower()], typed, references)


def _unresolved(name: str, wanted: Matching, frame: DataFrame) -> Iterator[Trouble]:
    """Yield the block keys that are no SQL over the frame."""
    for key in wanted.block:
        try:
            frame.selectExpr(f"xxhash64({key})", f"concat({key})")
        except Exception:
            yield (
                ("duplicates", name),
                f"block '{key}' is no SQL over this source's columns",
                "e.g. soundex(surname), postcode",
            )


def _unfillable(
    column: str, how: Missing, kind: str, frame: DataFrame, references: Mapping[str, DataFrame]
) -> Iterator[Trouble]:
    """Yield why the missing values of a column cannot be filled as the contract says."""
    place = ("missing", column)
    if how.with_ in ("mean", "median") and not NUMBERS.fullmatch(kind):
        yield (
            place,
            f"'{column}' is {kind}: it has no {how.with_}",
            "use 'with: mode', or normalise it to a number first",
        )
    if how.constant is not None:
        row = frame.sparkSession.sql(f"select try_cast({literal(how.constant_text)} as {kind}) as it").first()
        if row is None or row["it"] is None:
            yield place, f"the constant {how.constant!r} is no {kind}, which '{column}' is", "give one of its type"
    if how.lookup is None:
        return
    if how.lookup.reference not in references:
        remedy = did_you_mean(how.lookup.reference, references) or "add it to 'references'"
        yield place, f"the contract has no reference '{how.lookup.reference}'", remedy
        return
    known = references[how.lookup.reference].columns
    lacking = False
    for name in (*how.lookup.on.values(), how.lookup.take):
        if name.lower() not in map(str.lower, known):
            remedy = did_you_mean(name, known) or f"it has {', '.join(known)}"
            lacking = True
            yield place, f"reference '{how.lookup.reference}' has no column '{name}'", remedy
    if not lacking:
        try:
            paired_columns(frame, how.lookup.on, references[how.lookup.reference], how.lookup.on.values())
        except Incomparable as error:
            yield place, error.what, error.remedy
