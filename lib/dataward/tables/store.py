"""Folders of immutable files on any storage: local, object stores (``obstore``), Hadoop file systems (through Spark).

A file is created at most once, also by concurrent writers: with hard links locally, ``If-None-Match: *`` on S3 and its equivalents
on GCS and Azure, and an exclusive rename on HDFS. Credentials come from the provider's own chain, never from Dataward.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from dataward.contract.places import split_path
from dataward.errors import TargetError

__all__ = ["Local", "Objects", "Store", "files_below", "opened", "store_at"]

OBJECTS = frozenset({"s3", "gs", "az", "abfs", "abfss", "adl"})
"""Schemes that obstore supports."""


class Store(Protocol):
    """A folder of files that are named by relative paths; ``str`` names the folder."""

    def create(self, name: str, data: bytes) -> bool:
        """Create a file atomically and durably; False if the name exists."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Create or replace a file; readers see either the old or the new content."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None where there is none."""
        ...

    def exists(self, name: str) -> bool:
        """Return whether a file of this name exists."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names of all files in a folder and below, relative to the store, sorted."""
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; those that are missing are skipped."""
        ...


def store_at(path: str) -> Store:
    """Return the store of a folder, which may not exist yet.

    Raises:
        TargetError: this kind of storage is not supported.
    """
    scheme, rest = split_path(path)
    if scheme in OBJECTS:
        return Objects(scheme, rest)
    if not scheme and not _hadoop_is_default(rest):
        return Local(Path(rest))
    from dataward.spark.hadoop import Hadoop

    return Hadoop(path)


def _hadoop_is_default(path: str) -> bool:
    """Return whether the running session resolves paths without a scheme on a Hadoop file system."""
    if "pyspark" not in sys.modules:
        return False
    from dataward.spark.hadoop import default_scheme

    return default_scheme() not in ("", "file")


def files_below(folder: Path) -> list[Path]:
    """Return the paths, relative to a folder, of everything but folders in it and below; none where there is no folder.

    Raises:
        TargetError: a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise TargetError(f"{error.filename}: cannot be listed ({error.strerror})") from None

    walked = os.walk(folder, onerror=refuse)
    return [Path(here, name).relative_to(folder) for here, _, names in walked for name in names]


