"""``pick``: a realistic substitute from a list, always the same one for a value; type becomes string.

Protects against: reading the value, in data that has to look real. Does not protect against: frequency analysis (as
``token``). Values do not stay distinct: with n substitutes, two values share one with probability 1/n, so do not use it for keys.

The substitute's position is the first 64 bits of HMAC-SHA-256 of the value's text under the domain's key, modulo the length
of the list (the bias is below length / 2^64). A changed list changes the substitutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from dataward.contract.protections import Pick
from dataward.keys import Purpose
from dataward.privacy.protect.operator import Made, Rows, Unfit
from dataward.privacy.protect.token import Keyed, words

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PickOperator"]


@dataclass(frozen=True)
class PickOperator(Keyed):
    """Implementation of ``pick``."""

    parameters: Pick
    purpose: ClassVar[Purpose | None] = "pick"

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return string; raises Unfit where the list is empty or unreadable."""
        import pyarrow as pa

        try:
            if not len(self._list):
                raise Unfit(f"{self.parameters.file} holds no substitute", "write one on each line")
        except (OSError, UnicodeDecodeError) as error:
            raise Unfit(
                f"{self.parameters.file} cannot be read ({type(error).__name__})", "name a UTF-8 text file"
            ) from None
        return pa.string()

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of values."""
        import numpy as np
        import pyarrow as pa

        digests, text, bad = self.of_text(values)
        number = words(digests) % np.uint64(len(self._list))
        place = pa.array(number.astype(np.int64), mask=np.asarray(text.is_null()))
        return self._list.take(place), bad

    @cached_property
    def _list(self) -> pa.Array:
        """Return the substitutes of the contract, or the non-empty lines of its file."""
        import pyarrow as pa

        if self.parameters.file is None:
            return pa.array(self.parameters.values, pa.string())
        lines = Path(self.parameters.file).read_text(encoding="utf-8-sig").splitlines()
        return pa.array([line.strip() for line in lines if line.strip()], pa.string())
