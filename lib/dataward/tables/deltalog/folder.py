"""Read folders without Spark: on this machine, or in an object store through obstore."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from dataward.contract.places import split_path
from dataward.errors import SourceError, TargetError
from dataward.tables.store import opened

__all__ = ["Folder", "LocalFolder", "Missing", "ObjectFolder", "folder"]

CHUNK = 1024 * 1024
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO})
"""Errors of opening a path at which there is no regular file."""
SCHEMES = frozenset({"s3", "gs", "abfs", "abfss", "az", "memory"})


class Missing(Exception):
    """The file does not exist, or is not a regular file."""


class Folder(Protocol):
    """A folder whose files are read by their path inside it; ``str`` names the folder."""

    def names(self, below: str = "") -> dict[str, int]:
        """Return the files directly in a folder below, with their sizes in bytes; none where there is no such folder."""
        ...

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises Missing."""
        ...

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes in order; raises Missing."""
        ...


def folder(location: str) -> Folder:
    """Return the folder of a path or URL (``file:``, ``s3a:`` and a trailing slash are accepted).

    Raises:
        SourceError: no store is known for the URL's scheme, or obstore is not installed.
    """
    scheme, rest = split_path(location)
    if location.startswith("file:"):
        return LocalFolder(_local(location[5:]))
    if not scheme and not re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", location):
        return LocalFolder(Path(location))
    if scheme not in SCHEMES:
        raise SourceError(
            f"{location}: files of '{location.partition(':')[0]}:' are read by Spark alone: verify with --spark where a session has "
            "that file system"
        )
    return ObjectFolder(f"{scheme}://{rest}")


def _local(rest: str) -> Path:
    """Return the path of a file URI; Hadoop does not escape it, others do."""
    path = f"/{rest[2:].partition('/')[2]}" if rest.startswith("//") else rest
    return Path(path) if "%" not in path or Path(path).exists() else Path(unquote(path))


@dataclass(frozen=True)
class LocalFolder:
    """A folder on this machine."""

    root: Path

    def __str__(self) -> str:
        """Return the folder's path."""
        return str(self.root)

    def names(self, below: str = "") -> dict[str, int]:
        """Return the files directly in a folder below, with their sizes in bytes."""
        try:
            with os.scandir(self.root / below) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        except OSError as error:
            raise _unreadable(self.root / below, error) from None

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises Missing."""
        return b"".join(self.chunks(path))

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes in order; raises Missing.

        Raises:
            SourceError: the file is there, and cannot be read.
        """
        try:
            # A pipe or a device in the place of the file would block the read forever.
            if not stat.S_ISREG((self.root / path).stat().st_mode):
                raise Missing(path)
            with (self.root / path).open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk
        except ValueError:
            raise Missing(path) from None
        except OSError as error:
            if error.errno in ABSENT:
                raise Missing(path) from None
            raise _unreadable(self.root / path, error) from None


def _unreadable(path: Path, error: OSError) -> SourceError:
    """Return the error of a file that is there, as far as this user can know: it is neither missing nor changed."""
    remedy = "give this user the right to read it" if isinstance(error, PermissionError) else "try again"
    return SourceError(f"{path}: {error.strerror}; {remedy}")


class ObjectFolder:
    """A prefix of a bucket."""

    def __init__(self, url: str) -> None:
        """Open the store; credentials, region and endpoint are read from the environment (``AWS_...``), like the AWS tools do.

        Raises:
            SourceError: obstore is not installed, or does not support the URL.
        """
        self._url = url
        try:
            self._store: Any = opened(*split_path(url))
        except TargetError as error:
            raise SourceError(str(error)) from None
        except Exception as error:
            raise SourceError(f"{url}: the store cannot be opened ({type(error).__name__}); check the URL") from None

    def __str__(self) -> str:
        """Return the URL."""
        return self._url

    def names(self, below: str = "") -> dict[str, int]:
        """Return the objects directly below a prefix, with their sizes in bytes."""
        import obstore

        try:
            found = obstore.list_with_delimiter(self._store, below or None)
        except FileNotFoundError:
            return {}
        except Exception as error:
            raise SourceError(
                f"{self._url}: it cannot be listed ({type(error).__name__}); check credentials, region and endpoint (AWS_...)"
            ) from None
        return {item["path"].rsplit("/", 1)[-1]: item["size"] for item in found["objects"]}

    def read(self, path: str) -> bytes:
        """Return an object's bytes; raises Missing."""
        return b"".join(self.chunks(path))

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield an object's bytes in order; raises Missing.

        Raises:
            SourceError: the store did not answer, or refused access; the object may well be there.
        """
        import obstore
        from obstore.exceptions import BaseError, GenericError, PermissionDeniedError, UnauthenticatedError

        try:
            for chunk in obstore.get(self._store, path).stream(min_chunk_size=CHUNK):
                yield bytes(chunk)
        except (PermissionDeniedError, UnauthenticatedError):
            raise SourceError(
                f"{self._url}/{path}: access denied: reading it needs s3:GetObject, or its equal elsewhere"
            ) from None
        except GenericError:
            raise SourceError(f"{self._url}/{path}: the store did not answer; try again") from None
        except (FileNotFoundError, BaseError):
            raise Missing(path) from None
