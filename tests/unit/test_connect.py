"""Spark Connect without a server: the same bytes without a JVM, SQL in the place of Delta's classes, refusals by name."""

import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import pyarrow as pa
import pytest
from pyspark.errors import AnalysisException

from dataward.cli import main
from dataward.contract import Source
from dataward.contract.protections import Token
from dataward.errors import SessionError, UsageError
from dataward.pipeline import connect
from dataward.privacy.protect.operator import Key, Rows
from dataward.privacy.protect.token import TokenOperator
from dataward.spark import remote
from dataward.spark.hmac import mac
from dataward.spark.kind import is_remote, parallelism
from dataward.spark.settings import FORMAT_CHECK
from dataward.tables import files, near, through
from dataward.tables.by_sql import SqlTable
from dataward.tables.deltalog.hadoop import hashes_files
from dataward.verbs.batches import demand_plain
from tests.connected import Recording, Shared, contract

# tokens


def test_a_mac_on_a_worker_is_that_of_rfc_4231():
    """Cases 1, 2 and 7 (a key longer than a block is hashed by HMAC itself)."""
    assert (
        mac(b"Hi There", b"\x0b" * 20, b"", 32) == b"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    )
    assert mac(b"what do ya want for nothing?", b"Jefe", b"v3.", 16) == b"v3.5bdcc146bf60754e6a042426089575c7"


@pytest.mark.parametrize("text", ["", "a", "Köln", "李雷", "x" * 200, "\0"])
def test_a_mac_on_a_worker_is_the_token_of_the_arrow_stage(text):
    operator = TokenOperator(Token(), Key("people", 7, b"k" * 32))
    made, _ = operator.apply(
        pa.array([text, None]), Rows(pa.RecordBatch.from_arrays([pa.array([text, None])], names=["a"]))
    )
    assert made.to_pylist() == [mac(text.encode(), operator.secret, b"v7.", 16).decode(), None]


# SQL in the place of DeltaTable


def test_a_merge_is_one_statement_and_its_view_is_gone_afterwards():
    spark = Recording()
    merging = SqlTable(spark, "delta.`/lake/a`").alias("t").merge(spark, "`t`.`id` = `s`.`id`")
    merging.whenMatchedUpdate(set={"`a`": "s.`a`"}).whenNotMatchedInsert(
        values={"`id`": "s.`id`", "`a`": "s.`a`"}
    ).execute()
    view = spark.said[0].removeprefix("view ")
    assert spark.said[1] == (
        f"merge into delta.`/lake/a` as t using (select * from `{view}`) as s on `t`.`id` = `s`.`id` "
        "when matched then update set `a` = s.`a` when not matched then insert (`id`, `a`) values (s.`id`, s.`a`)"
    )
    assert spark.said[2:] == [f"drop {view}"]


def test_the_view_of_a_merge_that_fails_is_gone_too():
    spark = Recording()
    spark.sql = lambda text: (_ for _ in ()).throw(RuntimeError("no"))
    with pytest.raises(RuntimeError):
        SqlTable(spark, "lake.a").merge(spark, "true").whenMatchedDelete().execute()
    assert spark.said[-1].startswith("drop dataward_source_")


def test_a_table_is_restored_deleted_and_described_by_sql():
    spark = Recording()
    table = SqlTable(spark, "lake.a")
    (
        table.history(3),
        table.detail(),
        table.restoreToVersion(4),
        table.delete("x = 1"),
        table.optimize().executeCompaction(),
    )
    assert spark.said == [
        "describe history lake.a limit 3",
        "describe detail lake.a",
        "restore table lake.a to version as of 4",
        "delete from lake.a where x = 1",
        "optimize lake.a",
    ]


# files


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("/a/b/", "/a/b"),
        ("file:/a/b", "/a/b"),
        ("file:///a/b", "/a/b"),
        ("s3://bucket/a", "s3:/bucket/a"),
        ("/a:b", "/a:b"),
    ],
)
def test_spellings_of_a_listed_path_are_one(path, plain):
    assert through._plain(path) == plain


