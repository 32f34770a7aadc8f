"""Files of tables without Spark's JVM, for Spark Connect: all of them, hidden ones too, on this machine or in an object store.

What only the server reaches (DBFS, HDFS) is refused: its hidden files would be neither searched nor removed.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from dataward.contract.places import split_path
from dataward.errors import TargetError
from dataward.tables.replacing import replace_file
from dataward.tables.store import OBJECTS, Objects, files_below, store_at

__all__ = ["below", "remove", "replace"]


def below(folder: str) -> list[tuple[str, int]]:
    """Return (path, bytes) of every file below a folder, or of the file itself; none where the path does not exist.

    Raises:
        TargetError: this process does not reach the place, or may not list a folder.
    """
    scheme, rest = split_path(folder)
    if scheme in OBJECTS:
        return [(f"{folder.rstrip('/')}/{name}", size) for name, size in Objects(scheme, rest).sizes().items()]
    root = _local(folder)
    found = [root] if root.is_file() else [path for name in files_below(root) if (path := root / name).is_file()]
    return [(str(path), path.stat().st_size) for path in found]


def replace(path: str, data: bytes) -> None:
    """Overwrite a file."""
    if split_path(path)[0] in OBJECTS:
        folder, _, name = path.rpartition("/")
        store_at(folder).put(name, data)
        return
    replace_file(_local(path), data)


def remove(path: str) -> None:
    """Remove a file."""
    if split_path(path)[0] in OBJECTS:
        folder, _, name = path.rpartition("/")
        store_at(folder).delete([name])
        return
    _local(path).unlink(missing_ok=True)


def _local(path: str) -> Path:
    scheme, rest = split_path(path)
    if scheme or (":" in rest and not rest.startswith("/")):
        raise TargetError(
            f"{path}: through Spark Connect this process reaches files on this machine (/Volumes too) and in object stores only. "
            "Use a classic session, or name the table's place as s3://, gs:// or abfss://"
        )
    rest = f"/{rest.lstrip('/')}" if path.startswith("file:") else rest
    return Path(rest) if "%" not in rest or Path(rest).exists() else Path(unquote(rest))
