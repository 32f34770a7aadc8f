"""File manifests: the files that a table version added and removed, chained from version to version.

A manifest names every commit since the previous manifest, with the SHA-256 of the commit's file and of every file that the commit
added, and the digest of the previous manifest. Every hundredth is whole: it lists all files of its version. So its size grows with
the files of a run, and the state at a version follows from at most a hundred manifests. It contains no statistics and no partition
values, only their digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from dataward.integrity.canonical import canonical
from dataward.tables.deltalog.actions import Added, Key
from dataward.tables.deltalog.log import CommitFile, State

__all__ = [
    "Attested",
    "Manifest",
    "ManifestCommit",
    "ManifestFile",
    "Predecessor",
    "Step",
    "attested",
    "after",
    "build",
    "needed",
    "following",
    "states",
    "steps",
    "unhashed",
]

WHOLE_EVERY = 100


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ManifestVector(_Frozen):
    """A deletion vector: identity in the log, number of deleted rows, and its file with SHA-256 (None if inline)."""

    identity: str
    cardinality: int
    path: str | None = None
    sha256: str | None = None


class ManifestFile(_Frozen):
    """A data file: path in the table's folder, size in bytes, SHA-256 of its bytes, of its partition values and its statistics.

    The hash is None if the version before had the file as well: the hash is in the version that added the file, and a new one would
    attest bytes changed since.
    """

    path: str
    size: int
    sha256: str | None = None
    partition: str
    statistics: str
    vector: ManifestVector | None = None

    @property
    def key(self) -> Key:
        """Identity within a version."""
        return self.path, self.vector.identity if self.vector else ""


class ManifestFeed(_Frozen):
    """A file of the change data feed; the hash is None where nobody took it."""

    path: str
    size: int
    sha256: str | None = None


class ManifestCommit(_Frozen):
    """A commit: SHA-256 of its file, its metadata, its added and removed files, and its files of the change data feed.

    ``ours``: it names a run of Dataward. ``changes_data``: its actions change rows, according to the commit.
    """

    version: int
    sha256: str
    operation: str
    run_id: str | None = None
    ours: bool = False
    changes_data: bool = False
    added: tuple[ManifestFile, ...] = ()
    removed: tuple[tuple[str, str], ...] = ()
    metadata: dict[str, Any] | None = None
    protocol: dict[str, Any] | None = None
    feed: tuple[ManifestFeed, ...] = ()


class Predecessor(_Frozen):
    """The previous manifest: its version and SHA-256."""

    version: int
    sha256: str


class Manifest(_Frozen):
    """The manifest of one version of a table (identified by its ID in Delta's log)."""

    format: int = 1
    table: str
    version: int
    number: int
    predecessor: Predecessor | None = None
    commits: tuple[ManifestCommit, ...] = ()
    files: tuple[ManifestFile, ...] | None = None
    metadata: dict[str, Any] | None = None
    protocol: dict[str, Any] | None = None

    @property
    def whole(self) -> bool:
        """Whether the manifest lists all files of its version."""
        return self.files is not None

    def text(self) -> bytes:
        """Return canonical JSON."""
        return canonical(self.model_dump(mode="json", exclude_defaults=True)).encode()

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of its text, which is the subject of the version's statement."""
        return hashlib.sha256(self.text()).hexdigest()

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Parse a manifest.

        Raises:
            ValueError: the data is not a manifest.
        """
        try:
            return cls.model_validate_json(data)
        except (ValidationError, RecursionError):
            raise ValueError("it is no manifest") from None


@dataclass(frozen=True)
class Attested:
    """State of a version according to manifests, and the version that added each file.

    ``mark``: equal for versions with the same files; versions with equal marks are candidates, without proof.
    ``size``: bytes of all files.
    """

    version: int
    files: dict[Key, ManifestFile] = field(default_factory=dict)
    metadata: dict[str, Any] | None = None
    protocol: dict[str, Any] | None = None
    since: dict[Key, int] = field(default_factory=dict)
    mark: int = 0
    size: int = 0

    def copy(self) -> Attested:
        """Return a state that the next step does not change."""
        return replace(self, files=dict(self.files), since=dict(self.since))


@dataclass(frozen=True)
class Step:
    """One version on the way through a chain: its state, its commit (None: a whole manifest alone), and the state before without files.

    ``gone``: the files that the commit removed or replaced.
    """

    state: Attested
    commit: ManifestCommit | None = None
    before: Attested | None = None
    gone: Mapping[Key, ManifestFile] = field(default_factory=dict)


def _mark(key: Key) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(key).encode()).digest()[:16], "big")


@lru_cache(2**15)  # the same files are compared in every checkpoint
def digest(text: str) -> str:
    """Return the SHA-256 (hex) of a text; empty for an empty text."""
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def needed(commits: Iterable[CommitFile]) -> list[str]:
    """Return the paths of the files to hash for commits: new data files, and files of deletion vectors and change data feeds."""
    paths: dict[str, None] = {}
    for commit in commits:
        old = {removed.path for removed in commit.removed}
        for added in commit.added:
            if added.path not in old:
                paths[added.path] = None
            if added.vector and (path := added.vector.path):
                paths[path] = None
        if commit.info.dataward:  # feeds of others are not attested, and VACUUM may have removed them
            paths |= dict.fromkeys(one.path for one in commit.feed)
    return list(paths)


def build(
    commits: Sequence[CommitFile],
    hashes: Mapping[str, str],
    earlier: Manifest | None,
    state: Callable[[], Attested],
    whole: State | None = None,
) -> Manifest:
    """Return the manifest of the version of the last commit.

    Args:
        commits: the commits after the earlier manifest, oldest first.
        hashes: SHA-256 (hex) by path, of the files that :func:`needed` names; with ``whole``, of all its files.
        earlier: the previous manifest; None for a table's first.
        state: returns the state according to the earlier manifests; called for a whole manifest.
        whole: the version's state from the log; needed where commits since the earlier manifest (or since the table's
            first version) were removed, so that the manifest has to be whole.
    """
    described = tuple(_commit(commit, hashes) for commit in commits)
    number = earlier.number + 1 if earlier else 0
    due = whole is not None or earlier is None or number % WHOLE_EVERY == 0
    base = Attested(-1)
    if whole is not None:
        files = {key: _file(one, hashes, hashes) for key, one in whole.files.items()}
        base = Attested(whole.version, files, whole.metadata, whole.protocol)
    elif due:
        base = state() if earlier is not None else base
        for commit in described:
            base = after(base, commit)
    return Manifest(
        table=earlier.table if earlier else str(_last(commits, whole)["id"]),
        version=commits[-1].version,
        number=number,
        predecessor=Predecessor(version=earlier.version, sha256=earlier.sha256) if earlier else None,
        commits=described,
        files=_listed(base) if due else None,
        metadata=base.metadata if due else None,
        protocol=base.protocol if due else None,
    )


def _last(commits: Sequence[CommitFile], whole: State | None) -> dict[str, Any]:
    before = whole.metadata if whole else None
    found = next((commit.metadata for commit in reversed(commits) if commit.metadata), before)
    if found is None:
        raise ValueError("the log has no metadata action")
    return found


def _listed(state: Attested) -> tuple[ManifestFile, ...]:
    return tuple(state.files[key] for key in sorted(state.files))


def _commit(commit: CommitFile, hashes: Mapping[str, str]) -> ManifestCommit:
    old = {removed.path for removed in commit.removed}
    return ManifestCommit(
        version=commit.version,
        sha256=commit.sha256,
        operation=commit.info.operation,
        run_id=commit.info.run_id,
        ours=commit.info.dataward,
        changes_data=commit.changes_data,
        added=tuple(_file(added, {} if added.path in old else hashes, hashes) for added in commit.added),
        removed=tuple(removed.key for removed in commit.removed),
        metadata=commit.metadata,
        protocol=commit.protocol,
        feed=tuple(ManifestFeed(path=one.path, size=one.size, sha256=hashes.get(one.path)) for one in commit.feed),
    )


def _file(added: Added, hashes: Mapping[str, str], vectors: Mapping[str, str]) -> ManifestFile:
    vector = None
    if added.vector:
        path = added.vector.path
        vector = ManifestVector(
            identity=added.vector.identity,
            cardinality=added.vector.cardinality,
            path=path,
            sha256=vectors[path] if path else None,
        )
    return ManifestFile(
        path=added.path,
        size=added.size,
        sha256=hashes.get(added.path),
        partition=digest(added.partition),
        statistics=digest(added.statistics),
        vector=vector,
    )


def unhashed(commit: CommitFile) -> ManifestCommit:
    """Return a commit without a manifest, without the hashes of its files."""
    vectors = {one.vector.path: "" for one in commit.added if one.vector and one.vector.path}
    return _commit(commit, vectors)


def after(state: Attested, commit: ManifestCommit) -> Attested:
    """Return the state after a commit."""
    return following(state.copy(), commit).state


def following(state: Attested, commit: ManifestCommit) -> Step:
    """Change a state by a commit, in place: a copy for every version would make a chain's cost grow with its square."""
    files, since, mark, size = state.files, state.since, state.mark, state.size
    gone: dict[Key, ManifestFile] = {}
    for key in commit.removed:
        if (old := files.pop(key, None)) is not None:
            gone[key] = old
            mark, size = mark - _mark(key), size - old.size
        since.pop(key, None)
    hashes = {one.path: one.sha256 for one in gone.values()}
    for added in commit.added:
        if added.sha256 is None and added.path in hashes:
            added = added.model_copy(update={"sha256": hashes[added.path]})
        key = added.key
        if (old := files.get(key)) is not None:  # the file is as it was: a hash that was taken later attests nothing
            added = added.model_copy(update={"sha256": old.sha256})
            gone[key] = old
            size -= old.size
        else:
            mark += _mark(key)
        size += added.size
        files[key], since[key] = added, commit.version
    metadata, protocol = commit.metadata or state.metadata, commit.protocol or state.protocol
    made = Attested(commit.version, files, metadata, protocol, since, mark, size)
    return Step(made, commit, replace(state, files={}, since={}), gone)


