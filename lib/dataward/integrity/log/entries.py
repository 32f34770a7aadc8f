"""Entries of the ledger: small signed JSON with the digest of a statement, and pointers to find them.

An entry names table and run by SHA-256, so that it contains no value. Its Ed25519 signature covers log, index and content: an
entry that is copied to another position or log does not verify.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataward.errors import KeyringError, ProofError, TargetError
from dataward.integrity.canonical import MALFORMED, canonical
from dataward.integrity.log.log import ORIGIN, Log, tail
from dataward.integrity.log.notes import Note, Signer, Verifier
from dataward.integrity.log.tiles import WIDTH, path
from dataward.keys import KeyProvider, PublicKeys, signing_key

__all__ = ["Body", "KeyringRules", "chain_of", "derived", "digest", "find", "newest", "signer_of"]

CONTEXT = "dataward ledger entry 2"
HEX = re.compile(r"[0-9a-f]{64}")
KIND = re.compile(r"[a-z][a-z0-9_.-]{0,49}")


def digest(text: str) -> str:
    """Return the digest of a table or a run in entries: SHA-256 (hex)."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Body:
    """Content of an entry.

    Attributes:
        kind: kind of the statement: seal, ask, erasure, ...
        time: UTC, ISO 8601.
        statement: SHA-256 (hex) of the statement.
        key: domain and version of the signing key.
        run: digest of the run ID.
        target: digest of the table's location; of an empty text if the entry has no table.
        nth: number of earlier entries of this kind and target.
        version: version of the table.
        manifest: SHA-256 (hex) of a second document, such as the list of files.
        about: further small plain data of this kind of entry.
        signature: Ed25519, empty before it is signed.
    """

    kind: str
    time: str
    statement: str
    key: tuple[str, int]
    run: str
    target: str
    nth: int
    version: int | None = None
    manifest: str | None = None
    about: dict[str, Any] = field(default_factory=dict)
    signature: bytes = b""

    def _plain(self) -> dict[str, Any]:
        data = {"kind": self.kind, "time": self.time, "statement": self.statement, "key": list(self.key), "run": self.run,
                "target": self.target, "nth": self.nth, "version": self.version, "manifest": self.manifest,
                "about": self.about or None}  # fmt: skip
        return {name: value for name, value in data.items() if value is not None}

    def message(self, origin: str, index: int) -> bytes:
        """Return the message to sign."""
        return f"{CONTEXT}\n{origin}\n{index}\n{canonical(self._plain())}".encode()

    def entry(self, origin: str, index: int, key: Ed25519PrivateKey) -> bytes:
        """Return the signed entry."""
        signature = base64.b64encode(key.sign(self.message(origin, index))).decode()
        return canonical({**self._plain(), "signature": signature}).encode()

    @classmethod
    def parsed(cls, entry: bytes) -> Body:
        """Parse an entry.

        Raises:
            ValueError: the data is not an entry, or not in canonical form.
        """
        try:
            data = json.loads(entry)
            signature = base64.b64decode(data.pop("signature"), validate=True)
            made = cls(**{**data, "key": (str(data["key"][0]), int(data["key"][1]))}, signature=signature)
            again = canonical({**made._plain(), "signature": base64.b64encode(signature).decode()}).encode()
        except (
            TypeError,
            KeyError,
            AttributeError,
            IndexError,
            RecursionError,
            OverflowError,
            binascii.Error,
        ) as error:
            raise ValueError("this is no entry of a ledger") from error
        hashes = (made.statement, made.run, made.target, *([made.manifest] if made.manifest is not None else []))
        typed = isinstance(made.nth, int) and isinstance(made.version, int | None) and isinstance(made.about, dict)
        if again != entry or not typed or not all(isinstance(one, str) and HEX.fullmatch(one) for one in hashes):
            raise ValueError("this is no entry of a ledger in its canonical form")
        if not isinstance(made.kind, str) or not KIND.fullmatch(made.kind) or not isinstance(made.time, str):
            raise ValueError("this entry has no valid kind or time")
        return made

    def signed_by(self, keys: PublicKeys, origin: str, index: int) -> str:
        """Return why the signature does not verify; empty if it does."""
        try:
            keys.public_key(*self.key).verify(self.signature, self.message(origin, index))
        except InvalidSignature:
            return "its signature is not by this keyring's key"
        except KeyringError as error:
            return f"its signature cannot be checked: {error}"
        return ""


