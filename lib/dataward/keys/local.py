"""Keep a keyring in a local file of mode 0600 with unwrapped secrets."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dataward.errors import KeyringError
from dataward.keys.keyring import GivenSecrets
from dataward.tables.replacing import replace_file

__all__ = ["LocalFile", "Plain"]


@dataclass(frozen=True)
class Plain(GivenSecrets):
    """Secrets as plain hex, protected only by the location of the keyring."""

    lazily: bool = True

    def wrap(self, domain: str, version: int, secret: bytes) -> str:
        """Return the text of a given secret in the keyring."""
        return secret.hex()

    def unwrap(self, domain: str, version: int, written: str) -> bytes:
        """Return the secret of a keyring's text; empty where the text is damaged."""
        try:
            return bytes.fromhex(written)
        except ValueError:
            return b""  # the keyring reports the damage


@dataclass(frozen=True)
class LocalFile:
    """A keyring file that only its owner may read or write."""

    path: Path

    def __str__(self) -> str:
        """Return the path for messages."""
        return str(self.path)

    def read(self) -> str | None:
        """Read the keyring's text.

        Returns:
            None where there is no file; an empty text where it is not UTF-8.

        Raises:
            KeyringError: others may read the file, or it cannot be read.
        """
        try:
            with self.path.open("rb") as stream:
                mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
                if mode & 0o077:
                    raise KeyringError(
                        f"keyring {self.path} has mode {mode:04o}: others may read it. Run: chmod 600 {self.path}"
                    )
                return stream.read().decode()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError:
            return ""
        except OSError as error:
            raise KeyringError(f"keyring {self.path} cannot be read: {error.strerror}") from None

    def change(self, change: Callable[[str | None], str]) -> str:
        """Replace the keyring's text atomically, under a lock file in the same folder.

        Args:
            change: maps the present text (None: no file) to the new text.

        Raises:
            KeyringError: the file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                text = change(self.read())
                replace_file(self.path, text.encode(), 0o600)
            finally:
                os.close(lock)
        except OSError as error:
            raise KeyringError(f"keyring {self.path} cannot be written: {error.strerror}") from None
        return text