def steps(chain: Sequence[Manifest]) -> Iterator[Step]:
    """Yield every version that a chain covers, oldest first; the chain begins with a whole manifest.

    The next step changes the dictionaries of a yielded state: whoever keeps one copies it.
    """
    state = Attested(-1)
    for manifest in chain:
        commits = [commit for commit in manifest.commits if commit.version > state.version]
        if manifest.whole and (not commits or commits[0].version != state.version + 1):
            state = _of_whole(manifest)
            yield Step(state)
            continue
        for commit in commits:
            step = following(state, commit)
            state = step.state
            yield step


def states(chain: Sequence[Manifest]) -> Iterator[Attested]:
    """Yield the attested state of every version that a chain covers, as :func:`steps` does."""
    return (step.state for step in steps(chain))


def _of_whole(manifest: Manifest) -> Attested:
    files = {one.key: one for one in manifest.files or ()}
    since = dict.fromkeys(files, manifest.version)
    for commit in manifest.commits:
        since |= {one.key: commit.version for one in commit.added if one.key in files}
    mark, size = sum(map(_mark, files)), sum(one.size for one in files.values())
    return Attested(manifest.version, files, manifest.metadata, manifest.protocol, since, mark, size)


def attested(chain: Sequence[Manifest]) -> Attested:
    """Return the attested state at the end of a chain that begins with a whole manifest."""
    *_, state = states(chain)
    return state
