"""Normalise spelling, type and unit of columns.

Everything is a SQL expression of the scan that evaluates the rules; only Unicode normal forms need Python.
"""

from __future__ import annotations

from typing import Any

from dataward.contract.treatment import Normalise
from dataward.quality.repair.working import WHY, Working
from dataward.spark.sql import identifier, literal

__all__ = ["normalise"]

CASES = {"lower": "lower", "upper": "upper", "title": "initcap"}
SPACE = r"[\\s\\u00A0\\u2007\\u202F\\u3000]"
NUMBER = r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"


def normalise(working: Working, column: str, how: Normalise) -> None:
    """Normalise a column: convert its unit where one is given, otherwise its spelling where it is a string."""
    name = working.name(column)
    if how.unit is not None:
        _convert(working, name, how)
    elif working.kind(name) == "string":
        _spell(working, name, how)


def _spell(working: Working, name: str, how: Normalise) -> None:
    """Normalise the text of a column, then read it as the type or category that the contract names."""
    treatment, before = f"normalise.{name}", identifier(f"{WHY}_was")
    working.replace({f"{WHY}_was": identifier(name)})
    if how.unicode:
        working.frame = working.frame.withColumn(name, _normal_form(how.unicode)(working.frame[identifier(name)]))
    text = identifier(name)
    if how.trim:
        text = _trimmed(text)
    if how.squeeze:
        text = f"regexp_replace({text}, '{SPACE}+', ' ')"
    if how.case:
        text = f"{CASES[how.case]}({text})"
    if how.null_when:
        nulls = ", ".join(literal(value.strip().lower()) for value in how.null_when)
        text = f"if(lower({_trimmed(text)}) in ({nulls}), null, {text})"
    working.replace({name: text})
    typed = read(identifier(name), how)
    if typed is None:
        working.tally(treatment, name, ("changed", "emptied"), _did(before, identifier(name)))
        working.frame = working.frame.drop(f"{WHY}_was")
        return
    typed_cell = identifier(f"{WHY}_read")
    working.replace({f"{WHY}_read": typed})
    lost = f"{identifier(name)} is not null and {typed_cell} is null"
    word = "unknown" if how.values else "unreadable"
    parsed = "changed" if how.values else "parsed"
    changed = f"when {typed_cell} is not null and not ({before} <=> cast({typed_cell} as string)) then '{parsed}'"
    emptied = f"when {before} is not null and {identifier(name)} is null then 'emptied'"
    working.tally(treatment, name, (word, parsed, "emptied"), f"case when {lost} then '{word}' {emptied} {changed} end")
    if how.else_ == "divert":
        working.divert(literal(f"{treatment}: {word}"), [name], lost)
    # A diverted row keeps a text that is in no category; a text that is no date does not fit into a column of dates.
    kept = f"coalesce({typed_cell}, {identifier(name)})" if how.values and how.else_ != "null" else typed_cell
    working.replace({name: kept})
    working.frame = working.frame.drop(f"{WHY}_was", f"{WHY}_read")


def read(text: str, how: Normalise) -> str | None:
    """Return SQL that reads a text as date, timestamp, number or category, and is null where the text is none.

    Args:
        text: SQL of the text.
        how: the column's entry in the contract.

    Returns:
        None where the contract names no type and no categories.
    """
    if how.date:
        return f"coalesce({', '.join(f'cast(try_to_timestamp({text}, {literal(pattern)}) as date)' for pattern in how.date)})"
    if how.timestamp:
        return f"coalesce({', '.join(f'try_to_timestamp({text}, {literal(pattern)})' for pattern in how.timestamp)})"
    if how.number is not None:
        bare = f"replace({text}, {literal(how.number.group)}, '')" if how.number.group else text
        plain = f"replace({bare}, {literal(how.number.decimal)}, '.')" if how.number.decimal != "." else bare
        return f"if({plain} rlike {literal('^' + NUMBER + '$')}, try_cast({plain} as {how.as_}), null)"
    if how.values:
        pairs = {
            spelled.lower(): category
            for category, spellings in how.values.items()
            for spelled in (category, *spellings)
        }
        entries = ", ".join(f"{literal(spelled)}, {literal(category)}" for spelled, category in pairs.items())
        return f"element_at(map({entries}), lower({text}))"
    return None


def _convert(working: Working, name: str, how: Normalise) -> None:
    """Convert numbers to one unit, row by row, and set the unit column to it."""
    assert how.unit is not None  # noqa: S101 - `normalise` checks it
    treatment, unit = f"normalise.{name}", working.name(how.unit.column)
    number, current, target = identifier(name), identifier(unit), literal(how.unit.to)
    cases = [f"when {current} = {target} then cast({number} as double)"]
    for source in how.unit.from_:
        factor, offset = how.unit.factor(source)
        cases.append(f"when {current} = {literal(source)} then {number} * {factor!r}d + {offset!r}d")
    converted_cell = identifier(f"{WHY}_read")
    working.replace({f"{WHY}_read": f"case {' '.join(cases)} end"})
    lost = f"{number} is not null and {converted_cell} is null"
    converted = f"when {number} is not null and {current} <> {target} then 'converted'"
    working.tally(
        treatment, name, ("unknown unit", "converted"), f"case when {lost} then 'unknown unit' {converted} end"
    )
    if how.else_ == "divert":
        working.divert(literal(f"{treatment}: unknown unit"), [name, unit], lost)
    # The unit of an unconverted number becomes the target unit as well: a number filled later is in the target unit.
    stays = f"{lost}" if how.else_ == "divert" else "false"
    working.replace({name: converted_cell, unit: f"if({stays}, {current}, {target})"})
    working.frame = working.frame.drop(f"{WHY}_read")


def _did(before: str, after: str) -> str:
    """Return SQL of the tally of a text's change."""
    return (
        f"case when {before} is not null and {after} is null then 'emptied' when {before} <> {after} then 'changed' end"
    )


def _trimmed(text: str) -> str:
    return f"regexp_replace({text}, '^{SPACE}+|{SPACE}+$', '')"


def _normal_form(form: str) -> Any:
    import pandas as pd
    from pyspark.sql import functions

    udf: Any = functions.pandas_udf  # type: ignore[attr-defined]  # missing from pyspark's stubs

    def normal(texts: pd.Series) -> pd.Series:
        return texts.str.normalize(form)  # Arrow's own utf8_normalize does not compose

    normal.__annotations__ = dict.fromkeys(("texts", "return"), pd.Series)  # Spark derives the kind of UDF from them
    return udf(normal, "string")
