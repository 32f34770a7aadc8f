"""Move a keyring to another place or provider: the secrets stay the same, and so do all tokens; only their wrapping changes."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from dataward.errors import KeyringError, UsageError
from dataward.keys.document import Document, damaged, parsed
from dataward.keys.keyring import SECRET, Store, Wrapping, fingerprint_of
from dataward.keys.local import LocalFile, Plain

__all__ = ["Migrated", "Place", "migrate"]

TRIES = 4  # where somebody changes the old keyring meanwhile

Secrets = dict[tuple[str, int], bytes]


@dataclass(frozen=True)
class Place:
    """Where a keyring is, and how its secrets are written."""

    store: Store
    wrapping: Wrapping

    def unwrapped(self, document: Document) -> Secrets:
        """Return the secrets of a document, of disabled versions too, each compared with its fingerprint.

        Raises:
            KeyringError: a secret cannot be unwrapped, or is another one.
        """
        found: Secrets = {}
        for name, domain in document.domains.items():
            for number, version in domain.versions.items():
                secret = self.wrapping.unwrap(name, number, version.secret)
                if len(secret) != SECRET or fingerprint_of(secret, name, number) != version.fingerprint:
                    raise damaged(str(self.store))
                found[name, number] = secret
        return found


@dataclass(frozen=True)
class Migrated:
    """Result of a migration; ``new`` counts the versions that were wrapped, the others were there from an earlier attempt."""

    old: str
    place: str
    domains: int
    versions: int
    new: int


def migrate(old: Place, new: Place) -> Migrated:
    """Wrap every secret under the new key, write the new keyring in one step, compare it, and then mark the old one as moved.

    Killed at any point, it leaves the old keyring whole, and can be repeated. The old keyring is never removed; once it is marked,
    it serves its readers, and refuses changes. In one and the same place the text is replaced atomically.

    Raises:
        KeyringError: a keyring cannot be read or written, the new place has other keys, or a secret unwraps to another one.
        UsageError: both are one place, and no key wraps its secrets, so that nothing would change.
    """
    if _same(old, new) and isinstance(old.wrapping, Plain) and isinstance(new.wrapping, Plain):
        raise UsageError(
            f"FROM and TO are one keyring, {old.store}, and no key wraps its secrets: nothing would change. Name the new keyring's "
            "file as TO, or a contract (.yaml) whose 'keys' name the new place"
        )
    for _ in range(TRIES):
        text = old.store.read()
        if text is None:
            raise KeyringError(f"there is no keyring {old.store}")
        document = parsed(text, str(old.store))
        if document.moved not in (None, str(new.store)):
            raise KeyringError(f"keyring {old.store} has moved to {document.moved}: migrate from there")
        made = _written(old, new, document.model_copy(update={"moved": None}), text)
        if _same(old, new) or _marked(old, new, document, text):
            versions = sum(len(domain.versions) for domain in document.domains.values())
            return Migrated(str(old.store), str(new.store), len(document.domains), versions, made)
    raise KeyringError(
        f"keyring {old.store}: somebody changes it all the time; repeat the migration when nothing else runs"
    )


def _same(one: Place, other: Place) -> bool:
    """Return whether two keyrings are in one place, however its path is spelled."""
    if isinstance(one.store, LocalFile) and isinstance(other.store, LocalFile):
        return one.store.path.resolve() == other.store.path.resolve()
    return str(one.store) == str(other.store)


def _written(old: Place, new: Place, document: Document, text: str) -> int:
    """Write the new keyring, and return how many secrets were wrapped."""
    secrets = old.unwrapped(document)
    in_place = _same(old, new)
    present = None if in_place else new.store.read()
    kept = _kept(new, parsed(present, str(new.store)), secrets) if present is not None else {}
    fresh = {key: new.wrapping.wrap(*key, secret) for key, secret in secrets.items() if key not in kept}
    _compare(new, secrets, fresh)
    domains = {
        name: domain.model_copy(
            update={
                "versions": {
                    number: version.model_copy(update={"secret": (kept | fresh)[name, number]})
                    for number, version in domain.versions.items()
                }
            }
        )
        for name, domain in document.domains.items()
    }

    def replaced(now: str | None) -> str:
        if now != (text if in_place else present):
            raise KeyringError(f"keyring {new.store} was changed meanwhile: repeat the migration")
        return Document(domains=domains).text()

    new.store.change(replaced)
    written = new.store.read()
    if written is None or new.unwrapped(parsed(written, str(new.store))) != secrets:
        raise KeyringError(f"keyring {new.store} does not hold what was written; {old.store} is unchanged")
    return len(fresh)


def _kept(new: Place, present: Document, secrets: Secrets) -> dict[tuple[str, int], str]:
    """Return the wrapped secrets of a keyring that an earlier attempt, or a migration the other way, left in the new place.

    Raises:
        KeyringError: it holds other keys.
    """
    found = new.unwrapped(present)
    other = [
        key for key, secret in found.items() if key not in secrets or not hmac.compare_digest(secret, secrets[key])
    ]
    if other:
        domain, version = other[0]
        raise KeyringError(
            f"keyring {new.store} exists and holds another key (domain '{domain}' version {version}): it is never overwritten. Name "
            "another 'path' for the new keyring"
        )
    return {(name, number): present.domains[name].versions[number].secret for name, number in found}


def _compare(new: Place, secrets: Secrets, wrapped: dict[tuple[str, int], str]) -> None:
    for (domain, version), text in wrapped.items():
        if not hmac.compare_digest(new.wrapping.unwrap(domain, version, text), secrets[domain, version]):
            raise KeyringError(
                f"domain '{domain}' version {version} does not unwrap to what was wrapped for {new.store}"
            )


def _marked(old: Place, new: Place, document: Document, text: str) -> bool:
    """Mark the old keyring as moved; False where it was changed since it was read."""
    same: list[bool] = []

    def marked(now: str | None) -> str:
        if now is None:
            raise KeyringError(f"there is no keyring {old.store} any more; {new.store} is complete")
        same.append(now == text)
        return document.model_copy(update={"moved": str(new.store)}).text() if now == text else now

    old.store.change(marked)
    return same[-1]
