"""Metrics, traces and alerts of runs: over HTTP to moto and to a webhook on this machine; none holds a value of a row or of a rule."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from dataward.access.iam_evaluate import allows
from dataward.cli import main
from dataward.errors import SourceError, UsageError
from dataward.pipeline.context import Trace
from dataward.pipeline.monitoring import Destinations, alert, deliver
from dataward.pipeline.monitoring.webhook import post
from dataward.report import Phase, Place, RunResult
from dataward.report.alerts import alert_of, failure, slack, text
from dataward.report.metrics import emf, measurements
from tests.aws import aws
from tests.iam_wire import ACCOUNT, REGION, read

CANARY = "kanarienvogel-4711"


def result(status="stopped", **more):
    given = {
        "run_id": "r1", "contract": "people", "status": status, "started": "2026-11-25T10:00:00+00:00", "seconds": 12.5, "source": {"described": CANARY},
        "reasons": [f'rule ColumnValues "email" in ["{CANARY}"] failed'] if status == "stopped" else [], "warnings": [f"warned of {CANARY}"],
        "rows": {"in": 1000, "published": 900, "quarantined": 90, "dropped": 10},
        "verdicts": [{"rule": f'ColumnValues "email" in ["{CANARY}"]', "outcome": "FAILED", "message": CANARY}, {"rule": "RowCount > 1", "outcome": "PASSED"},
                  {"rule": f'("{CANARY}") or (IsComplete "x")', "outcome": "ERRORED"}],
        "protections": [], "target": Place(path="lake/people", version=3), "report": "reports/people/r1/report.html",
        "statistics": [{"smallest": CANARY}], "discovered": [{"example": CANARY}], "phases": [Phase(name="judge", seconds=4.0, told=CANARY), Phase(name="seal", seconds=1.5)],
    }  # fmt: skip
    return RunResult(**{**given, **more})


class Hook:
    """A webhook on this machine that answers with these codes, then with 200."""

    def __init__(self, *codes):
        self.codes, self.bodies = list(codes), []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(outer.codes.pop(0) if outer.codes else 200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/secret-path"


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.server.shutdown()


def test_emf_documents_hold_each_metric_that_they_declare():
    documents = emf(result("published"))
    for document in documents:
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "Dataward"
        assert all(isinstance(document[name], str) for names in directive["Dimensions"] for name in names)
        assert all(isinstance(document[metric["Name"]], int | float) for metric in directive["Metrics"])
        assert len(directive["Metrics"]) <= 100
        assert document["_aws"]["Timestamp"] == 1795600812500
    assert [document.get("Phase") for document in documents] == [None, "judge", "seal"]
    assert (documents[0]["RowsIn"], documents[0]["RulesFailed"], documents[0]["RowsWithheld"]) == (1000, 2, 10.0)
    assert (documents[1]["PhaseDuration"], documents[0]["RunsStopped"]) == (4.0, 0)


def test_a_run_that_is_as_it_should_be_alerts_nobody():
    assert alert_of(result("published", warnings=[])) is None
    assert alert_of(result("unchanged", warnings=[])) is None
    assert alert_of(result("published")).severity == "warning"


def test_no_metric_and_no_alert_holds_a_value_or_the_text_of_a_rule():
    stopped = alert_of(result())
    failed = failure("people", "r1", SourceError(f"the source holds {CANARY}"))
    sent = json.dumps([emf(result()), slack(stopped), text(stopped), slack(failed), text(failed)])
    assert CANARY not in sent
    assert "kanarien" not in sent.lower()
    assert "SourceError" in sent
    assert "ColumnValues" in dict(stopped.facts)["rules failed"]
    assert dict(stopped.facts)["rules failed"] == "ColumnValues, composite rule"


def test_slack_marks_up_nothing_that_a_name_holds():
    told = slack(alert_of(result(report="s3://b/<!channel>&")))
    assert "<!channel>" not in json.dumps(told)


def test_a_webhook_is_tried_again_where_it_may_help_and_its_url_is_in_no_message(hook):
    hook.codes = [500, 429]
    post(hook.url, {"a": 1}, pause=0)
    assert hook.bodies == [{"a": 1}] * 3
    hook.codes = [403]
    with pytest.raises(Exception, match="it answered 403") as caught:
        post(hook.url, {"a": 1}, pause=0)
    assert len(hook.bodies) == 4
    assert "secret-path" not in str(caught.value)
    with pytest.raises(UsageError, match="https://"):
        post("http://hooks.example.com/secret-path", {})


def test_a_destination_that_is_down_is_warned_about_and_the_others_are_served(hook, monkeypatch, tmp_path):
    monkeypatch.setattr("dataward.pipeline.monitoring.webhook.TRIES", 1)
    (tmp_path / "hook").write_text(hook.url + "\n")
    monkeypatch.setenv("DEAD_HOOK", "http://127.0.0.1:9/secret-path")
    where = Destinations.of(
        ["stdout"], ["webhook:env:DEAD_HOOK", "webhook:env:NO_HOOK", f"webhook:@{tmp_path}/hook"], {}
    )
    printed, warned = [], []
    deliver(result(), where, printed.append, warned.append)
    assert [json.loads(line)["Status"] for line in printed] == ["stopped"] * 3
    assert len(warned) == 2
    assert "secret-path" not in str(warned)
    assert "people stopped" in hook.bodies[0]["text"]


def test_cloudwatch_logs_and_sns_are_written_to_by_what_iam_grants():
    from dataward.access import iam
    from tests.iam_lake import contract_of as contract

    seen = []
    with aws() as cloud:
        cloud.client("logs").create_log_group(logGroupName="/dataward/people")
        topic = cloud.client("sns").create_topic(Name="alerts")["TopicArn"]
        cloud.forbids = lambda *call: seen.extend(read(*call)) or False
        where = Destinations.of(["logs:/dataward/people"], [f"sns:{topic}"], {})
        warned = []
        deliver(result(), where, print, warned.append)
        deliver(result(), where, print, warned.append)  # a rerun
        events = cloud.client("logs").get_log_events(
            logGroupName="/dataward/people", logStreamName="metrics/people/r1"
        )["events"]
        assert warned == []
        assert [json.loads(event["message"])["RunId"] for event in events] == ["r1"] * 6
        deliver(result(), Destinations.of(["logs:/gone"], [], {}), print, warned.append)
        assert "create the log group" in warned[0]
    logs = [
        request for request in seen if request.action.startswith("logs:Create") or request.action.startswith("logs:Put")
    ]
    policy = iam.policy(contract(), "publish", iam.Account(ACCOUNT, REGION, log_group="/dataward/people"))
    mine = [request for request in logs if "/gone" not in request.resource]
    assert {request.action for request in mine} == {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert all(allows(policy, request) for request in mine)
    other = iam.policy(contract(), "publish", iam.Account(ACCOUNT, REGION, log_group="/dataward/people2"))
    assert not any(allows(other, request) for request in mine)
    assert "sns:Publish" in {request.action for request in seen}


@pytest.mark.parametrize(
    ("metrics", "alerts"), [(["file"], []), (["logs:"], []), ([], ["webhook:https://hooks/secret"]), ([], ["sns:x"])]
)
def test_a_destination_that_is_none_is_refused_before_the_run(metrics, alerts):
    with pytest.raises(UsageError, match="write "):
        Destinations.of(metrics, alerts, {})


def test_destinations_of_the_environment_and_of_arguments():
    environment = {"DATAWARD_METRICS": "stdout, logs:/a", "DATAWARD_ALERTS": "webhook:env:X"}
    assert Destinations.of([], [], environment) == Destinations(("stdout", "logs:/a"), ("webhook:env:X",))
    assert Destinations.of(["otel"], [], environment).metrics == ("otel",)
    assert not Destinations.of([], [], {})


def test_one_span_a_phase_below_one_root_and_no_message_of_an_error():
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from dataward.pipeline.monitoring.otel import run_spans

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    spans = run_spans("people", "r1")
    log = Trace(lambda line: None, watch=spans.phase)
    with log.phase("pin") as say:
        say(CANARY)
    with pytest.raises(ValueError, match=CANARY), log.phase("judge"):
        raise ValueError(CANARY)
    spans.end("failed", ValueError(CANARY))
    pin, judge, root = exporter.get_finished_spans()
    assert [span.name for span in (pin, judge, root)] == ["dataward.pin", "dataward.judge", "dataward.publish"]
    assert {pin.parent.span_id, judge.parent.span_id} == {root.context.span_id}
    assert pin.start_time <= pin.end_time <= judge.end_time <= root.end_time
    assert (judge.status.status_code.name, judge.attributes["error.type"], pin.status.status_code.name) == (
        "ERROR",
        "ValueError",
        "UNSET",
    )
    assert (root.attributes["dataward.run_id"], root.attributes["dataward.status"]) == ("r1", "failed")
    assert CANARY not in str([span.to_json() for span in (pin, judge, root)])


def test_measurements_as_opentelemetry_gauges():
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    from dataward.pipeline.monitoring.otel import measure

    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    measure(result())
    (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
    told = {(m.name, p.attributes.get("dataward.phase")): p.value for m in scope.metrics for p in m.data.data_points}
    assert told["dataward.rows_in", None] == 1000
    assert told["dataward.phase_duration", "judge"] == 4.0
    assert len(told) == len(measurements(result()))


def test_reports_of_runs_that_have_ended_are_sent_by_a_verb(tmp_path, capsys, hook, monkeypatch):
    monkeypatch.setenv("HOOK", hook.url)
    folder = tmp_path / "people" / "r1"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(result().model_dump_json())
    assert main(["monitor", str(tmp_path), "--metrics", "stdout", "--alert", "webhook:env:HOOK"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["RowsIn"] == 1000
    assert len(hook.bodies) == 1
    assert main(["monitor", str(tmp_path)]) == 2
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "report.json").write_text("{}")
    assert main(["monitor", str(tmp_path), "--metrics", "stdout"]) == 2
    told = capsys.readouterr()
    assert json.loads(told.out.splitlines()[0])["RowsIn"] == 1000
    assert "damaged/report.json: not the report.json of a run" in told.err
    (folder / "report.json").write_text("{}")
    assert main(["monitor", str(tmp_path), "--metrics", "stdout"]) == 2
    assert "not the report.json of a run" in capsys.readouterr().err


def test_a_run_that_could_not_be_carried_out_is_alerted_about(tmp_path, hook, monkeypatch, capsys):
    monkeypatch.setenv("HOOK", hook.url)
    file = tmp_path / "t.yaml"
    file.write_text(
        "contract: t\nsource: {path: gone}\ntarget: {path: lake/t}\nkeys: {path: conf/keys, domain: t}\ndefault: keep\n"
    )

    def refuse(*_):
        raise SourceError(f"gone holds {CANARY}")

    monkeypatch.setattr("dataward.pipeline.publish.publish", refuse)
    monkeypatch.setattr("dataward.spark.session.get", lambda: None)
    assert main(["publish", "--contract", str(file), "--alert", "webhook:env:HOOK"]) == 3
    (body,) = hook.bodies
    assert "t could not run" in body["text"]
    assert CANARY not in json.dumps(body)


def test_alerts_go_to_every_destination(hook, monkeypatch):
    monkeypatch.setenv("HOOK", hook.url)
    warned = []
    alert(failure("t", "", SourceError("x")), Destinations((), ("webhook:env:HOOK", "webhook:env:HOOK")), warned.append)
    assert (len(hook.bodies), warned) == (2, [])


def test_a_notebook_sends_a_result_and_is_warned_about_what_is_down(hook, monkeypatch, capsys):
    import dataward

    monkeypatch.setenv("HOOK", hook.url)
    with pytest.warns(UserWarning, match="no variable NO_HOOK"):
        dataward.monitor(result(), metrics=["stdout"], alerts=["webhook:env:NO_HOOK", "webhook:env:HOOK"])
    assert len(hook.bodies) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[0])["RunsStopped"] == 1
