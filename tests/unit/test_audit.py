"""Events: what is in them, and that each reaches every sink once and in order, whatever is killed or down."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

import pytest

from dataward.access.events import Begun, Outcome, event, line
from dataward.access.sinks import JsonLines
from dataward.access.spool import SEGMENT, Spool
from dataward.access.verbs import VERBS
from dataward.errors import NotPermitted, TargetError
from dataward.pipeline.guard import came_to, failed, guarded
from dataward.pipeline.plan import plan
from tests.events import CONTRACT, begun, filled, sequences, told

# The attributes that OCSF 1.8 requires of each class, beside those of every event (ocsf/ocsf-schema: events/base_event.json,
# events/application/datastore_activity.json, events/iam/entity_management.json, events/findings/finding.json).
REQUIRED = {6005: {"actor", "src_endpoint"}, 3004: {"entity"}, 2006: {"finding_info"}}

BASE = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}

KNOWN = BASE | {
    "activity_name", "category_name", "class_name", "type_name", "severity", "message", "status", "status_id", "status_code", "status_detail",
    "start_time", "end_time", "duration", "actor", "src_endpoint", "unmapped", "table", "type", "type_id", "entity", "comment", "finding_info",
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_an_event_has_what_ocsf_requires_of_its_class_and_nothing_it_does_not_know(verb):
    for outcome in (
        Outcome("success", details={"rows": 3}),
        Outcome("denied", "no policy", "denied"),
        Outcome("failure", "", "DataError"),
    ):
        made = event(begun(verb, purpose="fraud"), outcome)
        assert made.keys() >= BASE | REQUIRED[made["class_uid"]]
        assert made.keys() <= KNOWN
        assert made["type_uid"] == made["class_uid"] * 100 + made["activity_id"]
        assert made["class_uid"] // 1000 == made["category_uid"]
        assert made["metadata"].keys() >= {"version", "product", "uid"}
        assert made["metadata"]["version"] == "1.8.0"
        assert made["actor"]["user"]["name"] == "ana"
        assert made["unmapped"]["dataward"] == {
            "verb": verb,
            "status": outcome.status,
            "purpose": "fraud",
            "ticket": "",
            "contract_sha256": "",
            **outcome.details,
        }
        if made["class_uid"] == 6005:
            assert made["table"]["name"] == "people"
            assert made["status_id"] == (1 if outcome.status == "success" else 2)
        json.loads(line(made))


def test_the_beginning_of_a_verb_is_read_back_as_it_was():
    one = begun(purpose="é\n", ticket='"')
    assert Begun.of(one.text()) == one
    for damaged in ("", "{}", one.text()[:-9], '{"verb": "fly"}'):
        with pytest.raises((ValueError, KeyError)):
            Begun.of(damaged)


def test_events_are_numbered_in_order_and_times_never_go_back(tmp_path):
    spool = Spool(tmp_path / "spool")
    late = datetime.now(timezone.utc) + timedelta(hours=1)
    lines = [
        spool.end(event(replace(begun(), time=late), Outcome("success"), late)),
        *(spool.end(told()) for _ in range(3)),
    ]
    assert [one.sequence for one in lines] == [1, 2, 3, 4]
    assert {one.time for one in lines} == {int(late.timestamp() * 1000)}
    assert spool.after(0, 99) == lines


def test_a_full_segment_is_followed_by_another_and_goes_when_all_is_delivered_and_sealed(tmp_path, monkeypatch):
    monkeypatch.setattr("dataward.access.spool.SEGMENT", 3)
    spool, sink = filled(tmp_path, 8), JsonLines(str(tmp_path / "out.jsonl"))
    assert len(list((tmp_path / "spool").glob("events-*"))) == 3
    assert [one.sequence for one in spool.after(2, 4)] == [3, 4, 5, 6]
    assert spool.deliver(sink) == 8
    assert spool.prune([sink]) == 0
    spool.seal(7)
    assert spool.prune([sink]) == 2
    assert (spool.last(), spool.end(told()).sequence) == (8, 9)
    assert spool.deliver(sink) == 1
    assert sequences(tmp_path / "out.jsonl") == list(range(1, 10))
    assert SEGMENT == 1000


def test_a_torn_last_line_of_a_killed_writer_is_cut_off(tmp_path):
    spool, sink = filled(tmp_path, 2), JsonLines(str(tmp_path / "out.jsonl"))
    (segment,) = (tmp_path / "spool").glob("events-*")
    with segment.open("a") as stream:
        stream.write('{"metadata": {"seq')
    assert [one.sequence for one in spool.after(0, 9)] == [1, 2]
    assert spool.end(told()).sequence == 3
    (tmp_path / "out.jsonl").write_text('{"torn": ')
    assert spool.deliver(sink) == 3
    assert sequences(tmp_path / "out.jsonl") == [1, 2, 3]


def test_a_spool_that_cannot_be_written_stops_the_verb(tmp_path):
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(TargetError, match="No verb runs that cannot be recorded"):
        Spool(tmp_path / "spool").begin(begun())


def killed_child(folder, verb="publish"):
    """Begin a verb in a process that is killed before it ends it."""
    code = (
        "import os, signal, sys; from pathlib import Path; from dataward.access.spool import Spool; from tests.events import begun\n"
        "Spool(Path(sys.argv[1])).begin(begun(sys.argv[2])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), verb],
        cwd=os.getcwd(),
        env={**os.environ, "PYTHONPATH": f"{os.getcwd()}:{os.environ.get('PYTHONPATH', '')}"},
    )
    assert done.returncode == -signal.SIGKILL


def test_a_killed_verb_leaves_an_event_that_says_so_and_a_living_one_does_not(tmp_path):
    spool = Spool(tmp_path / "spool")
    alive = begun("erase")
    spool.begin(alive)
    killed_child(tmp_path / "spool")
    assert Spool(tmp_path / "spool").recover() == 1
    spool.end(event(alive, Outcome("success")))
    assert spool.recover() == 0
    found = [json.loads(one.text) for one in spool.after(0, 9)]
    assert [(one["unmapped"]["dataward"]["verb"], one["unmapped"]["dataward"]["status"]) for one in found] == [
        ("publish", "interrupted"),
        ("erase", "success"),
    ]
    assert list((tmp_path / "spool" / "open").iterdir()) == []


CANARY = "canary-9d1f@x.org"


@pytest.fixture
def planned(tmp_path):
    (tmp_path / "c.yaml").write_text(CONTRACT.format(root=tmp_path))
    return plan(tmp_path / "c.yaml")


def out(tmp_path):
    return [json.loads(text) for text in (tmp_path / "out.jsonl").read_text().splitlines()]


def test_every_call_leaves_one_event_allowed_denied_or_failed(tmp_path, planned):
    @dataclass
    class Proof:
        version, run_id, holds = 7, "r-1", False

    @guarded("verify")
    def verify(spark, plan, version=None):
        if version == 1:
            raise ValueError(f"row {CANARY}")
        return Proof()

    @guarded("publish")
    def publish(spark, plan, where=CANARY, purpose="why"):
        raise AssertionError("ran")

    @guarded("history")
    def history(spark, plan):
        return [CANARY]

    verify(None, planned)
    with pytest.raises(ValueError, match="row"):
        verify(None, planned, 1)
    with pytest.raises(NotPermitted):
        publish(None, planned)
    history(None, planned)
    found = [
        (one["unmapped"]["dataward"]["verb"], one["unmapped"]["dataward"]["status"], one["status_code"])
        for one in out(tmp_path)
    ]
    assert found == [
        ("verify", "failure", "proof"),
        ("verify", "failure", "ValueError"),
        ("publish", "denied", "denied"),
        ("history", "success", "success"),
    ]
    assert out(tmp_path)[0]["unmapped"]["dataward"]["version"] == 7
    assert "no policy permits it" in out(tmp_path)[2]["status_detail"]
    for path in (file for file in tmp_path.rglob("*") if file.is_file() and file.name != "c.yaml"):
        assert CANARY.encode() not in path.read_bytes()


def test_only_numbers_and_names_of_a_result_get_into_its_event():
    @dataclass
    class Shown:
        rows, columns, version, run_id, entries = [[CANARY]], [CANARY], CANARY, 5, [CANARY]
        sees, condition, shown, left_today = {"c": 1}, None, CANARY, True

    for known in VERBS.values():
        if known.class_uid != 2006:
            assert came_to(known, Shown()).details == {}
    assert failed(ValueError(CANARY)) == Outcome("failure", "", "ValueError")


def test_a_sink_that_is_down_is_a_warning_and_the_next_verb_delivers(tmp_path, planned):
    history = guarded("history")(lambda spark, plan: [])
    (tmp_path / "out.jsonl").mkdir()
    with pytest.warns(UserWarning, match=r"out.jsonl: .*; 1 event\(s\) wait in .*spool/people"):
        history(None, planned)
    (tmp_path / "out.jsonl").rmdir()
    history(None, planned)
    assert sequences(tmp_path / "out.jsonl") == [1, 2]
