"""PyDeequ's own suggestions as DQDL; those that DQDL cannot say are left out."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dataward.profiling.suggest.candidates import Candidate
from dataward.quality.conditions import quoted
from dataward.spark.sql import identifier

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["suggested"]

CODE = re.compile(r'\.(?P<kind>\w+)\("(?P<column>[^"]+)"(?:, (?P<more>.*))?\)$', re.DOTALL)
KNOWN = ("string", "boolean", "int", "bigint", "float", "double", "decimal")  # it cannot map dates


def suggested(spark: SparkSession, frame: DataFrame) -> list[Candidate]:
    """Return PyDeequ's suggestions; ``frame`` holds no sensitive column, because suggestions quote values."""
    from pydeequ.suggestions import DEFAULT, ConstraintSuggestionRunner

    names = [name for name, kind in frame.dtypes if kind.startswith(KNOWN)]
    if not names:
        return []
    plain = {f"c{number}": name for number, name in enumerate(names)}  # Deequ interprets dots and quotes in names
    with contextlib.redirect_stdout(sys.stderr):
        rows = frame.selectExpr(*(f"{identifier(name)} as {short}" for short, name in plain.items()))
        found = ConstraintSuggestionRunner(spark).onData(rows).addConstraintRule(DEFAULT()).run()
    codes = (suggestion["code_for_constraint"] for suggestion in found["constraint_suggestions"])
    return [candidate for code in codes for candidate in _as_rule(code, plain)]


def _as_rule(code: str, names: Mapping[str, str]) -> Iterator[Candidate]:
    found = CODE.search(code.strip())
    if not found:
        return
    column, more = names[found["column"]], found["more"] or ""
    name, there = quoted(column), f'where "{identifier(column)} is not null"'
    listed, bound = re.match(r"\[(.*?)\](?:, lambda)?", more, re.DOTALL), re.search(r"lambda x: x >= ([0-9.]+)", more)
    rules = {
        "isComplete": f"IsComplete {name}",
        "isUnique": f"IsUnique {name}",
        "isNonNegative": f"ColumnValues {name} >= 0 {there}",
    }
    if bound:
        rules["hasCompleteness"] = f"Completeness {name} >= {bound[1]}"
    elif listed:
        rules["isContainedIn"] = f"ColumnValues {name} in [{listed[1]}] {there}"
    if rule := rules.get(found["kind"]):
        yield Candidate(rule, "PyDeequ suggests it")
