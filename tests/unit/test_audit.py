"""Events: what is in them, and that each reaches every sink once and in order, whatever is killed or down."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from dataward.access.decide import Principal
from dataward.access.events import Begun, Outcome, Subject, event, line
from dataward.access.sinks import JsonLines, RestProxy
from dataward.access.spool import SEGMENT, SinkDown, Spool
from dataward.access.verbs import VERBS
from dataward.errors import NotPermitted, TargetError
from dataward.pipeline.guard import came_to, failed, guarded
from dataward.pipeline.plan import plan

# The attributes that OCSF 1.8 requires of each class, beside those of every event (ocsf/ocsf-schema: events/base_event.json,
# events/application/datastore_activity.json, events/iam/entity_management.json, events/findings/finding.json).
REQUIRED = {6005: {"actor", "src_endpoint"}, 3004: {"entity"}, 2006: {"finding_info"}}
BASE = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}
KNOWN = BASE | {
    "activity_name", "category_name", "class_name", "type_name", "severity", "message", "status", "status_id", "status_code", "status_detail",
    "start_time", "end_time", "duration", "actor", "src_endpoint", "unmapped", "table", "type", "type_id", "entity", "comment", "finding_info",
}  # fmt: skip
WHO = Principal("ana", "os", ("staff",))
PEOPLE = Subject("people", "lake/people", "people")


def begun(verb="publish", **more):
    return Begun(VERBS[verb], WHO, PEOPLE, "1.0", **more)


def told(number=0):
    return event(begun(ticket=f"T-{number}"), Outcome("success"))


def filled(tmp_path, count):
    spool = Spool(tmp_path / "spool")
    for number in range(count):
        spool.end(told(number))
    return spool


def sequences(path):
    return [json.loads(text)["metadata"]["sequence"] for text in path.read_text().splitlines()]


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
        "import os, signal, sys; from pathlib import Path; from dataward.access.spool import Spool; from tests.unit.test_audit import begun\n"
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


class Flaky:
    """A sink that takes some events of a batch and then fails, or takes all and says nothing; it knows what it has."""

    name, most = "flaky", 4

    def __init__(self, faults):
        self.got, self.faults = [], iter(faults)

    def last(self, spool, mark):
        return max(self.got, default=0)

    def put(self, spool, lines, mark):
        fault = next(self.faults, "")
        taken = {"refuse": 0, "half": len(lines) // 2}.get(fault, len(lines))
        self.got += [one.sequence for one in lines[:taken]]
        if fault:
            raise SinkDown(fault)


@pytest.mark.parametrize(
    "faults", [["refuse"] * 3, ["half"] * 3, ["silent"] * 3, ["", "half", "silent", "refuse", "half", "", "silent"]]
)
def test_a_sink_that_fails_in_any_way_gets_every_event_once_and_in_order(tmp_path, faults):
    spool, sink = filled(tmp_path, 11), Flaky(faults)
    for _ in range(len(faults) + 1):
        try:
            spool.deliver(sink)
        except SinkDown:
            spool.end(told())
    spool.deliver(sink)
    assert sink.got == list(range(1, spool.last() + 1))
    assert spool.waiting(sink) == 0


class Proxy:
    """A Kafka REST proxy (v2) with one topic of one partition; ``fault`` is asked before each produced record."""

    def __init__(self):  # noqa: C901 - a server is its handlers
        self.log, self.positions, self.fault = [], {}, lambda: ""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self, data, code=200):
                text = json.dumps(data).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/topics/events":
                    assert self.headers["Content-Type"] == "application/vnd.kafka.json.v2+json"
                    fault = proxy.fault()
                    if fault == "down":
                        return self.answer({}, 503)
                    proxy.log += [record["value"] for record in body["records"]]
                    if fault == "cut":  # it arrived, and nobody says so
                        return self.connection.close()
                    return self.answer(
                        {"offsets": [{"partition": 0, "offset": len(proxy.log) - 1, "error_code": None}]}
                    )
                if self.path.endswith("/positions"):
                    proxy.positions[self.path.rpartition("/")[0]] = body["offsets"][0]["offset"]
                elif not self.path.endswith("/assignments"):
                    return self.answer(
                        {"instance_id": "dataward", "base_uri": f"http://elsewhere:8082{self.path}/instances/dataward"}
                    )
                return self.answer({})

            def do_GET(self):
                if self.path.endswith("/offsets"):
                    return self.answer({"beginning_offset": 0, "end_offset": len(proxy.log)})
                base = self.path.rpartition("/")[0]
                start = proxy.positions[base]
                proxy.positions[base] = start + 2
                return self.answer(
                    [{"offset": start + n, "value": value} for n, value in enumerate(proxy.log[start : start + 2])]
                )

            def do_DELETE(self):
                return self.answer({})

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def proxy():
    made = Proxy()
    yield made
    made.server.shutdown()


def test_a_kafka_proxy_that_is_down_or_cuts_connections_gets_every_event_once(tmp_path, proxy):
    faults = iter(["", "cut", "down", "", "cut", "cut", "", "down"])
    proxy.fault = lambda: next(faults, "")
    spool, sink = filled(tmp_path, 9), RestProxy(proxy.url, "events")
    for _ in range(9):
        try:
            spool.deliver(sink)
            break
        except SinkDown as down:
            assert "T-" not in str(down)
    assert [one["metadata"]["sequence"] for one in proxy.log] == list(range(1, 10))


def test_cloudwatch_gets_batches_within_its_limits_once_and_in_order(tmp_path, monkeypatch):
    pytest.importorskip("moto")
    import boto3
    from moto import mock_aws

    from dataward.access.aws import CloudWatch

    monkeypatch.setattr("dataward.access.aws.LARGEST", 5000)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        spool, sink = filled(tmp_path, 12), CloudWatch("dataward")
        with pytest.raises(SinkDown, match="there is no such log group"):
            spool.deliver(sink)
        sink = CloudWatch("dataward", create=True)
        calls = []
        put = sink._logs.put_log_events

        def cut(**given):
            calls.append(len(given["logEvents"]))
            put(**given)
            if len(calls) == 2:
                raise OSError("cut off after it arrived")
            return {}

        monkeypatch.setattr(sink._logs, "put_log_events", cut)
        with pytest.raises(OSError, match="cut off"):
            spool.deliver(sink)
        assert spool.deliver(sink) > 0
        logs = boto3.client("logs", region_name="us-east-1")
        events = logs.get_log_events(logGroupName="dataward", logStreamName=spool.id, startFromHead=True)["events"]
        assert [json.loads(one["message"])["metadata"]["sequence"] for one in events] == list(range(1, 13))
        assert len(calls) > 3


CONTRACT = """
contract: people
source: {{path: a}}
target: {{path: b}}
keys: {{path: k, domain: d}}
columns: {{mail: {{class: email, protect: token}}}}
access: {{grants: [{{anyone: true, verbs: [verify, history]}}]}}
audit: {{sinks: [{{kind: jsonl, path: {root}/out.jsonl}}], spool: {root}/spool}}
"""
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


def _work(root, number):
    """Run verbs until killed."""
    planned = plan(f"{root}/c.yaml")
    verb = guarded("history")(lambda spark, plan: time.sleep(0.001))
    import warnings

    warnings.simplefilter("ignore")
    for turn in range(1000):
        verb(None, planned)
        with open(f"{root}/done-{number}-{os.getpid()}", "a") as stream:
            stream.write(f"{turn}\n")


def worked(root):
    return sum(len(file.read_text().splitlines()) for file in root.glob("done-*"))


@pytest.mark.long
def test_a_sink_that_is_down_while_processes_are_killed_loses_and_doubles_nothing(tmp_path, proxy):
    """Five workers run verbs and are killed -9 in each turn; a file sink is away in the middle, and a proxy cuts connections."""
    import random

    chance = random.Random(5)
    text = CONTRACT.format(root=tmp_path).replace(
        "sinks: [", f"sinks: [{{kind: http, url: '{proxy.url}', topic: events}}, "
    )
    (tmp_path / "c.yaml").write_text(text)
    proxy.fault = lambda: chance.choice(["", "", "cut", "down"])
    context = multiprocessing.get_context("spawn")
    out_path, away = tmp_path / "out.jsonl", tmp_path / "away"
    for turn in range(4):
        if turn == 1:  # down, with what it has
            out_path.rename(away)
            out_path.mkdir()
        workers = [context.Process(target=_work, args=(str(tmp_path), f"{turn}-{n}")) for n in range(5)]
        for worker in workers:
            worker.start()
        while worked(tmp_path) < 15 * (turn + 1):
            time.sleep(0.05)
        time.sleep(chance.random() / 5)
        for worker in workers:
            os.kill(worker.pid, signal.SIGKILL)
            worker.join()
        if turn == 2:
            out_path.rmdir()
            away.rename(out_path)
            delivered = len(out_path.read_text().splitlines())
            assert 0 < delivered < Spool(tmp_path / "spool" / "people").last()
    proxy.fault = lambda: ""
    history = guarded("history")(lambda spark, plan: [])
    history(None, plan(tmp_path / "c.yaml"))
    spool = Spool(tmp_path / "spool" / "people")
    everything = list(range(1, spool.last() + 1))
    assert sequences(out_path) == everything
    assert [one["metadata"]["sequence"] for one in proxy.log] == everything
    found = [json.loads(text) for text in out_path.read_text().splitlines()]
    assert len({one["metadata"]["uid"] for one in found}) == len(found)
    ended = sum(1 for one in found if one["unmapped"]["dataward"]["status"] == "success")
    done = worked(tmp_path)
    assert done >= 60
    assert done + 1 <= ended <= done + 1 + 20  # a kill may come between the event and the worker's own count
    assert {one["unmapped"]["dataward"]["status"] for one in found} <= {"success", "interrupted"}
    assert [one["time"] for one in found] == sorted(one["time"] for one in found)
    assert not list((spool.folder / "open").glob("*.json"))  # every begun verb has its event
