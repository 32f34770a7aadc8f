"""Check data files and deletion vectors against their sealed hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dataward.integrity.findings import Finding, fail, note
from dataward.integrity.hashing import Hashed, hash_files
from dataward.integrity.manifest import Attested, ManifestFeed
from dataward.integrity.proof.delta import Looked

__all__ = ["Counted", "check_data"]

Progress = Callable[[int, int, int], None]
"""Called with the number of hashed files, of all files, and of bytes hashed since the last call."""


@dataclass(frozen=True)
class Counted:
    """Number of hashed files, and of their bytes."""

    files: int = 0
    bytes: int = 0


def check_data(
    looked: Looked,
    state: Attested,
    progress: Progress = lambda done, total, size: None,
    feed: Sequence[ManifestFeed] = (),
) -> tuple[list[Finding], Counted]:
    """Hash the files of an attested version, and return the differences and the number of bytes read.

    Args:
        looked: the table's log and manifests.
        state: the version.
        progress: called for each file.
        feed: files of the change data feed to hash as well; VACUUM may have removed them.
    """
    paths = [one.path for one in state.files.values()]
    paths += [one.vector.path for one in state.files.values() if one.vector and one.vector.path]
    paths += [one.path for one in feed]
    paths = list(dict.fromkeys(paths))
    counts = [0, 0]

    def each(one: Hashed) -> None:
        counts[0] += 1
        counts[1] += one.size
        progress(counts[0], len(paths), one.size)

    hashed = hash_files(looked.table, paths, each)
    found = list(_differences(looked, state, hashed))
    found += [one for fed in feed for one in _file(looked, fed.path, fed.sha256, hashed[fed.path], live=False)]
    return found, Counted(*counts)


def _differences(looked: Looked, state: Attested, hashed: dict[str, Hashed]) -> Iterator[Finding]:
    removed = {key for commit in looked.tail for key in (one.key for one in commit.removed)}
    live = {path for path, _ in looked.state.files.keys() - removed}
    vectors = {one.vector.path for one in looked.state.files.values() if one.vector and one.key not in removed}
    for sealed in state.files.values():
        yield from _file(looked, sealed.path, sealed.sha256, hashed[sealed.path], sealed.path in live)
        if sealed.vector and sealed.vector.path:
            found = hashed[sealed.vector.path]
            if found.sha256 is None and sealed.vector.path not in vectors:
                yield note("data-file-gone", found.path)
            elif found.sha256 is None:
                yield fail("deletion-vector-missing", found.path)
            elif found.sha256 != sealed.vector.sha256:
                yield fail("deletion-vector-changed", found.path)


def _file(looked: Looked, path: str, sha256: str | None, found: Hashed, live: bool) -> Iterator[Finding]:
    if found.sha256 == sha256:
        return
    if found.sha256 is None:
        yield fail("data-file-missing", path) if live else note("data-file-gone", path)
    elif other := looked.paths.get(found.sha256):
        yield fail("data-file-swapped", path, f"it holds the bytes of {other}")
    else:
        yield fail(
            "data-file-changed", path, f"its SHA-256 is {found.sha256[:16]}..., sealed is {(sha256 or '?')[:16]}..."
        )