@dataclass(frozen=True)
class KeyringRules:
    """Accept entries signed by the keys of one keyring, and write the pointers to them."""

    log: Log
    origin: str
    keys: PublicKeys

    def known(self, note: Note) -> list[Verifier]:
        """Return the keyring's keys for the key IDs in a note, as named by the log."""
        found = []
        for one in note.signatures:
            data = self.log.fixed(key_path(one.id))
            with suppress(*MALFORMED, KeyringError):
                named = json.loads(data or b"{}")
                found.append(Verifier(self.origin, self.keys.public_key(str(named["domain"]), int(named["version"]))))
        return found

    def accept(self, index: int, entry: bytes) -> None:
        """Raise ProofError where an entry is not signed, or its statement is missing."""
        try:
            body = Body.parsed(entry)
            trouble = body.signed_by(self.keys, self.origin, index)
        except ValueError as error:
            trouble = str(error)
        if trouble:
            raise ProofError(
                f"ledger {self.log}: entry {index} was not written by Dataward: {trouble}. See: dataward ledger check"
            )

    def derive(self, index: int, entry: bytes) -> None:
        """Write the pointers to an entry."""
        body, number, store = Body.parsed(entry), f"{index}\n".encode(), self.log.store
        store.create(run_path(body.kind, body.run, body.target), number)
        store.create(nth_path(body.kind, body.target, body.nth), number)
        store.put(newest_path(body.kind, body.target), f"{body.nth}\n".encode())


def signer_of(log: Log, keys: KeyProvider, domain: str, version: int) -> Signer:
    """Return the signer of a log's checkpoints; the first signer names the log."""
    origin = log.origin()
    if origin is None:
        name = re.sub(r"[^A-Za-z0-9_.-]", "-", str(log).rstrip("/").rpartition("/")[2]) or "ledger"
        log.store.create(ORIGIN, f"dataward/{name[:80]}/{secrets.token_hex(8)}\n".encode())
        origin = log.origin()
    if origin is None:
        raise TargetError(f"{log}/{ORIGIN}: it was written and cannot be read")
    signer = Signer(origin, signing_key(keys, domain, version))
    named = {"domain": domain, "version": version, "vkey": signer.verifier.vkey}
    if log.fixed(key_path(signer.verifier.id)) is None:
        log.store.create(key_path(signer.verifier.id), canonical(named).encode())
    return signer


def derived(entries: Iterable[bytes]) -> dict[str, bytes]:
    """Return all pointers of a log, by name."""
    files: dict[str, bytes] = {}
    for index, entry in enumerate(entries):
        with suppress(ValueError):
            body = Body.parsed(entry)
            files.setdefault(run_path(body.kind, body.run, body.target), f"{index}\n".encode())
            files[nth_path(body.kind, body.target, body.nth)] = f"{index}\n".encode()
            files[newest_path(body.kind, body.target)] = f"{body.nth}\n".encode()
    return files


def key_path(key_id: bytes) -> str:
    """Return the name of the file that maps a key ID to a key of a keyring."""
    return f"keys/{key_id.hex()}"


def _spread(*parts: str) -> str:
    name = digest("\0".join(parts))
    return f"{name[:2]}/{name[2:]}"


def run_path(kind: str, run: str, target: str) -> str:
    """Return the name of the pointer to a run's first entry of a kind."""
    return f"index/run/{_spread(kind, run, target)}"


def nth_path(kind: str, target: str, nth: int) -> str:
    """Return the name of the pointer to the nth entry of a kind and target."""
    return f"index/table/{_spread(kind, target)}/{path('nth', nth).partition('/nth/')[2]}"


def newest_path(kind: str, target: str) -> str:
    """Return the name of the file with the last known number of entries of a kind and target."""
    return f"index/table/{_spread(kind, target)}/newest"


