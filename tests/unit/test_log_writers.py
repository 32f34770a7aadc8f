"""Writers of one log that are killed, that meet, on disk and on S3; how many files a log needs."""

import os
import shutil
from itertools import islice
from pathlib import Path

import pytest

from dataward.contract import Location
from dataward.errors import TargetError
from dataward.integrity import ledger
from dataward.integrity.ledger import About
from dataward.integrity.log import entries as pointers
from dataward.integrity.log import log as writing
from dataward.integrity.log.entries import KeyringRules
from dataward.tables.store import Local
from tests.aws import aws
from tests.logs import ORDERS, PEOPLE, RING, built, filled, kinds, on_s3, raced


class Killed(BaseException):
    """What no handler catches."""


class Dying(Local):
    """Dies before or after the n-th change."""

    def __init__(self, root, left, late):
        super().__init__(root)
        self.left, self.late = left, late

    def _step(self, change, *given):
        self.left -= 1
        if self.left == 0 and not self.late:
            raise Killed
        done = change(*given)
        if self.left == 0:
            raise Killed
        return done

    def create(self, name, data):
        return self._step(super().create, name, data)

    def put(self, name, data):
        return self._step(super().put, name, data)

    def delete(self, names):
        return self._step(super().delete, names)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("before", [0, 2, pytest.param(255, marks=pytest.mark.long)])
def test_a_writer_killed_at_any_step_is_completed_by_the_next(place, tmp_path, monkeypatch, before, late):
    if before:
        built(Path(place.path), before)
        shutil.copytree(place.path, tmp_path / "before")
    for step in range(1, 30):
        shutil.rmtree(place.path, ignore_errors=True)
        if before:
            shutil.copytree(tmp_path / "before", place.path, copy_function=os.link)
        store = Dying(tmp_path / "people_ledger", step, late)
        with monkeypatch.context() as patch:
            patch.setattr(ledger, "store_at", lambda _, store=store: store)
            try:
                ledger.record(place, RING, "people", "note", b"mine", About("mine", PEOPLE))
                done = True
            except Killed:
                done = False
        entered = ledger.find(place, "mine", PEOPLE, "note") if before or ledger.exists(place) else None
        if entered is None:
            entered = ledger.record(place, RING, "people", "note", b"mine", About("mine", PEOPLE))
        next_one = ledger.record(place, RING, "people", "note", b"next", About("next", PEOPLE))
        assert (entered.seq, next_one.seq) == (before, before + 1)
        assert [entry.seal_text for entry in ledger.entries(place)[before:]] == ["mine", "next"]
        assert kinds(place) == []
        assert pointers.newest(ledger.open_log(place), "note", ledger.table_id(PEOPLE))[0] == before + 1
        if done:
            break
    assert done
    assert step > 6


def test_writers_that_meet_take_turns(place):
    raced(place, 4, 5, [PEOPLE, ORDERS])


@pytest.mark.long
@pytest.mark.parametrize("tables", [[PEOPLE], [PEOPLE, ORDERS]])
def test_eight_writers_of_25_entries_each_on_local_disk(place, tables):
    raced(place, 8, 25, tables)


def test_the_same_log_on_s3(tmp_path):
    with aws() as cloud:
        place = on_s3(cloud)
        raced(place, 2, 3, [PEOPLE])
        assert ledger.find(Location(path="s3://lake/people_ledger"), "1/2", PEOPLE, "note").seal_text == "1/2"
        cloud.fault = lambda action: "AccessDenied" if action == "s3:PUT" else None
        with pytest.raises(TargetError, match="s3://lake/people_ledger"):
            filled(place, 1)
        cloud.fault = lambda action: None
        assert kinds(place) == []


@pytest.mark.long
def test_eight_writers_of_25_entries_each_on_s3():
    with aws() as cloud:
        raced(on_s3(cloud), 8, 25, [PEOPLE, ORDERS])


class Counting(Local):
    """Counts the files that are read or looked for."""

    reads = 0

    def read(self, name):
        self.reads += 1
        return super().read(name)

    def exists(self, name):
        self.reads += 1
        return super().exists(name)

    def names(self, folder):
        assert folder != "", "a look at the whole folder"
        return super().names(folder)


@pytest.mark.parametrize("count", [1_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_files_read_grow_with_the_logarithm_of_the_log(tmp_path, monkeypatch, count):
    place = built(tmp_path / "log", count)
    store = Counting(tmp_path / "log")
    monkeypatch.setattr(ledger, "store_at", lambda _: store)

    def read(ask):
        store.reads = 0
        ask()
        return store.reads

    deep = count.bit_length()
    log = ledger.open_log
    assert read(lambda: ledger.find(place, f"r{997 if count < 99_000 else 99_700}", PEOPLE, "note")) <= 10
    assert read(lambda: pointers.newest(log(place), "note", ledger.table_id(PEOPLE))) <= 2 * deep + 10
    chain = pointers.chain_of(log(place), "note", ledger.table_id(PEOPLE))
    assert read(lambda: list(islice(chain, 32))) <= 2 * deep + 14
    assert read(lambda: log(place).proof(count // 3)) <= 2 * deep
    assert read(lambda: log(place).consistency_proof(count // 3, count)) <= 2 * deep
    rules = KeyringRules(log(place), log(place).origin(), RING)
    assert read(lambda: writing.verified_head(log(place), rules)) <= 10
    assert read(lambda: ledger.record(place, RING, "people", "note", b"more", About("more", PEOPLE))) <= 2 * deep + 25
    assert read(lambda: ledger.record(place, RING, "people", "note", b"more", About("more", PEOPLE))) <= 24
