"""Spark Connect: a server in a process of its own, and clients without a JVM."""

import base64
import json
import sys
from pathlib import Path

import pytest

from dataward.contract import load
from tests.e2e.connect_server import serving
from tests.e2e.everywhere import module

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server's address; its Python workers have no path to the code under test, which clients send."""
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served


def _done(*arguments: str) -> str:
    """Run a module of these tests in a process of its own; return what it printed."""
    return module(sys.executable, *arguments).splitlines()[-1]


def test_every_documented_rule_over_connect(server, tmp_path):
    told = json.loads(_done("tests.e2e.connect", str(tmp_path), server.url))
    assert told["statistics"] == pytest.approx([5, 0.8, 0.5, 12, 41, 31, 11.8532], abs=1e-3)
    for (rule, measured, outcome), verdict in zip(told["expected"], told["verdicts"], strict=True):
        expected = None if measured == "none" else pytest.approx(float(measured), abs=1e-4)
        assert (verdict[2], verdict[1]) == (outcome, expected), (rule, verdict)


@pytest.fixture(scope="module")
def journeyed(tmp_path_factory):
    return tmp_path_factory.mktemp("journey")


@pytest.fixture(scope="module")
def steps(server, journeyed):
    return json.loads(_done("tests.e2e.connect_journey", str(journeyed), server.url))


RUNS = (
    "overwrite", "again", "append", "merge", "verify", "rows", "history", "quarantine", "release", "profile", "discover",
    "discover all", "diff", "restore", "discard", "rotate", "rotated rows", "erase", "erased rows", "vacuum", "vacuumed rows",
    "explain", "stream", "stream on", "stream end",
)  # fmt: skip


@pytest.mark.parametrize("step", RUNS)
def test_a_verb_runs_over_connect(steps, step):
    assert steps[step]["code"] == 0, steps[step]


def test_the_users_settings_and_views_are_theirs_after_every_verb(steps):
    assert {step: told["changed"] for step, told in steps.items() if told["changed"]} == {}


def test_rows_add_up_over_connect(steps):
    """40 rows of which 2 are diverted, 11 of which 1 is, 30 of which 10 replace others: 38 + 10 + 20."""
    assert steps["overwrite"]["out"]["rows"] == {"in": 40, "published": 38, "quarantined": 2, "dropped": 0}
    assert steps["again"]["out"]["status"] == "unchanged"
    assert steps["merge"]["out"]["merged"] == {"inserted": 20, "updated": 10}
    assert steps["release"]["out"]["rows"]["published"] == 2
    assert steps["restore"]["out"]["rows"] == 68  # of the version before the release
    assert steps["discard"]["out"] == {"run": "r2", "discarded": 1}


def test_a_stream_takes_what_arrived_since_its_checkpoint(steps):
    first, second = (steps[step]["out"] for step in ("stream", "stream on"))
    assert (first["rows"]["published"], second["rows"]["published"]) == (4, 3)
    assert first["run_id"][:-8] == second["run_id"][:-8] != ""
    assert steps["stream end"]["out"] is None


def test_a_value_that_cannot_be_protected_is_an_error_that_names_its_column_only(steps):
    assert steps["unfit"]["code"] == 1
    assert "name" in steps["unfit"]["out"]["message"]
    assert "Name 1" not in json.dumps(steps["unfit"])


def test_the_servers_event_log_holds_no_key_and_no_value(server, steps, journeyed):
    from dataward.keys import open_keys

    contract = load(str(journeyed / "merged.yaml"))
    keys = open_keys(contract.keys)
    secrets = [keys.key(purpose, "people", 1) for purpose in ("token", "digest", "seal", "encrypt")]
    logs = b"".join(
        path.read_bytes() for path in Path(server.folder).glob("*") if path.name.startswith(("app-", "local-"))
    )
    assert b"SparkListenerConnectOperationStarted" in logs
    for secret in secrets:
        for shape in (secret, secret.hex().encode(), base64.b64encode(secret)):
            assert shape not in logs
    assert b"@example.org" not in logs
    assert b"Name 3" not in logs


@pytest.mark.parametrize(
    ("step", "word"),
    [("deequ", "engine: spark"), ("relative", "absolute path"), ("every", "ends after the present data")],
)
def test_what_cannot_run_over_connect_is_refused_by_name(steps, step, word):
    assert steps[step]["code"] == 2
    assert word in steps[step]["out"]["message"]
