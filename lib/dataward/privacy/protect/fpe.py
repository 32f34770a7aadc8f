"""``fpe``: format-preserving and reversible encryption over an alphabet; type, length and separators stay.

Protects against: reading values without the key, in systems that validate formats. Does not protect against: holders of the
key; frequency analysis (equal values have equal ciphertexts); trying all values of a small domain (domains below 10^6 are
refused); and reading the characters that ``keep_first`` and ``keep_last`` show. Changed ciphertexts are not detected.

FF1 with AES-256 (NIST SP 800-38G) and an empty tweak, over the characters of the alphabet that are not kept. A check
digit (Luhn, ISO/IEC 7812-1 annex B) is recomputed instead of encrypted: of four kept digits under ``check: luhn``, three
stay and the last is the new check digit. Integers are encrypted digit by digit; a result that begins with 0, or is too large
for the type, is encrypted again until it fits (cycle walking: Black, Rogaway: *Ciphers with Arbitrary Finite Domains*,
CT-RSA 2002).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from dataward.contract.protections import Fpe
from dataward.keys import Purpose
from dataward.privacy.protect.ff1 import FF1, shortest
from dataward.privacy.protect.operator import Made, Operator, Rows, Unfit
from dataward.privacy.protect.texts import flat, from_flat, unreadable, without

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FpeOperator"]

NEITHER, SEPARATOR = 0xFFFF, 0xFFFE  # codes of characters outside the alphabet, above every radix


@dataclass(frozen=True)
class FpeOperator(Operator):
    """Implementation of ``fpe``."""

    parameters: Fpe
    purpose: ClassVar[Purpose | None] = "fpe"

    @property
    def needs(self) -> str:
        """Description of valid values, for messages."""
        least = shortest(len(self.parameters.characters)) + self.parameters.kept
        luhn = " with a right check digit" if self.parameters.check else ""
        separators = f" and the separators {self.parameters.separators!r}" if self.parameters.separators else ""
        return f"{least} or more of the alphabet '{self.parameters.alphabet}'{luhn}{separators}"

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return the output type, or raise Unfit."""
        import pyarrow as pa

        if pa.types.is_integer(kind) and self.parameters.alphabet != "digits":
            raise Unfit("fpe of integers goes with the alphabet digits", "leave 'alphabet' out")
        if not (pa.types.is_string(kind) or pa.types.is_integer(kind)):
            raise Unfit(
                f"fpe cannot protect {kind}", "it protects strings and integers; use encrypt, token or date_shift"
            )
        return kind

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of values."""
        return self._ciphered(values, FF1.encrypt)

    def reverse(self, values: pa.Array) -> Made:
        """Decrypt values of the original type; the inverse of :meth:`apply`."""
        return self._ciphered(values, FF1.decrypt)

    def _ciphered(self, values: pa.Array, cipher: Any) -> Made:
        """Encrypt or decrypt, as the method ``cipher`` of FF1 does."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_integer(values.type):
            return self._integers(values, cipher)
        bad = unreadable(values)
        values = without(values, bad)
        points, starts = flat(values)
        characters, unfit = self._of_flat(points, starts, cipher)
        unfit &= np.asarray(values.is_valid())
        valid = pc.if_else(pa.array(unfit), pa.scalar(None, pa.string()), values) if unfit.any() else values
        bad = unfit if bad is None else bad | unfit
        return from_flat(characters, starts, valid), bad if bad.any() else None

    def _of_flat(self, points: Any, starts: Any, cipher: Any) -> tuple[Any, Any]:
        """Encrypt or decrypt concatenated values; returns their characters, and a boolean array of the invalid values."""
        import numpy as np

        codes, alphabet = self._codes(points)
        lengths = np.diff(starts)
        bad = np.zeros(len(lengths), bool)
        if len(codes) and codes.max() < SEPARATOR and lengths.min() == lengths.max():
            out = codes.reshape(len(lengths), -1)  # the common case: equal lengths, no separators
            out, bad = self._of_length(out, len(alphabet), cipher)
            return alphabet[out].reshape(-1), bad
        owner = np.repeat(np.arange(len(lengths)), lengths)
        bad[owner[codes == NEITHER]] = True
        inside = np.flatnonzero(codes < SEPARATOR)
        lengths = np.bincount(owner[inside], minlength=len(bad))
        begins = np.cumsum(lengths) - lengths
        out = points.astype(alphabet.dtype)
        for length in set(lengths[~bad].tolist()):
            rows = np.flatnonzero((lengths == length) & ~bad)
            positions = inside[begins[rows][:, None] + np.arange(length)]
            numerals, unfit = self._of_length(codes[positions], len(alphabet), cipher)
            bad[rows[unfit]] = True
            out[positions] = alphabet[numerals]
        return out, bad

    def _of_length(self, numerals: Any, radix: int, cipher: Any) -> tuple[Any, Any]:
        """Encrypt or decrypt rows of numerals; returns them, and a boolean array of the invalid rows."""
        import numpy as np

        parameters, (count, length) = self.parameters, numerals.shape
        if length - parameters.kept < shortest(radix):
            return numerals, np.ones(count, bool)
        bad, out = np.zeros(count, bool), numerals.copy()
        if parameters.check:
            bad = _luhn(numerals[:, :-1]) != numerals[:, -1]
        middle = slice(parameters.keep_first, length - max(parameters.keep_last, 1 if parameters.check else 0))
        out[:, middle] = cipher(FF1(self.secret, radix), numerals[:, middle])
        if parameters.check:
            out[:, -1] = _luhn(out[:, :-1])
        return out, bad

    def _codes(self, points: Any) -> tuple[Any, Any]:
        """Return the position in the alphabet of every character, and the alphabet as code points."""
        import numpy as np

        alphabet, table = self._tables
        last = len(table) - 1  # entry of all larger code points
        codes = table[points if points.dtype == np.uint8 and last > 255 else np.minimum(points, last)]
        return codes, alphabet.astype(points.dtype) if alphabet.max() < 128 else alphabet

    @cached_property
    def _tables(self) -> tuple[Any, Any]:
        """Return the alphabet's code points, and the position in the alphabet by code point."""
        import numpy as np

        alphabet = np.array([ord(c) for c in self.parameters.characters], np.uint32)
        separators = [ord(c) for c in self.parameters.separators]
        table = np.full(max(*alphabet.tolist(), *separators, 255) + 2, NEITHER, np.uint16)
        table[separators] = SEPARATOR
        table[alphabet] = np.arange(len(alphabet))
        return alphabet, table

    def _integers(self, values: pa.Array, cipher: Any) -> Made:
        """Encrypt or decrypt non-negative integers digit by digit, with cycle walking."""
        import numpy as np
        import pyarrow as pa

        valid = np.asarray(values.is_valid())
        numbers = np.asarray(values.fill_null(0)).astype(np.int64)
        # Numbers of unsigned types beyond int64 are negative here and invalid, so no result may be one of them.
        limit = min(np.iinfo(values.type.to_pandas_dtype()).max, np.iinfo(np.int64).max)
        bad, out = valid & (numbers < 0), numbers.copy()
        pending = np.flatnonzero(valid & ~bad)
        text = pa.array(numbers[pending]).cast(pa.string())
        while len(pending):
            points, starts = flat(text)
            characters, unfit = self._of_flat(points, starts, cipher)
            text = from_flat(characters, starts, text)
            number = np.asarray(text.cast(pa.uint64()))  # 64-bit integers have 19 digits at most, which always fit
            again = ~unfit & ((characters[starts[:-1]] == ord("0")) | (number > limit))
            done = ~unfit & ~again
            bad[pending[unfit]] = True
            out[pending[done]] = number[done].astype(np.int64)
            text, pending = text.filter(pa.array(again)), pending[again]
        return pa.array(out, mask=~valid | bad).cast(values.type), bad if bad.any() else None


def _luhn(numerals: Any) -> Any:
    """Return the check digit of every row of digits."""
    import numpy as np

    doubled = numerals[:, ::-1].astype(np.int64)
    doubled[:, ::2] *= 2
    doubled[:, ::2] -= 9 * (doubled[:, ::2] > 9)
    return (-doubled.sum(axis=1) % 10).astype(numerals.dtype)
