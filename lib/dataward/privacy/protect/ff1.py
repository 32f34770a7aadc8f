"""Vectorised FF1 (NIST SP 800-38G, algorithms 7 and 8): all values of one length at once over batched AES.

The ten Feistel rounds are numpy operations on whole columns; the block ciphers of a round are one AES-ECB call on the
concatenated blocks (this computes CBC-MAC over many one-block messages; ECB is not used as an encryption mode).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

__all__ = ["DOMAIN", "FF1", "shortest"]

DOMAIN = 1_000_000
"""Minimum size of a domain (SP 800-38G, section 5.2, as revised)."""

ROUNDS = 10
BLOCK = 16
WORD = 2**53
"""Half values below this are exact in doubles, and leave room in 64 bits for the modular reduction."""

FEW = 16
"""Number of values below which a loop is faster."""


def shortest(radix: int) -> int:
    """Return the shortest length whose domain is large enough: radix ** length >= 10 ** 6."""
    length = max(2, math.floor(math.log(DOMAIN, radix)))
    return length if radix**length >= DOMAIN else length + 1


class FF1:
    """The cipher FF1 with one key and radix."""

    def __init__(self, key: bytes, radix: int) -> None:
        """Create a cipher from an AES key and a radix of 2 to 65536."""
        self._key, self.radix = key, radix

    def __repr__(self) -> str:
        """Return a text without the key."""
        return f"FF1(radix={self.radix})"

    def encrypt(self, numerals: Any, tweak: bytes = b"") -> Any:
        """Encrypt an array of shape (values, length) with numerals below the radix; the result has its shape and type.

        Raises:
            ValueError: the domain radix ** length is smaller than 10 ** 6.
        """
        return self._feistel(numerals, tweak, range(ROUNDS), 1)

    def decrypt(self, numerals: Any, tweak: bytes = b"") -> Any:
        """Decrypt; the inverse of :meth:`encrypt` under the same tweak."""
        return self._feistel(numerals, tweak, range(ROUNDS - 1, -1, -1), -1)

    def _feistel(self, numerals: Any, tweak: bytes, order: range, sign: int) -> Any:
        """Run the rounds in an order; ``sign`` is 1 to encrypt, -1 to decrypt."""
        import numpy as np

        count, length = numerals.shape
        if length < 2 or self.radix**length < DOMAIN:
            raise ValueError(f"FF1: {length} numerals of radix {self.radix} are a domain below {DOMAIN:,} values")
        left = length // 2
        right = length - left
        moduli = (self.radix**left, self.radix**right)
        # Steps 3 to 5: sizes in bytes, and the first block, which is the same for every value.
        size = ((moduli[1] - 1).bit_length() + 7) // 8
        digest_bytes = 4 * math.ceil(size / 4) + 4
        first = bytes([1, 2, 1, *self.radix.to_bytes(3, "big"), 10, left % 256]) + length.to_bytes(4, "big")
        aes = Cipher(algorithms.AES(self._key), modes.ECB()).encryptor()  # noqa: S305 - see the module's docstring
        chained = aes.update(first + len(tweak).to_bytes(4, "big"))
        head = tweak + bytes(-(len(tweak) + size + 1) % BLOCK)
        if moduli[1] >= WORD or count < FEW:
            scalar = _Scalar(aes.update, self.radix, left, moduli, chained, head, size, digest_bytes)
            rows = [scalar.feistel(row, order, sign) for row in numerals.tolist()]
            return np.array(rows, numerals.dtype).reshape(numerals.shape)
        # The last block of the message holds the round and the half that is read; the blocks before it are equal for all values.
        state = int.from_bytes(chained, "big")
        for start in range(0, len(head) + 1 + size - BLOCK, BLOCK):
            block = state ^ int.from_bytes(head[start : start + BLOCK], "big")
            state = int.from_bytes(aes.update(block.to_bytes(BLOCK, "big")), "big")
        state ^= int.from_bytes(head[-(BLOCK - 1 - size) :] + bytes(1 + size), "big")
        changing, reading = _number(numerals[:, :left], self.radix), _number(numerals[:, left:], self.radix)
        blocks, answer = np.empty((count, 2), ">u8"), bytearray(count * BLOCK + BLOCK)
        blocks[:, 0] = state >> 64
        if sign < 0:
            changing, reading = reading, changing
        # Steps 6.i to 6.ix. A round changes the half `changing` and reads the half `reading`.
        for turn in order:
            modulus = moduli[turn % 2]
            blocks[:, 1] = reading ^ ((state ^ turn << 8 * size) % 2**64)
            aes.update_into(blocks.data.cast("B"), answer)
            mixed = _modulo(np.frombuffer(answer, ">u8", 2 * count).reshape(-1, 2), digest_bytes, modulus)
            changed = changing + mixed if sign > 0 else changing + (modulus - mixed)
            changing, reading = (
                reading,
                np.minimum(changed, changed - modulus),
            )  # unsigned: a negative difference wraps around to a large number
        if sign < 0:
            changing, reading = reading, changing
        out = np.empty_like(numerals)
        _write(changing, out[:, :left], self.radix)
        _write(reading, out[:, left:], self.radix)
        return out


@dataclass(frozen=True)
class _Scalar:
    """The same rounds in Python's integers: for large domains, and faster than arrays for few values."""

    encrypt: Callable[[bytes], bytes]
    radix: int
    left: int
    moduli: tuple[int, int]
    chained: bytes
    head: bytes
    size: int
    digest_bytes: int

    def feistel(self, row: list[int], order: range, sign: int) -> list[int]:
        """Encrypt or decrypt one value."""
        changing, reading = self.number(row[: self.left]), self.number(row[self.left :])
        if sign < 0:
            changing, reading = reading, changing
        for turn in order:
            message = self.head + bytes([turn]) + reading.to_bytes(self.size, "big")
            changing, reading = reading, (changing + sign * self.mixed(message)) % self.moduli[turn % 2]
        if sign < 0:
            changing, reading = reading, changing
        return [*self.numerals(changing, self.left), *self.numerals(reading, len(row) - self.left)]

    def mixed(self, message: bytes) -> int:
        """Return the round function of a message as a number: steps 6.ii to 6.iv."""
        state = int.from_bytes(self.chained, "big")
        for start in range(0, len(message), BLOCK):
            block = state ^ int.from_bytes(message[start : start + BLOCK], "big")
            state = int.from_bytes(self.encrypt(block.to_bytes(BLOCK, "big")), "big")
        stretched = state.to_bytes(BLOCK, "big")
        for counter in range(1, -(-self.digest_bytes // BLOCK)):
            stretched += self.encrypt((state ^ counter).to_bytes(BLOCK, "big"))
        return int.from_bytes(stretched[: self.digest_bytes], "big")

    def number(self, numerals: list[int]) -> int:
        """Return NUM_radix of numerals."""
        number = 0
        for numeral in numerals:
            number = number * self.radix + numeral
        return number

    def numerals(self, number: int, length: int) -> list[int]:
        """Return STR_radix of a number."""
        out = [0] * length
        for place in range(length - 1, -1, -1):
            number, out[place] = divmod(number, self.radix)
        return out


def _number(numerals: Any, radix: int) -> Any:
    """Return NUM_radix of every row, most significant numeral first; exact in doubles below WORD."""
    import numpy as np

    weights = [float(radix**place) for place in range(numerals.shape[1] - 1, -1, -1)]
    return (numerals.astype(np.float64) @ np.array(weights)).astype(np.uint64)


def _write(number: Any, numerals: Any, radix: int) -> None:
    """Write STR_radix of every number to the columns of an array."""
    import numpy as np

    if radix ** numerals.shape[1] < 2**32:
        number = number.astype(np.uint32)
    for column in range(numerals.shape[1] - 1, -1, -1):
        quotient = number // radix
        numerals[:, column] = number - quotient * radix
        number = quotient


def _modulo(words: Any, digest_bytes: int, modulus: int) -> Any:
    """Return the first ``digest_bytes`` (8 or 12) of every row of two words as a number, modulo a number below WORD."""
    import numpy as np

    number = words[:, 0].astype(np.uint64)
    number = number - number // modulus * modulus
    remaining = 8 * (digest_bytes - 8)
    rest = words[:, 1].astype(np.uint64) >> (64 - remaining) if remaining else None
    while rest is not None and remaining:
        step = min(remaining, 64 - modulus.bit_length())  # number of bits that still fit in 64
        remaining -= step
        number = (number << step) + (rest >> remaining & (2**step - 1))
        number = number - number // modulus * modulus
    return number
