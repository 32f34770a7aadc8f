"""The ledger: every seal and every other event of a table, in a transparency log that is a folder of files. No Spark.

One function enters an event of a new kind::

    ledger.record(place, keys, domain, "budget", statement_bytes, About(run_id="r1", target=contract.target))

``statement_bytes`` are stored under their SHA-256, and a small signed entry with that digest is appended; the call returns
once the entry is committed and covered by a signed checkpoint. ``ledger.entries(place, kind="budget", target=...)`` returns such
entries, oldest first; ``ledger.find(place, run_id, target, "budget")`` returns that of a run. An entry names its subjects by
digests only, so it contains no value; :func:`redact` removes a statement, and the tree stays intact.

The folder: ``tile/`` and ``checkpoint`` as in C2SP tlog-tiles, ``statements/SHA256``, ``origin`` (the log's name),
``keys/ID`` (the version of the keyring with that key ID) and ``index/`` (derived pointers, which are never trusted).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from typing import Any, Protocol

from dataward.contract import Location
from dataward.contract.places import identity
from dataward.errors import ProofError, UsageError
from dataward.integrity.canonical import MALFORMED, canonical, sha256
from dataward.integrity.dsse import Ed25519Signer
from dataward.integrity.dsse import Signer as Signing
from dataward.integrity.findings import fail
from dataward.integrity.log import entries as pointers
from dataward.integrity.log import log as writing
from dataward.integrity.log.check import Checked, check
from dataward.integrity.log.entries import Body, KeyringRules, digest, signer_of
from dataward.integrity.log.log import Head, Log
from dataward.integrity.log.notes import Note, Verifier
from dataward.integrity.records import Ask, Charge, Discard, Erased, Erasure, SetRelease, parsed
from dataward.integrity.seal import Record, Seal
from dataward.integrity.statement import Statement, Subject, predicate_type, record_text
from dataward.keys import KeyProvider, PublicKeys, signing_key
from dataward.tables.store import store_at

__all__ = [
    "About",
    "Attached",
    "Entry",
    "Keys",
    "append",
    "entries",
    "erased",
    "existing",
    "exists",
    "find",
    "flaws",
    "newest_seal",
    "open_log",
    "record",
    "records",
    "redact",
    "redacted",
    "signer_of",
    "table_id",
]

MIGRATED, REDACTION = "migrated", "redaction"
READERS = 16
AnyRecord = Seal | Ask | Charge | Discard | Erasure | Erased | SetRelease


class Keys(KeyProvider, PublicKeys, Protocol):
    """Keys that sign, and that verify signatures of the same keyring."""


@dataclass(frozen=True)
class About:
    """Subjects of an entry: run, table, version, a second document (``manifest``), further small plain data."""

    run_id: str = ""
    target: Location | str | None = None
    version: int | None = None
    manifest: bytes | None = None
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """An entry with its number and the text of its statement, which is empty if it was erased."""

    seq: int
    body: Body
    seal_text: str
    log: Log = field(repr=False, compare=False)

    @property
    def record(self) -> AnyRecord:
        """The parsed record; :class:`Erased` if the statement was erased.

        Raises:
            ValueError: the statement is not a record of Dataward.
        """
        if not self.seal_text:
            domain, version = self.body.key
            return Erased(contract="", run_id="", target="", version=self.body.version, time=self.body.time, who="", code={},
                          key={"domain": domain, "version": version}, seal_sha256=self.body.statement)  # fmt: skip
        return parsed(self.seal_text)

    @property
    def seal(self) -> Seal:
        """The parsed seal; raises ValueError where the entry is not a seal."""
        return Seal.model_validate_json(self.seal_text)


def table_id(target: Location | str | None) -> str:
    """Return the name of a table in entries: the digest of its location, whatever its spelling."""
    return digest(identity(str(target)) if target is not None else "")


def open_log(place: Location) -> Log:
    """Return the log at a place; nothing is read.

    Raises:
        TargetError: the place is not supported.
    """
    if place.path is None:
        from dataward.integrity.log.table import TableStore

        return Log(TableStore(place))
    return Log(store_at(place.path))


def exists(place: Location) -> bool:
    """Return whether a ledger exists at a place.

    Raises:
        ProofError: the ledger is of an older Dataward, and has to be migrated first.
    """
    return _current(place).origin() is not None


def existing(place: Location) -> Log:
    """Return the log at a place.

    Raises:
        ProofError: there is none, or it has to be migrated first.
    """
    log = _current(place)
    if log.origin() is None:
        raise ProofError(
            f"ledger {place}: there is none. Publish first. If the table was published before, restore the ledger from your backup: "
            "without it nothing can be proved",
            [fail("ledger-missing", str(place))],
        )
    return log


@dataclass(frozen=True)
class Attached:
    """Subjects of a seal's statement besides the record itself.

    Attributes:
        manifest: the manifest of the version, which is the statement's first subject.
        subjects: further subjects, such as manifests of the tables beside the target.
        documents: further documents that the record names by their SHA-256.
        more: plain data of the entry.
        signer: signs the statement; None: the key of the record's domain.
    """

    manifest: bytes
    subjects: tuple[Subject, ...] = ()
    documents: tuple[bytes, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    signer: Signing | None = None


def append(
    place: Location, provider: Keys, given: Record | Callable[[], Record], attached: Attached | None = None
) -> Entry:
    """Append a record as a signed in-toto statement; concurrent writers take turns.

    A function is called for the record in every turn, so that its reads of the ledger are current when the record is entered.

    Raises:
        TargetError: the ledger cannot be written.
        ProofError: the present ledger does not verify, so nothing is appended.
    """
    log = _current(place)

    def drafted() -> Draft:
        made = given if isinstance(given, Record) else given()
        key = (str(made.key["domain"]), int(made.key["version"]))
        manifest, more = (attached.manifest, attached.more) if attached else (None, {})
        about = About(made.run_id, made.target, made.version, manifest, more)
        return Draft(made.kind, _signed(provider, made, key, attached), key, made.time, about)

    for document in attached.documents if attached else ():
        log.keep(document)
    first = drafted()
    return enter(log, provider, first, None if isinstance(given, Record) else drafted)


def _signed(provider: Keys, made: Record, key: tuple[str, int], attached: Attached | None) -> bytes:
    """Return the signed envelope of a record's statement; its subject is the manifest or, without one, the record."""
    about = [Subject("manifest", hashlib.sha256(attached.manifest).hexdigest()), *attached.subjects] if attached else []
    subject = tuple(about) or (Subject(made.kind, sha256(made.text())),)
    signer = attached.signer if attached and attached.signer else Ed25519Signer(signing_key(provider, *key))
    return Statement(subject, predicate_type(made.kind), made.model_dump(mode="json")).signed(signer).text()


