"""The grammar's parse tables, computed ahead: to compute them takes longer than most contracts take to check.

``grammar.json`` is made by ``make docs`` and checked by a test. It is used with the very lark and the very grammar that made it.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import Any

import lark
from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

__all__ = ["computed", "current", "parser"]

OPTIONS: dict[str, Any] = {"parser": "lalr", "propagate_positions": True, "maybe_placeholders": False}


def parser(callbacks: dict[str, Any]) -> Lark:
    """Return the parser; ``callbacks`` are called for tokens, by the name of their kind."""
    kept = _kept()
    if kept["made_by"] != _made_by(_grammar()):
        return Lark(_grammar(), lexer_callbacks=callbacks, **OPTIONS)
    made: Lark = Lark._load_from_dict(  # type: ignore[no-untyped-call]
        _with_numbers(kept["data"]), _with_numbers(kept["memo"]), lexer_callbacks=callbacks
    )
    return made


def current() -> bool:
    """Return whether the file is of this lark and of this grammar."""
    return bool(_kept()["made_by"] == _made_by(_grammar()))


def computed() -> str:
    """Return the text of ``grammar.json``."""
    grammar = _grammar()
    data, memo = Lark(grammar, **OPTIONS).memo_serialize([TerminalDef, Rule])
    kept = {"made_by": _made_by(grammar), "data": data, "memo": memo}
    return json.dumps(kept, separators=(",", ":"), sort_keys=False, default=sorted) + "\n"


def _kept() -> Any:
    return json.loads(files(__package__).joinpath("grammar.json").read_text(encoding="utf-8"))


def _grammar() -> str:
    return files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")


def _made_by(grammar: str) -> list[str]:
    return [lark.__version__, hashlib.sha256(grammar.encode()).hexdigest()]


def _with_numbers(data: Any) -> Any:
    """Return data with the keys that JSON made texts of as numbers again."""
    if isinstance(data, dict):
        return {int(key) if key.isdigit() else key: _with_numbers(value) for key, value in data.items()}
    return [_with_numbers(value) for value in data] if isinstance(data, list) else data
