"""FF1 (NIST SP 800-38G, algorithms 7 and 8), vectorised: all values of one length at once over batched AES.

The ten Feistel rounds are numpy operations on whole columns; every round's block ciphers are one AES-ECB call on the
concatenated blocks (that is how CBC-MAC over many one-block messages is computed; ECB itself protects nothing here).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

__all__ = ["DOMAIN", "FF1", "shortest"]

DOMAIN = 1_000_000
"""The least number of values that a domain may have (SP 800-38G, section 5.2, as revised)."""

ROUNDS = 10
BLOCK = 16
WORD = 2**53
"""Halves of a value below this are counted exactly in doubles, and leave room in 64 bits to reduce what is added."""

FEW = 16
"""Fewer values than this are faster one by one."""


def shortest(radix: int) -> int:
    """The least length whose domain is large enough: radix ** length >= 10 ** 6."""
    length = max(2, math.floor(math.log(DOMAIN, radix)))
    return length if radix**length >= DOMAIN else length + 1


class FF1:
    """One key and radix (2 to 65536). ``repr`` shows no key."""

    def __init__(self, key: bytes, radix: int) -> None:
        self._key, self.radix = key, radix

    def __repr__(self) -> str:
        return f"FF1(radix={self.radix})"

    def encrypt(self, numerals: Any, tweak: bytes = b"") -> Any:
        """Encrypt an array of shape (values, length) with numerals below the radix; the result has its shape and type.

        Raises:
            ValueError: the domain radix ** length is smaller than 10 ** 6.
        """
        return self._feistel(numerals, tweak, range(ROUNDS), 1)

    def decrypt(self, numerals: Any, tweak: bytes = b"") -> Any:
        """The inverse of :meth:`encrypt` under the same tweak."""
        return self._feistel(numerals, tweak, range(ROUNDS - 1, -1, -1), -1)

    def _feistel(self, numerals: Any, tweak: bytes, order: range, sign: int) -> Any:
        import numpy as np

        count, length = numerals.shape
        if length < 2 or self.radix**length < DOMAIN:
            raise ValueError(f"FF1: {length} numerals of radix {self.radix} are a domain below {DOMAIN:,} values")
        left = length // 2
        right = length - left
        moduli = (self.radix**left, self.radix**right)
        # Steps 3 to 5: sizes in bytes, and the first block, which is the same for every value.
        size = ((moduli[1] - 1).bit_length() + 7) // 8
        wanted = 4 * math.ceil(size / 4) + 4
        first = bytes([1, 2, 1, *self.radix.to_bytes(3, "big"), 10, left % 256]) + length.to_bytes(4, "big")
        aes = Cipher(algorithms.AES(self._key), modes.ECB()).encryptor()  # noqa: S305 - see the module's docstring
        chained = aes.update(first + len(tweak).to_bytes(4, "big"))
        head = tweak + bytes(-(len(tweak) + size + 1) % BLOCK)
        if moduli[1] >= WORD or count < FEW:
            one_by_one = _Scalar(aes.update, self.radix, left, moduli, chained, head, size, wanted)
            made = [one_by_one.feistel(row, order, sign) for row in numerals.tolist()]
            return np.array(made, numerals.dtype).reshape(numerals.shape)
        # The message ends with the turn and what is read, in one block; what stands before it is the same for all.
        state = int.from_bytes(chained, "big")
        for start in range(0, len(head) + 1 + size - BLOCK, BLOCK):
            block = state ^ int.from_bytes(head[start : start + BLOCK], "big")
            state = int.from_bytes(aes.update(block.to_bytes(BLOCK, "big")), "big")
        state ^= int.from_bytes(head[-(BLOCK - 1 - size) :] + bytes(1 + size), "big")
        one, other = _number(numerals[:, :left], self.radix), _number(numerals[:, left:], self.radix)
        blocks, answer = np.empty((count, 2), ">u8"), bytearray(count * BLOCK + BLOCK)
        blocks[:, 0] = state >> 64
        if sign < 0:
            one, other = other, one
        # Steps 6.i to 6.ix. `one` is what a round changes, `other` what it reads.
        for turn in order:
            modulus = moduli[turn % 2]
            blocks[:, 1] = other ^ ((state ^ turn << 8 * size) % 2**64)
            aes.update_into(blocks.data.cast("B"), answer)
            mixed = _modulo(np.frombuffer(answer, ">u8", 2 * count).reshape(-1, 2), wanted, modulus)
            changed = one + mixed if sign > 0 else one + (modulus - mixed)
            one, other = other, np.minimum(changed, changed - modulus)  # below zero it wraps around to something large
        if sign < 0:
            one, other = other, one
        out = np.empty_like(numerals)
        _write(one, out[:, :left], self.radix)
        _write(other, out[:, left:], self.radix)
        return out


@dataclass(frozen=True)
class _Scalar:
    """The same rounds in Python's integers: for numbers beyond a word, and faster than arrays for a value or two."""

    encrypt: Callable[[bytes], bytes]
    radix: int
    left: int
    moduli: tuple[int, int]
    chained: bytes
    head: bytes
    size: int
    wanted: int

    def feistel(self, row: list[int], order: range, sign: int) -> list[int]:
        one, other = self.number(row[: self.left]), self.number(row[self.left :])
        if sign < 0:
            one, other = other, one
        for turn in order:
            message = self.head + bytes([turn]) + other.to_bytes(self.size, "big")
            one, other = other, (one + sign * self.mixed(message)) % self.moduli[turn % 2]
        if sign < 0:
            one, other = other, one
        return [*self.numerals(one, self.left), *self.numerals(other, len(row) - self.left)]

    def mixed(self, message: bytes) -> int:
        state = int.from_bytes(self.chained, "big")
        for start in range(0, len(message), BLOCK):
            block = state ^ int.from_bytes(message[start : start + BLOCK], "big")
            state = int.from_bytes(self.encrypt(block.to_bytes(BLOCK, "big")), "big")
        stretched = state.to_bytes(BLOCK, "big")
        for counter in range(1, -(-self.wanted // BLOCK)):
            stretched += self.encrypt((state ^ counter).to_bytes(BLOCK, "big"))
        return int.from_bytes(stretched[: self.wanted], "big")

    def number(self, numerals: list[int]) -> int:
        number = 0
        for numeral in numerals:
            number = number * self.radix + numeral
        return number

    def numerals(self, number: int, length: int) -> list[int]:
        out = [0] * length
        for place in range(length - 1, -1, -1):
            number, out[place] = divmod(number, self.radix)
        return out


def _number(numerals: Any, radix: int) -> Any:
    """NUM_radix of every row, most significant numeral first; exact in doubles below WORD."""
    import numpy as np

    weights = [float(radix**place) for place in range(numerals.shape[1] - 1, -1, -1)]
    return (numerals.astype(np.float64) @ np.array(weights)).astype(np.uint64)


def _write(number: Any, numerals: Any, radix: int) -> None:
    """STR of every number into the columns of an array."""
    import numpy as np

    if radix ** numerals.shape[1] < 2**32:
        number = number.astype(np.uint32)
    for column in range(numerals.shape[1] - 1, -1, -1):
        quotient = number // radix
        numerals[:, column] = number - quotient * radix
        number = quotient


def _modulo(words: Any, wanted: int, modulus: int) -> Any:
    """The first ``wanted`` (8 or 12) bytes of every row of two words as a number, modulo a number below WORD."""
    import numpy as np

    number = words[:, 0].astype(np.uint64)
    number = number - number // modulus * modulus
    left = 8 * (wanted - 8)
    rest = words[:, 1].astype(np.uint64) >> (64 - left) if left else None
    while rest is not None and left:
        step = min(left, 64 - modulus.bit_length())  # so much more fits in 64 bits
        left -= step
        number = (number << step) + (rest >> left & (2**step - 1))
        number = number - number // modulus * modulus
    return number
