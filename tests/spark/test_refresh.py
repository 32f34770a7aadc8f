"""Mode refresh: what is read, what is swapped, and that nothing tells it from a run over everything."""

from __future__ import annotations

import dataclasses
import random
import shutil

import pytest
from chispa.dataframe_comparer import assert_df_equality

from dataward.cli import main
from dataward.contract import Source, load
from dataward.errors import SourceError, TargetError, UsageError
from dataward.pipeline.plan import plan
from dataward.tables import commits
from dataward.verbs.erase import Asked, erase
from dataward.verbs.explain import explain
from dataward.verbs.profile import profile, profile_of
from tests.spark.conftest import Lake

pytestmark = pytest.mark.long

COLUMNS = "id bigint, name string, score double, at timestamp, day date"
RULES = """RowCount between 1 and 1000,
    IsUnique "id",
    IsPrimaryKey "id" "name",
    IsComplete "name",
    ColumnValues "score" between -50 and 50,
    Uniqueness "name" > 0,
    DistinctValuesCount "name" > 0,
    Entropy "name" >= 0,
    Mean "score" > -100,
    StandardDeviation "score" >= 0,
    Sum "id" > -1,
    Completeness "score" >= 0,
    ColumnLength "name" < 100,
    ColumnCorrelation "id" "score" >= -1 labels=["severity"="warning"],
    ColumnExists "day\""""
EXTRA = "quarantine: {{path: {root}/quarantine}}\nengine: spark"


def rows(*ids: int, name: str = "n", day: str) -> list[tuple]:
    return [(n, f"{name}{n}", float(n), None, day) for n in ids]


def written(spark, path: str, some: list[tuple], mode: str = "append", where: str | None = None) -> None:
    text = COLUMNS.replace("date", "string").replace("timestamp", "string")
    frame = spark.createDataFrame(some, text).selectExpr(
        "id", "name", "score", "cast(at as timestamp) at", "cast(day as date) day"
    )
    writer = frame.write.format("delta").mode(mode).partitionBy("day")
    (writer.option("replaceWhere", where) if where else writer).save(path)


@pytest.fixture
def days(lake) -> Lake:
    source = str(lake.root / "source")
    for n in range(3):
        written(lake.spark, source, rows(*range(10 * n, 10 * n + 10), day=f"2026-01-0{n + 1}"))
    lake.contract(rules=RULES, target="mode: refresh, partition_by: [day]", extra=EXTRA)
    return lake


def read_of(result) -> str:
    return next(phase.told for phase in result.phases if phase.name == "pin").split(", ", 1)[1]


def test_only_new_partitions_are_read_and_the_verdicts_are_those_of_the_whole(days):
    first = days.publish()
    assert (first.status, first.rows["in"]) == ("published", 30), first.reasons
    assert "3 of 3 partitions to read (the target is new)" in read_of(first)
    written(days.spark, str(days.root / "source"), rows(*range(30, 40), day="2026-01-04"))
    assert explain(days.spark, plan(days.root / "contract.yaml")).reads.endswith("1 of 4 partitions to read")
    second = days.publish()
    assert "1 of 4 partitions to read" in read_of(second)
    assert (second.status, second.rows["in"], second.rows["published"]) == ("published", 10, 10)
    assert {v["kind"]: v["measured"] for v in second.verdicts}["RowCount"] == 40
    third = days.publish()
    assert "0 of 4 partitions to read" in read_of(third)
    assert (third.status, third.rows["in"]) == ("published", 0)


def whole(days: Lake, rules: str = RULES) -> Lake:
    """The same source under a contract that reads all of it in every run."""
    root = days.root / "whole"
    root.mkdir()
    other = Lake(days.spark, root)
    source = f"{{format: delta, path: {days.root}/source}}"
    other.contract(rules=rules, source=source, target="mode: overwrite, partition_by: [day]", extra=EXTRA)
    return other