def find(log: Log, kind: str, run: str, target: str) -> tuple[int, Body] | None:
    """Return the first entry of a kind, run and target (digests), and its index; None where there is none."""

    def mine(body: Body) -> bool:
        return (body.kind, body.run, body.target) == (kind, run, target)

    return _pointed(log, run_path(kind, run, target), mine) or next(_pending(log, mine), None)


def newest(log: Log, kind: str, target: str, covered: bool = False) -> tuple[int, Body] | None:
    """Return the newest entry of a kind and target, in O(log n) reads; None where there is none.

    ``covered``: a checkpoint covers every entry, so that the pointers are complete.
    """

    def mine(body: Body) -> bool:
        return (body.kind, body.target) == (kind, target)

    if not covered and (pending := list(_pending(log, mine))):
        return pending[-1]
    last = _last(lambda nth: log.store.exists(nth_path(kind, target, nth)), _number(log, newest_path(kind, target)))
    if last < 0:
        return None
    found = _pointed(log, nth_path(kind, target, last), lambda body: mine(body) and body.nth == last)
    return found or _scanned(log, mine)


def chain_of(log: Log, kind: str, target: str) -> Iterator[tuple[int, Body]]:
    """Yield the entries of a kind and target, newest first, in one read for each bundle; wrong pointers are replaced by a scan.

    Raises:
        ProofError: a bundle is missing or damaged.
    """

    def mine(body: Body) -> bool:
        return (body.kind, body.target) == (kind, target)

    found = newest(log, kind, target)
    while found is not None:
        yield found
        for before in _before(log, found[0], mine):
            if before[1].nth != found[1].nth - 1:
                break
            yield before
            found = before
        nth = found[1].nth - 1
        if nth < 0:
            return
        found = _nth(log, kind, target, nth)
        if found is None:
            raise ProofError(f"ledger {log}: an entry of this table is missing. See: dataward ledger check")


def _before(log: Log, index: int, mine: Callable[[Body], bool]) -> Iterator[tuple[int, Body]]:
    """Yield the entries of one bundle before an entry, newest first; none if the bundle cannot be read."""
    first = index // WIDTH * WIDTH
    with suppress(ProofError):
        yield from _fitting(
            zip(range(index - 1, first - 1, -1), reversed(log.entries(first, index)), strict=True), mine
        )


def _nth(log: Log, kind: str, target: str, nth: int) -> tuple[int, Body] | None:
    def mine(body: Body) -> bool:
        return (body.kind, body.target, body.nth) == (kind, target, nth)

    return _pointed(log, nth_path(kind, target, nth), mine) or _scanned(log, mine)


def _number(log: Log, name: str) -> int | None:
    data = (log.store.read(name) or b"").strip()
    return int(data) if data.isdigit() and len(data) < 19 else None


def _pointed(log: Log, name: str, mine: Callable[[Body], bool]) -> tuple[int, Body] | None:
    index = _number(log, name)
    if index is not None:
        with suppress(ProofError, ValueError):
            body = Body.parsed(log.entry(index))
            return (index, body) if mine(body) else None
    return None


def _pending(log: Log, mine: Callable[[Body], bool]) -> Iterator[tuple[int, Body]]:
    return _fitting(tail(log), mine)


def _scanned(log: Log, mine: Callable[[Body], bool]) -> tuple[int, Body] | None:
    found = list(_fitting(enumerate(log.entries(0, log.size())), mine))
    return found[-1] if found else None


def _fitting(entries: Any, mine: Callable[[Body], bool]) -> Iterator[tuple[int, Body]]:
    for index, entry in entries:
        with suppress(ValueError):
            body = Body.parsed(entry)
            if mine(body):
                yield index, body


def _last(there: Callable[[int], bool], known: int | None) -> int:
    """Return the last existing number (-1: none), where all below it exist."""
    low = known if known is not None and there(known) else -1
    step = 1
    while there(low + step):
        low, step = low + step, step * 2
    high = low + step
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if there(middle) else (low, middle)
    return low
