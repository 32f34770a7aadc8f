"""A site: answer the coordinator's questions with masked vectors, and remember the answers.

The site trusts only its own copy of the plan: every question is checked against the plan, every
key against the plan's keys, and no step of a run is answered twice, even after a restart.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataward.errors import DatawardError, SiteRefused, TargetError
from dataward.federated import protocol
from dataward.federated.certificates import public_key
from dataward.federated.course import Course
from dataward.federated.encode import Numbers, canonical, pack, sha256, unpack
from dataward.federated.plan import TrainingPlan
from dataward.federated.rows import Rows
from dataward.federated.survey import SurveyPlan, Tally
from dataward.tables.replacing import replace_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from dataward.federated.intersect import Sender

__all__ = ["PROTOCOL", "Accepted", "Memory", "Site", "accept", "bytes_of", "session_of"]

PROTOCOL = 1
STAGES = ("hello", "advertise", "share", "mask", "agree", "unmask")


@dataclass(frozen=True)
class Accepted:
    """A plan that a site takes part in, with its rows and its statement about its table.

    Attributes:
        table: path, version and seal (SHA-256) of the table, and the protection of each column.
        charge: called once before the first answer of a run under privacy; raises if the budget does not cover it.
        runs: number of runs that the site takes part in.
    """

    plan: TrainingPlan | SurveyPlan
    digest: str
    keys: Mapping[str, bytes] = field(repr=False)
    course: Course | Tally = field(repr=False)
    rows: Any = field(repr=False)
    table: Mapping[str, Any]
    charge: Callable[[str], None] = field(repr=False)
    runs: int = 1


def accept(
    plan: TrainingPlan | SurveyPlan,
    keys: Mapping[str, bytes],
    rows: Rows | Numbers,
    table: Mapping[str, Any],
    course: Course | Tally,
    **more: Any,
) -> Accepted:
    """Prepare a plan for a site.

    Args:
        plan: the site's own copy of the plan.
        keys: certificates (PEM) of the plan's sites.
        rows: the site's rows; for a survey its numbers.
        table: see :class:`Accepted`.
        course: the plan's questions and their answers.
        more: further fields of :class:`Accepted`.
    """
    raw = {name: public_key(pem).public_bytes_raw() for name, pem in keys.items()}
    digest = plan.digest({name: key.hex() for name, key in raw.items()})
    return Accepted(plan, digest, raw, course, rows, table, more.pop("charge", lambda run: None), **more)


def session_of(accepted: Accepted, run: str, sequence: int, question: Mapping[str, Any]) -> protocol.Session:
    """Return the session of a question; its ID binds plan, run, number and content."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    keys = {name: Ed25519PublicKey.from_public_bytes(key) for name, key in accepted.keys.items()}
    identity = sha256([PROTOCOL, accepted.digest, run, sequence, question])
    return protocol.Session(identity, keys, accepted.plan.minimum_sites, accepted.course.size(dict(question)))


def bytes_of(text: Any) -> bytes:
    """Decode hexadecimal text; raises SiteRefused for other text."""
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise SiteRefused("hexadecimal text is expected") from None


class Memory:
    """Persistent state of a site: for each run of a plan its last step and the number of answered questions."""

    def __init__(self, folder: Path) -> None:
        """Open the folder; the key for the holdout is created on first use."""
        self._folder = folder

    def secret(self) -> bytes:
        """Return the key for the choice of the holdout.

        Raises:
            TargetError: the key cannot be written.
        """
        path = self._folder / "holdout.key"
        if not path.exists():
            self._write(path, secrets.token_hex(32))
        return bytes.fromhex(path.read_text(encoding="ascii"))

    def runs(self, digest: str) -> dict[str, Any]:
        """Return the runs of a plan."""
        path = self._folder / f"{digest}.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="ascii")) if path.exists() else {}
        return found

    def keep(self, digest: str, runs: Mapping[str, Any]) -> None:
        """Write the runs of a plan durably.

        Raises:
            TargetError: they cannot be written.
        """
        self._write(self._folder / f"{digest}.json", json.dumps(runs))

    def _write(self, path: Path, text: str) -> None:
        try:
            replace_file(path, text.encode("ascii"), 0o600)
        except OSError as error:
            raise TargetError(f"the site's state {path} cannot be written ({error.strerror})") from None


