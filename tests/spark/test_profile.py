"""Profiles of Spark frames: what is told, in how many passes, and that nothing sensitive is."""

import json
from decimal import Decimal

import pytest

import dataward.verbs.profile as module
from dataward.cli import main
from dataward.contract import Source
from dataward.errors import SourceError, UsageError
from dataward.privacy.discover.detectors import DETECTORS
from dataward.profiling.column import column_profile
from dataward.profiling.columns import seen
from dataward.verbs.profile import compared, profile, read

ROWS = [
    (
        n,
        f"k{n:04}",
        Decimal(n % 7),
        n % 10 / 10 if n % 4 else None,
        f"canary.person{n}@example.org",
        ("red", "green", "blue")[n % 3],
        {"a": n % 2},
        n % 2 == 0,
    )
    for n in range(1000)
]
SCHEMA = "id bigint, `the.key` string, amount decimal(10,2), part double, mail string, colour string, nested map<string,int>, flag boolean"


@pytest.fixture
def table(lake):
    return Source(path=lake.source(ROWS, SCHEMA))


def test_a_table_is_told_in_two_passes_whatever_its_columns(spark, table, jobs_of):
    found = profile(spark, table)
    columns = {column.name: column for column in found.columns}
    assert found.rows == 1000
    assert [column.key for column in found.columns] == [True, True, False, False, True, False, False, False]
    assert (columns["id"].low, columns["id"].quantiles[50], columns["id"].high) == (0, pytest.approx(500, abs=40), 999)
    assert (columns["part"].missing, columns["part"].completeness) == (250, 0.75)
    assert [(one.value, one.count) for one in columns["colour"].frequent] == [
        ("red", 334),
        ("blue", 333),
        ("green", 333),
    ]
    assert columns["nested"].frequent[0].value == '{"a":0}'
    assert columns["flag"].distinct == 2
    assert columns["amount"].mean == pytest.approx(sum(n % 7 for n in range(1000)) / 1000)
    assert columns["the.key"].shapes == (("a9", 1.0),)
    numbers = [tuple(range(n, n + 60)) for n in range(50)]
    wide = spark.createDataFrame(numbers, ", ".join(f"c{n} int" for n in range(60)))
    for frame in (spark.createDataFrame(ROWS, SCHEMA), wide):
        with jobs_of() as sketching:
            found = seen(frame, DETECTORS)
        columns = [column_profile(name, kind, found.sketches[n]) for n, (name, kind) in enumerate(frame.dtypes)]
        with jobs_of() as counting:
            assert any(column.key for column in module._counted(frame, columns))
        assert (sketching["jobs"], counting["jobs"]) == (1, 1)  # one pass each


def test_what_looks_sensitive_shows_no_value(spark, lake, table, capsys):
    found = profile(spark, table)
    (mail,) = (column for column in found.columns if column.name == "mail")
    assert (mail.sensitive, mail.frequent, mail.low, mail.shapes) == ("email", (), None, ())
    assert mail.lengths.high > 20
    report = lake.root / "reports"
    assert main(["profile", table.path, "--json", "--report", str(report)]) == 0
    told = capsys.readouterr()
    assert main(["profile", table.path, "--report", str(report)]) == 0
    told = [told.out, told.err, *capsys.readouterr(), *(page.read_text() for page in report.glob("*.html"))]
    assert not any("canary" in text for text in told)
    assert "looks sensitive (email): no values are shown" in told[2]


def test_an_earlier_profile_is_compared_with(spark, lake, table, capsys, tmp_path):
    assert main(["profile", table.path, "--json", "--report", str(tmp_path)]) == 0
    (tmp_path / "first.json").write_text(capsys.readouterr().out)
    first = read(str(tmp_path / "first.json"))
    assert [(one.name, one.missing, one.frequent, one.lengths) for one in first.columns] == [
        (one.name, one.missing, one.frequent, one.lengths) for one in profile(spark, table).columns
    ]
    assert not any(one.told for one in compared(first, first))
    rows = [(*row[:3], (row[3] or 0.0) + 5, row[4], "violet" if row[0] % 2 else row[5], *row[6:]) for row in ROWS]
    lake.source(rows, SCHEMA)
    assert main(["profile", table.path, "--compare", str(tmp_path / "first.json"), "--report", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "since the earlier profile: 2 of 8 columns moved" in told
    assert "part: the distribution moved much; completeness rose by 25.0%" in told
    assert "1 new value: violet" in told
    assert "violet" in (tmp_path / "source.html").read_text()


def test_a_sample_tells_its_error(spark, table):
    found = profile(spark, table, share=0.5)
    assert 400 < found.rows < 600
    assert found.error == pytest.approx((3.689 / (2 * found.rows)) ** 0.5, rel=1e-3)
    assert not any(column.key for column in found.columns)


def test_nothing_and_what_cannot_be_read(spark, lake, tmp_path, capsys):
    empty = Source(path=lake.source([], SCHEMA, "empty"))
    found = profile(spark, empty)
    assert (found.rows, len(found.columns)) == (0, 8)
    assert main(["profile", str(lake.root / "empty"), "--report", str(tmp_path)]) == 0
    with pytest.raises(SourceError, match="no Delta table here"):
        profile(spark, Source(path=str(tmp_path / "nowhere")))
    (tmp_path / "other.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(UsageError, match="this is no profile: write one with dataward profile"):
        read(str(tmp_path / "other.json"))
    assert main(["profile", "x", "--sample", "2"]) == 2
    assert "give a share above 0" in capsys.readouterr().err
