"""The coordinator: asks, relays, sums, and resumes an earlier process. It never sees a site's own numbers."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dataward.errors import DatawardError, RunError, SiteRefused, TargetError
from dataward.federated import protocol
from dataward.federated.combine import total
from dataward.federated.course import Course, State
from dataward.federated.encode import Integers, canonical, sha256, to_signed
from dataward.federated.model import same_protections
from dataward.federated.plan import TrainingPlan
from dataward.federated.rows import Rows
from dataward.federated.site import PROTOCOL, Accepted, accept, bytes_of, session_of, vector_of
from dataward.federated.survey import SurveyPlan, Tally
from dataward.tables.replacing import replace_file

__all__ = ["Coordinator", "Incident", "Progress", "Store", "Transport", "Unreachable"]

TRIES = 3
"""Attempts per sum."""


class Unreachable(RunError):
    """A site did not answer in time."""


class Transport(Protocol):
    """Sends messages to sites and returns their answers."""

    def call(self, site: str, stage: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer of a site.

        Raises:
            Unreachable: the site does not answer.
            SiteRefused: the site refuses, or its answer is malformed.
        """
        ...


@dataclass(frozen=True)
class Incident:
    """A failure of a site, and its step."""

    site: str
    step: int
    what: str


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    Attributes:
        run: random name of the run.
        plan: digest of the plan.
        sequence: number of the last step that was started.
        state: the training.
        tables: each site's signed statement about its table.
        excluded: sites that no longer take part.
    """

    run: str
    plan: str
    sequence: int
    state: State
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    excluded: tuple[str, ...] = ()
    incidents: tuple[Incident, ...] = ()
    largest: int = 0

    def text(self) -> str:
        """Return the JSON form."""
        return json.dumps({**asdict(self), "state": self.state.data()})

    @classmethod
    def of(cls, text: str) -> Progress:
        """Return the progress from its JSON form; raises ValueError, KeyError or TypeError for other text."""
        data = json.loads(text)
        incidents = tuple(Incident(**one) for one in data["incidents"])
        return cls(
            **{**data, "state": State.of(data["state"]), "excluded": tuple(data["excluded"]), "incidents": incidents}
        )


@dataclass(frozen=True)
class Store:
    """The file with a run's progress."""

    path: Path

    def read(self) -> Progress | None:
        """Return the stored progress; None where there is none.

        Raises:
            RunError: the file is damaged, or cannot be read.
        """
        if not self.path.exists():
            return None
        try:
            return Progress.of(self.path.read_text(encoding="utf-8"))
        except OSError as error:
            raise RunError(f"{self.path}: the kept progress cannot be read ({error.strerror})") from None
        except (ValueError, KeyError, TypeError):
            raise RunError(
                f"{self.path}: the kept progress is damaged. Remove it to start the training again"
            ) from None

    def write(self, progress: Progress) -> None:
        """Replace the stored progress atomically.

        Raises:
            TargetError: the file cannot be written.
        """
        try:
            replace_file(self.path, progress.text().encode())
        except OSError as error:
            raise TargetError(f"{self.path}: the progress cannot be written ({error.strerror})") from None


