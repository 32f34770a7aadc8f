"""What a table's owner declared is kept by every write, and what does not fit it is refused before anything is committed."""

import json

import pytest
from delta.tables import DeltaTable, IdentityGenerator

from dataward.contract import Target
from dataward.errors import ContractError
from dataward.pipeline.plan import plan
from dataward.tables import commits, delta, log
from dataward.tables.declared import declared
from dataward.verbs.explain import explain

SCHEMA = "id int, name string, age int"
ROWS = [(1, "ada", 30), (2, "bob", 40)]


@pytest.fixture
def owned(lake, spark):
    """A target that its owner made: partitioned, with every kind of declaration."""
    place = f"delta.`{lake.root}/target`"
    made = DeltaTable.create(spark).location(f"{lake.root}/target").property("team", "people").partitionedBy("age")
    made = made.addColumn("id", "int", nullable=False, comment="the id").addColumn("name", "varchar(3)")
    made = (
        made.addColumn("age", "int").addColumn("twice", "int", generatedAlwaysAs="age * 2").addColumn("more", "string")
    )
    made.execute()
    spark.sql(f"alter table {place} add constraint positive check (id > 0)")
    lake.source(ROWS, SCHEMA)
    return lake


def kept(lake):
    return kept_at(lake.spark, plan(lake.root / "contract.yaml").contract.target)


def kept_at(spark, location):
    """The schema with all its metadata, partitioning, and properties that are not of statistics or features."""
    metadata = log.snapshot(spark, location, delta.latest_version(spark, location)).metadata()
    schema = json.loads(metadata.schemaString())
    for column in schema["fields"]:
        column["metadata"].pop("delta.identity.highWaterMark", None)
    table = declared(spark, location)
    return schema, table.partition_by, table.checks


def test_overwrite_keeps_what_the_owner_declared_run_after_run(owned):
    owned.contract()
    before = kept(owned)
    for _ in range(2):
        assert owned.publish().status == "published"
        assert kept(owned) == before
        assert owned.rows("target", "id", "name", "age", "twice", "more") == [
            (1, "ada", 30, 60, None),
            (2, "bob", 40, 80, None),
        ]
    assert owned.verify().holds


def test_rows_that_break_a_declaration_stop_the_run_and_are_named_by_column(owned):
    versions = owned.versions()
    schema = f"{SCHEMA}, twice int"
    owned.source([(None, "ada", 30, 60), (-7, "adalovelace", 30, 60), (3, "eve", 30, 61)], schema, "other")
    stopped = owned.publish(
        source=f"{{path: {owned.root}/other}}", columns="{name: {class: person_name, protect: keep}}"
    )
    assert stopped.status == "stopped"
    told = "\n".join(stopped.reasons)
    assert "1 rows have no 'id', which the target declares NOT NULL" in told
    assert "1 rows have a 'name' longer than the varchar(3) that the target declares" in told
    assert "1 rows have a 'twice' that is not what the target generates it by" in told
    assert "2 rows break the constraint positive of the target: id > 0" in told
    assert "lovelace" not in told
    assert owned.versions() == versions
    assert not (owned.root / "quarantine").exists()


def test_merge_fills_what_the_table_makes_itself_and_leaves_further_columns(owned, spark):
    owned.publish()
    spark.sql(f"update delta.`{owned.root}/target` set more = 'by hand' where id = 1")
    owned.source([(1, "ann", 31), (3, "eve", 50)], SCHEMA)
    result = owned.publish(target="mode: merge, on: [id]")
    assert owned.rows("target", "id", "name", "twice", "more") == [
        (1, "ann", 62, "by hand"),
        (2, "bob", 80, None),
        (3, "eve", 100, None),
    ]
    assert (result.merged, result.rows["published"]) == ({"inserted": 1, "updated": 1}, 2)
    told = [str(one) for one in owned.verify().findings if one.code == "commit-unattested"]
    assert len(told) == 1  # what the owner wrote by hand is named, also after the next seal
    assert "(UPDATE)" in told[0]


def test_identity_columns_are_filled_by_the_table_in_every_mode_and_take_no_values(lake, spark):
    made = DeltaTable.create(spark).location(f"{lake.root}/target").addColumn("id", "int").addColumn("name", "string")
    made.addColumn("age", "int").addColumn("number", "bigint", generatedAlwaysAs=IdentityGenerator()).execute()
    lake.source(ROWS, SCHEMA)
    for mode, rows in (
        ("mode: overwrite", 2),
        ("mode: append", 4),
        ("mode: overwrite", 2),
        ("mode: merge, on: [id]", 2),
    ):
        lake.publish(target=mode)
        numbers = [number for (number,) in lake.rows("target", "number")]
        assert len(set(numbers) - {None}) == rows
    lake.source([(1, "ada", 30, 7)], f"{SCHEMA}, number bigint", "other")
    with pytest.raises(ContractError, match="column 'number': the target generates it"):
        lake.publish(source=f"{{path: {lake.root}/other}}")


