"""Values as text: one text per value, the same in every process, whatever its locale, time zone or engine."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["by_distinct", "from_flat", "flat", "joined", "messages", "texts", "unreadable", "without"]

SAMPLE = 1000
DIFFERENT = 0.98  # where of 20,000 values a quarter is repeated, so much of a sample is different


def texts(values: pa.Array) -> pa.Array:
    """Leaf values as strings (binary stays binary: its bytes are its text).

    Integers and booleans as in JSON, decimals with all their places, dates as ISO 8601, timestamps as ISO 8601 in UTC
    with microseconds (without ``Z`` where they have no zone), floating point in the shortest form that reads back
    (0.0 for both zeros).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return values
    if pa.types.is_large_string(kind):
        return values.cast(pa.string())
    if pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return values.cast(pa.binary())
    if pa.types.is_floating(kind):
        return pa.array(
            [None if v is None else repr(v + 0.0) for v in values.cast(pa.float64()).to_pylist()], pa.string()
        )
    if pa.types.is_decimal(kind):
        return pa.array([None if v is None else f"{v:f}" for v in values.to_pylist()], pa.string())
    if pa.types.is_timestamp(kind):
        return pc.strftime(
            values.cast(pa.timestamp("us", kind.tz)).cast(pa.timestamp("us")), "%Y-%m-%dT%H:%M:%S" + "Z" * bool(kind.tz)
        )
    return values.cast(pa.string())


def messages(values: pa.Array) -> list[bytes]:
    """The texts as UTF-8 (null as nothing), as MACs and ciphers take them; three times as fast as ``to_pylist``."""
    data, starts = joined(texts(values))
    whole = data.tobytes()
    return [whole[begin:end] for begin, end in itertools.pairwise(starts.tolist())]


def joined(values: pa.Array) -> tuple[Any, Any]:
    """The bytes of strings or binary values one after another, and where each begins; null is empty."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    binary = values.cast(pa.binary())
    if binary.null_count:
        binary = pc.fill_null(binary, b"")
    offsets = np.frombuffer(binary.buffers()[1], np.int32, len(binary) + 1, binary.offset * 4).astype(np.int64)
    data = np.frombuffer(binary.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    return data, offsets - offsets[0]


def unreadable(values: pa.Array) -> Any:
    """None when every text is valid UTF-8, else a boolean numpy array of those that are not."""
    import numpy as np
    import pyarrow as pa

    if not pa.types.is_string(values.type):
        return np.ones(len(values), bool) & np.asarray(values.is_valid())
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return np.array([not _reads(value) for value in values.cast(pa.binary()).to_pylist()], bool)
    return None


def without(values: pa.Array, bad: Any) -> pa.Array:
    """Strings with null in place of some; nothing of these is left in the buffers."""
    import pyarrow as pa

    if bad is None:
        return values
    pairs = zip(values.cast(pa.binary()).to_pylist(), bad, strict=True)
    return pa.array([None if gone else value for value, gone in pairs], pa.binary()).cast(pa.string())


def _reads(value: bytes | None) -> bool:
    try:
        return value is None or value.decode() is not None
    except UnicodeDecodeError:
        return False


def by_distinct(values: pa.Array, make: Callable[[pa.Array], tuple[pa.Array, Any]]) -> tuple[pa.Array, Any]:
    """Make each distinct value once, where that saves work: not where nearly all of a sample are different."""
    import numpy as np

    if len(values) < 16:
        return make(values)
    if len(values) > 4 * SAMPLE:
        sample = values.take(np.random.default_rng(0).choice(len(values), SAMPLE, replace=False, shuffle=False))
        if len(sample.unique()) > DIFFERENT * SAMPLE:
            return make(values)
    encoded = values.dictionary_encode()
    if 4 * len(encoded.dictionary) > 3 * len(values):
        return make(values)
    made, bad = make(encoded.dictionary)
    if bad is not None:
        # Where the value is null there is no index; no null is bad.
        bad = np.append(bad, False)[np.asarray(encoded.indices.fill_null(len(bad)))]
    return made.take(encoded.indices), bad


def flat(values: pa.Array) -> tuple[Any, Any]:
    """All characters of valid strings as one array of code points, and where each value begins (one more at the end)."""
    import numpy as np

    count = len(values)
    offsets = np.frombuffer(values.buffers()[1], np.int32, count + 1, values.offset * 4)
    data = memoryview(values.buffers()[2] or b"")[offsets[0] : offsets[-1]]
    points = np.frombuffer(data, np.uint8)
    starts = (offsets - offsets[0]).astype(np.int64)
    if not len(points) or points.max() < 128:
        return points, starts
    # A code point starts at every byte that continues none.
    begins = np.concatenate([[0], np.cumsum((points & 0xC0) != 0x80)])
    return np.frombuffer(bytes(data).decode().encode("utf-32-le"), np.uint32), begins[starts]


def from_flat(points: Any, starts: Any, valid: pa.Array) -> pa.Array:
    """Strings again, null where ``valid`` is null."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if points.dtype != np.uint8 and len(points) and points.max() >= 128:
        text = points.astype("<u4").tobytes().decode("utf-32-le")
        made = [text[begin:end] for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)]
        return pa.array(made, pa.string(), mask=np.asarray(valid.is_null()))
    offsets = pa.py_buffer(starts.astype(np.int32).tobytes())
    made = pa.Array.from_buffers(
        pa.string(), len(starts) - 1, [None, offsets, pa.py_buffer(points.astype(np.uint8).tobytes())]
    )
    return pc.if_else(valid.is_valid(), made, None) if valid.null_count else made
