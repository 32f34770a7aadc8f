"""Keep a keyring as one object of Google Cloud Storage or Azure Blob Storage, changed by conditional writes.

Credentials and endpoint are those of the platform's own chain (``GOOGLE_...``, ``AZURE_...``), through obstore.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dataward.errors import KeyringError, TargetError
from dataward.tables.store import opened

__all__ = ["CloudObject"]

TRIES = 8  # of a conditional write that other writers preceded


@dataclass(frozen=True)
class CloudObject:
    """A keyring at ``gs://BUCKET/NAME`` or ``az://CONTAINER/NAME``; its secrets are wrapped."""

    uri: str

    def __str__(self) -> str:
        """Return the URI for messages."""
        return self.uri

    def read(self) -> str | None:
        """Read the keyring's text; None where there is no object.

        Raises:
            KeyringError: the store refused, or could not be reached.
        """
        fetched = self._fetch()
        return fetched[0] if fetched else None

    def change(self, change: Callable[[str | None], str]) -> str:
        """Replace the keyring's text, if no other writer has replaced it since it was read; retries otherwise.

        Args:
            change: maps the present text (None: no object) to the new text.

        Raises:
            KeyringError: the store refused, could not be reached, or other writers preceded every try.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        for _ in range(TRIES):
            fetched = self._fetch()
            text = change(fetched[0] if fetched else None)
            mode: Any = fetched[1] if fetched else "create"
            try:
                obstore.put(self._bucket, self._name, text.encode(), mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                continue
            except Exception as error:
                raise self._trouble("written", error) from None
            return text
        raise KeyringError(f"keyring {self.uri}: another writer was always faster; try again")

    @property
    def _name(self) -> str:
        return self.uri.partition("://")[2].partition("/")[2]

    @cached_property
    def _bucket(self) -> Any:
        scheme, _, rest = self.uri.partition("://")
        try:
            return opened(scheme, rest.partition("/")[0])
        except TargetError as error:
            raise KeyringError(f"keyring {error}") from None
        except Exception as error:
            raise self._trouble("opened", error) from None

    def _fetch(self) -> tuple[str, dict[str, str]] | None:
        """Return text and version of the object; None where there is none."""
        import obstore

        try:
            found = obstore.get(self._bucket, self._name)
            version = {name: str(found.meta[name]) for name in ("e_tag", "version") if found.meta.get(name)}
            return bytes(found.bytes()).decode(errors="replace"), version
        except FileNotFoundError:
            return None
        except KeyringError:
            raise
        except Exception as error:
            raise self._trouble("read", error) from None

    def _trouble(self, done: str, error: Exception) -> KeyringError:
        return KeyringError(
            f"keyring {self.uri} cannot be {done} ({type(error).__name__}): check the bucket's name, this identity's rights on it, and "
            "the network"
        )