def test_tables_are_found_in_one_listing(monkeypatch):
    listing = {
        "a/part-1.parquet": 1, "b/day=1/part-1.parquet": 1, "b/day=2/part-1.parquet": 1, "c/d/x.csv": 1, "c/d/y.json": 1,
        "e/part-0.parquet": 1,
    }  # fmt: skip

    def names(spark, path):
        below = path.removeprefix("/lake").strip("/")
        return (
            {name.removeprefix(f"{below}/"): 1 for name in listing if name.startswith(f"{below}/")}
            if below
            else listing
        )

    monkeypatch.setattr(through, "names_below", names)
    monkeypatch.setattr(
        through, "exists", lambda spark, path: not path.endswith("_delta_log") or path == "/lake/e/_delta_log"
    )
    found = list(files.tables_below(Recording(), "/lake/"))
    assert found == [
        ("/lake/a", "parquet"),
        ("/lake/b", "parquet"),
        ("/lake/e", "delta"),
        ("/lake/c/d/x.csv", "csv"),
        ("/lake/c/d/y.json", "json"),
    ]


def test_the_table_above_a_path_is_found(monkeypatch):
    asked = []
    monkeypatch.setattr(through, "exists", lambda spark, path: asked.append(path) or path == "s3://b/lake/_delta_log")
    assert files.in_delta(Recording(), "s3://b/lake/day=1") == "s3://b/lake"
    assert asked == ["s3://b/lake/day=1/_delta_log", "s3://b/lake/_delta_log"]


def test_hidden_files_are_listed_and_removed_without_a_jvm(tmp_path):
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log/.0.json.crc").write_bytes(b"abc")
    (tmp_path / "a b.parquet").write_bytes(b"de")
    found = near.below(f"file:{tmp_path}")
    assert sorted(found) == [(f"{tmp_path}/_delta_log/.0.json.crc", 3), (f"{tmp_path}/a b.parquet", 2)]
    near.replace(found[0][0], b"new")
    near.remove(found[1][0])
    assert [size for _, size in near.below(str(tmp_path))] == [3]


def test_files_that_only_the_server_reaches_are_refused_by_name():
    with pytest.raises(Exception, match=r"dbfs:/lake: through Spark Connect .* s3://"):
        near.below("dbfs:/lake")


# sessions


def test_a_session_without_a_jvm_is_remote():
    assert is_remote(Recording())
    assert not is_remote(SimpleNamespace(_jsparkSession=1))
    assert parallelism(Recording()) == 8


def test_the_code_that_is_sent_to_workers_runs_from_its_archive(tmp_path):
    archive = tmp_path / "sent.zip"
    archive.write_bytes(remote._zipped())
    code = "from dataward.privacy.protect import compiled; from dataward.spark.remote import fingerprint; import dataward; print(fingerprint(), dataward.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(archive)}
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert out.stdout.split() == [remote.fingerprint(), f"{archive}/dataward/__init__.py"]


def test_a_server_that_does_not_answer_is_an_error_of_one_line(monkeypatch):
    monkeypatch.setattr(remote, "PATIENCE", 1)
    with pytest.raises(SessionError, match=r"Spark Connect at sc://localhost:1: no server answered within 1 s"):
        remote._answers("sc://localhost:1/;token=secret", "sc://localhost:1")


def test_the_client_logs_no_plan_while_dataward_works(monkeypatch, caplog):
    """Its logs would print functions with their keys: SPARK_CONNECT_LOG_LEVEL is the user's for his own queries only."""
    logger = logging.getLogger("pyspark.sql.connect.client.core")
    monkeypatch.setattr(logger, "disabled", False)
    with caplog.at_level("INFO", logger.name):
        with remote.unlogged():
            logger.info("Executing plan: key-canary")
        logger.info("the user's own")
    assert [one.message for one in caplog.records] == ["the user's own"]


