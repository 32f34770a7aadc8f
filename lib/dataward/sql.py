"""Names and values as SQL text."""

from __future__ import annotations

__all__ = ["definite", "identifier", "literal"]


def identifier(column: str) -> str:
    """A column's name as a SQL identifier."""
    return "`" + column.replace("`", "``") + "`"


def definite(predicate: str, negated: bool = False) -> str:
    """A predicate that may be null as one that never is: null is not true, and true once it is negated."""
    return f"{'not ' if negated else ''}coalesce({predicate}, false)"


def literal(text: str) -> str:
    """A text as a SQL string literal (under Spark's default of escapes inside literals)."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"
