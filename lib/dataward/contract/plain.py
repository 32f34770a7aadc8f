"""Conditions that only compare columns with values: they are recognised without a parser, whose import is a sixth of a verb's start.

Each is one that :func:`dataward.contract.pure.condition` takes after parsing it, too: a test compares them. Others are parsed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["CALLER", "Token", "is_plain"]


@dataclass(frozen=True)
class Token:
    """A part of a text: its kind, its characters, its place."""

    kind: str
    text: str
    start: int


CALLER = frozenset(
    {"current_user", "session_user", "current_role", "current_catalog", "current_database", "current_schema"}
)
"""Words that Spark calls as functions without a bracket, and that look outside of the rows."""

_WORDS = {"and": "A", "or": "O", "not": "N", "is": "i", "null": "u", "in": "I", "between": "b", "like": "L"}
_SPECIAL = """
all alter any array as case create cross current_date current_timestamp distinct div drop else except exists false fetch filter for from
full glob grant group having if ilike inner insert intersect interval into join lateral left limit list localtimestamp map minus natural
notnull nullable object on order outer partitioned_by qualify range regexp returning revoke right rlike rollback select semi
serdeproperties some struct table tablesample then true uncache union unique unknown using values when where window with within xor
"""
_NO_NAMES = frozenset(_SPECIAL.split()) | CALLER
"""Words that are not always names of columns."""

_SIDE = r"(?:n|-?v)"
_TERM = rf"(?:{_SIDE}c{_SIDE}|niN?u|nN?I\(-?v(?:,-?v)*\)|nN?b{_SIDE}A{_SIDE}|nN?Lv)"
_PLAIN = re.compile(rf"{_TERM}(?:[AO]{_TERM}){{0,20}}")


def is_plain(tokens: Sequence[Token]) -> bool:
    """Return whether these are comparisons of columns with values, joined by 'and' and 'or'."""
    return _PLAIN.fullmatch("".join(map(_letter, tokens))) is not None


def _letter(token: Token) -> str:
    """Return the part that a token plays: n a name, v a value, c a comparison; ``?`` for what is not recognised."""
    word = token.text.lower()
    if token.kind == "quoted":
        return "n" if word[1:-1].replace("_", "").isalnum() and word[1:-1] not in CALLER else "?"
    if token.kind == "word":
        return _WORDS.get(word) or ("?" if word in _NO_NAMES or word[0].isdigit() else "n")
    if token.kind == "text":
        return "?" if "\\" in word or word[0] != "'" else "v"
    if token.kind == "number":
        return "v" if word.replace(".", "", 1).isdigit() and word[-1] != "." else "?"
    return "c" if word in ("=", "==", "!=", "<>", "<", ">", "<=", ">=") else word if word in "(),-" else "?"