def told(result) -> list[tuple]:
    return [
        (v["rule"], v["outcome"], v["action"], v["failed_rows"], v["measured"] and pytest.approx(v["measured"]))
        for v in result.verdicts
    ]


def same(days: Lake, refreshed, other) -> None:
    """The same verdicts, and the same rows published."""
    assert refreshed.status == other.status == "published", (refreshed.reasons, other.reasons)
    assert told(refreshed) == told(other)
    rows = [days.spark.read.format("delta").load(str(root / "target")) for root in (days.root, days.root / "whole")]
    assert_df_equality(*rows, ignore_row_order=True)


def test_whatever_happens_to_the_source_nothing_tells_it_from_a_run_over_everything(days):
    spark, source, dice = days.spark, str(days.root / "source"), random.Random(7)
    other = whole(days)
    same(days, days.publish(), other.publish())
    spark.sql(f"alter table delta.`{source}` set tblproperties ('delta.enableDeletionVectors' = 'true')")
    table, day = f"delta.`{source}`", lambda: f"2026-01-0{dice.randint(1, 6)}"
    some = lambda: [dice.randint(0, 80) for _ in range(dice.randint(1, 4))]  # noqa: E731 - ids that other days have too
    steps = [
        lambda: written(spark, source, rows(*some(), day=day())),  # late, or a new day
        lambda: written(spark, source, rows(*some(), name="x", day=(it := day())), "overwrite", f"day = '{it}'"),
        lambda: spark.sql(f"delete from {table} where id % 10 = {dice.randint(0, 9)}"),
        lambda: spark.sql(f"delete from {table} where day = '{day()}'"),
        lambda: spark.sql(f"update {table} set name = null where id = {dice.choice(some())}"),
        lambda: spark.sql(f"optimize {table}"),
    ]
    told_of = []
    for some_steps in ((0, 4), (1, 2, 5), (3, 1, 0)):
        for step in some_steps:
            steps[step]()
        refreshed = days.publish()
        same(days, refreshed, other.publish())
        told_of.append(read_of(refreshed))
    assert not any("(" in line for line in told_of), told_of  # never all of it for another reason
    assert days.verify().holds


def bytes_read(spark) -> int:
    """By all tasks of the session so far."""
    executors = spark.sparkContext._jsc.sc().statusStore().executorList(False)
    return sum(executors.apply(place).totalInputBytes() for place in range(executors.size()))


def test_one_new_partition_of_a_hundred_is_all_that_is_read(lake):
    spark, source = lake.spark, lake.root / "source"
    made = lambda start, end: spark.sql(  # noqa: E731
        "select id, concat('n', id) name, id / 1e4 score, cast(null as timestamp) at, concat(uuid(), uuid(), uuid(), uuid()) filler, "
        f"date_add(date'2026-01-01', cast(floor(id / 500) as int)) day from range({start}, {end}, 1, 1)"
    )
    made(0, 49_500).write.format("delta").partitionBy("day").save(str(source))
    wide = RULES.replace("1000", "100000")
    lake.contract(rules=wide, target="mode: refresh, partition_by: [day]", extra=EXTRA)
    begun = bytes_read(spark)
    assert lake.publish().rows["in"] == 49_500
    of_all = bytes_read(spark) - begun
    old = [file for place in ("source", "target") for file in (lake.root / place).rglob("day=*/*.parquet")]
    made(49_500, 50_000).write.format("delta").mode("append").save(str(source))
    (new,) = [file for file in source.rglob("day=*/*.parquet") if file not in old]
    by_all = whole(lake, wide).publish()
    assert len(old) == 198
    for file in old:
        file.write_bytes(b"whoever opens this fails")
    begun = bytes_read(spark)
    refreshed = lake.publish()
    spent = bytes_read(spark) - begun
    assert (refreshed.status, refreshed.rows["in"]) == ("published", 500), refreshed.reasons
    assert told(refreshed) == told(by_all)
    # Of the other partitions the states alone: the codes of three sets of keys, 40 bytes a row.
    states = sum(file.stat().st_size for file in (lake.root / "target_states").rglob("*.parquet"))
    assert spent < states + 5 * new.stat().st_size < of_all / 6


