"""Replay a Delta log up to a version."""

from __future__ import annotations

from typing import Any

from dataward.tables.deltalog.checkpoint import read_checkpoint
from dataward.tables.deltalog.folder import Folder
from dataward.tables.deltalog.log import State, apply, read_commit, read_listing

__all__ = ["metadata_at", "state_at"]


def state_at(table: Folder, version: int) -> State:
    """Return the state of a version as readers find it: from the newest checkpoint at or before it, and the commits since.

    Raises:
        Missing: a commit was removed.
        Damaged: a checkpoint or a commit is damaged.
    """
    listing, state = read_listing(table), State()
    for checkpoint in reversed(listing.checkpoints):
        if checkpoint.complete and checkpoint.version <= version:
            state = read_checkpoint(table, checkpoint)
            break
    for number in range(state.version + 1, version + 1):
        state = apply(state, read_commit(table, number))
    return state


def metadata_at(table: Folder, version: int) -> dict[str, Any] | None:
    """Return the metadata action of a version: of the newest commit that has one, or of the checkpoint before.

    Raises:
        Missing: a commit was removed.
        Damaged: a checkpoint or a commit is damaged.
    """
    listing = read_listing(table)
    base = max((one.version for one in listing.checkpoints if one.complete and one.version <= version), default=-1)
    for number in range(version, base, -1):
        if found := read_commit(table, number).metadata:
            return found
    return state_at(table, base).metadata if base >= 0 else None
