"""Writers on S3 take turns, over real HTTP to moto's server: two never write at once, and a commit that others overwrote is found."""

import json
import threading
import time

import pytest

from dataward.errors import TargetError
from dataward.tables import turns
from dataward.tables.delta import Commit
from dataward.tables.store import Objects
from tests.aws import aws

COMMIT = "_delta_log/00000000000000000003.json"


@pytest.fixture(scope="module")
def cloud():
    with aws() as made:
        made.client("s3").create_bucket(Bucket="lake")
        yield made


@pytest.fixture
def store(cloud, request, monkeypatch):
    monkeypatch.setattr(turns, "EXPIRES", 0.6)
    monkeypatch.setattr(turns, "WAITS", 20.0)
    return Objects("s3", f"lake/{request.node.name}")


def record(store):
    return json.loads(store.fetch(turns.NAME)[0])


def test_of_several_writers_one_writes_at_a_time_and_all_write(store):
    inside, most, done = [], [], []

    def write(name):
        with turns.taken(store, "people", name):
            inside.append(name)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(name)
        done.append(name)

    writers = [threading.Thread(target=write, args=(f"r{n}",)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (max(most), sorted(done)) == (1, ["r0", "r1", "r2", "r3"])
    assert record(store)["holder"] == ""


def test_a_turn_that_is_renewed_is_kept_and_the_waiting_writer_names_its_run(store, monkeypatch):
    monkeypatch.setattr(turns, "WAITS", 1.5)
    with (
        turns.taken(store, "people", "r1"),
        pytest.raises(TargetError, match="people: run r1 has been writing it since .*S3DynamoDBLogStore"),
        turns.taken(store, "people", "r2"),
    ):
        pass


def test_the_turn_of_a_writer_that_died_is_free_after_a_while(store):
    dead = turns.Turn(store, "people", "r1")
    assert dead._taken(None, "", 0)  # and never renewed
    with turns.taken(store, "people", "r2"):
        assert record(store)["run_id"] == "r2"


def test_a_writer_that_stood_still_learns_that_another_took_its_turn(store):
    slow = turns.Turn(store, "people", "r1")
    assert slow._taken(None, "", 0)
    slow._beats.start()
    with slow._lock, turns.taken(store, "people", "r2"):  # it cannot renew
        pass
    with pytest.raises(TargetError, match="another writer took its turn. Rerun with --run-id r1"):
        slow.give_back()


def test_a_commit_that_others_overwrote_stops_the_next_write_and_names_the_lost_run(store):
    store.put(COMMIT, b"ours")
    with turns.taken(store, "people", "r1") as turn:
        turn.note(Commit(3, "", "WRITE", 1, {}))
    with turns.taken(store, "people", "r2"):
        pass
    store.put(COMMIT, b"theirs")
    with (
        pytest.raises(
            TargetError, match=r"people: version 3, which run r1 committed, was overwritten.*dataward restore"
        ),
        turns.taken(store, "people", "r3"),
    ):
        pass
    assert record(store)["holder"] == ""
    with turns.taken(store, "people", "restore", mending=True) as turn:
        turn.note(Commit(3, "", "RESTORE", 1, {}))
    with turns.taken(store, "people", "r4"):
        pass


def test_a_commit_file_that_log_cleanup_removed_is_not_missed(store):
    store.put(COMMIT, b"ours")
    with turns.taken(store, "people", "r1") as turn:
        turn.note(Commit(3, "", "WRITE", 1, {}))
    store.delete([COMMIT])
    with turns.taken(store, "people", "r2"):
        assert record(store)["version"] == 3


def test_an_answer_that_is_lost_does_not_cost_the_turn(store, cloud):
    lost = []

    def once(action):
        if action == "s3:PUT" and not lost:
            lost.append(action)
            return "broken off"
        return None

    cloud.fault = once
    try:
        with turns.taken(store, "people", "r1"):
            assert record(store)["run_id"] == "r1"
    finally:
        cloud.fault = lambda action: None
    assert lost


@pytest.mark.parametrize(
    ("conf", "store"),
    [
        ({}, "S3SingleDriverLogStore"),
        ({"spark.delta.logStore.s3a.impl": "io.delta.storage.S3DynamoDBLogStore"}, "S3DynamoDBLogStore"),
        ({"spark.delta.logStore.s3.impl": "io.delta.storage.S3DynamoDBLogStore"}, "S3SingleDriverLogStore"),
        ({"spark.delta.logStore.class": "org.x.OwnLogStore"}, "OwnLogStore"),
    ],
)
def test_the_log_store_of_a_scheme_is_read_from_the_settings(conf, store):
    assert turns.log_store("s3a", conf) == store


def test_an_object_store_behind_a_certificate_of_a_test_ca_is_trusted_by_its_bundle(tmp_path):
    with aws(tmp_path) as made:
        assert made.endpoint.startswith("https://")
        made.client("s3").create_bucket(Bucket="lake")
        made.client("s3").put_object(Bucket="lake", Key="people/b", Body=b"3")
        store = Objects("s3", "lake/people")
        assert store.read("b") == b"3"
        assert (store.create("a", b"1"), store.create("a", b"2"), store.read("a")) == (True, False, b"1")
