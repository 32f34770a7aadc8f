"""Mergeable sketch of a column in bounded memory: counts, moments, quantiles, distinct and frequent values, lengths, shapes.

==============  =====================================================================================================
quantiles       KLL (Karnin, Lang & Liberty, FOCS 2016; Apache DataSketches), rank error below 1.4 % (at 99 %)
distinct        the k smallest hashes (Bar-Yossef et al., RANDOM 2002): (k - 1) / (the k-th, as a share of all hashes);
                exact below k = 4096 values, else a standard error of 1 / sqrt(k - 2), 1.6 %
frequent        counts of the most frequent values, none too high, and too low by at most ``lost`` (Misra & Gries 1982)
moments         mean and sum of squares, merged by Chan, Golub & LeVeque (1979)
==============  =====================================================================================================
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Kind", "Sketch", "kind_of"]

Numbers = np.ndarray[Any, Any]
Kind = Literal["number", "time", "text", "flag"]
HASHES = 4096
FREQUENT = 500
SHAPED = 200  # distinct texts of the first batch whose shape and type are inferred; a fifth of it in each later batch
RUNS = ((r"\p{Lu}+", "A"), (r"\p{Ll}+", "a"), (r"\p{N}+", "9"), (r"\s+", " "))
TYPES = {
    "boolean": r"^(?i:true|false|yes|no)$",
    "integer": r"^[+-]?[0-9]{1,18}$",
    "number": r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "timestamp": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}.*)?$",
}
"""Inferred types of texts with their patterns, the narrowest first; every integer is also a number."""


def kind_of(type_: pa.DataType) -> Kind:
    """Return the kind of sketch for an Arrow type."""
    import pyarrow as pa

    if pa.types.is_boolean(type_):
        return "flag"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        return "number"
    return "time" if pa.types.is_timestamp(type_) or pa.types.is_date(type_) else "text"


def _mixed(numbers: Numbers) -> Numbers:
    """Hash numbers to 64 bits (SplitMix64; Steele, Lea & Flood, OOPSLA 2014); 0.0 and -0.0 have the same hash."""
    wide = numbers.astype(np.float64) + 0.0 if numbers.dtype.kind == "f" else numbers.astype(np.int64)
    bits = wide.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Numbers = bits ^ (bits >> np.uint64(31))
    return mixed


class Sketch:
    """Sketch of a column of numbers, times, flags or texts."""

    def __init__(self, kind: Kind) -> None:
        """Create an empty sketch."""
        from datasketches import kll_doubles_sketch

        self.kind = kind
        self.rows = self.nulls = self.nans = self.zeros = self.negatives = self.lost = self.looked = 0
        self.count, self.mean, self.squares = 0, 0.0, 0.0  # of finite numbers, or of lengths of texts
        self.low, self.high = np.inf, -np.inf
        self.hashes = np.zeros(0, np.uint64)
        self.frequent: dict[Any, int] = {}
        self.shapes: dict[str, int] = {}
        self.types = dict.fromkeys(TYPES, 0)
        self.quantiles = kll_doubles_sketch(200)

    # adding data

    def look_at(self, values: pa.Array, hashes: pa.Array | None = None) -> None:
        """Add a batch; for texts with their 64-bit ``hashes``, because equal numbers are found much faster than equal texts."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self.rows += len(values)
        self.nulls += values.null_count
        if values.null_count and hashes is not None:
            hashes = hashes.filter(values.is_valid())
        values = values.drop_null()
        if not len(values):
            return
        if self.kind == "time":
            values = values.cast(pa.timestamp("us")).cast(pa.int64())
        elif self.kind == "flag":
            values = pc.cast(values, pa.int8())
        numbers = (values if hashes is None else hashes).to_numpy(zero_copy_only=False)
        different, first, counts = np.unique(numbers, return_index=True, return_counts=True)
        self._look_at_different(values, different, first, counts)
        if self.kind == "text":
            self._look_at_texts(values, first, counts)
        elif self.kind != "flag":
            # Doubles do not represent every large integer, nor every microsecond after 2255; the nearest one is precise enough.
            self._look_at_numbers(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))

    def _look_at_different(self, values: pa.Array, different: Numbers, first: Numbers, counts: Numbers) -> None:
        # Texts come with hashes; numbers must be hashed.
        self._add_hashes(different.view(np.uint64) if self.kind == "text" else _mixed(different))
        lost = 0
        if len(counts) > FREQUENT:
            order = np.argpartition(counts, -FREQUENT - 1)
            lost = int(counts[order[-FREQUENT - 1]])
            first, counts = first[order[-FREQUENT:]], counts[order[-FREQUENT:]]
        self._add_frequent(zip(values.take(first).to_pylist(), counts.tolist(), strict=True), lost)

    def _look_at_texts(self, values: pa.Array, first: Numbers, counts: Numbers) -> None:
        import pyarrow.compute as pc

        lengths = pc.utf8_length(values).to_numpy(zero_copy_only=False).astype(float)
        self._add_numbers(lengths)
        self.zeros += int((lengths == 0).sum())
        enough = SHAPED // 5 if self.looked else SHAPED
        sample, weights = values.take(first[:enough]), counts[:enough]
        self.looked += int(weights.sum())
        for name, pattern in TYPES.items():
            fits = pc.match_substring_regex(pc.utf8_trim_whitespace(sample), pattern).to_numpy(zero_copy_only=False)
            self.types[name] += int(weights[fits].sum())
        shapes = sample
        for pattern, sign in RUNS:
            shapes = pc.replace_substring_regex(shapes, pattern, sign)
        for shape, weight in zip(shapes.to_pylist(), weights.tolist(), strict=True):
            short = shape[:60]
            self.shapes[short] = self.shapes.get(short, 0) + weight
        if len(self.shapes) > 4 * FREQUENT:
            self.shapes = dict(sorted(self.shapes.items(), key=lambda counted: -counted[1])[:FREQUENT])

    def _look_at_numbers(self, numbers: Numbers) -> None:
        finite = numbers[np.isfinite(numbers)]
        self.nans += len(numbers) - len(finite)
        self.zeros += int((finite == 0).sum())
        self.negatives += int((finite < 0).sum())
        if len(finite):
            self.quantiles.update(np.ascontiguousarray(finite))
            self._add_numbers(finite)

    def _add_numbers(self, numbers: Numbers) -> None:
        mean = float(numbers.mean())
        self._add_moments(len(numbers), mean, float(((numbers - mean) ** 2).sum()))
        self.low, self.high = min(self.low, float(numbers.min())), max(self.high, float(numbers.max()))

    def _add_moments(self, count: int, mean: float, squares: float) -> None:
        total = self.count + count
        if not count:
            return
        difference = mean - self.mean
        self.mean += difference * count / total
        self.squares += squares + difference**2 * self.count * count / total
        self.count = total

    def _add_hashes(self, hashes: Numbers) -> None:
        if len(self.hashes) == HASHES:
            hashes = hashes[hashes < self.hashes[-1]]
            if not len(hashes):
                return
        self.hashes = np.unique(np.concatenate([self.hashes, hashes]))[:HASHES]

    def _add_frequent(self, counted: Any, lost: int) -> None:
        self.lost += lost
        for value, count in counted:
            self.frequent[value] = self.frequent.get(value, 0) + count
        if len(self.frequent) > 4 * FREQUENT:
            ordered = sorted(self.frequent.items(), key=lambda counted: -counted[1])
            self.lost += ordered[FREQUENT][1]
            self.frequent = dict(ordered[:FREQUENT])

    def add(self, other: Sketch) -> None:
        """Merge another sketch of the same column into this one."""
        for name in ("rows", "nulls", "nans", "zeros", "negatives", "looked"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self._add_moments(other.count, other.mean, other.squares)
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self._add_hashes(other.hashes)
        self._add_frequent(other.frequent.items(), other.lost)
        for mine, theirs in ((self.shapes, other.shapes), (self.types, other.types)):
            for key, count in theirs.items():
                mine[key] = mine.get(key, 0) + count
        self.quantiles.merge(other.quantiles)

    # results

    @property
    def distinct(self) -> tuple[float, float]:
        """Number of distinct values without null, and its relative standard error (0: exact)."""
        if len(self.hashes) < HASHES:
            return float(len(self.hashes)), 0.0
        return (HASHES - 1) / (float(self.hashes[-1]) / 2.0**64), (HASHES - 2) ** -0.5

    def as_data(self) -> dict[str, Any]:
        """Return the sketch as plain data for JSON."""
        plain = {
            name: float(value) if isinstance(value, np.floating) else value for name, value in self.__dict__.items()
        }
        return plain | {
            "frequent": list(self.frequent.items()),
            "hashes": b64encode(self.hashes.tobytes()).decode(),
            "quantiles": b64encode(self.quantiles.serialize()).decode(),
        }

    @classmethod
    def of_data(cls, data: dict[str, Any]) -> Sketch:
        """Restore a sketch from :meth:`as_data`."""
        from datasketches import kll_doubles_sketch

        sketch = cls(data["kind"])
        sketch.__dict__.update(data)
        sketch.frequent = dict(data["frequent"])
        sketch.hashes = np.frombuffer(b64decode(data["hashes"]), np.uint64)
        sketch.quantiles = kll_doubles_sketch.deserialize(b64decode(data["quantiles"]))
        return sketch

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the sketch by :meth:`as_data`."""
        return Sketch.of_data, (self.as_data(),)