@pytest.mark.parametrize("mode", ["mode: append", "mode: merge, on: [id]"])
def test_new_columns_are_refused_with_their_path_or_taken_by_evolve(lake, mode):
    lake.source([(1, (1,))], "id int, s struct<x: int>")
    lake.publish(target=mode)
    lake.source([(2, (2, "y"), "n")], "id int, s struct<x: int, y: string>, new string", "other")
    wider = f"{{path: {lake.root}/other}}"
    with pytest.raises(ContractError, match=r"column 's.y': the target has no such column.*evolve: true") as refused:
        lake.publish(source=wider, target=mode)
    assert "column 'new'" in str(refused.value)
    assert lake.versions() == 1
    assert explain(lake.spark, plan(lake.contract(source=wider, target=f"{mode}, evolve: true"))).changes == (
        "adds s.y",
        "adds new",
    )
    result = lake.publish("evolved")
    assert any("the run adds s.y" in warning for warning in result.warnings)
    assert lake.rows("target", "id", "s.y", "new") == [(1, None, None), (2, "y", "n")]
    assert lake.verify().holds


def test_an_empty_text_in_a_partition_column_is_refused_as_delta_would_store_null(lake):
    lake.source([(1, "x", 1), (2, "", 1)], SCHEMA)
    stopped = lake.publish(target="mode: overwrite, partition_by: [name]", rules='IsComplete "name"')
    assert stopped.status == "stopped"
    assert "1 rows have '' in partition column 'name', which Delta stores as null" in stopped.reasons[0]
    assert not (lake.root / "target").exists()


def test_a_timestamp_without_a_zone_is_not_taken_for_one_with(lake, spark):
    lake.source([(1,)], "id int")
    spark.sql("select 1 as id, timestamp'2024-01-01 10:00:00' as at").write.format("delta").save(f"{lake.root}/with")
    spark.sql("select 2 as id, timestamp_ntz'2024-01-01 10:00:00' as at").write.format("delta").save(
        f"{lake.root}/without"
    )
    lake.publish(source=f"{{path: {lake.root}/with}}", target="mode: append")
    for mode in ("mode: append", "mode: merge, on: [id]"):
        with pytest.raises(ContractError, match="column 'at': it is timestamp_ntz, and timestamp in the target"):
            lake.publish(source=f"{{path: {lake.root}/without}}", target=mode)
    assert lake.versions() == 1


def test_an_overwrite_with_other_columns_is_announced_and_keeps_partitions_and_comments(lake, spark):
    place = f"delta.`{lake.root}/target`"
    spark.sql(
        f"create table {place} (id int comment 'the id', name string, gone string) using delta partitioned by (name)"
    )
    lake.source(ROWS, SCHEMA)
    assert explain(spark, plan(lake.contract())).changes == ("adds age", "drops gone")
    lake.publish()
    schema, partitions, _ = kept(lake)
    assert [(column["name"], column["metadata"].get("comment")) for column in schema["fields"]] == [
        ("id", "the id"),
        ("name", None),
        ("age", None),
    ]
    assert partitions == ("name",)


def test_a_narrower_number_is_written_as_the_tables_wider_one(lake, spark):
    spark.sql(f"create table delta.`{lake.root}/target` (id bigint, name string, age decimal(12, 2)) using delta")
    lake.source(ROWS, SCHEMA)
    for mode in ("mode: overwrite", "mode: merge, on: [id]", "mode: append"):
        lake.publish(target=mode)
    assert lake.read().dtypes == [("id", "bigint"), ("name", "string"), ("age", "decimal(12,2)")]


def test_a_table_is_written_as_its_owner_spelled_it_and_a_merge_finds_padded_keys(lake, spark):
    made = DeltaTable.create(spark).location(f"{lake.root}/target").addColumn("ID", "int").addColumn("Code", "char(4)")
    made.addColumn("Day", "date").partitionedBy("Day").execute()
    rows = spark.sql(
        "select * from values (1, 'ab', date'2024-01-01'), (2, 'a   ', date'2025-01-01'), (3, 'abcd', null) as (id, code, day)"
    )
    location = Target(path=f"{lake.root}/target")
    before = kept_at(spark, location)
    merge = {"mode": "merge", "on": ("code",)}
    for number, (more, count) in enumerate([(merge, 3), (merge, 3), ({}, 3), ({"mode": "append"}, 6)]):
        run = commits.Transaction(f"r{number}", {}, ("id", "day"))
        commits.commit_target(spark, rows, location.model_copy(update=more), run)
        found = lake.rows("target", "ID", "Code")
        assert sorted(set(found)) == [(1, "ab  "), (2, "a   "), (3, "abcd")]
        assert len(found) == count
    assert kept_at(spark, location) == before


def test_a_table_that_generates_its_partitions_is_written_in_every_mode(lake, spark):
    made = DeltaTable.create(spark).location(f"{lake.root}/target").addColumn("id", "int").addColumn("day", "date")
    made.addColumn("year", "int", generatedAlwaysAs="year(day)").partitionedBy("year").execute()
    rows = spark.sql("select * from values (1, date'2024-01-01'), (2, date'2025-01-01') as (id, day)")
    location = Target(path=f"{lake.root}/target")
    before = kept_at(spark, location)
    modes = [({}, 2), ({"mode": "merge", "on": ("id",)}, 2), ({"mode": "append"}, 4)]
    for number, (more, count) in enumerate(modes):
        commits.commit_target(spark, rows, location.model_copy(update=more), commits.Transaction(f"r{number}", {}))
        found = lake.rows("target", "id", "year")
        assert (sorted(set(found)), len(found)) == ([(1, 2024), (2, 2025)], count)
    assert kept_at(spark, location) == before
