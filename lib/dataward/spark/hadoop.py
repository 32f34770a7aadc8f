"""Folders of files on Hadoop file systems (HDFS and others), through the JVM of the running session."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any

from dataward.errors import TargetError
from dataward.spark.kind import is_remote

__all__ = ["Hadoop", "default_scheme", "s3_options"]

TRIES = 8
SSE = {"SSE-KMS": "aws:kms", "AES256": "AES256"}
"""Values of x-amz-server-side-encryption by s3a's names."""


def default_scheme() -> str:
    """Return the active session's scheme of paths without one; empty without a classic session."""
    context = _context()
    if context is None:
        return ""
    return str(context._jsc.hadoopConfiguration().get("fs.defaultFS") or "").partition(":")[0]


def s3_options(bucket: str) -> dict[str, str]:
    """Return obstore's options that equal the active session's settings of s3a for a bucket; none without a classic session."""
    context = _context()
    if context is None:
        return {}
    conf = context._jsc.hadoopConfiguration()

    def setting(*names: str) -> str:
        full = [f"fs.s3a.{prefix}{name}" for prefix in (f"bucket.{bucket}.", "") for name in names]
        return next((str(value) for name in full if (value := conf.get(name))), "")

    endpoint = setting("endpoint")
    if endpoint and "://" not in endpoint:
        endpoint = f"{'http' if setting('connection.ssl.enabled') == 'false' else 'https'}://{endpoint}"
    found = {
        "endpoint": "" if endpoint.endswith(".amazonaws.com") else endpoint,
        "region": setting("endpoint.region"),
        "server_side_encryption": SSE.get(
            setting("encryption.algorithm", "server-side-encryption-algorithm").upper(), ""
        ),
        "sse_kms_key_id": setting("encryption.key", "server-side-encryption.key"),
    }
    if found["server_side_encryption"] != "aws:kms":
        del found["sse_kms_key_id"]
    return {name: value for name, value in found.items() if value}


def _context() -> Any:
    from pyspark import SparkContext

    if is_remote():
        return None
    context: Any = SparkContext._active_spark_context
    return context if getattr(context, "_jsc", None) is not None else None


class Hadoop:
    """A folder on a Hadoop file system; created files are renamed into place, which fails for an existing name."""

    def __init__(self, path: str) -> None:
        """Open the file system of a path.

        Raises:
            TargetError: no session with a JVM is active.
        """
        context = _context()
        if context is None:
            raise TargetError(
                f"{path}: only Spark's own file systems reach this place, and there is no Spark session with a JVM here: "
                "start one first, or give a local, s3://, gs:// or abfss:// path"
            )
        self._hadoop: Any = context._jvm.org.apache.hadoop
        self._root = self._hadoop.fs.Path(path)
        conf = self._hadoop.conf.Configuration(_conf(context))
        # Without Hadoop's own checksum files, which it does not rename together with a local file.
        conf.set("fs.AbstractFileSystem.file.impl", "org.apache.hadoop.fs.local.RawLocalFs")
        conf.set("fs.file.impl", "org.apache.hadoop.fs.RawLocalFileSystem")
        conf.set("fs.file.impl.disable.cache", "true")
        self._context: Any = self._hadoop.fs.FileContext.getFileContext(
            self._root.toUri() if "://" in path else self._hadoop.fs.FileSystem.getDefaultUri(conf), conf
        )
        self._system: Any = self._root.getFileSystem(conf)
        self._none = context._gateway.new_array(self._hadoop.fs.Options.Rename, 1)
        self._over = context._gateway.new_array(self._hadoop.fs.Options.Rename, 1)
        self._none[0] = self._hadoop.fs.Options.Rename.valueOf("NONE")
        self._over[0] = self._hadoop.fs.Options.Rename.valueOf("OVERWRITE")
        self._io: Any = context._jvm.org.apache.hadoop.shaded.org.apache.commons.io.IOUtils
        self.place = path.rstrip("/")

    def __str__(self) -> str:
        """Return the path of the folder."""
        return self.place

    def create(self, name: str, data: bytes) -> bool:
        """Write a hidden file and rename it, unless the name exists."""
        if self.exists(name):
            return False
        hidden = self._written(name, data)
        try:
            self._context.rename(hidden, self._path(name), self._none)
        except Exception as error:
            self._system.delete(hidden, False)
            if "AlreadyExists" in str(error):
                return False
            raise self._trouble(name, "written", error) from None
        return True

    def put(self, name: str, data: bytes) -> None:
        """Write a hidden file and rename it over the old one."""
        hidden = self._written(name, data)
        for left in range(TRIES - 1, -1, -1):
            try:
                self._context.rename(hidden, self._path(name), self._over)
                return
            except Exception as error:
                # Where a rename is not atomic, one of two concurrent ones fails.
                raced = "AlreadyExists" in str(error) or "FileNotFound" in str(error)
                if left and raced and self._system.exists(hidden):
                    continue
                self._system.delete(hidden, False)
                raise self._trouble(name, "written", error) from None

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None where there is none."""
        try:
            if not self.exists(name):
                return None
            stream = self._system.open(self._path(name))
            try:
                return bytes(self._io.toByteArray(stream))
            finally:
                stream.close()
        except TargetError:
            raise
        except Exception as error:
            raise self._trouble(name, "read", error) from None

    def exists(self, name: str) -> bool:
        """Return whether a file of this name exists."""
        try:
            return bool(self._system.isFile(self._path(name)))
        except Exception as error:
            raise self._trouble(name, "read", error) from None

    def names(self, folder: str) -> list[str]:
        """Return the names of all files in a folder and below."""
        try:
            return self._names(folder)
        except Exception as error:
            raise self._trouble(folder, "listed", error) from None

    def _names(self, folder: str) -> list[str]:
        below = self._path(folder) if folder else self._root
        if not self._system.exists(below):
            return []
        root = str(self._system.makeQualified(self._root).toString()).rstrip("/") + "/"
        found, listing = [], self._system.listFiles(below, True)
        while listing.hasNext():
            path = str(listing.next().getPath().toString())
            name = path[len(root) :] if path.startswith(root) else path.partition(self.place)[2].lstrip("/")
            if not name.rpartition("/")[2].startswith("."):
                found.append(name)
        return sorted(found)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files."""
        for name in names:
            try:
                self._system.delete(self._path(name), False)
            except Exception as error:
                raise self._trouble(name, "deleted", error) from None

    def _path(self, name: str) -> Any:
        return self._hadoop.fs.Path(self._root, name)

    def _written(self, name: str, data: bytes) -> Any:
        folder, _, last = name.rpartition("/")
        hidden = self._path(f"{folder}/.{last}.{secrets.token_hex(6)}".lstrip("/"))
        try:
            stream = self._system.create(hidden, False)
            try:
                stream.write(bytearray(data))
            finally:
                stream.close()
        except Exception as error:
            raise self._trouble(name, "written", error) from None
        return hidden

    def _trouble(self, name: str, done: str, error: Exception) -> TargetError:
        java = getattr(error, "java_exception", None)
        words = str(java.getClass().getSimpleName()) if java is not None else type(error).__name__
        return TargetError(f"{self.place}/{name}: cannot be {done} ({words})")


def _conf(context: Any) -> Any:
    return context._jsc.hadoopConfiguration()
