"""Names of columns that Dataward gives itself. Each is declared here; a source that has one is refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = [
    "CHANGE",
    "CHANGED",
    "FAILED_COLUMNS",
    "FAILED_RULES",
    "INTERNAL",
    "MALFORMED",
    "METADATA",
    "REPAIRS",
    "ROW_ID",
    "RUN_ID",
    "SHADOW",
    "TEXTS",
    "clashes",
    "shadow_of",
]

INTERNAL = "__dw_"
"""Prefix of the names of helper columns, which a run adds to the source's own."""

MALFORMED = "_dataward_malformed"
"""A record of a csv or json source that Spark could not read."""

METADATA = "_metadata"
"""Spark's own column with the file of a row, which sealing a table reads."""

FAILED_RULES, FAILED_COLUMNS = "failed_rules", "failed_columns"
RUN_ID, ROW_ID = "run_id", "row_id"
CHANGE, CHANGED, REPAIRS, TEXTS = "change", "changed", "repairs", "texts"

SHADOW = re.compile(r"(.+)__v[0-9]+", re.DOTALL | re.IGNORECASE)
"""While a rotation's window is open, the target has ``email__v1`` beside ``email``: the same values under the version going out."""

_ALWAYS = {
    MALFORMED: "holds records that could not be read",
    METADATA: "is Spark's, for the file that a row lies in",
    FAILED_RULES: "says why a row is diverted",
    FAILED_COLUMNS: "says why a row is diverted",
}
_BESIDE_ROWS = {RUN_ID: "names the run that put a row there", ROW_ID: "is a row's keyed ID"}
_BESIDE_CHANGES = {
    CHANGE: "says whether a row is as it was or as it is",
    CHANGED: "names the repaired columns of a row",
    REPAIRS: "says what was repaired",
    TEXTS: "holds what was repaired",
}


def shadow_of(name: str, version: int) -> str:
    """Return the name of the column beside ``name`` that holds tokens of a key version going out of use."""
    return f"{name}__v{version}"


def clashes(names: Iterable[str], quarantine: bool, changes: bool) -> Iterator[tuple[str, str]]:
    """Yield each name that Dataward uses itself, and what for.

    ``quarantine`` and ``changes`` say whether the run has these tables, whose own columns stand beside the source's.
    """
    taken = dict(_ALWAYS)
    if quarantine or changes:
        taken |= _BESIDE_ROWS
    if changes:
        taken |= _BESIDE_CHANGES
    for name in names:
        if name.lower() in taken:
            yield name, f"in Dataward's tables it {taken[name.lower()]}"
        elif name.lower().startswith(INTERNAL):
            yield name, f"names that begin with {INTERNAL} stand for columns that Dataward adds during a run"
