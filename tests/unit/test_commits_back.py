"""How far back a run looks at a table's commits: to the newest that has looked before it. Without Spark."""

import json
from datetime import datetime
from functools import partial

import pytest
from pyspark.sql.types import StructType

from dataward.contract import Contract
from dataward.errors import UsageError
from dataward.pipeline.refusals import _looked
from dataward.pipeline.resume import no_stream_before
from dataward.tables import delta
from dataward.tables.delta import Commit
from dataward.tables.log import Newest

NEWEST = Newest(9, "id", "file:/t", StructType().add("a", "integer"), ("day",), {}, ("c",), 10)
STREAM = f"stream-{'0' * 8}-{'0' * 4}-{'0' * 4}-{'0' * 4}-{'0' * 12}-00000001"


def commit(version, **metadata):
    return Commit(version, "2026-01-01T00:00:00", "WRITE", 1, metadata)


@pytest.fixture
def log(monkeypatch):
    """Give the commits of a table, newest first; returns the versions that were read."""

    def give(*commits):
        read = []

        def back(spark, place, limit=None, present=None):
            for one in commits:
                read.append(one.version)
                yield one

        monkeypatch.setattr(delta, "commits", back)
        return read

    return give


def test_a_commit_is_read_from_its_action_as_from_the_history():
    info = {
        "operation": "MERGE", "userName": "ada", "userMetadata": json.dumps({"dataward": 1, "run_id": "r"}),
        "operationMetrics": {"numTargetRowsInserted": "2", "numTargetRowsUpdated": "3", "numOutputRows": "9"},
    }  # fmt: skip
    made = delta._commit(4, datetime(2026, 1, 2), info)
    assert (made.version, made.timestamp, made.rows, made.user) == (4, "2026-01-02T00:00:00", 5, "ada")
    assert (made.merged, made.metadata["run_id"]) == ({"inserted": 2, "updated": 3}, "r")
    optimized = delta._commit(
        5, datetime(2026, 1, 2), {"operation": "OPTIMIZE", "operationParameters": {"zOrderBy": '["a"]'}}
    )
    assert optimized.z_order == ("a",)
    assert optimized.metadata == {}  # not by Dataward
    silent = delta._commit(5, datetime(2026, 1, 2), {})  # some writers say nothing of their commits
    assert (silent.version, silent.operation, silent.rows, silent.metadata) == (5, "", 0, {})
    overwritten = {"operation": "WRITE", "operationParameters": {"mode": "Overwrite", "partitionBy": "[]"}}
    assert delta._commit(6, datetime(2026, 1, 2), overwritten).replaces_all


def test_the_layout_is_looked_at_since_a_run_of_the_same_contract_looked(log):
    z_order = Commit(7, "", "OPTIMIZE", 0, {}, z_order=("a",))
    read = log(commit(9), commit(8, contract_sha256="x", target_version=6), z_order, commit(6), commit(5))
    found = delta.laid_out_by(None, None, NEWEST, partial(_looked, "x"))
    assert found == {"c": "clustering column", "a": "Z-order column", "day": "partition column"}
    assert read == [9, 8, 7, 6]  # 7 came in between the look and the commit of version 8
    read = log(commit(9), commit(8, contract_sha256="another", target_version=6), commit(7), commit(6), commit(5))
    delta.laid_out_by(None, None, NEWEST, partial(_looked, "x"))
    assert read == [9, 8, 7, 6, 5]


def test_batches_of_a_stream_are_looked_for_since_a_run_that_looked(log):
    given = {"contract": "t", "source": {"path": "s"}, "target": {"path": "t", "mode": "append"}}
    contract = Contract.model_validate({**given, "keys": {"path": "k", "domain": "d"}})
    read = log(commit(9, run_id="r", mode="append"), commit(8, run_id=STREAM, mode="append"))
    no_stream_before(None, contract, NEWEST)
    assert read == [9]
    log(commit(9, run_id="released", mode="append", releases="r"), commit(8, run_id=STREAM, mode="append"))
    with pytest.raises(UsageError, match="version 8 is a batch of a stream"):
        no_stream_before(None, contract, NEWEST)
    no_stream_before(None, contract, None)  # a new table
