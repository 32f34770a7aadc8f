"""Encode arrays, messages and fixed-point numbers so that every party computes the same bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataward.errors import DataError, SiteRefused

__all__ = ["Integers", "Numbers", "canonical", "pack", "sha256", "to_fixed", "to_signed", "unpack"]

Integers = NDArray[np.uint64]
Numbers = NDArray[np.float64]


def canonical(data: Any) -> bytes:
    """Return ASCII JSON with sorted keys and without spaces; refuse NaN and infinities with ValueError."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sha256(data: Any) -> str:
    """Return the SHA-256 (hex) of bytes, or of the canonical form of other data."""
    return hashlib.sha256(data if isinstance(data, bytes) else canonical(data)).hexdigest()


def pack(values: Integers | Numbers) -> str:
    """Encode an array of 64-bit values as base64 of its little-endian bytes."""
    return base64.b64encode(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def unpack(text: Any, kind: type, size: int) -> Any:
    """Decode an array of a known size.

    Args:
        text: base64 of little-endian values.
        kind: ``np.uint64`` or ``np.float64``.
        size: required number of values.

    Raises:
        SiteRefused: the text is not such an array, or contains a number that is not finite.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise SiteRefused("an array is not valid base64") from None
    if len(data) != 8 * size:
        raise SiteRefused(f"an array has {len(data)} bytes, not the {8 * size} of this step")
    values: Any = np.frombuffer(data, dtype=np.dtype(kind).newbyteorder("<")).astype(kind)
    if kind is np.float64 and not np.isfinite(values).all():
        raise SiteRefused("an array holds a number that is not finite")
    return values


def to_fixed(values: Numbers, scale: float, parties: int) -> Integers:
    """Round numbers to multiples of ``1 / scale``, as integers mod 2^64.

    Raises:
        DataError: a number is not finite, or so large that the sum over all parties could wrap around.
    """
    scaled = np.rint(np.asarray(values, dtype=np.float64) * scale)
    if not np.isfinite(scaled).all() or (scaled.size and np.abs(scaled).max() >= 2.0**62 / max(parties, 1)):
        raise DataError("a contribution is too large for fixed-point sums: give 'bounds' for every feature in the plan")
    return np.asarray(scaled.astype(np.int64).view(np.uint64))


def to_signed(values: Integers) -> NDArray[np.int64]:
    """Read integers mod 2^64 as signed numbers."""
    return np.ascontiguousarray(values).view(np.int64)