@pytest.mark.parametrize("url", ["localhost:15002", "sc://", "local[2]"])
def test_an_address_that_is_none_is_a_usage_error(url, capsys, monkeypatch):
    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    assert main(["history", "--contract", "c.yaml", "--remote", url]) == 2
    assert "sc://HOST:PORT" in capsys.readouterr().err
    assert "SPARK_REMOTE" not in os.environ


# refusals


@pytest.mark.parametrize(("source", "word"), [
    ({"format": "delta", "path": "/a", "options": {"skipChangeCommits": True}}, "follow the option skipChangeCommits"),
    ({"format": "csv", "path": "/a", "options": {"cleanSource": "delete"}}, "follow the option cleanSource"),
    ({"format": "csv", "path": "/a", "options": {"startingVersion": 1}}, "follow the option startingVersion"),
    ({"format": "delta", "path": "/a", "options": {"startingVersion": "latest"}}, "is a number, not 'latest'"),
    ({"format": "kafka", "options": {"subscribe": "a", "kafka.bootstrap.servers": "b"}}, "reads Delta tables and folders"),
    ({"format": "parquet", "table": "a.b"}, "reads Delta tables and folders"),
])  # fmt: skip
def test_a_source_of_other_rows_than_bounded_batches_have_is_refused_by_its_option(source, word):
    with pytest.raises(UsageError, match=word):
        demand_plain(Source.model_validate(source))
    demand_plain(Source(format="delta", path="/a", options={"startingVersion": 3, "maxFilesPerTrigger": 1}))


def test_what_runs_is_not_refused():
    assert list(connect.troubles(contract(), "publish")) == []


@pytest.mark.parametrize(
    ("more", "verb", "word"),
    [
        ({"engine": "deequ"}, "publish", "engine: spark"),
        ({"engine": "deequ"}, "quarantine_release", "engine: spark"),
        ({"source": {"format": "csv", "path": "data/a.csv"}}, "publish", "source data/a.csv"),
        ({"source": {"format": "frame"}}, "publish", "write it to a table"),
        ({"target": {"path": "lake/a", "mode": "overwrite"}}, "erase", "target lake/a"),
        ({"references": {"r": {"format": "csv", "path": "b.csv"}}}, "publish", "reference 'r' b.csv"),
    ],
)
def test_what_needs_a_jvm_or_the_servers_folder_is_refused_with_the_remedy(more, verb, word):
    with pytest.raises(UsageError) as refused:
        connect.refuse(Recording(), contract(**more), verb)
    assert word in str(refused.value)
    connect.refuse(SimpleNamespace(_jsparkSession=1), contract(**more), verb)  # a classic session runs it


def test_an_engine_is_no_matter_for_verbs_that_measure_nothing():
    connect.refuse(Shared({}), contract(engine="deequ"), "erase")


def test_paths_with_a_scheme_and_tables_are_no_paths_of_the_server():
    places = {
        "target": {"table": "main.lake.a", "mode": "overwrite"},
        "source": {"format": "delta", "path": "s3://b/a"},
    }
    assert list(connect.troubles(contract(**places), "publish")) == []


def test_a_table_whose_files_nobody_can_hash_is_known_before_anything_is_read(tmp_path):
    serverless, server = Shared({}, fixed=(FORMAT_CHECK,)), Shared({})
    assert hashes_files(server, "unknown://bucket/table")
    assert hashes_files(serverless, str(tmp_path))
    assert not hashes_files(serverless, "unknown://bucket/table")


@pytest.mark.parametrize(
    ("said", "there"), [("[DELTA_INVALID_FORMAT] Incompatible format", True), ("[PATH_NOT_FOUND] x", False)]
)
def test_a_path_that_a_platform_does_not_read_as_files_exists(said, there, monkeypatch):
    def refuse(*_):
        raise AnalysisException(said)

    monkeypatch.setattr(through, "_files", refuse)
    assert through.exists(None, "/lake/a") is there
