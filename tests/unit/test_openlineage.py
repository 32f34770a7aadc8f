"""OpenLineage events: what a run reports to a lineage backend, without a value of the data, and never at the price of the run."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from dataward.contract import Lineage
from dataward.errors import ContractError, UsageError
from dataward.pipeline.context import Asked
from dataward.pipeline.lineage import with_event
from dataward.pipeline.plan import plan
from dataward.report import Place, RunResult, openlineage

VERDICT = {"rule": 'IsComplete "mail"', "kind": "IsComplete", "outcome": "PASSED", "measured": 1.0, "expected": "every row",
           "action": "none", "failed_rows": 0, "message": ""}  # fmt: skip
PROTECTED = {"class_": None, "domain": None, "key_version": None}


@pytest.fixture
def planned(tmp_path):
    def make(lineage: str):
        text = (
            "contract: people\nsource: {path: 's3a://raw/people'}\ntarget: {path: lake/people}\nkeys: {path: k, domain: d}\n"
            f"references: {{orders: {{table: sales.orders}}}}\nlineage: {lineage}\n"
        )
        (tmp_path / "people.yaml").write_text(text)
        return plan(tmp_path / "people.yaml")

    return make


def result(**changes) -> RunResult:
    fields = {
        "run_id": "r1", "contract": "people", "status": "published", "started": "2026-11-22T00:00:00+00:00", "seconds": 1.0,
        "source": {"described": "x", "version": 7}, "verdicts": [VERDICT, {**VERDICT, "outcome": "SKIPPED"}],
        "rows": {"in": 10, "published": 8, "quarantined": 2, "dropped": 0}, "target": Place(path="lake/people", version=3),
        "protections": [{**PROTECTED, "column": "id", "protection": "keep", "stage": "kept"},
                        {**PROTECTED, "column": "mail", "protection": "token", "stage": "jvm"},
                        {**PROTECTED, "column": "note", "protection": "drop", "stage": "dropped"}],
        "seal": {"references": {"orders": {"version": 4}}},
    }  # fmt: skip
    return RunResult(**{**fields, **changes})


def test_an_event_names_versions_assertions_and_what_masks(planned, tmp_path):
    events = tmp_path / "deep" / "events.jsonl"
    asked = Asked(planned(f"{{file: {events}}}"))
    assert with_event(asked, result()).warnings == []
    (line,) = events.read_text().splitlines()
    event = json.loads(line)
    assert (event["eventType"], event["job"]["name"]) == ("COMPLETE", "people")
    source, orders = event["inputs"]
    assert (source["namespace"], source["name"]) == ("s3://raw", "people")
    assert source["facets"]["version"]["datasetVersion"] == "7"
    assert (orders["namespace"], orders["name"], orders["facets"]["version"]["datasetVersion"]) == (
        "dataward",
        "sales.orders",
        "4",
    )
    (assertion,) = source["inputFacets"]["dataQualityAssertions"]["assertions"]  # a skipped rule asserts nothing
    assert (assertion["assertion"], assertion["success"]) == ("IsComplete", True)
    (target,) = event["outputs"]
    assert (target["namespace"], target["name"].endswith("/lake/people")) == ("file", True)
    assert target["facets"]["version"]["datasetVersion"] == "3"
    assert target["outputFacets"]["outputStatistics"]["rowCount"] == 8
    fields = target["facets"]["columnLineage"]["fields"]
    masks = {name: field["inputFields"][0]["transformations"][0]["masking"] for name, field in fields.items()}
    assert masks == {"id": False, "mail": True}
    with_event(asked, result())
    again = json.loads(events.read_text().splitlines()[1])
    assert again["run"]["runId"] == event["run"]["runId"]


def test_a_stopped_run_aborts_and_writes_nothing(planned, tmp_path):
    with_event(Asked(planned(f"{{file: {tmp_path}/e}}")), result(status="stopped", reasons=["RowCount > 9: FAILED"]))
    event = json.loads((tmp_path / "e").read_text())
    assert (event["eventType"], event["outputs"]) == ("ABORT", [])
    assert event["run"]["facets"]["errorMessage"]["message"] == "RowCount > 9: FAILED"


def test_an_endpoint_gets_the_event_with_its_token(planned, monkeypatch):
    seen = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Authorization"], json.loads(body)["eventType"]))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *given):
            pass

    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("LINEAGE_TOKEN", "secret")
    try:
        asked = Asked(planned(f"{{url: 'http://127.0.0.1:{server.server_port}', token_from: LINEAGE_TOKEN}}"))
        assert with_event(asked, result()).warnings == []
    finally:
        server.shutdown()
    assert seen == [("/api/v1/lineage", "Bearer secret", "COMPLETE")]


def test_an_endpoint_that_is_down_is_a_warning_with_its_remedy(planned):
    (warning,) = with_event(Asked(planned("{url: 'http://127.0.0.1:9'}")), result()).warnings
    assert "http://127.0.0.1:9 did not take the event" in warning
    assert "--run-id r1" in warning


def test_what_is_missing_is_refused_before_the_run(monkeypatch):
    lineage = Lineage(url="http://x", token_from="NOWHERE_SET")
    with pytest.raises(UsageError, match="NOWHERE_SET is empty or not set"):
        openlineage.require(lineage)
    monkeypatch.setattr(openlineage, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"dataward\[lineage\]"):
        openlineage.require(lineage)


@pytest.mark.parametrize(
    ("lineage", "words"),
    [
        ("{}", "exactly one of"),
        ("{file: a, url: 'http://b'}", "exactly one of"),
        ("{file: a, token_from: T}", "goes with"),
    ],
)
def test_places_that_cannot_be(planned, lineage, words):
    with pytest.raises(ContractError, match=words):
        planned(lineage)