class Local:
    """A folder on this machine. Names that begin with a dot are unfinished files."""

    def __init__(self, root: Path) -> None:
        """Keep the folder."""
        self.root = root

    def __str__(self) -> str:
        """Return the path of the folder."""
        return str(self.root)

    def create(self, name: str, data: bytes) -> bool:
        """Write a hidden file and link it under its name."""
        path = self.root / name
        hidden = self._written(path, data)
        try:
            os.link(hidden, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                raise TargetError(
                    f"{path}: this file system has no hard links, by which writers take turns: put the folder on another "
                    "local disk, an object store or HDFS"
                ) from None
            raise TargetError(f"{path}: cannot be written ({error.strerror})") from None
        finally:
            hidden.unlink(missing_ok=True)
        self._settle(path.parent)
        return True

    def put(self, name: str, data: bytes) -> None:
        """Write a hidden file and rename it."""
        path = self.root / name
        hidden = self._written(path, data)
        try:
            hidden.replace(path)
        except OSError as error:
            raise TargetError(f"{path}: cannot be written ({error.strerror})") from None
        self._settle(path.parent)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None where there is none."""
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise TargetError(f"{self.root / name}: cannot be read ({error.strerror})") from None

    def exists(self, name: str) -> bool:
        """Return whether a file of this name exists."""
        return (self.root / name).is_file()

    def names(self, folder: str) -> list[str]:
        """Return the names of all files in a folder and below."""
        found = (path for path in files_below(self.root / folder) if not path.name.startswith("."))
        return sorted((Path(folder) / path).as_posix() for path in found)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, and their empty folders."""
        folders = set()
        for name in names:
            path = self.root / name
            path.unlink(missing_ok=True)
            folders.add(path.parent)
        for folder in folders - {self.root}:
            with suppress(OSError):
                folder.rmdir()

    def _written(self, path: Path, data: bytes) -> Path:
        hidden = path.parent / f".{path.name}.{os.getpid()}.{secrets.token_hex(6)}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with hidden.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                hidden.unlink(missing_ok=True)
            raise TargetError(f"{path}: cannot be written ({error.strerror})") from None
        return hidden

    def _settle(self, folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class Objects:
    """A prefix of a bucket or container on S3, GCS or Azure."""

    def __init__(self, scheme: str, rest: str) -> None:
        """Open the prefix; credentials and endpoint are resolved at the first request."""
        self.place = f"{scheme}://{rest}"
        self._store = opened(scheme, rest)

    def __str__(self) -> str:
        """Return the URL of the prefix."""
        return self.place

    def create(self, name: str, data: bytes) -> bool:
        """Put an object unless the name exists."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            obstore.put(self._store, name, data, mode="create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return False
        except Exception as error:
            raise self._trouble(name, "written", error) from None
        return True

    def fetch(self, name: str) -> tuple[bytes, str] | None:
        """Return the content of an object and its ETag; None where there is none."""
        import obstore

        try:
            found = obstore.get(self._store, name)
            return bytes(found.bytes()), str(found.meta["e_tag"])
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._trouble(name, "read", error) from None

    def swap(self, name: str, data: bytes, tag: str | None) -> str | None:
        """Replace an object that still has an ETag (None: that is absent); returns the new ETag, None where it has another one."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if tag is None else {"e_tag": tag}
        try:
            return str(obstore.put(self._store, name, data, mode=mode, use_multipart=False)["e_tag"])
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            return None
        except Exception as error:
            raise self._trouble(name, "written", error) from None

    def put(self, name: str, data: bytes) -> None:
        """Put an object."""
        import obstore

        try:
            obstore.put(self._store, name, data, use_multipart=False)
        except Exception as error:
            raise self._trouble(name, "written", error) from None

    def read(self, name: str) -> bytes | None:
        """Return the content of an object; None where there is none."""
        import obstore

        try:
            return bytes(obstore.get(self._store, name).bytes())
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._trouble(name, "read", error) from None

    def exists(self, name: str) -> bool:
        """Return whether an object of this name exists."""
        import obstore

        try:
            obstore.head(self._store, name)
        except FileNotFoundError:
            return False
        except Exception as error:
            raise self._trouble(name, "read", error) from None
        return True

    def names(self, folder: str) -> list[str]:
        """Return the names of all objects below a prefix."""
        return sorted(self.sizes(folder))

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Return the names of all objects below a prefix, with their sizes in bytes."""
        import obstore

        try:
            return {meta["path"]: meta["size"] for batch in obstore.list(self._store, folder) for meta in batch}
        except Exception as error:
            raise self._trouble(folder, "listed", error) from None

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects."""
        import obstore

        try:
            for name in names:
                with suppress(FileNotFoundError):
                    obstore.delete(self._store, name)
        except Exception as error:
            raise self._trouble("", "deleted", error) from None

    def _trouble(self, name: str, done: str, error: Exception) -> TargetError:
        kind = type(error).__name__
        words = {
            "PermissionDeniedError": "access denied: the job's role lacks the permission",
            "UnauthenticatedError": "no valid credentials: see the provider's own chain (role, profile, environment)",
        }.get(kind, _first_line(error))
        return TargetError(f"{self.place}/{name}: cannot be {done} ({words})")


def _first_line(error: Exception) -> str:
    """Return a short reason without response bodies and debug output."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def opened(scheme: str, rest: str) -> Any:
    """Open a prefix with obstore. Endpoint, region, credentials and CA are those of the AWS tools (``AWS_...``).

    Without them in the environment, endpoint, region and encryption are those of the active Spark session's s3a.

    Raises:
        TargetError: obstore is missing.
    """
    try:
        from obstore.store import S3Store, from_url
    except ImportError:
        raise TargetError(f"{scheme}://{rest}: obstore is missing: pip install 'obstore>=0.12,<0.13'") from None
    if scheme != "s3":
        return from_url(f"{scheme}://{rest}")
    bucket, _, prefix = rest.partition("/")
    options: dict[str, Any] = _of_session(bucket)
    if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        options["endpoint"] = endpoint
    options["client_options"] = {"allow_http": options.get("endpoint", "").startswith("http://")}
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        options["client_options"]["root_certificate"] = _read_bundle(bundle)
    if region := _region():
        options["region"] = region
    if provider := _boto3_chain():
        options["credential_provider"] = provider
    return S3Store(bucket, prefix=prefix or None, **options)


def _of_session(bucket: str) -> dict[str, Any]:
    if "pyspark" not in sys.modules:
        return {}
    from dataward.spark.hadoop import s3_options

    return dict(s3_options(bucket))


def _read_bundle(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise TargetError(f"AWS_CA_BUNDLE={path}: it cannot be read ({error.strerror})") from None


def _region() -> str | None:
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if named:
        return named
    with suppress(Exception):
        import botocore.session

        return str(botocore.session.Session().get_config_variable("region") or "") or None
    return None


def _boto3_chain() -> Any:
    """Return AWS's whole chain (profiles, SSO, roles) where boto3 is installed; obstore's own supports fewer sources."""
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return None
    with suppress(Exception):
        from obstore.auth.boto3 import Boto3CredentialProvider

        return Boto3CredentialProvider()
    return None
