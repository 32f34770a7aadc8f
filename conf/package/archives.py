"""Archives whose bytes depend on their content only: sorted entries, one time, one owner, two modes."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

OLDEST = 315532800
"""1980-01-01, the first moment that a zip can name."""

Content = bytes | Path
"""Bytes of a file, or the path from which they are read."""


def epoch() -> int:
    """Return ``$SOURCE_DATE_EPOCH`` in seconds, at least 1980; without it 1980-01-01."""
    return max(OLDEST, int(os.environ.get("SOURCE_DATE_EPOCH") or OLDEST))


def files_below(folder: Path) -> dict[str, Path]:
    """Return the files below a folder by relative path, without what Python compiled."""
    return {
        file.relative_to(folder).as_posix(): file
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def write_zip(target: Path, entries: Mapping[str, Content]) -> None:
    """Write a zip; scripts of a wheel aside, no file in it can be executed."""
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(entries):
            entry = zipfile.ZipInfo(name, time.gmtime(epoch())[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is built
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, _bytes(entries[name]), compresslevel=9)


def write_tar(target: Path, entries: Mapping[str, Content], links: Mapping[str, str], programs: frozenset[str]) -> None:
    """Write a tar.gz.

    Args:
        target: the archive.
        entries: content by path.
        links: destinations of symbolic links by path.
        programs: paths that can be executed.
    """
    with (
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted({*entries, *links}):
            entry = tarfile.TarInfo(name)
            entry.mtime = epoch()
            if name in links:
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, links[name], 0o777
                archive.addfile(entry)
                continue
            content = _bytes(entries[name])
            entry.size, entry.mode = len(content), 0o755 if name in programs else 0o644
            archive.addfile(entry, io.BytesIO(content))


def _bytes(content: Content) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else content