def record(place: Location, keys: Keys, domain: str, kind: str, statement: bytes, about: About | None = None) -> Entry:
    """Append an entry of any kind about a statement, signed with the current key of a domain.

    Raises:
        UsageError: the kind is not a valid name, or the statement is empty.
        TargetError: the ledger cannot be written.
        ProofError: the present ledger does not verify, so nothing is appended.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_.-]{0,49}", kind) or not statement:
        raise UsageError(
            f"kind '{kind}': use up to 50 small letters, digits, dots and dashes, and a statement with content"
        )
    draft = Draft(kind, statement, (domain, keys.current(domain)), now(), about or About())
    return enter(_current(place), keys, draft)


def now() -> str:
    """Return the present time in the format of entries."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _current(place: Location) -> Log:
    """Return the log at a place; refuse a ledger that has to be migrated first."""
    log = open_log(place)
    if log.store.names("_delta_log") and not log.store.exists(MIGRATED):
        begun = log.origin() is not None
        what = "its migration was not finished" if begun else "it is a Delta table of an older Dataward"
        raise ProofError(f"ledger {log}: {what}. Run: dataward ledger migrate CONTRACT")
    return log


@dataclass(frozen=True)
class Draft:
    """Content of a new entry: kind, statement, domain and version of the key, time, subjects."""

    kind: str
    statement: bytes
    key: tuple[str, int]
    time: str
    about: About


def enter(log: Log, keys: Keys, first: Draft, again: Callable[[], Draft] | None = None) -> Entry:
    """Append a drafted entry; ``again`` drafts it again in every turn."""
    signer = signer_of(log, keys, *first.key)
    rules = KeyringRules(log, signer.name, keys)
    made: list[tuple[Body, str]] = []

    def entry(head: Head) -> bytes:
        draft = again() if again else first
        body = _body(log, draft)
        made[:] = [(body, record_text(draft.statement))]
        return body.entry(signer.name, head.size, signing_key(keys, *draft.key))

    index = writing.append(log, rules, signer, entry)
    assert index is not None  # noqa: S101 - every turn has an entry
    return Entry(index, *made[0], log)


def _body(log: Log, draft: Draft) -> Body:
    about, target = draft.about, table_id(draft.about.target)
    last = pointers.newest(log, draft.kind, target, covered=True)
    return Body(
        kind=draft.kind,
        time=draft.time,
        statement=log.keep(draft.statement),
        key=draft.key,
        run=digest(about.run_id),
        target=target,
        nth=last[1].nth + 1 if last else 0,
        version=about.version,
        manifest=log.keep(about.manifest) if about.manifest is not None else None,
        about=about.more,
    )


