"""Sources and targets of every kind: malformed records, headers, tables by name, versions and files that change."""

import pytest

from dataward.errors import (
    SourceChanged,
    SourceError,
)
from dataward.pipeline.intake import whole
from tests.spark.people import COLUMNS, ROWS, RULES, SCHEMA


def csv(lake, text, name="in.csv"):
    (lake.root / name).write_text(text)
    return f"format: csv, path: {lake.root}/{name}"


def test_malformed_records_are_quarantined_never_lost(lake):
    source = csv(lake, "id,mail,age\n1,a,3\nx,b,4\n2,c,5,6\n3,d\n4,e,7\n")
    result = lake.publish(source=f"{{{source}, options: {{header: true}}, schema: 'id INT, mail STRING, age INT'}}")
    assert result.rows == {"in": 5, "published": 2, "quarantined": 3, "dropped": 0}
    assert lake.rows("target", "id") == [(1,), (4,)]
    assert {tuple(row.failed_rules) for row in lake.read("quarantine").collect()} == {("record is well formed",)}
    assert "_dataward_malformed" not in lake.read("quarantine").columns + lake.read().columns


def test_a_header_in_another_order_is_an_error(lake):
    source = csv(lake, "mail,id\na,3\n")
    with pytest.raises(SourceError, match="CSV header does not match the schema"):
        lake.publish(source=f"{{{source}, options: {{header: true}}, schema: 'id STRING, mail STRING'}}")
    assert not (lake.root / "target").exists()


def test_json_parquet_folder_and_table_sources(lake, spark):
    (lake.root / "in.json").write_text('{"id": 1, "mail": "a"}\n{"id": 2, "mail"\n')
    result = lake.publish(source=f"{{format: json, path: {lake.root}/in.json, schema: 'id INT, mail STRING'}}")
    assert result.rows == {"in": 2, "published": 1, "quarantined": 1, "dropped": 0}
    spark.range(10).selectExpr("id", "id % 2 as part").write.partitionBy("part").parquet(str(lake.root / "folder"))
    assert lake.publish(source=f"{{format: parquet, path: {lake.root}/folder}}").rows["published"] == 10
    assert "part" in lake.read().columns
    spark.range(3).write.format("delta").mode("overwrite").saveAsTable("lake_source")
    assert lake.publish(source="{table: lake_source}").rows["published"] == 3
    spark.sql("drop table lake_source")


def test_target_quarantine_and_ledger_by_table_name(lake, spark):
    lake.source(ROWS, SCHEMA)
    text = lake.contract(rules=RULES, columns=COLUMNS).read_text()
    text = text.replace(
        f"quarantine: {{path: {lake.root}/quarantine", "quarantine: {table: published_people_quarantine"
    )
    (lake.root / "contract.yaml").write_text(
        text.replace(f"target: {{path: {lake.root}/target", "target: {table: published_people")
    )
    try:
        for number in range(2):
            assert lake.publish().target.version == number
        assert spark.table("published_people").count() == 2
        assert spark.table("published_people_quarantine").count() == 6
        assert lake.verify().holds
    finally:
        for name in ("published_people", "published_people_quarantine", "published_people_ledger"):
            spark.sql(f"drop table if exists {name}")


def test_a_delta_source_is_read_at_its_version(lake):
    lake.source(ROWS[:1], SCHEMA)
    lake.source(ROWS, SCHEMA)
    result = lake.publish(source=f"{{path: {lake.root}/source, version: 0}}")
    assert (result.rows["in"], result.source["version"]) == (1, 0)


def test_files_that_change_before_the_commit_stop_the_run(lake, monkeypatch):
    source = csv(lake, "id\n1\n")
    judge = whole.judge

    def judge_then_change(*arguments, **more):
        judged = judge(*arguments, **more)
        csv(lake, "id\n1\n2\n")
        return judged

    monkeypatch.setattr(whole, "judge", judge_then_change)
    with pytest.raises(SourceChanged, match="changed after they were judged"):
        lake.publish(source=f"{{{source}, options: {{header: true}}}}")
    assert not (lake.root / "target").exists()
