"""Quote names and values for SQL, and build columns from names; no other module quotes names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["column", "definite", "identifier", "literal", "names", "parts"]


def identifier(*path: str) -> str:
    """Quote a name for SQL text; several names form a path, such as a table's alias and a column."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in path)


def column(*path: str) -> Column:
    """Return the column of exactly this name. ``F.col`` would interpret a dot inside the name as a path."""
    from pyspark.sql import functions as F

    return F.col(identifier(*path))


def names(text: str) -> list[str]:
    """Return the names of a comma-separated list, each quoted or plain."""
    found = re.findall(r"\s*(?:`((?:[^`]|``)*)`|([^,`\s][^,`]*))", text)
    return [quoted.replace("``", "`") or plain.strip() for quoted, plain in found]


def parts(path: str) -> tuple[str, ...]:
    """Return the names of a path, each quoted or plain; the inverse of :func:`identifier`."""
    found = re.findall(r"`((?:[^`]|``)+)`|([^.`]+)", path)
    return tuple(quoted.replace("``", "`") or plain for quoted, plain in found)


def definite(predicate: str, negated: bool = False) -> str:
    """Return a predicate that is never null: null counts as false, and as true if ``negated``."""
    return f"{'not ' if negated else ''}coalesce({predicate}, false)"


def literal(text: str) -> str:
    """Return a text as SQL string literal (with Spark's default escapes)."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"
