"""The restrictions of Databricks serverless, on a real Spark Connect server."""

import json

import pytest

from tests.e2e.connect_server import serving
from tests.e2e.test_connect import _done

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("server")) as server:
        return json.loads(_done("tests.e2e.serverless", str(tmp_path_factory.mktemp("serverless")), server.url))


RUNS = (
    "overwrite", "merge", "merge again", "rows", "release", "named", "named rows", "stream", "stream resumed", "stream end",
    "stream rows", "stream diverted", "files", "reidentify", "anonymize", "suggest", "reconcile", "lineage", "preflight", "budget", "answer",
    "synthesize", "rotate", "rotated rows",
)  # fmt: skip
REFUSED = {"erase": "retentionDurationCheck", "restore": "commitInfo.userMetadata"}


@pytest.mark.parametrize("step", RUNS)
def test_a_verb_runs_under_the_restrictions(steps, step):
    assert steps[step]["code"] == 0, steps[step]


def test_a_merge_is_found_again_by_its_condition_and_rows_add_up(steps):
    assert steps["overwrite"]["out"]["rows"] == {"in": 40, "published": 38, "quarantined": 2, "dropped": 0}
    assert steps["merge"]["out"]["merged"] == {"inserted": 20, "updated": 10}
    assert steps["merge"]["out"]["seal"]["content"]["measured"] == "read"
    assert steps["merge again"]["out"]["status"] == "unchanged"
    assert steps["release"]["out"]["rows"]["published"] == 2
    assert (steps["reconcile"]["out"]["adopted"], steps["reconcile"]["out"]["left"]) == ([], [])


def test_a_table_by_name_is_created_and_holds_the_rows_of_the_run(steps):
    assert steps["named"]["out"]["rows"]["published"] == 38
    assert (
        steps["named"]["out"]["target"]["version"] == 1
    )  # after an empty table, whose commit cannot have the run's metadata


def test_a_stream_of_a_delta_table_that_is_killed_goes_on_and_publishes_each_row_once(steps):
    assert steps["stream"]["out"]["rows"] == {"in": 5, "published": 4, "quarantined": 1, "dropped": 0}
    assert steps["stream killed"]["code"] == 3
    assert "start the stream again with --stream" in steps["stream killed"]["err"]
    assert steps["stream resumed"]["out"]["rows"] == {"in": 4, "published": 3, "quarantined": 1, "dropped": 0}
    assert steps["stream end"]["out"] is None
    assert [batch["waiting"] for batch in steps["stream diverted"]["out"]] == [1, 1]
    assert steps["files"]["out"]["rows"] == {"in": 9, "published": 7, "quarantined": 2, "dropped": 0}


@pytest.mark.parametrize("step", REFUSED)
def test_what_would_end_half_done_is_refused_with_the_setting(steps, step):
    assert steps[step]["code"] == 2
    assert REFUSED[step] in steps[step]["out"]["message"]


def test_json_whose_keys_cannot_be_compared_needs_a_schema(steps):
    assert steps["json"]["code"] == 3
    assert "spark.sql.caseSensitive" in steps["json"]["out"]["message"]
    assert "give 'schema'" in steps["json"]["out"]["message"]


def test_the_users_settings_and_views_are_theirs_after_every_verb(steps):
    assert {step: told["changed"] for step, told in steps.items() if told["changed"]} == {}
