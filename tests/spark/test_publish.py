"""The way of the data: what is written where, in every mode, once, and never in part."""

import json
from pathlib import Path

import pytest

from dataward.cli import main
from dataward.errors import (
    AccountingError,
    ContractError,
    KeyringError,
    ProofError,
    SourceError,
    TargetError,
    UsageError,
)
from dataward.integrity import ledger
from dataward.keys import local_keyring
from dataward.pipeline import seal as sealing
from dataward.pipeline.plan import plan
from dataward.tables import commits
from dataward.verbs.explain import explain
from tests.installed import DEFAULT, SPARK4
from tests.spark.people import COLUMNS, ROWS, RULES, SCHEMA


@pytest.fixture
def published(made_once):
    """A lake where run r1 has published; what it said is ``lake.said``."""

    def fill(lake):
        lake.source(ROWS, SCHEMA)
        lake.said = lake.publish("r1", rules=RULES, columns=COLUMNS)

    return made_once(fill)


def test_good_rows_are_published_and_bad_ones_quarantined_under_the_same_protection(published):
    lake, result = published, published.said
    assert (result.status, result.rows) == ("published", {"in": 5, "published": 2, "quarantined": 3, "dropped": 0})
    assert [row[0] for row in lake.rows()] == [1, 5]
    assert all(row[1].startswith("v1.") and len(row[1]) == 35 for row in lake.rows())
    quarantined = {row.id: row for row in lake.read("quarantine").collect()}
    assert quarantined[2].failed_rules == ['ColumnValues "age" between 0 and 150']
    assert quarantined[3].failed_rules == ['IsComplete "mail"']
    assert [quarantined[n].failed_columns for n in (2, 3, 4)] == [["age"], ["mail"], ["age"]]
    assert quarantined[2].mail.startswith("v1.")
    assert {row.run_id for row in quarantined.values()} == {"r1"}
    assert (lake.versions(), lake.versions("quarantine")) == (1, 1)
    document = json.loads(Path(result.report.replace(".html", ".json")).read_text())
    assert document == json.loads(result.model_dump_json())
    assert {"run_id", "status", "rows", "verdicts", "target", "report"} <= set(document)
    assert document["target"] == {"path": f"{lake.root}/target", "version": 0, "rows": 2}
    assert [v["outcome"] for v in document["verdicts"]] == ["PASSED", "FAILED", "FAILED"]


def test_commit_metadata_and_statistics(published):
    lake, result = published, published.said
    log = [
        json.loads(line)
        for line in (lake.root / "target/_delta_log/00000000000000000000.json").read_text().splitlines()
    ]
    metadata = json.loads(next(e["commitInfo"] for e in log if "commitInfo" in e)["userMetadata"])
    assert metadata["run_id"] == "r1"
    assert metadata["contract_sha256"] == result.seal["contract_sha256"]
    assert len(metadata["verdicts_sha256"]) == 64
    stats = [json.loads(entry["add"]["stats"]) for entry in log if "add" in entry]
    assert all(set(each["minValues"]) == {"id", "age"} for each in stats)


def test_a_stopped_run_publishes_nothing(lake):
    lake.source(ROWS, SCHEMA)
    result = lake.publish("r1", rules=f'{RULES},\nRowCount > 100,\nMean "age" > 0', columns=COLUMNS)
    assert (result.status, result.reasons) == ("stopped", ["RowCount > 100: FAILED"])
    assert not (lake.root / "target").exists()
    assert not (lake.root / "quarantine").exists()
    assert Path(result.report).exists()


def test_a_stopped_run_leaves_what_was_published(published):
    stopped = published.publish("r2", rules="RowCount > 100", columns=COLUMNS)
    assert (stopped.status, stopped.target.version, published.versions()) == ("stopped", 0, 1)


def test_a_missed_threshold_stops_and_a_met_one_diverts(lake):
    lake.source(ROWS, SCHEMA)
    assert lake.publish(rules='IsComplete "mail" with threshold > 0.9').status == "stopped"
    result = lake.publish(rules='IsComplete "mail" with threshold > 0.7')
    assert (result.status, result.rows["quarantined"]) == ("published", 1)


