"""``perturb``: numbers with random noise of a stated scale; type stays.

Protects against: exact values, while sums and means of many rows stay near. Does not protect against: averaging repeated
releases of one value, and outliers (an income of a thousand times the scale is still seen). It is no differential privacy:
nothing bounds what one person adds, and floating-point noise leaks (Mironov: *On Significance of the Least Significant
Bits for Differential Privacy*, CCS 2012).

Laplace or Gaussian noise from a generator that is seeded from the operating system for every batch; a rerun draws anew.
Integers and decimals are rounded to their type. NaN and infinities are invalid, and so is a result outside of the type.
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
    parameters: Perturb

    @property
    def deterministic(self) -> bool:
        return False

    @property
    def needs(self) -> str:
        return "a finite number well inside its type"

    def output(self, kind: pa.DataType) -> pa.DataType:
        import pyarrow as pa

        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise Unfit(f"perturb cannot protect {kind}", "it protects numbers; use date_shift for dates")
        return kind

    def apply(self, values: pa.Array, rows: Rows) -> Made:
        import numpy as np
        import pyarrow as pa

        draw = np.random.Generator(np.random.PCG64(secrets.randbits(128)))
        of = draw.laplace if self.parameters.noise == "laplace" else draw.normal
        noise = of(0.0, self.parameters.scale, len(values))
        kind, empty = values.type, np.asarray(values.is_null())
        if pa.types.is_floating(kind):
            made = np.asarray(values.fill_null(0)) + noise
            bad = ~np.isfinite(made) & ~empty
            return pa.array(made.astype(kind.to_pandas_dtype()), kind, mask=empty | bad), bad if bad.any() else None
        if pa.types.is_integer(kind):
            whole: Any = np.clip(np.rint(noise), -(2.0**53), 2.0**53).astype(np.int64)
            number = np.asarray(values.fill_null(0)).astype(np.int64)
            range_ = np.iinfo(kind.to_pandas_dtype())
            sums = number + whole
            bad = ((sums < number) != (whole < 0)) | (sums < range_.min) | (sums > range_.max)
            bad &= ~empty
            return pa.array(np.where(bad, 0, sums), mask=empty | bad).cast(kind), bad if bad.any() else None
        return self._decimals(values, noise)

    @staticmethod
    def _decimals(values: pa.Array, noise: Any) -> Made:
        import numpy as np
        import pyarrow as pa

        kind = values.type
        exact, unit, most = (
            Context(prec=80),
            Decimal(1).scaleb(-kind.scale),
            Decimal(10) ** (kind.precision - kind.scale),
        )
        made = [
            None if v is None else exact.quantize(exact.add(v, Decimal(n)), unit)
            for v, n in zip(values.to_pylist(), noise.tolist(), strict=True)
        ]
        bad = np.array([v is not None and abs(v) >= most for v in made], bool)
        return pa.array([None if b else v for v, b in zip(made, bad, strict=True)], kind), bad if bad.any() else None