class Site:
    """A site with several plans. One message is handled at a time."""

    def __init__(
        self, name: str, signer: Ed25519PrivateKey, accepted: tuple[Accepted, ...], memory: Memory, senders: Sequence[Sender] = ()
    ) -> None:  # fmt: skip
        """Set the site's name, key, plans and memory, and the intersections of keys that it answers."""
        self.name = name
        self.senders = {one.party.digest: one for one in senders}
        self._signer, self._memory = signer, memory
        self._accepted = {one.digest: one for one in accepted}
        self._states: dict[str, Any] = {}
        self._questions: dict[str, tuple[Accepted, str, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        """Return a text without keys."""
        return f"Site({self.name!r}, plans={list(self.plans)})"

    @property
    def plans(self) -> tuple[str, ...]:
        """Names of the accepted plans."""
        senders = (one.party.plan.plan for one in self.senders.values())
        return (*(one.plan.plan for one in self._accepted.values()), *senders)

    def answer(self, stage: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a message of the coordinator.

        Raises:
            SiteRefused: the message is refused; the text contains no data of the site.
        """
        if stage not in STAGES:
            raise SiteRefused("there is no such stage")
        with self._lock:
            try:
                result: dict[str, Any] = getattr(self, f"_{stage}")(message)
            except DatawardError:
                raise
            except (KeyError, TypeError, ValueError, AttributeError, IndexError):
                raise SiteRefused(f"the message of stage {stage} is malformed") from None
        return result

    def intersect(self, message: Mapping[str, Any], peer: Ed25519PublicKey) -> dict[str, Any]:
        """Return the answer to the receiver of an intersection of keys; ``peer`` is the key that the connection proved.

        Raises:
            SiteRefused: the message is refused; the text contains no data of the site.
        """
        sender = self.senders.get(str(message.get("plan")))
        if sender is None:
            raise SiteRefused(
                f"site '{self.name}' has not accepted this plan: its copy says something else, or is missing"
            )
        return sender.answer(message, peer)

    def _plan(self, message: Mapping[str, Any]) -> Accepted:
        if message.get("protocol") != PROTOCOL:
            raise SiteRefused(f"site '{self.name}' uses protocol {PROTOCOL}, not {str(message.get('protocol'))[:9]}")
        found = self._accepted.get(str(message["plan"]))
        if found is None:
            raise SiteRefused(
                f"site '{self.name}' has not accepted this plan: its copy says something else, or is missing"
            )
        return found

    def _hello(self, message: Mapping[str, Any]) -> dict[str, Any]:
        accepted = self._plan(message)
        said = {
            "protocol": PROTOCOL,
            "plan": accepted.digest,
            "run": str(message["run"]),
            "site": self.name,
            "table": dict(accepted.table),
        }
        return {**said, "signature": self._signer.sign(b"dataward/federated/1\0hello" + canonical(said)).hex()}

    def _advertise(self, message: Mapping[str, Any]) -> dict[str, Any]:
        accepted, run, sequence = self._plan(message), str(message["run"]), int(message["sequence"])
        question = dict(message["question"])
        if message["table"] != sha256(dict(accepted.table)):
            raise SiteRefused(f"site '{self.name}' serves another version of its table than when it was greeted")
        session = session_of(accepted, run, sequence, question)
        runs = self._memory.runs(accepted.digest)
        past = runs.get(run, {"sequence": 0, "answered": 0})
        if sequence <= past["sequence"]:
            raise SiteRefused(f"site '{self.name}' has seen step {sequence} of this run: a step is answered once")
        if past["answered"] >= accepted.course.steps:
            raise SiteRefused(f"site '{self.name}' has answered all {accepted.course.steps} steps that the plan allows")
        if run not in runs:
            if len(runs) >= accepted.runs:
                raise SiteRefused(
                    f"site '{self.name}' has taken part in {len(runs)} run(s) of this plan, and its file allows no more (runs: N)"
                )
            accepted.charge(run)
        self._memory.keep(accepted.digest, {**runs, run: {**past, "sequence": sequence}})
        state = protocol.advertise(session, self.name, self._signer)
        # An older step can no longer be answered: its secrets are deleted.
        self._states, self._questions = {session.id: state}, {session.id: (accepted, run, question)}
        return asdict(state.advert)

    def _share(self, message: Mapping[str, Any]) -> dict[str, Any]:
        state = self._at(message, protocol.Advertised)
        adverts = {str(name): protocol.Advert(**advert) for name, advert in message["adverts"].items()}
        after, sealed = protocol.share(state, adverts)
        self._states[state.session.id] = after
        return {"sealed": {name: text.hex() for name, text in sealed.items()}}

    def _mask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        state = self._at(message, protocol.Shared)
        session = state.before.session
        accepted, run, question = self._questions[session.id]
        sealed = {str(name): bytes_of(text) for name, text in message["sealed"].items()}
        # A masked vector counts, whether or not it arrives.
        runs = self._memory.runs(accepted.digest)
        runs[run]["answered"] += 1
        self._memory.keep(accepted.digest, runs)
        after, vector = protocol.mask(state, sealed, accepted.course.contribution(question, accepted.rows))
        self._states[session.id] = after
        return {"vector": pack(vector)}

    def _agree(self, message: Mapping[str, Any]) -> dict[str, Any]:
        state = self._at(message, protocol.Masked)
        after, signature = protocol.agree_on(state, tuple(map(str, message["survivors"])))
        self._states[state.before.before.session.id] = after
        return {"signature": signature.hex()}

    def _unmask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        state = self._at(message, protocol.Agreed)
        signatures = {str(name): bytes_of(text) for name, text in message["signatures"].items()}
        shares = protocol.unmask(state, signatures)
        self._states.clear()
        return {
            "seeds": {name: f"{share:x}" for name, share in shares.seeds.items()},
            "mask_keys": {name: f"{share:x}" for name, share in shares.mask_keys.items()},
        }

    def _at(self, message: Mapping[str, Any], kind: type[Any]) -> Any:
        """Return the state of the message's session; each is used for a single answer, even a refusal."""
        state = self._states.pop(str(message["session"]), None)
        if not isinstance(state, kind):
            raise SiteRefused(
                f"site '{self.name}' is not at this stage of this step: a message came twice, or out of order"
            )
        return state


def vector_of(answer: Mapping[str, Any], size: int) -> Any:
    """Decode the masked vector of an answer."""
    return unpack(answer.get("vector"), np.uint64, size)
