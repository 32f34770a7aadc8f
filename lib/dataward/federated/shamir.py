"""Share a secret so that any ``threshold`` shares recover it and fewer reveal nothing.

Shamir, *How to share a secret*, Communications of the ACM 22(11), 1979, over the field of integers modulo the prime 2^521 - 1.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

__all__ = ["PRIME", "join", "share_at", "split"]

PRIME = 2**521 - 1
SECRET = 32  # bytes


def split(secret: bytes, threshold: int, places: Iterable[int]) -> dict[int, int]:
    """Split a secret of 32 bytes.

    Args:
        secret: the secret.
        threshold: number of shares that recover it.
        places: distinct positive integers below the prime, one per share.

    Returns:
        The share of each place.

    Raises:
        ValueError: the secret, the threshold or a place is out of range.
    """
    places = tuple(places)
    if len(secret) != SECRET or not 1 <= threshold <= len(set(places)) or len(set(places)) != len(places):
        raise ValueError("a secret of 32 bytes, distinct places and a threshold of at most their number are needed")
    if any(not 0 < place < PRIME for place in places):
        raise ValueError("places are positive integers below the prime")
    coefficients = [int.from_bytes(secret, "big"), *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return {place: _evaluate(coefficients, place) for place in places}


def join(shares: Mapping[int, int]) -> bytes | None:
    """Recover a secret from shares; None if they do not yield a 32-byte secret."""
    value = share_at(shares, 0)
    return value.to_bytes(SECRET, "big") if value < 2 ** (8 * SECRET) else None


def share_at(shares: Mapping[int, int], place: int) -> int:
    """Evaluate the polynomial of the lowest degree through the shares at a place (Lagrange interpolation)."""
    total = 0
    for mine, share in shares.items():
        above = below = 1
        for theirs in shares:
            if theirs != mine:
                above = above * (place - theirs) % PRIME
                below = below * (mine - theirs) % PRIME
        total += share * above * pow(below, -1, PRIME)
    return total % PRIME


def _evaluate(coefficients: list[int], place: int) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * place + coefficient) % PRIME
    return value
