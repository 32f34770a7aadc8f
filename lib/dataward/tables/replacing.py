"""Replace local files atomically."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Create or replace a file: readers see the old or the new content, also after a kill or a power failure.

    Links and devices, such as ``/dev/stdout``, are written to and not replaced.

    Args:
        path: the file; its folder is created.
        data: the content.
        mode: permissions, without those that the umask takes away.

    Raises:
        OSError: it is a URL, or the file cannot be written; it is unchanged, unless it is a link or a device.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        raise OSError(errno.EINVAL, "a path of this machine is needed here", str(path))
    if path.is_symlink() or (path.exists() and not path.is_file()):
        path.write_bytes(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