def entries(place: Location, kind: str | None = None, target: Location | None = None) -> list[Entry]:
    """Return the entries with their statements, oldest first; all, or those of a kind, of a table, or both.

    Raises:
        ProofError: the ledger is missing or damaged.
    """
    log = existing(place)
    return list(_with_statements(log, _bodies(log, kind, target)))


def _bodies(log: Log, kind: str | None, target: Location | None) -> Iterable[tuple[int, Body]]:
    if kind is not None and target is not None:
        return list(pointers.chain_of(log, kind, table_id(target)))[::-1]
    wanted = table_id(target) if target is not None else None
    found = []
    for index, entry in enumerate(log.entries(0, log.size())):
        try:
            body = Body.parsed(entry)
        except ValueError as error:
            raise ProofError(f"ledger {log}: entry {index}: {error}. See: dataward ledger check") from None
        if kind in (None, body.kind) and wanted in (None, body.target):
            found.append((index, body))
    return found


def _with_statements(log: Log, bodies: Iterable[tuple[int, Body]]) -> Iterator[Entry]:
    with ThreadPoolExecutor(READERS) as readers:
        yield from readers.map(lambda one: _entry(log, *one), bodies)


def _entry(log: Log, index: int, body: Body) -> Entry:
    return Entry(index, body, record_text(log.statement(body.statement) or b""), log)


def records(place: Location, kind: str | None = None, target: Location | None = None) -> list[AnyRecord]:
    """Return the readable records, oldest first; none without a ledger."""
    found = []
    for entry in entries(place, kind, target) if exists(place) else ():
        with suppress(ValueError):
            found.append(entry.record)
    return found


def find(place: Location, run_id: str, target: Location, kind: str = "seal") -> Entry | None:
    """Return the first entry of a kind, a run and a table, in O(log n) reads; None where there is none."""
    log = _current(place)
    if log.origin() is None:
        return None
    found = pointers.find(log, kind, digest(run_id), table_id(target))
    return _entry(log, *found) if found else None


def newest_seal(place: Location, target: Location) -> Seal | None:
    """Return the newest seal of a table that was not erased, in O(log n) reads; None where there is none."""
    if not exists(place):
        return None
    log = open_log(place)
    for index, body in pointers.chain_of(log, "seal", table_id(target)):
        with suppress(ValueError):
            return _entry(log, index, body).seal
    return None


def flaws(place: Location, keys: PublicKeys, heads: Iterable[Note] = ()) -> Checked:
    """Check the whole ledger, also against heads from other places.

    Raises:
        ProofError: there is no ledger.
    """
    log = existing(place)
    excused: set[int] = set()
    with suppress(ProofError):
        excused = redacted(log, keys)
    return check(log, KeyringRules(log, log.origin() or "", keys), excused.__contains__, heads)


def verifiers(place: Location, keys: PublicKeys) -> list[Verifier]:
    """Return the keys that sign the ledger's checkpoints, in the form of notes."""
    log = open_log(place)
    note = log.checkpoint()
    return KeyringRules(log, log.origin() or "", keys).known(note) if note else []


def redact(place: Location, keys: Keys, domain: str, seqs: Sequence[int], run_id: str) -> None:
    """Remove statements, after an entry of kind ``redaction`` that names them; their entries stay, and so does the tree.

    Raises:
        TargetError: the ledger cannot be written.
    """
    said = canonical({"redacted": list(seqs), "run_id": run_id}).encode()
    log = record(place, keys, domain, REDACTION, said, About(run_id=run_id)).log
    log.store.delete(f"{writing.STATEMENTS}/{Body.parsed(log.entry(seq)).statement}" for seq in seqs)


def redacted(log: Log, keys: PublicKeys) -> set[int]:
    """Return the entries whose statements were removed with a record of the removal; records that no known key signed excuse nothing."""
    found: set[int] = set()
    origin = log.origin() or ""
    for kind in (REDACTION, "erasure"):  # erasures of older ledgers name the entries themselves
        signed = [one for one in _bodies(log, kind, None) if not one[1].signed_by(keys, origin, one[0])]
        for entry in _with_statements(log, signed):
            with suppress(*MALFORMED):
                found |= {int(seq) for seq in json.loads(entry.seal_text).get("redacted", ())}
    return found


def erased(log: Log, keys: PublicKeys) -> Callable[[int], bool]:
    """Return a function: whether an erasure removed an entry's statement, according to the ledger, which is read at the first call."""
    known = cache(lambda: redacted(log, keys))
    return lambda index: index in known()
