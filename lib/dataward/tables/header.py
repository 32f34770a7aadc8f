"""Check a CSV header: distinct, non-empty names that are not the values of a first record."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["trouble"]

REPLACED = "\ufffd"

VALUES = re.compile(
    r"""
      [^\s@]+@[^\s@]+\.[^\s@]+                              # an email address
    | [0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}  # a UUID
    | [+(]?(?:[0-9][\s()-]?){9,}                            # a phone, a card, an id
    """,
    re.VERBOSE,
)
"""Forms of values that are never names of columns."""

Record = Sequence[str | None]


def trouble(header: Record, records: Sequence[Record]) -> tuple[str, str] | None:
    """Return the problem of a header and its remedy; None where there is none.

    Names are shown only where the header certainly contains names. ``records`` are some of those below it.
    """
    names = [name or "" for name in header]
    if any(REPLACED in name or "\0" in name for name in names):
        return "the header holds bytes that are no text", "name the file's encoding in source.options (encoding: ...)"
    if any("\n" in name or "\r" in name for name in names):
        return "a name in the header holds a line break", "rename the column in the file"
    if _is_record(names, records):
        return (
            "its first record holds values where column names should be",
            "read it with the option header: false (and source.schema, for the columns' names), or, where these are names, give "
            "them in source.schema",
        )
    if empty := [number for number, name in enumerate(names, 1) if not name.strip()]:
        many = f"{len(names)} columns of the header"
        last = " (its line ends in a separator)" if empty[-1] == len(names) else ""
        return f"column {empty[0]} of the {many} has no name{last}", "name it in the file, or remove it"
    spelled: dict[str, list[str]] = {}
    for name in names:
        spelled.setdefault(name.lower(), []).append(name)
    if clash := next((group for group in spelled.values() if len(group) > 1), None):
        if len(set(clash)) == 1:
            return f"the header has '{clash[0]}' {_times(len(clash))}", "rename one of them in the file"
        listed = ", ".join(f"'{name}'" for name in clash)
        return f"the header has {listed}, which Spark does not tell apart", "rename all but one in the file"
    return None


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _is_record(names: Sequence[str], records: Sequence[Record]) -> bool:
    below = [record for record in records if list(record) != list(names)]  # a repeated header is not a value
    return (
        any(VALUES.fullmatch(name.strip()) for name in names)
        or _counts(names)
        or any(_continues(name, [record[n] for record in below if n < len(record)]) for n, name in enumerate(names))
    )


def _counts(names: Sequence[str]) -> bool:
    """Return whether whole numbers are among the names, except for years or days of a wide table (2019, 2020, 2021)."""
    numbers = [int(name) for name in names if re.fullmatch(r"\s*[0-9]{1,8}\s*", name)]
    steps = {after - before for before, after in pairwise(numbers)}
    return bool(numbers) and (len(steps) != 1 or steps == {0})


def _continues(name: str, values: Sequence[str | None]) -> bool:
    """Return whether a name looks like the values below it: one is equal, or all have its shape (P0017, P0018)."""
    there = [value for value in values if value]
    if not name.strip():
        return False
    if name in there:
        return True
    if re.fullmatch(r"\D*\d?\D*|\d+", name):  # x1, 2019
        return False
    shape = _shape(name)
    return all(_shape(value) == shape for value in there) and bool(there or "a" not in shape)


def _shape(text: str) -> str:
    """Return the shape of a text: letters and digits one by one; without letters (dates, decimals), runs of digits."""
    shape = re.sub(r"[0-9]", "9", re.sub(r"[^\W\d_]", "a", text))
    return shape if "a" in shape else re.sub("9+", "9", shape)