def test_limits_and_missing_quarantine_stop_and_drop_counts(lake):
    lake.source(ROWS, SCHEMA)
    limited = lake.publish(rules=RULES, extra="quarantine: {{path: {root}/quarantine}}\nlimits: {{quarantined: 0.5}}")
    assert limited.status == "stopped"
    assert "60.00% of the rows would be diverted, over 50.00%" in limited.reasons[0]
    without = lake.publish(rules=RULES, extra="")
    assert without.status == "stopped"
    assert "names no quarantine" in without.reasons[0]
    dropped = lake.publish(rules=RULES, extra="quarantine: {{drop: true}}")
    assert dropped.rows == {"in": 5, "published": 2, "quarantined": 0, "dropped": 3}


def test_warnings_are_only_reported(lake):
    lake.source(ROWS, SCHEMA)
    result = lake.publish(
        rules='IsComplete "mail" labels=["severity"="warning"], RowCount > 9 labels=["severity"="warning"]'
    )
    assert (result.status, result.rows["published"]) == ("published", 5)
    assert [v["action"] for v in result.verdicts] == ["warn", "warn"]


def test_append_overwrite_merge_and_replace(lake):
    lake.source(ROWS[:2], SCHEMA)
    lake.publish(target="mode: append")
    lake.source(ROWS[1:3], SCHEMA)
    assert lake.publish().rows["published"] == 2
    assert [row[0] for row in lake.rows()] == [1, 2, 2, 3]
    assert lake.publish(target="mode: overwrite").target.version == 2
    assert [row[0] for row in lake.rows()] == [2, 3]
    lake.source([(2, "new@x.org", 1), (9, "nine@x.org", 9)], SCHEMA)
    merged = lake.publish("m1", target="mode: merge, on: [id]")
    assert (merged.target.version, merged.rows["published"]) == (3, 2)
    assert lake.rows("target", "id", "mail") == [(2, "new@x.org"), (3, None), (9, "nine@x.org")]
    assert lake.verify().holds
    assert lake.publish("m1").status == "unchanged"
    assert lake.versions() == 4


def test_a_merge_key_that_is_not_unique_is_diverted_not_merged(lake):
    lake.source([(1, "a", 1), (2, "b", 2), (2, "c", 3), (None, "d", 4)], SCHEMA)
    for _ in range(2):
        result = lake.publish(target="mode: merge, on: [id]")
    assert lake.rows("target", "id") == [(1,)]
    assert result.rows == {"in": 4, "published": 1, "quarantined": 3, "dropped": 0}


def test_replace_swaps_one_partition_and_refuses_rows_outside(lake):
    lake.source([(1, "a", 1), (2, "b", 2)], SCHEMA)
    lake.publish(target="mode: overwrite, partition_by: [age]")
    lake.source([(7, "z", 2)], SCHEMA)
    result = lake.publish(target="mode: replace, partition: {age: 2}, partition_by: [age]")
    assert lake.rows("target", "id") == [(1,), (7,)]
    assert result.target.version == 1
    lake.source([(8, "y", 3)], SCHEMA)
    with pytest.raises(TargetError, match="outside the partition"):
        lake.publish()
    assert lake.versions() == 2


def test_a_rerun_changes_nothing(published):
    lake, first = published, published.said
    page = Path(first.report).read_text()
    lake.source([(99, "later", 1)], SCHEMA)
    again = lake.publish("r1")
    assert (again.status, again.rows, again.verdicts, again.target.version) == (
        "unchanged",
        first.rows,
        first.verdicts,
        0,
    )
    assert (lake.versions(), lake.versions("quarantine"), len(lake.entries())) == (1, 1, 1)
    assert Path(again.report).read_text() == page


@pytest.mark.long
@pytest.mark.parametrize(("dies_in", "target"), [
    ("commit_target", "mode: append"), ("append", "mode: append"), ("content_of", "mode: merge, on: [id]")])  # fmt: skip
