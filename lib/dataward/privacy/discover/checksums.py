"""Verify check digits of many texts: ISO/IEC 7812-1 annex B (Luhn), ISO/IEC 7064 (mod 97-10), and python-stdnum's."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

__all__ = ["Stdnum", "base58check", "digit_rows", "luhn", "mod97", "only_digits", "varied", "weighted"]

_DROP = str.maketrans("", "", " -./()")
BASE58 = {character: n for n, character in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}


def only_digits(text: str) -> str:
    """Remove separators."""
    return text.translate(_DROP)


def digit_rows(texts: Sequence[str]) -> Any:
    """Return the digits of texts of digits and separators as a matrix, padded with zeros on the left."""
    import numpy as np

    bare = [only_digits(text) for text in texts]
    width = max(map(len, bare), default=1)
    joined = "".join(text.rjust(width, "0") for text in bare).encode("ascii", "replace")
    return np.frombuffer(joined, np.uint8).reshape(len(bare), width).astype(np.int64) - 48


def varied(texts: Sequence[str]) -> Any:
    """Return which texts have at least two different digits (0000 0000 0000 0000 passes Luhn)."""
    import numpy as np

    return np.array([len(set(only_digits(text))) > 1 for text in texts], bool)


def luhn(texts: Sequence[str]) -> Any:
    """Return which texts pass Luhn's check and have at least two different digits."""
    rows = digit_rows(texts)
    rows[:, -2::-2] *= 2
    rows[rows > 9] -= 9
    return (rows.sum(axis=1) % 10 == 0) & varied(texts)


def weighted(texts: Sequence[str], weights: Sequence[int], modulus: int, rest: int = 0) -> Any:
    """Return which texts, of as many digits as weights, have a weighted sum of digits equal to ``rest`` modulo ``modulus``."""
    import numpy as np

    rows = digit_rows(texts)
    return (rows @ np.array(weights) % modulus == rest) & varied(texts)


def mod97(texts: Sequence[str]) -> list[bool]:
    """Return which texts pass mod 97-10 as IBANs do: first four characters moved to the end, letters as 10 to 35."""
    bare = [text.translate(_DROP).upper() for text in texts]
    return [int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1 for text in bare]


def base58check(texts: Sequence[str]) -> list[bool]:
    """Return which texts end in the first four bytes of their double SHA-256, as Bitcoin's addresses do."""
    return [_base58(text) for text in texts]


def _base58(text: str) -> bool:
    number = 0
    for character in text:
        if character not in BASE58:
            return False
        number = number * 58 + BASE58[character]
    try:
        whole = number.to_bytes(25, "big")
    except OverflowError:
        return False
    return hashlib.sha256(hashlib.sha256(whole[:-4]).digest()).digest()[:4] == whole[-4:]


@dataclass(frozen=True)
class Stdnum:
    """A check of python-stdnum by its module's name, e.g. ``pl.pesel``."""

    module: str

    def __call__(self, texts: Sequence[str]) -> list[bool]:
        """Return which texts pass the check and have at least two different digits."""
        valid = _stdnum(self.module)
        return [_passes(valid, text) and len(set(only_digits(text))) > 1 for text in texts]


def _passes(valid: Any, text: str) -> bool:
    try:
        return bool(valid(text))
    except Exception:  # some modules raise errors for impossible numbers (such as an abolished county)
        return False


@cache
def _stdnum(name: str) -> Any:
    return import_module(f"stdnum.{name}").is_valid
