"""PyDeequ's own suggestions as DQDL; those that DQDL cannot say are left out."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
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
    with contextlib.redirect_stdout(sys.stderr):
        runner = ConstraintSuggestionRunner(spark).onData(frame.select(*map(identifier, names)))
        told = runner.addConstraintRule(DEFAULT()).run()
    return [one for said in told["constraint_suggestions"] for one in _as_rule(said["code_for_constraint"])]


def _as_rule(code: str) -> Iterator[Candidate]:
    found = CODE.search(code.strip())
    if not found:
        return
    column, more = found["column"], found["more"] or ""
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
