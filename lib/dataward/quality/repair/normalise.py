"""One spelling for each value: columns of the JVM, in the scan that judges; only Unicode's normal forms need Python."""

from __future__ import annotations

from typing import Any

from dataward.contract.treatment import Normalise
from dataward.quality.repair.working import WHY, Working
from dataward.sql import identifier, literal

__all__ = ["normalise"]

CASES = {"lower": "lower", "upper": "upper", "title": "initcap"}
SPACE = r"[\\s\\u00A0\\u2007\\u202F\\u3000]"
NUMBER = r"[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"


def normalise(working: Working, column: str, how: Normalise) -> None:
    """Bring a column to its spelling; a column that is no text any more only has its units converted."""
    name = working.name(column)
    if how.unit is not None:
        _convert(working, name, how)
    elif working.kind(name) == "string":
        _spell(working, name, how)


def _spell(working: Working, name: str, how: Normalise) -> None:
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
        nothing = ", ".join(literal(one.strip().lower()) for one in how.null_when)
        text = f"if(lower({_trimmed(text)}) in ({nothing}), null, {text})"
    working.replace({name: text})
    typed = read(identifier(name), how)
    if typed is None:
        working.tally(treatment, name, ("changed", "emptied"), _did(before, identifier(name)))
        working.frame = working.frame.drop(f"{WHY}_was")
        return
    found = identifier(f"{WHY}_read")
    working.replace({f"{WHY}_read": typed})
    lost = f"{identifier(name)} is not null and {found} is null"
    word = "unknown" if how.values else "unreadable"
    parsed = "changed" if how.values else "parsed"
    changed = f"when {found} is not null and not ({before} <=> cast({found} as string)) then '{parsed}'"
    emptied = f"when {before} is not null and {identifier(name)} is null then 'emptied'"
    working.tally(treatment, name, (word, parsed, "emptied"), f"case when {lost} then '{word}' {emptied} {changed} end")
    if how.else_ == "divert":
        working.divert(literal(f"{treatment}: {word}"), [name], lost)
    # A diverted row keeps the text that is in no category; a text that is no date has no place in a column of dates.
    kept = f"coalesce({found}, {identifier(name)})" if how.values and how.else_ != "null" else found
    working.replace({name: kept})
    working.frame = working.frame.drop(f"{WHY}_was", f"{WHY}_read")


def read(text: str, how: Normalise) -> str | None:
    """SQL of what a text says as a date, a timestamp, a number or a category; null where it says none. None: no such wish."""
    if how.date:
        return f"coalesce({', '.join(f'cast(try_to_timestamp({text}, {literal(one)}) as date)' for one in how.date)})"
    if how.timestamp:
        return f"coalesce({', '.join(f'try_to_timestamp({text}, {literal(one)})' for one in how.timestamp)})"
    if how.number is not None:
        bare = f"replace({text}, {literal(how.number.group)}, '')" if how.number.group else text
        plain = f"replace({bare}, {literal(how.number.decimal)}, '.')" if how.number.decimal != "." else bare
        return f"if({plain} rlike {literal('^' + NUMBER + '$')}, try_cast({plain} as {how.as_}), null)"
    if how.values:
        pairs = {spelled.lower(): category for category, some in how.values.items() for spelled in (category, *some)}
        told = ", ".join(f"{literal(spelled)}, {literal(category)}" for spelled, category in pairs.items())
        return f"element_at(map({told}), lower({text}))"
    return None


def _convert(working: Working, name: str, how: Normalise) -> None:
    assert how.unit is not None  # noqa: S101 - asked before
    treatment, unit = f"normalise.{name}", working.name(how.unit.column)
    number, said, to = identifier(name), identifier(unit), literal(how.unit.to)
    cases = [f"when {said} = {to} then cast({number} as double)"]
    for one in how.unit.from_:
        factor, offset = how.unit.factor(one)
        cases.append(f"when {said} = {literal(one)} then {number} * {factor!r}d + {offset!r}d")
    found = identifier(f"{WHY}_read")
    working.replace({f"{WHY}_read": f"case {' '.join(cases)} end"})
    lost = f"{number} is not null and {found} is null"
    converted = f"when {number} is not null and {said} <> {to} then 'converted'"
    working.tally(
        treatment, name, ("unknown unit", "converted"), f"case when {lost} then 'unknown unit' {converted} end"
    )
    if how.else_ == "divert":
        working.divert(literal(f"{treatment}: unknown unit"), [name, unit], lost)
    # Where there is no number its unit goes as well: a number that comes later would be taken for one in it.
    stays = f"{lost}" if how.else_ == "divert" else "false"
    working.replace({name: found, unit: f"if({stays}, {said}, {to})"})
    working.frame = working.frame.drop(f"{WHY}_read")


def _did(before: str, after: str) -> str:
    return (
        f"case when {before} is not null and {after} is null then 'emptied' when {before} <> {after} then 'changed' end"
    )


def _trimmed(text: str) -> str:
    return f"regexp_replace({text}, '^{SPACE}+|{SPACE}+$', '')"


def _normal_form(form: str) -> Any:
    import pandas as pd
    from pyspark.sql import functions

    udf: Any = functions.pandas_udf  # type: ignore[attr-defined]  # pyspark does not name it in its stubs

    def normal(texts: pd.Series) -> pd.Series:
        return texts.str.normalize(form)  # Arrow's own utf8_normalize does not compose

    normal.__annotations__ = dict.fromkeys(("texts", "return"), pd.Series)  # Spark asks them of what kind it is
    return udf(normal, "string")
