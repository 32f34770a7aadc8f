"""List and replay the log of a Delta table."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from dataward.tables.deltalog.actions import Added, Damaged, Fed, Info, Key, Marked, Removed, action, read_json
from dataward.tables.deltalog.folder import Folder

__all__ = [
    "LOG",
    "Checkpoint",
    "CommitFile",
    "Listing",
    "State",
    "actions_of",
    "apply",
    "commit_of",
    "metadata_of",
    "protocol_of",
    "read_commit",
    "read_listing",
]

LOG = "_delta_log"
COMMIT = re.compile(r"(\d{20})\.json")
CHECKSUM = re.compile(r"(\d{20})\.crc")
SINGLE = re.compile(r"(\d{20})\.checkpoint\.parquet")
PART = re.compile(r"(\d{20})\.checkpoint\.(\d{10})\.(\d{10})\.parquet")
NAMED = re.compile(r"(\d{20})\.checkpoint\.([0-9a-fA-F-]{36})\.(json|parquet)")
COMPACTED = re.compile(r"(\d{20})\.(\d{20})\.compacted\.json")
READ = re.compile(r"\d+\.([^.]+\.)?json|\d+\.crc|\d+\.checkpoint\..*|\d+\.\d+\.compacted\.json")
"""Names that Delta reads; it writes only those of the patterns above."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of a version: its files, and the required number of parts."""

    version: int
    files: tuple[str, ...]
    parts: int = 1

    @property
    def complete(self) -> bool:
        """Whether no part is missing."""
        return len(self.files) == self.parts


@dataclass(frozen=True)
class Listing:
    """The files of a log by kind; ``sizes`` contains all of them."""

    sizes: dict[str, int]

    @cached_property
    def commits(self) -> dict[int, str]:
        """Commit files by version."""
        return dict(sorted((int(found[1]), name) for name in self.sizes if (found := COMMIT.fullmatch(name))))

    @cached_property
    def checksums(self) -> dict[int, str]:
        """Version checksums (``N.crc``) by version."""
        return dict(sorted((int(found[1]), name) for name in self.sizes if (found := CHECKSUM.fullmatch(name))))

    @cached_property
    def compacted(self) -> dict[tuple[int, int], str]:
        """Compacted commits by first and last version."""
        named = ((COMPACTED.fullmatch(name), name) for name in self.sizes)
        return {(int(found[1]), int(found[2])): name for found, name in named if found}

    @cached_property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Checkpoints, oldest first."""
        found = []
        parts: dict[tuple[int, int], list[str]] = {}
        for name in sorted(self.sizes):
            if one := SINGLE.fullmatch(name) or NAMED.fullmatch(name):
                found.append(Checkpoint(int(one[1]), (name,)))
            elif one := PART.fullmatch(name):
                parts.setdefault((int(one[1]), int(one[3])), []).append(name)
        found += [Checkpoint(version, tuple(names), total) for (version, total), names in parts.items()]
        return tuple(sorted(found, key=lambda checkpoint: (checkpoint.version, checkpoint.files)))

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """Files that a reader may take for part of the log, under names that no writer gives."""
        known = (COMMIT, CHECKSUM, SINGLE, PART, NAMED, COMPACTED)
        return tuple(
            name
            for name in sorted(self.sizes)
            if READ.fullmatch(name) and not any(one.fullmatch(name) for one in known)
        )

    @property
    def newest(self) -> int | None:
        """The newest version in the log; None for an empty log."""
        versions = [*self.commits, *(checkpoint.version for checkpoint in self.checkpoints if checkpoint.complete)]
        return max(versions, default=None)


@dataclass(frozen=True)
class State:
    """A version of a table: its files, its metadata and protocol actions as plain data.

    Of a checkpoint also ``marks``, and ``parsed``: whether it has statistics in columns of their own.
    """

    version: int = -1
    files: dict[Key, Added] = field(default_factory=dict)
    metadata: dict[str, Any] | None = None
    protocol: dict[str, Any] | None = None
    marks: frozenset[Marked] = frozenset()
    parsed: bool = False


@dataclass(frozen=True)
class CommitFile:
    """A commit from its file, with the file's SHA-256 (hex)."""

    version: int
    sha256: str
    info: Info
    added: tuple[Added, ...] = ()
    removed: tuple[Removed, ...] = ()
    metadata: dict[str, Any] | None = None
    protocol: dict[str, Any] | None = None
    feed: tuple[Fed, ...] = ()
    marks: tuple[Marked, ...] = ()

    @property
    def changes_data(self) -> bool:
        """Whether an action changes rows, according to its ``dataChange``."""
        return any(one.data_change for one in self.added) or any(one.data_change for one in self.removed)


