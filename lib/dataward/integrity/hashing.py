"""Hash files of a folder in parallel threads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dataward.tables.deltalog.folder import Folder, Missing, folder

__all__ = ["Hashed", "hash_files"]

THREADS = min(32, 4 * (os.cpu_count() or 1))


@dataclass(frozen=True)
class Hashed:
    """A file: SHA-256 (hex) of its bytes and their number; None where the file does not exist or is outside the folder."""

    path: str
    sha256: str | None
    size: int = 0


def hash_files(
    table: Folder, paths: Iterable[str], each: Callable[[Hashed], None] = lambda one: None
) -> dict[str, Hashed]:
    """Return the files by path; ``each`` is called for every finished file.

    A path with a scheme or from the root (of a shallow clone) is read from its location. A path that leaves the table's folder by ``..``
    is not read.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        found = {}
        for one in pool.map(lambda path: _hashed(table, path), dict.fromkeys(paths)):
            each(one)
            found[one.path] = one
        return found


def _hashed(table: Folder, path: str) -> Hashed:
    whole, size = hashlib.sha256(), 0
    try:
        for chunk in _chunks(table, path):
            whole.update(chunk)
            size += len(chunk)
    except Missing:
        return Hashed(path, None)
    return Hashed(path, whole.hexdigest(), size)


def _chunks(table: Folder, path: str) -> Iterator[bytes]:
    if ".." in path.split("/"):
        raise Missing(path)
    if path.startswith("/") or "://" in path:
        parent, _, name = path.rpartition("/")
        return folder(parent or "/").chunks(name)
    return table.chunks(path)
