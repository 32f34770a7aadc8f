"""Merkle trees of RFC 6962, section 2.1: hashes, inclusion and consistency proofs, and their verification."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

__all__ = [
    "Nodes",
    "consistency",
    "holds_consistency",
    "holds_inclusion",
    "inclusion",
    "leaf_hash",
    "node_hash",
    "root",
    "root_of",
]

Nodes = Callable[[int, int], bytes]
"""Hash of a complete subtree of 2**level leaves, by level and index."""

EMPTY = hashlib.sha256().digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node with two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(nodes: Nodes, size: int) -> bytes:
    """Return the root hash of a tree by its number of leaves."""
    return _subtree(nodes, 0, size) if size else EMPTY


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root hash over all leaf hashes of a tree."""
    level = list(hashes)
    while len(level) > 1:
        paired = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0] if level else EMPTY


def inclusion(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """Return the hashes on the path from a leaf to the root, the leaf's sibling first."""
    if not 0 <= index < size:
        raise ValueError(f"there is no entry {index} in a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_subtree(nodes, middle, high))
            high = middle
        else:
            path.append(_subtree(nodes, low, middle))
            low = middle
    return path[::-1]


def consistency(nodes: Nodes, old: int, new: int) -> list[bytes]:
    """Return the hashes that connect the root of the first ``old`` leaves to the root of ``new`` leaves."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} has no earlier tree of {old}")
    if old in (0, new):
        return []
    path: list[bytes] = []
    low, high, whole = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_subtree(nodes, middle, high))
            high = middle
        else:
            path.append(_subtree(nodes, low, middle))
            low, whole = middle, False
    if not whole:
        path.append(_subtree(nodes, low, high))
    return path[::-1]


def holds_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], head: bytes) -> bool:
    """Return whether an inclusion proof holds (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    first, second, found = index, size - 1, leaf
    for step in path:
        if second == 0:
            return False
        if first & 1 or first == second:
            found = node_hash(step, found)
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            found = node_hash(found, step)
        first, second = first >> 1, second >> 1
    return second == 0 and found == head


def holds_consistency(old: int, new: int, path: Sequence[bytes], old_head: bytes, new_head: bytes) -> bool:
    """Return whether a consistency proof holds (RFC 9162, section 2.1.4.2)."""
    if not 0 < old < new:
        return not path and ((old == new and old_head == new_head) or (0 == old < new and old_head == EMPTY))
    steps = list(path)
    if old & (old - 1) == 0:
        steps.insert(0, old_head)
    if not steps:
        return False
    first, second = old - 1, new - 1
    while first & 1:
        first, second = first >> 1, second >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if second == 0:
            return False
        if first & 1 or first == second:
            before, after = node_hash(step, before), node_hash(step, after)
            while not first & 1 and first:
                first, second = first >> 1, second >> 1
        else:
            after = node_hash(after, step)
        first, second = first >> 1, second >> 1
    return second == 0 and before == old_head and after == new_head


def _split(size: int) -> int:
    """Return the largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


def _subtree(nodes: Nodes, low: int, high: int) -> bytes:
    size = high - low
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return nodes(level, low >> level)
    middle = low + _split(size)
    return node_hash(_subtree(nodes, low, middle), _subtree(nodes, middle, high))
