"""Decide whether a column names each person once, so that it can be a privacy unit. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from dataward.contract.protections import OPERATORS
from dataward.contract.reserved import SHADOW

__all__ = ["splits"]


def splits(unit: str, columns: Collection[str], protection: str | None, versions: Collection[int]) -> str:
    """Return why one person may have several values in a unit's column; empty if each has one.

    Args:
        unit: the column.
        columns: the table's columns.
        protection: its protection in the words of the seal; None: the seal names none.
        versions: key versions that its values may have been made with.
    """
    named = SHADOW.fullmatch(unit)
    if named is not None and named.group(1).lower() in {name.lower() for name in columns}:
        return f"'{unit}' holds tokens of a key version going out of use: take '{named.group(1)}'"
    shadows = [name for name in columns if (found := SHADOW.fullmatch(name)) and found.group(1).lower() == unit.lower()]
    if shadows:
        return (
            f"a rotation is open: '{shadows[0]}' stands beside '{unit}', whose values may be of two key versions. Close it first: "
            "dataward rotate DOMAIN --finish"
        )
    if len(versions) > 1:
        listed = " and ".join(map(str, sorted(versions)))
        return f"its values are made with key versions {listed}, so that a person has several: rotate the table first"
    name = re.split(r"\W", protection or "keep", maxsplit=1)[0]
    operator = OPERATORS.get(name)
    if operator is not None and not (operator.injective or name == "keep"):
        return (
            f"it is protected by {name}, which does not keep persons apart and together: units need "
            "a column that is kept, or protected by token, encrypt, fpe or vault"
        )
    return ""