def changed_by_somebody(days: Lake) -> None:
    days.read().limit(1).write.format("delta").mode("append").save(str(days.root / "target"))


def test_all_is_read_again_where_what_is_known_is_no_use(days):
    target = f"delta.`{days.root}/target`"
    days.publish()
    days.spark.sql(f"alter table {target} set tblproperties ('delta.appendOnly' = 'false')")
    assert read_of(days.publish()) == "0 of 3 partitions to read"
    changed_by_somebody(days)
    assert "3 of 3 partitions to read (version 3 of the target (WRITE) was not" in read_of(days.publish())
    assert days.read().count() == 30
    days.contract(
        rules=RULES, target="mode: refresh, partition_by: [day]", extra=EXTRA, columns="{name: {protect: token}}"
    )
    assert "3 of 3 partitions to read (the contract, its key," in read_of(days.publish())
    assert days.read().where("name like 'v1.%'").count() == 30
    shutil.rmtree(days.root / "target_states")
    days.forget()
    assert "3 of 3 partitions to read (what partitions came to cannot be read" in read_of(days.publish())
    assert read_of(days.publish()) == "0 of 3 partitions to read"


def test_a_run_that_dies_or_stops_leaves_nothing_that_counts(days, monkeypatch):
    source = str(days.root / "source")
    days.publish()
    written(days.spark, source, rows(5, 30, day="2026-01-04"))  # 5 is of another day as well
    with monkeypatch.context() as patched:
        patched.setattr(commits, "commit_target", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            days.publish("r1")
    assert days.versions() == 1
    written(days.spark, source, rows(77, day="2026-01-04"))
    again = days.publish("r1")  # as it began: its quarantine says so
    assert (again.rows["in"], again.rows["quarantined"]) == (12, 2)
    after = days.publish()
    assert (read_of(after), after.rows["in"]) == ("1 of 4 partitions to read", 3)
    written(days.spark, source, rows(*range(100, 1100), day="2026-01-05"))
    stopped = days.publish()
    assert (stopped.status, stopped.rows["in"]) == ("stopped", 1000)
    assert stopped.reasons[0] == "RowCount between 1 and 1000: FAILED"
    assert "all 1,000 rows fail a rule" in stopped.reasons[1]  # "score" is above 50 in each
    days.spark.sql(f"delete from delta.`{source}` where day = '2026-01-05'")
    assert read_of(days.publish()) == "0 of 4 partitions to read"
    same(days, days.publish(), whole(days).publish())


def test_rows_that_are_duplicates_no_more_come_back(days):
    source = str(days.root / "source")
    written(days.spark, source, rows(5, day="2026-01-03"))
    assert days.publish().rows["quarantined"] == 2
    days.spark.sql(f"delete from delta.`{source}` where id = 5 and day = '2026-01-03'")
    healed = days.publish()
    assert next(phase.told for phase in healed.phases if phase.name == "judge").endswith(
        "; 1 more partition to read for duplicates"
    )
    assert (healed.rows["in"], healed.rows["published"]) == (20, 20)
    assert days.read().where("id = 5").count() == 1


def test_a_partition_that_is_read_again_keeps_its_other_duplicates_back(days):
    source = str(days.root / "source")
    written(days.spark, source, rows(5, day="2026-01-02"))  # of the first day as well
    days.publish()
    written(days.spark, source, rows(15, day="2026-01-04"))  # of the second
    again = days.publish()
    assert (again.rows["in"], again.rows["published"]) == (12, 9)
    same(days, again, whole(days).publish())


def test_what_is_kept_gives_no_value_away_and_an_old_file_cannot_be_changed_unseen(days):
    canary, number = "canary-7c1e", 0x1234567890ABCDE
    written(days.spark, str(days.root / "source"), rows(number, name=canary, day="2026-01-04"))
    days.publish()
    written(days.spark, str(days.root / "source"), rows(31, day="2026-01-05"))
    days.publish()
    kept = b"".join(file.read_bytes() for file in (days.root / "target_states").rglob("*") if file.is_file())
    assert len(kept) > 10_000
    for shape in (canary.encode(), number.to_bytes(8, "little"), number.to_bytes(8, "big"), str(number).encode()):
        assert shape not in kept
    assert days.verify().holds
    first = next((days.root / "target").rglob("day=2026-01-01/*.parquet"))
    other = next((days.root / "target").rglob("day=2026-01-02/*.parquet"))
    first.write_bytes(other.read_bytes())
    (first.parent / f".{first.name}.crc").unlink(missing_ok=True)
    written(days.spark, str(days.root / "source"), rows(32, day="2026-01-06"))
    days.publish()
    proof = days.verify()
    assert not proof.holds
    assert any(f"{first.name}: it holds the bytes of" in check.detail for check in proof.checks)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_files_in_folders_are_told_apart_as_well(lake, kind):
    raw = lake.root / "raw"

    def put(month: str, *ids: int) -> None:
        frame = lake.spark.createDataFrame([(n, f"n{n}") for n in ids], "id bigint, name string").coalesce(1)
        frame.write.mode("overwrite").format(kind).save(str(raw / f"month={month}"))

    schema = ", schema: 'id bigint, name string, month int'" if kind == "csv" else ""
    source = f"{{format: {kind}, path: {raw}{schema}}}"
    put("01", 1, 2)
    put("02", 3, 4)
    put("__HIVE_DEFAULT_PARTITION__", 9)
    lake.contract(
        rules='IsUnique "id",\n    RowCount = 5',
        source=source,
        target="mode: refresh, partition_by: [month]",
        extra=EXTRA,
    )
    assert lake.publish().rows["in"] == 5
    put("02", 3, 5)
    result = lake.publish()
    assert (read_of(result).split(", ", 1)[-1], result.rows["in"]) == ("1 of 3 partitions to read", 2)
    assert lake.rows("target", "id", "month") == [(1, 1), (2, 1), (3, 2), (5, 2), (9, None)]


def test_keys_inside_of_structs(lake):
    frame = lake.spark.sql("select named_struct('a', named_struct('b', id)) as s, id % 2 as part from range(6)")
    frame.write.format("delta").partitionBy("part").save(str(lake.root / "source"))
    lake.contract(rules='IsUnique "s.a.b"', target="mode: refresh, partition_by: [part]", extra=EXTRA)
    assert lake.publish().rows == {"in": 6, "published": 6, "quarantined": 0, "dropped": 0}
    more = lake.spark.sql("select named_struct('a', named_struct('b', 4L)) as s, 7L as part")
    more.write.format("delta").mode("append").save(str(lake.root / "source"))
    assert lake.publish().rows == {"in": 4, "published": 2, "quarantined": 2, "dropped": 0}
    assert lake.read().columns == ["s", "part"]


def test_what_partitions_hold_adds_up_to_a_profile_that_reads_nothing(days, capsys):
    """New, replaced and deleted partitions: quantiles, distinct and frequent values are those of a look at all rows."""
    columns = "{name: {class: person_name, protect: token}}"
    days.contract(rules="RowCount > 0", columns=columns, extra=EXTRA,
                  target="mode: refresh, partition_by: [day], profile: true")  # fmt: skip
    source = str(days.root / "source")
    assert days.publish().status == "published"
    written(days.spark, source, rows(*range(30, 45), name="new", day="2026-01-04"))
    written(days.spark, source, rows(3, 3, 4, day="2026-01-01"), "overwrite", "day = '2026-01-01'")
    days.spark.sql(f"delete from delta.`{source}` where day = '2026-01-02'")
    old = {file: file.read_bytes() for file in (days.root / "source" / "day=2026-01-03").glob("*.parquet")}
    for file in old:
        file.write_bytes(b"whoever opens this fails")
    assert "2 of 3 partitions to read, 1 gone" in read_of(days.publish())
    for file, held in old.items():
        file.write_bytes(held)
    looked = profile(days.spark, Source(path=source, format="delta"))
    shutil.rmtree(source)
    told = profile_of(days.spark, load(days.root / "contract.yaml"))
    assert told.rows == 28
    assert [(column.name, column.sensitive) for column in told.columns][:3] == [
        ("id", None), ("name", "person_name"), ("score", None)]  # fmt: skip
    for mine, theirs in zip(told.columns, looked.columns, strict=True):
        expected = theirs.hidden("person_name") if mine.sensitive else theirs
        different = {"mean": pytest.approx(expected.mean), "deviation": pytest.approx(expected.deviation)}
        assert dataclasses.replace(mine, mean=None, deviation=None, frequent=()) == dataclasses.replace(
            expected, mean=None, deviation=None, frequent=(), unique=None
        )
        assert {"mean": mine.mean, "deviation": mine.deviation} == different
        assert set(mine.frequent) == set(expected.frequent)
    assert main(["profile", "--contract", str(days.root / "contract.yaml"), "--report", str(days.root / "pages")]) == 0
    assert "28 rows" in capsys.readouterr().out
    kept = [file.read_bytes() for file in (days.root / "target_states").rglob("*.parquet")]
    assert kept
    assert not any(b"new3" in data for data in kept)


def test_a_profile_of_what_was_not_kept_is_refused(days):
    with pytest.raises(UsageError, match="say 'profile: true' under 'target'"):
        profile_of(days.spark, load(days.root / "contract.yaml"))
    days.contract(rules="RowCount > 0", extra=EXTRA, target="mode: refresh, partition_by: [day], profile: true")
    contract = load(days.root / "contract.yaml")
    with pytest.raises(TargetError, match="the target is new"):
        profile_of(days.spark, contract)
    days.contract(rules="RowCount > 0", extra=EXTRA, target="mode: refresh, partition_by: [day]")
    days.publish()
    with pytest.raises(TargetError, match="kept nothing of what partitions hold. Publish first"):
        profile_of(days.spark, contract)
    days.spark.sql(f"delete from delta.`{days.root}/target` where id = 3")
    with pytest.raises(TargetError, match="was not written by a refresh"):
        profile_of(days.spark, contract)


def test_a_source_that_is_not_partitioned_so_is_refused(days):
    for column, why in (("name", "it is not partitioned by name"), ("score", "it is not partitioned by score")):
        days.contract(rules="RowCount > 0", target=f"mode: refresh, partition_by: [{column}]", extra=EXTRA)
        with pytest.raises(SourceError, match=why):
            days.publish()
    path = str(days.root / "by_score")
    days.read("source").write.format("delta").partitionBy("score").save(path)
    source = f"{{format: delta, path: {path}}}"
    days.contract(rules="RowCount > 0", source=source, target="mode: refresh, partition_by: [score]", extra=EXTRA)
    with pytest.raises(
        SourceError, match="partition column 'score' is of type double; mode refresh needs string, date"
    ):
        days.publish()


def test_whoever_is_forgotten_is_in_no_state(days):
    extra = EXTRA + "\nerasure: {{subject: name}}"
    days.contract(
        rules=RULES, target="mode: refresh, partition_by: [day]", extra=extra, columns="{name: {protect: token}}"
    )
    days.publish()
    planned = plan(days.root / "contract.yaml")
    erased = erase(days.spark, [planned], Asked("n5", "T1", reports=str(days.root / "reports")))
    assert erased.holds
    states = days.root / "target_states"
    assert not [file for file in states.rglob("*.parquet") if "_delta_log" not in str(file)]
    days.spark.sql(f"delete from delta.`{days.root}/source` where name = 'n5'")
    assert "3 of 3 partitions to read (no refresh of the target is in its log)" in read_of(days.publish())
    assert days.read().count() == 29
