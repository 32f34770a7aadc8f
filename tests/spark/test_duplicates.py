"""Duplicates: people that are alike, merged rows, chains, blocks that explode, as a treatment and as a rule."""

import pytest

from dataward.errors import RunError
from dataward.quality.duplicates import matching
from tests.spark.treated import rows, treated

pytestmark = pytest.mark.long

PEOPLE = [
    (1, "martha", "jones", "1980-01-02", None, 3),
    (2, "marhta", "jones", "1980-01-02", "a@x.org", 1),
    (3, "marta", "jonse", "1980-01-02", None, 2),
    (4, "peter", "smith", "1975-05-05", None, 1),
    (5, "petra", "kramer", "1990-09-09", None, 1),
]

ALIKE = {"similar": {"given": "name", "family": "name", "born": "date"}, "above": 0.85}


@pytest.mark.parametrize(
    ("keep", "stays", "mail"),
    [
        ({"keep": "most_complete"}, [2], "a@x.org"),
        ({"keep": "newest", "by": "seen"}, [1], None),
        ({"keep": "oldest", "by": "seen"}, [2], "a@x.org"),
        ({"keep": "none"}, [], None),
    ],
)
def test_of_people_that_are_alike_one_stays(spark, keep, stays, mail):
    frame = spark.createDataFrame(PEOPLE, "id int, given string, family string, born string, mail string, seen int")
    found = treated(frame, duplicates={"p": {**ALIKE, **keep}})
    assert rows(found.frame, "id") == [(n,) for n in [*stays, 4, 5]]
    reason = found.diverted.select("__dw_why").first()[0][0]
    assert reason["what"].startswith("duplicates.p: like another row, 0.")
    assert '"given":' in reason["what"]
    assert reason["columns"] == ["given", "family", "born"]
    found.release()


def test_merging_fills_the_row_that_stays(spark):
    rows_ = [
        (1, "a", None, 5),
        (1, None, "x", None),
        (1, "b", "y", None),
        (2, "c", None, None),
        (None, "d", None, None),
        (None, "d", None, None),
    ]
    frame = spark.createDataFrame(rows_, "id int, a string, b string, c int")
    found = treated(frame, duplicates={"p": {"on": ["id"], "keep": "merge"}})
    kept = rows(found.frame, "id", "a", "b", "c")
    assert len(kept) == 4  # a null key is no key
    assert (1, "b", "y", 5) in kept or (1, "a", "y", 5) in kept or (1, "a", "x", 5) in kept
    assert found.diverted.count() == 2


def test_identical_rows_are_duplicates_of_each_other(spark):
    frame = spark.createDataFrame([(1, "martha")] * 3 + [(2, "zoe")], "id int, given string")
    found = treated(frame, duplicates={"p": {"similar": {"given": "name"}}})
    assert rows(found.frame, "id") == [(1,), (2,)]
    assert found.diverted.count() == 2
    found.release()


def test_chains_are_one_cluster(spark):
    names = ["aaaaaaaaaa", "aaaaaaaaab", "aaaaaaaabb", "aaaaaaabbb", "zzzzzzzzzz"]
    frame = spark.createDataFrame([(n, name, 1) for n, name in enumerate(names)], "id int, name string, k int")
    found = treated(frame, duplicates={"p": {"similar": {"name": "id"}, "above": 0.9, "block": ["k"]}})
    assert found.frame.count() == 2
    found.release()


def test_a_block_that_explodes_is_split_and_told_or_refused(spark, monkeypatch):
    frame = spark.createDataFrame(
        [(n, f"name{n // 2:04d}", "unknown") for n in range(300)], "id int, name string, city string"
    )
    how = {"similar": {"name": "exact", "city": "exact"}, "above": 1.0, "block": ["city"], "largest_block": 100}
    found = treated(frame, duplicates={"p": how})
    assert found.frame.count() == 150
    assert "1 block(s) of more than 100 rows (the largest 300) were split" in found.notes[0]
    found.release()
    monkeypatch.setattr(matching, "REFUSED", 200)
    with pytest.raises(RunError, match="block city brings 300 rows together"):
        treated(frame, duplicates={"p": how})


@pytest.mark.parametrize("engine", ["deequ", "spark"])
def test_duplicates_as_a_rule(lake, engine):
    lake.source(PEOPLE, "id int, given string, family string, born string, mail string, seen int")
    extra = f"quarantine: {{{{path: {{root}}/quarantine}}}}\nengine: {engine}"
    result = lake.publish(rules='NoDuplicates "given" "family" "born" with similarity = 0.85', extra=extra)
    assert result.rows == {"in": 5, "published": 2, "quarantined": 3, "dropped": 0}
    assert result.verdicts[0]["measured"] == pytest.approx(0.4)