def test_a_killed_run_rerun_gives_what_an_unbroken_one_gives(lake, monkeypatch, dies_in, target):
    lake.source([(7, "old", 3)], SCHEMA)
    lake.publish("r0", rules=RULES, columns=COLUMNS, target=target)
    lake.source(ROWS, SCHEMA)
    owner = {"commit_target": commits, "content_of": sealing, "append": ledger}[dies_in]
    with monkeypatch.context() as patch:
        patch.setattr(owner, dies_in, lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            lake.publish("r1")
    lake.source([(50, "newer source", 3)], SCHEMA)  # the rerun must read what the killed run read
    result = lake.publish("r1")
    assert (result.status, result.rows) == ("published", {"in": 5, "published": 2, "quarantined": 3, "dropped": 0})
    assert [row[0] for row in lake.rows("target", "id")] == [1, 5, 7]
    assert lake.read("quarantine").count() == 3
    assert (lake.versions(), lake.versions("quarantine"), len(lake.entries())) == (2, 1, 2)
    assert lake.verify().holds


def test_a_sealed_source_is_published_until_somebody_changes_it(published):
    lake = published
    text = lake.contract(source=f"{{path: {lake.root}/target, sealed: true}}", extra="").read_text()
    (lake.root / "contract.yaml").write_text(
        text.replace(f"target: {{path: {lake.root}/target,", f"target: {{path: {lake.root}/mart,")
    )
    seal = lake.publish().seal
    assert (seal["version"], lake.rows("mart", "id")) == (0, [(1,), (5,)])
    mart = plan(lake.root / "contract.yaml").contract
    assert ledger.newest_seal(mart.ledger_location, mart.target).source["seal"]["run_id"] == "r1"
    file = next((lake.root / "target").glob("*.parquet"))
    file.write_bytes(file.read_bytes() + b"!")
    with pytest.raises(ProofError, match=f"version 0 is not as it was sealed.*{file.name}"):
        lake.publish()
    assert lake.versions("mart") == 1


def test_a_run_id_belongs_to_one_contract(published):
    with pytest.raises(UsageError, match="another text of this contract"):
        published.publish("r1", rules="RowCount > 1")
    with pytest.raises(UsageError, match="run id"):
        published.publish("../r1")


def test_rows_that_do_not_add_up_are_taken_back(published, monkeypatch):
    lake, before = published, published.rows()
    lake.source(ROWS[:2], SCHEMA)
    commit = commits.commit_target
    monkeypatch.setattr(commits, "commit_target", lambda s, frame, *rest: commit(s, frame.limit(1), *rest))
    with pytest.raises(AccountingError, match=r"rows in \(2\) != published \(1\)"):
        lake.publish("r2", columns="{}")
    assert lake.rows() == before


@pytest.mark.parametrize(("changes", "error", "words"), [
    ({"source": "{path: nowhere}"}, SourceError, "no Delta table here"),
    ({"source": "{format: csv, path: nowhere}"}, SourceError, "nothing at this path"),
    ({"source": "{table: nowhere}"}, SourceError, "no Delta table here"),
    ({"columns": "{mial: {protect: keep}}"}, ContractError, "no column 'mial'; did you mean 'mail'"),
    ({"default": "refuse", "columns": "{id: {protect: keep}}"}, ContractError, "have no line: mail, age"),
    ({"rules": 'IsComplete "mial"'}, ContractError, "no column 'mial'; did you mean 'mail'"),
    ({"rules": 'IsComplete "mail" where "agee > 1"'}, ContractError, "its SQL does not fit"),
    ({"rules": 'ColumnValues "mail" matches "a{2,1}"'}, ContractError, "pattern does not compile"),
    ({"target": "mode: merge, on: [idd]"}, ContractError, "target.on: the source has no column 'idd'; did you mean 'id'"),
    ({"extra": "checks: nowhere.py:checks\n"}, Exception, "needs Deequ" if SPARK4 else "there is no file nowhere.py"),
    ({"extra": "engine: deequ\n", "rules": 'IsComplete "mial"'}, Exception, "needs Deequ" if SPARK4 else "no column 'mial'"),
])  # fmt: skip
def test_what_is_wrong_is_said_before_anything_is_written(lake, changes, error, words):
    lake.source(ROWS, SCHEMA)
    with pytest.raises(error) as caught:
        lake.publish(**changes)
    assert words in str(caught.value)
    assert not (lake.root / "target").exists()


def test_a_target_that_cannot_be_made(lake):
    lake.source(ROWS, SCHEMA)
    contract = lake.contract()
    contract.write_text(contract.read_text().replace(f"{lake.root}/target", "/proc/lake"))
    with pytest.raises(TargetError, match="/proc/lake: no directory can be made") as caught:
        lake.publish()
    assert caught.value.exit_code == 3


def test_unreadable_parquet_and_loose_keyring(lake):
    (lake.root / "bad.parquet").write_bytes(b"PAR1 this is none")
    with pytest.raises(SourceError, match=r"bad\.parquet.*no Parquet"):
        lake.publish(source=f"{{format: parquet, path: {lake.root}/bad.parquet}}")
    lake.source(ROWS, SCHEMA)
    (lake.root / "keys").chmod(0o644)
    with pytest.raises(KeyringError, match="chmod 600"):
        lake.publish(source=f"{{path: {lake.root}/source}}")
    assert not (lake.root / "target").exists()


def test_an_existing_tables_statistics_are_tightened_before_rows_reach_it(lake, spark):
    spark.sql("select 0 as id, 'x' as mail, 1 as age").write.format("delta").save(str(lake.root / "target"))
    lake.source(ROWS, SCHEMA)
    lake.publish(columns=COLUMNS, target="mode: append")
    log = (lake.root / "target/_delta_log/00000000000000000002.json").read_text()
    stats = [json.loads(json.loads(line)["add"]["stats"]) for line in log.splitlines() if '"add"' in line]
    assert all("mail" not in each["minValues"] for each in stats)
    assert lake.verify().holds


def test_nothing_global_changes_on_the_users_session(lake, spark):
    settings = {key: spark.conf.get(key, None) for key in ("spark.sql.ansi.enabled", "spark.sql.caseSensitive",
                "spark.databricks.delta.commitInfo.userMetadata", "spark.sql.csv.parser.columnPruning.enabled")}  # fmt: skip
    spark.catalog.dropTempView("primary")
    lake.source(ROWS, SCHEMA)
    lake.publish(target="mode: merge, on: [id]")
    assert {key: spark.conf.get(key, None) for key in settings} == settings
    assert spark.getActiveSession() is spark
    assert "primary" not in [row.tableName for row in spark.sql("show tables").collect()]


@pytest.mark.long
def test_an_overwrite_may_bring_other_columns(lake):
    lake.source(ROWS, SCHEMA)
    lake.publish()
    lake.source([(1, "x", True)], "key int, city string, ok boolean", "other")
    lake.publish(source=f"{{path: {lake.root}/other}}")
    assert lake.rows() == [(1, "x", True)]
    assert lake.verify().holds


def test_the_number_of_jobs_does_not_grow_with_rules_or_columns(published, jobs_of):
    lake = published
    with jobs_of() as few:
        lake.publish("a", rules='IsComplete "id"', columns="{mail: {protect: token}}")
    columns = "{mail: {protect: token}, age: {protect: mask}, id: {protect: token}}"
    with jobs_of() as many:
        lake.publish(
            "b", rules='IsComplete "id", Mean "age" > 0, ColumnLength "mail" < 99, Sum "id" > 0', columns=columns
        )
    assert many["jobs"] <= few["jobs"]


def test_keys_are_in_no_file(published):
    lake = published
    ring = local_keyring(lake.root / "keys")
    secrets = [ring._secret("t", 1), *(ring.key(p, "t", 1) for p in ("token", "digest", "seal"))]
    forms = [form for secret in secrets for form in (secret, secret.hex().encode())]
    for file in lake.root.rglob("*"):
        if file.is_file() and file.name != "keys":
            data = file.read_bytes()
            assert not any(form in data for form in forms), file


def test_composites_by_column_divert_nothing(lake):
    lake.source(ROWS, SCHEMA)
    extra = "quarantine: {{path: {root}/quarantine}}\ncomposites: column"
    result = lake.publish(rules='(IsComplete "mail") or (IsComplete "id")', extra=extra)
    assert (result.status, result.rows["published"]) == ("published", 5)


def test_explain_reads_no_data(spark, lake, jobs_of):
    lake.source(ROWS, SCHEMA)
    lake.contract(RULES + ",\nRowCount > 1", COLUMNS, extra="quarantine: {{path: {root}/quarantine}}\nengine: spark")
    told = explain(spark, plan(lake.root / "contract.yaml"))
    assert told.reads == f"{lake.root}/source @ version 0"
    assert str(told.suite) == "4 rules: 1 scan, 1 shuffle"
    assert [(p.protection, p.stage) for p in told.protections] == [
        ("keep", "kept"),
        ("token, canonical 'email 1'", "arrow"),
        ("keep", "kept"),
    ]
    assert told.changes == ()
    assert not (lake.root / "target").exists()


def test_explain_as_the_command_prints_it(spark, lake, capsys):
    lake.source(ROWS, SCHEMA)
    file = str(lake.contract(RULES, COLUMNS))
    assert main(["publish", "--contract", file, "--explain"]) == 0
    told = capsys.readouterr().out
    assert f"t, engine {DEFAULT}: 3 rules: 1 scan, 1 shuffle" in told
    assert '  scan               IsComplete "mail"' in told
    assert "by the JVM and one Arrow stage:" in told
    assert "  arrow    mail: token, canonical 'email 1', key domain t version 1" in told
    assert main(["publish", "--contract", file, "--explain", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shuffles"] == 1
