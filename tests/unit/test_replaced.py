"""Which diverted rows later versions have replaced: decided from the commits of the target, newest first."""

import pytest

from dataward.pipeline.replaced import later, replaced_partition, replaced_parts
from dataward.tables.delta import Commit

DAY = (("day", "date"), ("shop", "int"))


def commit(version, operation="WRITE", whole=False, **metadata):
    return Commit(version, "2026-11-26", operation, 1, metadata, replaces_all=whole)


def run(version, run_id, mode, **metadata):
    return commit(version, whole=mode == "overwrite", run_id=run_id, mode=mode, **metadata)


def found(*commits):
    return later(reversed(commits), "first")


def test_a_later_overwrite_replaces_every_row_and_is_named():
    then = found(run(0, "first", "overwrite"), run(1, "second", "overwrite"), run(2, "third", "append"))
    assert (then.condition, then.by) == ("true", "run 'second' (version 1)")


@pytest.mark.parametrize(
    "between",
    [
        [],
        [run(1, "second", "append")],
        [run(1, "second", "merge")],
        [run(1, "r", "append", releases="first")],
        [commit(1, "OPTIMIZE")],
        [commit(1, whole=True, run_id="rotation")],
        [commit(1, whole=True)],
    ],
)
def test_appends_merges_releases_maintenance_and_conversions_replace_none(between):
    then = found(run(0, "first", "overwrite"), *between)
    assert (then.condition, then.by, then.version) == ("false", "", 0)
    assert then.wrote == any(one.operation == "WRITE" for one in between)


def test_replaced_partitions_become_a_condition_of_their_values_alone():
    parts = replaced_parts(DAY, ['["2026-01-02", "1"]', '["2026-01-01", null]'])
    other = replaced_partition({"day": "it's", "shop": 3, "open": True})
    then = found(run(0, "first", "refresh"), run(1, "second", "refresh", **parts), run(2, "third", "replace", **other))
    assert then.condition == (
        "((`day` = cast('it\\'s' as string) and `shop` = cast('3' as string) and `open` = cast('true' as string))) or "
        "((`day` = cast('2026-01-01' as date) and `shop` is null) or (`day` = cast('2026-01-02' as date) and `shop` = cast('1' as int)))"
    )
    assert then.by == "run 'third' (version 2)"
    assert then.whole is None


def test_a_restored_version_undoes_what_was_written_after_it():
    first, second = run(0, "first", "overwrite"), run(1, "second", "overwrite")
    assert found(first, second, commit(2, "RESTORE", run_id="restore-1", restores=0)).condition == "false"
    undone = found(
        run(0, "zero", "append"), run(1, "first", "append"), commit(2, "RESTORE", run_id="restore-1", restores=0)
    )
    assert (undone.condition, undone.by) == ("true", "run 'restore-1' (version 2)")


def test_of_a_log_that_was_cleaned_up_what_is_left_counts():
    assert found(run(7, "other", "overwrite")).condition == "true"
    assert found(run(7, "other", "append")) == found(run(8, "x", "append"))
