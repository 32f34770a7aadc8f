"""Keep a keyring as one object of a service: it is replaced only if nobody else has replaced it since it was read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from dataward.errors import KeyringError

__all__ = ["Swapped"]

TRIES = 8  # of a conditional write that other writers preceded
Version = TypeVar("Version")


@dataclass(frozen=True)
class Swapped(ABC, Generic[Version]):
    """A keyring at a URI; a subclass reads the object and writes it by the service's conditional write."""

    uri: str

    def __str__(self) -> str:
        """Return the URI for messages."""
        return self.uri

    def read(self) -> str | None:
        """Read the keyring's text; None where there is no object.

        Raises:
            KeyringError: the service refused, could not be reached, or the object is not a keyring.
        """
        fetched = self._fetch()
        return fetched[0] if fetched else None

    def change(self, change: Callable[[str | None], str]) -> str:
        """Replace the keyring's text, if no other writer has replaced it since it was read; retries otherwise.

        Args:
            change: maps the present text (None: no object) to the new text.

        Raises:
            KeyringError: the service refused, could not be reached, or other writers preceded every try.
        """
        for _ in range(TRIES):
            fetched = self._fetch()
            text = change(fetched[0] if fetched else None)
            if self._replace(text, fetched[1] if fetched else None):
                return text
        raise KeyringError(f"keyring {self.uri}: another writer was always faster; try again")

    @abstractmethod
    def _fetch(self) -> tuple[str, Version] | None:
        """Return text and version of the object; None where there is none."""

    @abstractmethod
    def _replace(self, text: str, version: Version | None) -> bool:
        """Write the object if it has this version (None: if there is none); returns whether it was written."""
