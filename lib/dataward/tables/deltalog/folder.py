"""Read folders without Spark: on this machine, or in an object store through obstore."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from dataward.errors import SourceError

__all__ = ["Folder", "LocalFolder", "Missing", "ObjectFolder", "folder"]

CHUNK = 1024 * 1024
SCHEMES = {
    "s3": "s3",
    "s3a": "s3",
    "s3n": "s3",
    "gs": "gs",
    "abfs": "abfs",
    "abfss": "abfss",
    "az": "az",
    "memory": "memory",
}


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
    scheme, colon, rest = location.partition(":")
    if not colon or len(scheme) < 2 or "/" in scheme:
        return LocalFolder(Path(location))
    if scheme == "file":
        return LocalFolder(_local(rest))
    if scheme not in SCHEMES:
        raise SourceError(
            f"{location}: files of '{scheme}:' are read by Spark alone: verify with --spark where a session has that file system"
        )
    return ObjectFolder(f"{SCHEMES[scheme]}:{rest.rstrip('/')}")


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

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises Missing."""
        return b"".join(self.chunks(path))

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes in order; raises Missing."""
        try:
            # A pipe or a device in the place of the file would block the read forever.
            if not stat.S_ISREG((self.root / path).stat().st_mode):
                raise Missing(path)
            with (self.root / path).open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk
        except (OSError, ValueError):
            raise Missing(path) from None


class ObjectFolder:
    """A prefix of a bucket."""

    def __init__(self, url: str) -> None:
        """Open the store; credentials, region and endpoint are read from the environment (``AWS_...``), like the AWS tools do.

        Raises:
            SourceError: obstore is not installed, or does not support the URL.
        """
        self._url = url
        try:
            import obstore.store
        except ImportError:
            raise SourceError(f"{url}: object stores need obstore: pip install 'obstore>=0.12,<0.13'") from None
        try:
            self._store: Any = obstore.store.from_url(url, **_options(url))
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
        """Yield an object's bytes in order; raises Missing."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            for chunk in obstore.get(self._store, path).stream(min_chunk_size=CHUNK):
                yield bytes(chunk)
        except (FileNotFoundError, BaseError):
            raise Missing(path) from None


def _options(url: str) -> dict[str, Any]:
    """Return the options that obstore does not read from the environment by itself."""
    if not url.startswith("s3:"):
        return {}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    options: dict[str, Any] = {
        "region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    }
    if endpoint:
        options |= {"endpoint": endpoint, "client_options": {"allow_http": endpoint.startswith("http:")}}
    return options
