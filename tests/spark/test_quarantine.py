"""The life of diverted rows: seen, released under a mended contract, discarded; never lost, also when killed in between."""

from pathlib import Path

import pytest

from dataward.errors import UsageError
from dataward.pipeline import publish as publish_module
from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.tables import maintenance
from dataward.verbs.quarantine import batches, discard, release, show
from dataward.verbs.reports import check_report

pytestmark = pytest.mark.long

ROWS = [
    (1, "ada", "nsw"),
    (2, "bob", "N.S.W."),
    (3, "eve", "vic"),
    (4, "eve", "vik"),
    (5, "kim", None),
    (5, "kim", None),
]
SCHEMA = "id int, name string, state string"
RULES = 'ColumnValues "state" in ["nsw", "vic"], IsComplete "state"'
COLUMNS = "{name: {class: person_name, protect: token}}"
REFRESHED = "engine: spark\nquarantine: {{path: {root}/quarantine}}"
MENDED = "{normalise: {state: {values: {nsw: [n.s.w.], vic: []}, else: keep}}}"


def planned(lake):
    return plan(lake.root / "contract.yaml")


def released(lake, of_run, run_id=None):
    return release(lake.spark, planned(lake), of_run, run_id, str(lake.root / "reports"))


@pytest.fixture
def first(lake):
    lake.source(ROWS, SCHEMA)
    result = lake.publish(run_id="first", rules=RULES, columns=COLUMNS)
    assert result.rows == {"in": 6, "published": 2, "quarantined": 4, "dropped": 0}
    return result


def test_a_batch_lives_until_every_row_is_somewhere(lake, first):
    [batch] = batches(lake.spark, planned(lake))
    assert (batch.run_id, batch.quarantined, batch.waiting, batch.lost) == ("first", 4, 4, 0)
    shown = show(lake.spark, planned(lake), "first", 2)
    assert (
        shown.rules == {'ColumnValues "state" in ["nsw", "vic"]': 4, 'IsComplete "state"': 2}
        or sum(shown.rules.values()) == 4
    )
    assert len(shown.rows) == 2
    assert "eve" not in repr(shown.rows)
    lake.contract(rules=RULES, columns=COLUMNS, treat=MENDED)
    result = released(lake, "first")
    assert result.rows == {"in": 4, "published": 1, "quarantined": 3, "dropped": 0}
    assert lake.rows("target", "id", "state") == [(1, "nsw"), (2, "nsw"), (3, "vic")]
    assert result.seal["releases"] == "first"
    assert lake.verify().holds
    rule = next(rule for rule in show(lake.spark, planned(lake), "first").rules if "IsComplete" in rule)
    assert discard(lake.spark, planned(lake), "first", rule, "nobody knows") == 2
    [batch] = batches(lake.spark, planned(lake))
    assert (batch.quarantined, batch.released, batch.discarded, batch.waiting, batch.lost) == (4, 1, 2, 1, 0)
    assert lake.rows("quarantine", "id") == [(4,)]
    assert lake.verify().holds


def test_a_second_run_over_the_same_rows_keeps_its_own(lake, first):
    lake.publish(run_id="second")
    lake.contract(rules=RULES, columns=COLUMNS, treat=MENDED)
    released(lake, "second")
    assert {batch.run_id: batch.waiting for batch in batches(lake.spark, planned(lake))} == {"first": 4, "second": 3}


def test_nothing_is_released_that_would_be_diverted_again(lake, first):
    result = released(lake, "first")
    assert result.rows == {"in": 4, "published": 0, "quarantined": 4, "dropped": 0}
    assert (result.status, result.target.version, lake.versions(), len(lake.entries())) == (
        "unchanged",
        0,
        1,
        1,
    )
    assert "none of the 4 rows may go on" in result.warnings[-1]
    assert Path(result.report).exists()


PLACES = {"deleted": (maintenance, "delete_rows"), "reported": (publish_module, "seal_version"),
          "sealed": (publish_module, "differs"), "ended": (publish_module, "write_last")}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_release_is_ended_by_its_rerun(lake, first, monkeypatch, place):
    lake.contract(rules=RULES, columns=COLUMNS, treat=MENDED)

    def killed(*given, **more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*PLACES[place], killed)
        with pytest.raises(KeyboardInterrupt):
            released(lake, "first", "out")
    assert released(lake, "first", "out").rows == {"in": 4, "published": 1, "quarantined": 3, "dropped": 0}
    [seal] = [entry.seal for entry in lake.entries() if entry.body.kind == "seal" and entry.seal.run_id == "out"]
    assert list(check_report(str(lake.root / "reports"), "t", seal)) == []
    assert '"seal": {' in (lake.root / "reports/t/out/report.json").read_text()
    assert lake.rows("target", "id") == [(1,), (2,), (3,)]
    assert lake.rows("quarantine", "id") == [(4,), (5,), (5,)]
    assert released(lake, "first", "out").status == "unchanged"
    [batch] = batches(lake.spark, planned(lake))
    assert (batch.released, batch.waiting, batch.lost) == (1, 3, 0)
    assert lake.verify().holds


def test_identical_rows_are_released_together_and_only_those_that_wait(lake):
    lake.source([(1, "ada", "nsw"), (1, "ada", "nsw"), (2, "bob", "vic")], SCHEMA)
    lake.publish(run_id="first", columns=COLUMNS, treat="{duplicates: {d: {on: [id]}}}")
    assert released(lake, "first").rows["published"] == 0
    lake.contract(columns=COLUMNS)
    assert released(lake, "first", "b").rows == {"in": 1, "published": 1, "quarantined": 0, "dropped": 0}
    assert lake.rows("target", "id") == [(1,), (1,), (2,)]


