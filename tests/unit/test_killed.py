"""Ledger, migration and release sets killed before and after every change of a file: rerun, there is one entry each and nothing is lost."""

import random
import shutil
from pathlib import Path

import pytest

from dataward.contract.sets import load_set
from dataward.integrity import ledger, migrate
from dataward.integrity.ledger import About
from dataward.integrity.log import repair as repairing
from dataward.integrity.log.entries import KeyringRules
from dataward.tables.store import Local
from dataward.verbs.release_set import publish_set, show_set, verify_set
from tests.logs import PEOPLE, built, kinds
from tests.sealedmade import RING, seal
from tests.unit.test_ledger import chain
from tests.unit.test_release_set import filled, given  # noqa: F401 - fixtures

pytestmark = pytest.mark.long
CHANGES = ("create", "put", "delete")


class Killed(BaseException):
    """What no handler catches."""


class Kill:
    """Kills at the n-th change of any file, before or after it."""

    def __init__(self, patch, step, late):
        self.left, self.late = step, late
        for name in CHANGES:
            patch.setattr(Local, name, self.dying(getattr(Local, name)))

    def dying(self, change):
        def step(store, *asked):
            self.left -= 1
            if self.left == 0 and not self.late:
                raise Killed
            done = change(store, *asked)
            if self.left == 0:
                raise Killed
            return done

        return step


def killed_everywhere(monkeypatch, begin, run, check):
    """Kill ``run`` at every change, early and late, then run it again; returns the number of kills."""
    kills = 0
    for late in (False, True):
        for step in range(1, 200):
            begin()
            with monkeypatch.context() as patch:
                Kill(patch, step, late)
                try:
                    run()
                    break
                except Killed:
                    kills += 1
            run()
            check()
    return kills


@pytest.fixture
def begin(tmp_path):
    """A ledger of so many entries, afresh."""

    def of(size):
        place = tmp_path / f"of{size}"
        if size and not place.exists():
            built(place, size)
        work = tmp_path / "people_ledger"
        shutil.rmtree(work, ignore_errors=True)
        if size:
            shutil.copytree(place, work)
        return ledger.Location(path=str(work))

    return of


def completed(place):
    """The next writer completes what a killed one left, and finds nothing wrong."""
    ledger.record(place, RING, "people", "next", b"next", About("next", PEOPLE))
    assert kinds(place) == []


def entered(place, run_id, kind):
    entries = ledger.entries(place, kind, ledger.Location(path="lake/people"))
    assert [entry.record.run_id if kind == "seal" else entry.seal_text for entry in entries].count(run_id) == 1


@pytest.mark.parametrize("size", [0, 1, 255, 256, 300])
def test_a_seal_with_its_manifest_is_entered_once(begin, monkeypatch, size):
    place = begin(size)
    attached = ledger.Attached(b"manifest", documents=(b"of the quarantine",), more={"table": "x"})

    def run():
        if ledger.find(place, "r1", ledger.Location(path="lake/people")) is None:
            ledger.append(place, RING, seal(3, "r1"), attached)

    def check():
        entered(place, "r1", "seal")
        log = ledger.open_log(place)
        (entry,) = ledger.entries(place, "seal")
        assert (entry.seq, log.statement(entry.body.manifest), log.size()) == (size, b"manifest", size + 1)
        completed(place)

    assert killed_everywhere(monkeypatch, lambda: begin(size), run, check) >= 18


def test_statements_are_redacted_however_often_it_was_killed(begin, monkeypatch):
    place = begin(0)

    def again():
        begin(0)
        for number in range(3):
            ledger.record(place, RING, "people", "note", f"said {number}".encode(), About(f"n{number}", PEOPLE))

    def run():
        ledger.redact(place, RING, "people", [0, 2], "e1")

    def check():
        assert [entry.seal_text for entry in ledger.entries(place, "note")] == ["", "said 1", ""]
        assert ledger.redacted(ledger.open_log(place)) == {0, 2}
        completed(place)

    assert killed_everywhere(monkeypatch, again, run, check) >= 14


@pytest.mark.parametrize("lost", ["checkpoint", "index", "tile/0"])
def test_a_killed_repair_is_repaired(begin, monkeypatch, lost):
    place = begin(256)

    def again():
        begin(256)
        found = Path(place.path) / lost
        shutil.rmtree(found) if found.is_dir() else found.unlink()

    def run():
        log = ledger.open_log(place)
        repairing.repair(log, KeyringRules(log, log.origin(), RING), ledger.signer_of(log, RING, "people", 1), ())

    def check():
        assert ledger.open_log(place).size() == 256
        assert kinds(place) == []

    assert killed_everywhere(monkeypatch, again, run, check) >= 2


def test_a_killed_migration_is_finished(begin, monkeypatch):
    place, old = begin(0), chain(3)
    monkeypatch.setattr(migrate, "old_place", lambda spark, place: place)
    monkeypatch.setattr(migrate, "_entries", lambda spark, place: old)
    monkeypatch.setattr(migrate.delta, "latest_version", lambda spark, place: 2)

    def run():
        if not ledger.open_log(place).store.exists(ledger.MIGRATED):
            migrate.migrate(None, place, RING)

    def check():
        entries = ledger.entries(place)
        assert [entry.body.kind for entry in entries] == ["seal"] * 3 + ["migration"]
        assert [entry.body.about.get("chain", ["", ""])[1] for entry in entries[:3]] == [one.hash for one in old]
        completed(place)

    assert killed_everywhere(monkeypatch, lambda: begin(0), run, check) >= 40


def test_a_release_set_is_released_once_by_its_run(given, filled, monkeypatch):  # noqa: F811
    def run():
        publish_set(None, load_set("set.yaml"), "q1")

    def check():
        assert [entry.body.kind for entry in ledger.entries(given.ledger)] == ["release-set"]
        assert {one.contract for one in show_set(given).members} == {"people", "orders"}

    assert killed_everywhere(monkeypatch, lambda: shutil.rmtree("lake/sets", ignore_errors=True), run, check) >= 16
    assert verify_set(given).holds


@pytest.mark.parametrize("seed", range(40))
def test_random_events_killed_at_random_changes_leave_one_entry_each(begin, monkeypatch, seed):
    """Five events a seed, each of which may be killed twice before it is finished."""
    rng = random.Random(seed)
    place = begin(rng.choice([0, 1, 254, 300]))
    before = ledger.open_log(place).size()
    wanted = []
    for number in range(5):
        kind, text = rng.choice(["seal", "note"]), f"{seed}-{number}"

        def run(kind=kind, text=text, number=number):
            if (
                ledger.find(place, text, PEOPLE if kind == "note" else ledger.Location(path="lake/people"), kind)
                is None
            ):
                if kind == "seal":
                    ledger.append(place, RING, seal(number, text), ledger.Attached(text.encode()))
                else:
                    ledger.record(place, RING, "people", kind, text.encode(), About(text, PEOPLE))

        for _ in range(2):
            with monkeypatch.context() as patch:
                Kill(patch, rng.randint(1, 11), rng.random() < 0.5)
                try:
                    run()
                except Killed:
                    continue
                break
        run()
        wanted.append((kind, ledger.digest(text)))
    mine = [(entry.body.kind, entry.body.run) for entry in ledger.entries(place)[before:]]
    assert mine == wanted
    completed(place)
