"""``perturb``: numbers with added random noise of a given scale; type stays.

Protects against: reading exact values; sums and means of many rows stay approximately correct. Does not protect against:
averaging repeated releases of one value, and recognising outliers (an income of a thousand times the scale stays visible). It
is not differential privacy: the contribution of one person is not bounded, and floating-point noise leaks information (Mironov:
*On Significance of the Least Significant Bits for Differential Privacy*, CCS 2012).

Laplace or Gaussian noise from a generator that the operating system seeds for every batch; a rerun draws new noise. Results
are rounded to integer and decimal types. NaN, infinities, and results outside of the type's range are invalid.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from dataward.contract.protections import Perturb
from dataward.privacy.protect.operator import Made, Operator, Rows, Unfit

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PerturbOperator"]


@dataclass(frozen=True)
class PerturbOperator(Operator):
    """Implementation of ``perturb``."""

    parameters: Perturb

    @property
    def deterministic(self) -> bool:
        """False: equal values get different noise."""
        return False

    @property
    def needs(self) -> str:
        """Description of valid values, for messages."""
        return "a finite number well inside its type"

    def output(self, kind: pa.DataType) -> pa.DataType:
        """Return the output type, or raise Unfit."""
        import pyarrow as pa

        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise Unfit(f"perturb cannot protect {kind}", "it protects numbers; use date_shift for dates")
        return kind

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        """Protect an array of values."""
        import numpy as np
        import pyarrow as pa

        generator = np.random.Generator(np.random.PCG64(secrets.randbits(128)))
        distribution = generator.laplace if self.parameters.noise == "laplace" else generator.normal
        noise = distribution(0.0, self.parameters.scale, len(values))
        kind, empty = values.type, np.asarray(values.is_null())
        if pa.types.is_floating(kind):
            noisy = np.asarray(values.fill_null(0)) + noise
            bad = ~np.isfinite(noisy) & ~empty
            return pa.array(noisy.astype(kind.to_pandas_dtype()), kind, mask=empty | bad), bad if bad.any() else None
        if pa.types.is_integer(kind):
            rounded: Any = np.clip(np.rint(noise), -(2.0**53), 2.0**53).astype(np.int64)
            number = np.asarray(values.fill_null(0)).astype(np.int64)
            range_ = np.iinfo(kind.to_pandas_dtype())
            sums = number + rounded
            bad = ((sums < number) != (rounded < 0)) | (sums < range_.min) | (sums > range_.max)
            bad &= ~empty
            return pa.array(np.where(bad, 0, sums), mask=empty | bad).cast(kind), bad if bad.any() else None
        return self._decimals(values, noise)

    @staticmethod
    def _decimals(values: pa.Array, noise: Any) -> Made:
        """Add noise to decimals, rounded to the scale of their type."""
        import numpy as np
        import pyarrow as pa

        kind = values.type
        exact, unit, limit = (
            Context(prec=80),
            Decimal(1).scaleb(-kind.scale),
            Decimal(10) ** (kind.precision - kind.scale),
        )
        noisy = [
            None if v is None else exact.quantize(exact.add(v, Decimal(n)), unit)
            for v, n in zip(values.to_pylist(), noise.tolist(), strict=True)
        ]
        bad = np.array([v is not None and abs(v) >= limit for v in noisy], bool)
        return pa.array([None if b else v for v, b in zip(noisy, bad, strict=True)], kind), bad if bad.any() else None
