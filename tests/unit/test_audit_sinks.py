"""Each event reaches every sink once and in order, whatever is down, cuts connections or is killed."""

import itertools
import json
import multiprocessing
import os
import signal
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from dataward.access.sinks import RestProxy
from dataward.access.spool import SinkDown, Spool
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import plan
from tests.events import CONTRACT, filled, sequences, told


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
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


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


def _killed(root, turn, chance):
    """Start five workers, and kill them when 15 more verbs have ended."""
    workers = [
        multiprocessing.get_context("spawn").Process(target=_work, args=(str(root), f"{turn}-{n}")) for n in range(5)
    ]
    enough = worked(root) + 15
    for worker in workers:
        worker.start()
    while worked(root) < enough:
        time.sleep(0.05)
    time.sleep(chance.random() / 5)
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()


def worked(root):
    return sum(len(file.read_text().splitlines()) for file in root.glob("done-*"))


SINK_DOWN = float(os.environ.get("SINK_DOWN", "0"))
"""Least seconds without the file sink; 300 is what an outage may last (measured by hand: such a test is too long for CI)."""


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
    out_path, away, turns = tmp_path / "out.jsonl", tmp_path / "away", itertools.count()
    _killed(tmp_path, next(turns), chance)
    out_path.rename(away)  # down, with what it has
    out_path.mkdir()
    since, kills = time.monotonic(), 0
    while kills < 2 or time.monotonic() - since < SINK_DOWN:
        kills = next(turns)
        _killed(tmp_path, kills, chance)
    out_path.rmdir()
    away.rename(out_path)
    delivered = len(out_path.read_text().splitlines())
    assert 0 < delivered < Spool(tmp_path / "spool" / "people").last()
    _killed(tmp_path, kills := next(turns), chance)
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
    assert (
        done + 1 <= ended <= done + 1 + 5 * (kills + 1)
    )  # a kill may come between the event and the worker's own count
    assert {one["unmapped"]["dataward"]["status"] for one in found} <= {"success", "interrupted"}
    assert [one["time"] for one in found] == sorted(one["time"] for one in found)
    assert not list((spool.folder / "open").glob("*.json"))  # every begun verb has its event
