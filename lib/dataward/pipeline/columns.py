"""Problems of a source's column names, decided on the contract and the schema alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dataward.contract import Contract, reserved
from dataward.privacy.protect import ambiguous, paths
from dataward.tables.delta import UNMAPPED

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["clashing", "unmapped"]


def clashing(contract: Contract, names: list[str], schema: pa.Schema) -> Iterator[tuple[str, str, str]]:
    """Yield (name, what is wrong, remedy) for names that Dataward uses itself, and for a path that two columns share."""
    changes = contract.changes_location is not None
    remedy = "rename the column in the source (a view over it will do, or source.schema)"
    for name, why in reserved.clashes(names, contract.quarantine_location is not None, changes):
        yield name, f"the source has a column '{name}', a name that Dataward uses: {why}", remedy
    for name in names:
        named = reserved.SHADOW.fullmatch(name)
        if named and contract.column(named.group(1)).protect.shadowed:
            why = f"a rotation of the key puts a column of this name beside '{named.group(1)}'"
            yield name, f"the source has a column '{name}', a name that Dataward uses: {why}", remedy
    for path in ambiguous(schema):
        what = f"'{path}' is the path of two columns or fields of the source, and one line would decide about both"
        yield path, what, "rename one of the two in the source (a view over it will do)"


def unmapped(contract: Contract, schema: pa.Schema) -> list[str]:
    """Return the paths of published columns that a Delta table holds only with column mapping."""
    return [
        path
        for field in schema
        for path, parts in paths(field)
        if any(UNMAPPED.search(name) for name in (field.name, *parts))
        and not contract.line(field.name, parts).protect.drops
    ]
