"""A keyring in a file of mode 0600, whose secrets stand in it as they are."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dataward.errors import KeyringError
from dataward.privacy.keys.keyring import fresh_secret

__all__ = ["LocalFile", "Plain"]


@dataclass(frozen=True)
class Plain:
    """Secrets as hex: the place itself is what protects them."""

    lazily: bool = True

    def fresh(self, domain: str, version: int) -> tuple[bytes, str]:
        secret = fresh_secret()
        return secret, secret.hex()

    def unwrap(self, domain: str, version: int, written: str) -> bytes:
        try:
            return bytes.fromhex(written)
        except ValueError:
            return b""  # the keyring says that it is damaged


@dataclass(frozen=True)
class LocalFile:
    """A file that only its owner may read or write."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> str | None:
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
        """Under a lock beside the file; the new text takes the old one's place in one step."""
        drafted = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                text = change(self.read())
                descriptor = os.open(drafted, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "w") as stream:
                    stream.write(text)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(drafted, self.path)
            finally:
                os.close(lock)
        except OSError as error:
            with suppress(OSError):
                drafted.unlink()
            raise KeyringError(f"keyring {self.path} cannot be written: {error.strerror}") from None
        return text
