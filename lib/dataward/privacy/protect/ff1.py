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
WORD = 2**56
"""Below this a half of the value, times 256 and one more byte, fits in 64 bits."""

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
        one, other = _number(numerals[:, :left], self.radix), _number(numerals[:, left:], self.radix)
        message = np.zeros((count, len(head) + 1 + size), np.uint8)
        message[:, : len(head)] = np.frombuffer(head, np.uint8)
        if sign < 0:
            one, other = other, one
        # Steps 6.i to 6.ix. `one` is what a round changes, `other` what it reads.
        for turn in order:
            modulus = moduli[turn % 2]
            message[:, len(head)] = turn
            message[:, -size:] = other.astype(">u8").view(np.uint8).reshape(-1, 8)[:, -size:]
            mixed = _modulo(_prf(aes, chained, message, wanted), modulus)
            changed = one + mixed if sign > 0 else one + (modulus - mixed)
            one, other = other, np.where(changed >= modulus, changed - modulus, changed)
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
    """NUM_radix of every row, most significant numeral first."""
    import numpy as np

    number = np.zeros(len(numerals), np.uint64)
    for column in numerals.T:
        number = number * radix + column.astype(np.uint64)
    return number


def _write(number: Any, numerals: Any, radix: int) -> None:
    """STR of every number into the columns of an array."""
    for column in range(numerals.shape[1] - 1, -1, -1):
        quotient = number // radix
        numerals[:, column] = number - quotient * radix
        number = quotient


def _prf(aes: Any, chained: Any, message: Any, wanted: int) -> Any:
    """Steps 6.ii and 6.iii: CBC-MAC of every message after the first block, stretched to ``wanted`` bytes."""
    import numpy as np

    state = np.frombuffer(chained, np.uint8)
    for start in range(0, message.shape[1], BLOCK):
        state = np.frombuffer(aes.update((message[:, start : start + BLOCK] ^ state).tobytes()), np.uint8)
        state = state.reshape(-1, BLOCK)
    blocks = [state]
    for counter in range(1, -(-wanted // BLOCK)):
        salted = state ^ np.frombuffer(counter.to_bytes(BLOCK, "big"), np.uint8)
        blocks.append(np.frombuffer(aes.update(salted.tobytes()), np.uint8).reshape(-1, BLOCK))
    return (blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1))[:, :wanted]


def _modulo(data: Any, modulus: int) -> Any:
    """NUM of every row of bytes, modulo a number below WORD."""
    import numpy as np

    number = np.ascontiguousarray(data[:, :8]).view(">u8").reshape(-1).astype(np.uint64)
    number = number - number // modulus * modulus
    for column in range(8, data.shape[1]):
        number = number * 256 + data[:, column]
        number = number - number // modulus * modulus
    return number
