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
from dataward.verbs.release_set import publish_set, show_set, verify_set
from tests.killpoints import Kill, Killed, Scenario, changes_of, killed_everywhere
from tests.logs import PEOPLE, built, kinds
from tests.sealedmade import RING, seal
from tests.spark.killed_release import INSTANTS
from tests.steps import NAMES
from tests.unit.test_ledger import chain
from tests.unit.test_release_set import filled, given  # noqa: F401 - fixtures


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


def sealing(begin, size):
    """A seal with its manifest is entered after so many entries."""
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

    return Scenario(lambda: begin(size), run, check)


def recording(begin, kind):
    """A record of another verb, such as an erasure, is entered."""
    place = begin(2)

    def run():
        if ledger.find(place, kind, PEOPLE, kind) is None:
            ledger.record(place, RING, "people", kind, b"what was done", About(kind, PEOPLE))

    def check():
        assert [entry.seal_text for entry in ledger.entries(place, kind, PEOPLE)] == ["what was done"]
        assert ledger.open_log(place).size() == 3
        completed(place)

    return Scenario(lambda: begin(2), run, check)


def redacting(begin):
    """Statements are redacted, as an erasure does."""
    place = begin(0)

    def again():
        begin(0)
        for number in range(3):
            ledger.record(place, RING, "people", "note", f"said {number}".encode(), About(f"n{number}", PEOPLE))

    def check():
        assert [entry.seal_text for entry in ledger.entries(place, "note")] == ["", "said 1", ""]
        assert ledger.redacted(ledger.open_log(place), RING) == {0, 2}
        completed(place)

    return Scenario(again, lambda: ledger.redact(place, RING, "people", [0, 2], "e1"), check)


def repair(begin, lost):
    """What is derived is made anew."""
    size = 3 if lost == "index" else 256  # every pointer is a change of its own
    place = begin(size)

    def again():
        begin(size)
        found = Path(place.path) / lost
        shutil.rmtree(found) if found.is_dir() else found.unlink()

    def run():
        log = ledger.open_log(place)
        repairing.repair(log, KeyringRules(log, log.origin(), RING), ledger.signer_of(log, RING, "people", 1), ())

    def check():
        assert ledger.open_log(place).size() == size
        assert kinds(place) == []

    return Scenario(again, run, check)


def migrating(begin, monkeypatch):
    """A ledger of an older release is brought over."""
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

    return Scenario(lambda: begin(0), run, check)


KINDS = ("erasure", "ask", "charge", "discard", "vacuum", "audit")
SCENARIOS = {
    **{f"a seal after {size} entries": lambda b, m, size=size: sealing(b, size) for size in (0, 1, 255, 256, 300)},
    **{f"a record of kind {kind}": lambda b, m, kind=kind: recording(b, kind) for kind in KINDS},
    "redaction": lambda b, m: redacting(b),
    **{f"repair of {lost}": lambda b, m, lost=lost: repair(b, lost) for lost in ("checkpoint", "index", "tile/0")},
    "migration": migrating,
}


def test_there_are_at_least_200_named_kill_points(begin, monkeypatch):
    """Counted without a kill: before and after each change of a file, before and after each write of a publish, each instant of a release."""
    points = {name: 2 * changes_of(monkeypatch, make(begin, monkeypatch)) for name, make in SCENARIOS.items()}
    points["writes of a publish"] = 2 * len(NAMES)
    points["instants of a release"] = len(INSTANTS)
    assert all(points.values()), points
    assert sum(points.values()) >= 200, points


@pytest.mark.long
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_every_change_and_run_again_it_is_as_if_never_killed(begin, monkeypatch, name):
    scenario = SCENARIOS[name](begin, monkeypatch)
    assert killed_everywhere(monkeypatch, scenario) == 2 * changes_of(monkeypatch, scenario)


@pytest.mark.long
def test_a_release_set_is_released_once_by_its_run(given, filled, monkeypatch):  # noqa: F811
    def check():
        assert [entry.body.kind for entry in ledger.entries(given.ledger)] == ["release-set"]
        assert {one.contract for one in show_set(given).members} == {"people", "orders"}

    afresh = lambda: shutil.rmtree("lake/sets", ignore_errors=True)  # noqa: E731
    scenario = Scenario(afresh, lambda: publish_set(None, load_set("set.yaml"), "q1"), check)
    assert killed_everywhere(monkeypatch, scenario) >= 16
    assert verify_set(given).holds


@pytest.mark.long
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
