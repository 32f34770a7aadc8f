"""The text of a keyring: JSON with the key versions of every domain."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dataward.errors import KeyringError

__all__ = ["Document", "DomainKeys", "KeyVersion", "damaged", "parsed"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyVersion(_Frozen):
    """One version of a domain's key; ``fingerprint`` (8 bytes by HKDF, hex) identifies the secret without revealing it."""

    created: str
    enabled: bool = True
    fingerprint: str
    secret: str = Field(repr=False)


class DomainKeys(_Frozen):
    """The key versions of a domain: for new writes, and the outgoing one while a rotation is open."""

    current: int
    window: int | None = None
    versions: dict[int, KeyVersion]


class Document(_Frozen):
    """A keyring; ``moved`` is the keyring that took its place, and that alone is changed from then on."""

    format: Literal[2] = 2
    domains: dict[str, DomainKeys] = {}
    moved: str | None = None

    def text(self) -> str:
        """Return the document as JSON."""
        data = self.model_dump(mode="json", exclude={"moved"} if self.moved is None else None)
        return json.dumps(data, indent=1) + "\n"


def parsed(text: str, place: str) -> Document:
    """Parse a keyring's text.

    Raises:
        KeyringError: it is damaged; the message contains none of it.
    """
    try:
        made = Document.model_validate_json(text)
    except ValidationError:  # the message contains the content
        raise damaged(place) from None
    if "format" not in made.model_fields_set:  # Dataward always writes it: ``{}`` is a keyring that lost its content
        raise damaged(place)
    if any(domain.current not in domain.versions for domain in made.domains.values()):
        raise damaged(place)
    return made


def damaged(place: str) -> KeyringError:
    """Return the error of a damaged keyring."""
    return KeyringError(f"keyring {place} is damaged: restore it from your backup")
