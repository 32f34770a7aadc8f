"""Keys in memory, of secrets that a test states."""

from __future__ import annotations

from dataclasses import dataclass

from dataward.privacy.keys import Purpose, derive


@dataclass(frozen=True)
class Ring:
    """The same secrets for every domain, by version."""

    now: int
    secrets: dict[int, bytes]

    def current(self, domain: str) -> int:
        return self.now

    def window(self, domain: str) -> None:
        return None

    def key(self, purpose: Purpose, domain: str, version: int) -> bytes:
        return derive(self.secrets[version], purpose, domain, version)