def read_listing(table: Folder) -> Listing:
    """List the log of a table."""
    return Listing(table.names(LOG))


def read_commit(table: Folder, version: int) -> CommitFile:
    """Read a commit.

    Raises:
        Missing: the commit does not exist.
        Damaged: the file is not a commit.
    """
    data = table.read(f"{LOG}/{version:020d}.json")
    return commit_of(version, data)


def commit_of(version: int, data: bytes) -> CommitFile:
    """Parse a commit; raises Damaged."""
    parsed = list(actions_of(data))
    found = [one for kind, body in parsed if (one := action(kind, body)) is not None]
    bodies = {kind: body for kind, body in parsed if kind in ("metaData", "protocol")}
    return CommitFile(
        version,
        hashlib.sha256(data).hexdigest(),
        next((one for one in found if isinstance(one, Info)), Info("?")),
        tuple(one for one in found if isinstance(one, Added)),
        tuple(one for one in found if isinstance(one, Removed)),
        metadata_of(bodies.get("metaData")),
        protocol_of(bodies.get("protocol")),
        tuple(one for one in found if isinstance(one, Fed)),
        tuple(one for one in found if isinstance(one, Marked)),
    )


def actions_of(data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield kind and body of every action of a file with one JSON object per line; raises Damaged."""
    for line in data.splitlines():
        if not line.strip():
            continue
        whole = read_json(line)
        if not isinstance(whole, dict):
            raise Damaged("a line is no JSON object")
        for kind, body in whole.items():
            if isinstance(body, dict):
                yield kind, body


def apply(state: State, commit: CommitFile) -> State:
    """Return the state after a commit."""
    files = dict(state.files)
    for removed in commit.removed:
        files.pop(removed.key, None)
    for added in commit.added:
        files[added.key] = added
    return replace(
        state,
        version=commit.version,
        files=files,
        metadata=commit.metadata or state.metadata,
        protocol=commit.protocol or state.protocol,
    )


def metadata_of(body: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a metadata action as plain data, equal for equal content whatever its formatting; raises Damaged."""
    if body is None:
        return None
    try:
        kind = body.get("format") or {}
        return {
            "id": str(body["id"]),
            "name": body.get("name"),
            "description": body.get("description"),
            "provider": kind.get("provider"),
            "schema": read_json(body["schemaString"]),
            "partition_columns": list(body.get("partitionColumns") or ()),
            "configuration": dict(sorted(_entries(body.get("configuration")))),
        }
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Damaged("the metadata action is malformed") from None


def protocol_of(body: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a protocol action as plain data, equal for equal content whatever its formatting; raises Damaged."""
    if body is None:
        return None
    try:
        return {
            "reader": int(body["minReaderVersion"]),
            "writer": int(body["minWriterVersion"]),
            "reader_features": sorted(map(str, body.get("readerFeatures") or ())),
            "writer_features": sorted(map(str, body.get("writerFeatures") or ())),
        }
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Damaged("the protocol action is malformed") from None


def _entries(values: Any) -> Iterable[tuple[str, str]]:
    found = values.items() if isinstance(values, dict) else values or ()
    return [(str(name), str(value)) for name, value in found]