class Coordinator:
    """Runs one plan over a transport."""

    def __init__(
        self, plan: TrainingPlan | SurveyPlan, keys: Mapping[str, bytes], transport: Transport, store: Store,
        say: Callable[[str], None] = lambda line: None, course: Course | Tally | None = None,
    ) -> None:  # fmt: skip
        """Prepare the run.

        Args:
            plan: the plan.
            keys: certificates (PEM) of the plan's sites.
            transport: transport of messages.
            store: storage of the progress.
            say: called with a line for each round and incident.
            course: course of the sums; default: the training of the plan.
        """
        nothing = np.empty(0)
        rows = Rows(nothing, nothing, nothing.astype(np.int64), nothing.astype(bool))
        self._mine: Accepted = accept(plan, keys, rows, {}, course or Course(cast("TrainingPlan", plan)))
        self.plan, self.course, self._transport, self._store, self._say = plan, self._mine.course, transport, store, say
        self._keys = {name: Ed25519PublicKey.from_public_bytes(key) for name, key in self._mine.keys.items()}
        self.progress = self._begin()

    def _begin(self) -> Progress:
        kept = self._store.read()
        if kept is None:
            return Progress(secrets.token_hex(8), self._mine.digest, 0, self.course.start())
        if kept.plan != self._mine.digest:
            raise RunError(
                f"{self._store.path} keeps the progress of another plan. Give this plan another output, or remove the file"
            )
        return kept

    @property
    def digest(self) -> str:
        """Digest of the plan."""
        return self._mine.digest

    def run(self) -> Progress:
        """Train until the plan is done.

        Raises:
            RunError: fewer sites than the plan's minimum take part.
        """
        self._keep(self.progress)
        with ThreadPoolExecutor(len(self.plan.sites)) as pool:
            while self.progress.state.phase != "done":
                self._step(pool)
        return self.progress

    def _step(self, pool: ThreadPoolExecutor) -> None:
        state = self.progress.state
        question = self.course.ask(state)
        summed = None
        for _ in range(TRIES):
            greeted = self._greet(pool)
            self._keep(replace(self.progress, sequence=self.progress.sequence + 1))
            try:
                summed = self._summed(pool, greeted, question)
                break
            except SiteRefused as error:
                self._note(error.site, str(error), exclude=bool(error.site))
        if summed is None:
            reasons = "; ".join(
                dict.fromkeys(f"{one.site or 'sum'}: {one.what}" for one in self.progress.incidents[-12:])
            )
            raise RunError(f"no sum came about in {TRIES} attempts ({reasons}). Run again to go on")
        after = self.course.take(state, question, summed)
        largest = max(self.progress.largest, len(summed))
        self._keep(replace(self.progress, state=after, largest=largest))
        if after.round > state.round and after.history:
            self._say(_line(after.history[-1]))

    def _greet(self, pool: ThreadPoolExecutor) -> tuple[str, ...]:
        """Greet the sites that are not excluded, and return those with a valid answer.

        Raises:
            RunError: too few sites answer.
        """
        names = [site.name for site in self.plan.sites if site.name not in self.progress.excluded]
        fresh = [name for name in names if name not in self.progress.tables]
        message = {"protocol": PROTOCOL, "plan": self.digest, "run": self.progress.run}
        answers = self._all(pool, "hello", dict.fromkeys(names if fresh else [], message), exclude=True)
        for name, answer in answers.items():
            if flaw := self._flaw(name, answer):
                self._note(name, flaw, exclude=True)
            else:
                tables = {**self.progress.tables, name: dict(answer)}
                self._keep(replace(self.progress, tables=tables))
        names = [name for name in names if name in self.progress.tables and name not in self.progress.excluded]
        if len(names) < self.plan.minimum_sites:
            reasons = (
                "; ".join(f"{one.site}: {one.what}" for one in self.progress.incidents if one.site) or "none answered"
            )
            raise RunError(
                f"{len(names)} of {len(self.plan.sites)} sites take part, and the plan needs {self.plan.minimum_sites} ({reasons})"
            )
        return tuple(names)

    def _flaw(self, name: str, answer: Mapping[str, Any]) -> str:
        """Return why a site's greeting is refused, or an empty text."""
        said = {key: value for key, value in answer.items() if key != "signature"}
        try:
            self._keys[name].verify(bytes_of(answer.get("signature")), b"dataward/federated/1\0hello" + canonical(said))
        except (InvalidSignature, SiteRefused, ValueError, TypeError):
            return "its greeting is not signed by the plan's key for it"
        expected = {"protocol": PROTOCOL, "plan": self.digest, "run": self.progress.run, "site": name}
        if odd := [key for key, value in expected.items() if said.get(key) != value]:
            return f"it answers for another {odd[0]}"
        entry = next(site for site in self.plan.sites if site.name == name)
        table = said.get("table")
        if not isinstance(table, dict):
            return "it states nothing about its table"
        if entry.version is not None and table.get("version") != entry.version:
            return f"it serves version {str(table.get('version'))[:20]} of its table, and the plan says {entry.version}"
        before = self.progress.tables.get(name)
        if before and before["table"] != table:
            return "it serves another version of its table than when the run began"
        peers = [one["table"] for site, one in self.progress.tables.items() if site != name]
        if peers and (
            odd := same_protections(
                table.get("protections") or {}, peers[0].get("protections") or {}, self.course.columns
            )
        ):
            return f"its columns {', '.join(odd)} are protected by other operators or keys than those of the sites before it"
        return ""

    def _summed(self, pool: ThreadPoolExecutor, names: tuple[str, ...], question: Mapping[str, Any]) -> Integers:
        """Compute one secure sum; sites that fail at a stage are left out of the next stage."""
        sequence = self.progress.sequence
        session = session_of(self._mine, self.progress.run, sequence, question)
        same = {"session": session.id}
        first = {"protocol": PROTOCOL, "plan": self.digest, "run": self.progress.run, "sequence": sequence}
        asked = {
            name: {**first, "table": sha256(self.progress.tables[name]["table"]), "question": question}
            for name in names
        }
        answers = self._all(pool, "advertise", asked)
        adverts = self._parsed(answers, lambda name, answer: protocol.Advert(**answer))
        protocol.verified(session, adverts)
        bodies = {name: asdict(advert) for name, advert in adverts.items()}
        answers = self._all(pool, "share", {name: {**same, "adverts": bodies} for name in adverts})
        sealed = self._parsed(
            answers, lambda name, answer: {str(to): bytes_of(x).hex() for to, x in answer["sealed"].items()}
        )
        each = {
            to: {**same, "sealed": {name: part[to] for name, part in sealed.items() if to in part}} for to in sealed
        }
        vectors = self._parsed(self._all(pool, "mask", each), lambda name, answer: vector_of(answer, session.size))
        survivors = sorted(vectors, key=session.place)
        answers = self._all(pool, "agree", {name: {**same, "survivors": survivors} for name in survivors})
        signatures = self._parsed(answers, lambda name, answer: bytes_of(answer["signature"]).hex())
        answers = self._all(pool, "unmask", {name: {**same, "signatures": signatures} for name in signatures})
        revealed = self._parsed(answers, lambda name, answer: _shares(answer))
        result = total(session, adverts, tuple(sealed), vectors, revealed)
        for liar in result.liars:
            self._note(liar, "it revealed wrong shares of the others' secrets", exclude=True)
        if (abs(to_signed(result.sum).astype(float)) > 2.0**62).any():
            raise SiteRefused("the sum is out of range: a site masked something that is no contribution of this plan")
        return result.sum

    def _all(
        self, pool: ThreadPoolExecutor, stage: str, messages: Mapping[str, Mapping[str, Any]], exclude: bool = False
    ) -> dict[str, Mapping[str, Any]]:
        """Send messages in parallel and return the answers; sites without an answer are recorded."""

        def one(name: str) -> Mapping[str, Any] | DatawardError:
            try:
                return self._transport.call(name, stage, messages[name])
            except DatawardError as error:
                return error

        answers, blamed = {}, Counter[str]()
        for name, answer in zip(messages, pool.map(one, messages), strict=True):
            if isinstance(answer, Unreachable):
                self._note(name, str(answer))
            elif isinstance(answer, DatawardError):
                culprit = answer.site if isinstance(answer, SiteRefused) and answer.site in self._keys else ""
                blamed[culprit] += 1
                # A single site cannot exclude another one.
                convicted = bool(culprit) and blamed[culprit] > len(messages) // 2
                self._note(culprit or name, str(answer), exclude=exclude or convicted)
            else:
                answers[name] = answer
        return answers

    def _parsed(self, answers: Mapping[str, Mapping[str, Any]], read: Callable[[str, Any], Any]) -> dict[str, Any]:
        """Parse answers; a site with a malformed answer is excluded."""
        parsed = {}
        for name, answer in answers.items():
            try:
                parsed[name] = read(name, answer)
            except (SiteRefused, KeyError, TypeError, ValueError, AttributeError) as error:
                what = str(error) if isinstance(error, SiteRefused) else "its answer is malformed"
                self._note(name, what, exclude=True)
        if len(parsed) < self.plan.minimum_sites:
            raise SiteRefused(
                f"{len(parsed)} sites are left in this step, and the plan needs {self.plan.minimum_sites}"
            )
        return parsed

    def _note(self, site: str, what: str, exclude: bool = False) -> None:
        incident = Incident(site, self.progress.sequence, what[:300])
        self._say(f"site {site or '(unknown)'}: {what}" + ("; it takes no part any more" if exclude and site else ""))
        excluded = self.progress.excluded
        if exclude and site and site not in excluded:
            excluded = (*excluded, site)
        incidents = (*self.progress.incidents, incident)[-1000:]
        self._keep(replace(self.progress, incidents=incidents, excluded=excluded))

    def _keep(self, progress: Progress) -> None:
        self.progress = progress
        self._store.write(progress)


def _shares(answer: Mapping[str, Any]) -> protocol.Shares:
    parts = ({str(name): int(share, 16) for name, share in answer[key].items()} for key in ("seeds", "mask_keys"))
    return protocol.Shares(*parts)


def _line(measured: Mapping[str, Any]) -> str:
    loss, accuracy = measured["loss"], measured["accuracy"]
    measures = "no holdout" if loss is None else f"holdout: loss {loss:.4f}, accuracy {accuracy:.3f}"
    return f"round {measured['round'] + 1}: {measures}"
