"""Keep a keyring as one object of Google Cloud Storage or Azure Blob Storage, changed by conditional writes.

Credentials and endpoint are those of the platform's own chain (``GOOGLE_...``, ``AZURE_...``), through obstore.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dataward.errors import KeyringError, TargetError
from dataward.keys.swapped import Swapped
from dataward.tables.store import opened

__all__ = ["CloudObject"]


@dataclass(frozen=True)
class CloudObject(Swapped["dict[str, str]"]):
    """A keyring at ``gs://BUCKET/NAME`` or ``az://CONTAINER/NAME``; its secrets are wrapped."""

    def _replace(self, text: str, version: dict[str, str] | None) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = version if version is not None else "create"
        try:
            obstore.put(self._bucket, self._name, text.encode(), mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return False
        except Exception as error:
            raise self._trouble("written", error) from None
        return True

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