def test_a_merge_target_is_merged_into(lake):
    lake.source(ROWS[:4], SCHEMA)
    merge = "mode: merge, on: [id]"
    lake.publish(run_id="first", rules=RULES, columns=COLUMNS, target=merge)
    lake.contract(rules=RULES, columns=COLUMNS, target=merge, treat=MENDED)
    assert released(lake, "first").rows["published"] == 1
    assert lake.rows("target", "id") == [(1,), (2,), (3,)]


def test_rows_that_a_later_overwrite_judged_again_are_released_once(lake, first):
    lake.publish(run_id="second")
    lake.contract(rules=RULES, columns=COLUMNS, treat=MENDED)
    [old, new] = batches(lake.spark, planned(lake))
    assert (old.replaced, old.by, new.replaced) == (4, "run 'second' (version 1)", 0)
    with pytest.raises(UsageError, match=r"(?s)run 'second' \(version 1\) replaced the rows .* --run first --replaced"):
        released(lake, "first")
    released(lake, "second")
    assert lake.rows("target", "id") == [(1,), (2,), (3,)]
    assert discard(lake.spark, planned(lake), "first", None, "judged again", replaced=True) == 4
    [old, new] = batches(lake.spark, planned(lake))
    assert (old.waiting, old.lost, new.waiting) == (0, 0, 3)
    with pytest.raises(UsageError, match="no waiting row of run 'second' was replaced"):
        discard(lake.spark, planned(lake), "second", None, "why", replaced=True)


def test_newer_rows_of_a_merge_are_not_set_back_by_a_release(lake):
    how = {"rules": RULES, "columns": COLUMNS, "target": "mode: merge, on: [id]"}
    lake.source(ROWS[:4], SCHEMA)
    lake.publish(run_id="first", **how)
    lake.source([(2, "bob", "vic"), (6, "joe", "N.S.W.")], SCHEMA)
    lake.publish(run_id="second", **how)
    lake.contract(**how, treat="{normalise: {state: {values: {nsw: [n.s.w.], vic: [vik]}, else: keep}}}")
    assert [(one.waiting, one.replaced, one.by) for one in batches(lake.spark, planned(lake))] == [
        (2, 1, ""),
        (1, 0, ""),
    ]
    result = released(lake, "first")
    assert result.rows == {"in": 1, "published": 1, "quarantined": 0, "dropped": 0}
    assert "1 of 2 waiting rows were replaced since" in Path(result.report).read_text()
    assert released(lake, "second").rows["published"] == 1
    assert lake.rows("target", "id", "state") == [(1, "nsw"), (2, "vic"), (3, "vic"), (4, "vic"), (6, "nsw")]
    with pytest.raises(UsageError, match="has newer rows with their keys"):
        released(lake, "first", "again")
    assert discard(lake.spark, planned(lake), "first", None, "newer rows are there", replaced=True) == 1


def test_of_a_refresh_only_rows_of_unchanged_partitions_wait(lake):
    how = {"rules": RULES, "columns": COLUMNS, "target": "mode: refresh, partition_by: [p]", "extra": REFRESHED}
    schema = f"{SCHEMA}, p int"
    place = str(lake.root / "source")
    rows = [(1, "ada", "nsw", 1), (2, "bob", "N.S.W.", 1), (3, "eve", "N.S.W.", 2), (4, "kim", "vic", 2)]
    writer = lake.spark.createDataFrame(rows, schema).write.format("delta").partitionBy("p")
    writer.save(place)
    lake.publish(run_id="first", **how)
    lake.spark.createDataFrame([(5, "joe", "vic", 2)], schema).write.format("delta").mode("append").save(place)
    lake.publish(run_id="second", **how)
    old, new = batches(lake.spark, planned(lake))
    assert (old.waiting, old.replaced, new.waiting, new.replaced) == (2, 1, 1, 0)
    lake.contract(**{**how, "rules": RULES.replace('"nsw"', '"nsw", "N.S.W."')})
    assert released(lake, "first").rows == {"in": 1, "published": 1, "quarantined": 0, "dropped": 0}
    assert released(lake, "second").rows["published"] == 1
    assert lake.rows("target", "id") == [(1,), (2,), (3,), (4,), (5,)]


def test_what_cannot_be_done_is_told(lake, first):
    with pytest.raises(UsageError, match="run 'other' has put nothing into"):
        released(lake, "other")
    with pytest.raises(UsageError, match="no row of run 'other' waits"):
        show(lake.spark, planned(lake), "other")
    with pytest.raises(UsageError, match="no waiting row of run 'first' failed 'x'"):
        discard(lake.spark, planned(lake), "first", "x", "why")
    lake.contract(extra="")
    with pytest.raises(UsageError, match="has no quarantine"):
        batches(lake.spark, planned(lake))


def test_rows_that_somebody_took_out_are_missed(lake, first):
    lake.spark.sql(f"delete from delta.`{lake.root}/quarantine` where id = 4")
    [batch] = batches(lake.spark, planned(lake))
    assert batch.lost == 1


def test_a_release_is_seen_in_no_other_run(lake, first):
    publish(lake.spark, planned(lake), "again", str(lake.root / "reports"))
    assert lake.rows("target", "id") == [(1,), (3,)]
