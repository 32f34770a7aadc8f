"""Random texts of a regular expression's shape: what a detector's checksum must tell from the real thing."""

from __future__ import annotations

import random
import re
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import sre_constants as kinds
    import sre_parse

CLASSES = {
    r"\p{Lu}": "A-ZÄÖ",
    r"\p{Ll}": "a-zäö",
    r"\p{Han}": "京東阪",
    r"\p{Hiragana}": "あいう",
    r"\p{L}": "A-Za-zäöé",
}
MOST = 6


def text_of(regex: str, r: random.Random) -> str:
    """One text, each branch and character of a class as likely as any other; open repetition up to 6 times."""
    for name, characters in CLASSES.items():
        # inside of brackets the characters, outside of them a class of their own
        regex = re.sub(
            re.escape(name), lambda m, c=characters: c if _in_brackets(m.string, m.start()) else f"[{c}]", regex
        )
    return _made(sre_parse.parse(regex), r)


def _in_brackets(regex: str, place: int) -> bool:
    before = regex[:place]
    return before.rfind("[") > before.rfind("]")


def _made(parsed: object, r: random.Random) -> str:
    return "".join(_one(kind, given, r) for kind, given in parsed)  # type: ignore[attr-defined]


def _one(kind: object, given: object, r: random.Random) -> str:
    if kind is kinds.LITERAL:
        return chr(given)
    if kind is kinds.IN:
        return _of_set(given, r)
    if kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT):
        low, high, inner = given
        high = low + MOST if high is kinds.MAXREPEAT else high
        return "".join(_made(inner, r) for _ in range(r.randint(low, high)))
    if kind is kinds.SUBPATTERN:
        return _made(given[-1], r)
    if kind is kinds.BRANCH:
        return _made(r.choice(given[1]), r)
    if kind is kinds.ANY:
        return r.choice("abc xyz")
    if kind is kinds.NOT_LITERAL:
        return "a"
    return ""  # anchors


def _of_set(given: list, r: random.Random) -> str:
    if given[0][0] is kinds.NEGATE:
        return r.choice("abcXYZ019")
    kind, what = (
        r.choice(given) if len({k for k, _ in given}) == 1 else r.choices(given, [_size(one) for one in given])[0]
    )
    if kind is kinds.RANGE:
        return chr(r.randint(*what))
    return chr(what) if kind is kinds.LITERAL else "0"


def _size(one: tuple) -> int:
    return one[1][1] - one[1][0] + 1 if one[0] is kinds.RANGE else 1
