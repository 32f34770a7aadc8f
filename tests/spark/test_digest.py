"""The digest over real tables: rows of any size, columns of any name."""

import pytest

from dataward.integrity import digest as module
from dataward.integrity.digest import digest

KEY, NONCE = bytes(32), "00" * 16


@pytest.fixture
def table(spark, tmp_path):
    schema = "id int, `a.b` string, `__file` string, file string, c0 int, nested struct<`x.y`: string, n: int>, list array<string>, pairs map<string, int>"
    rows = [
        (
            n,
            "x" * n,
            None if n % 7 else "",
            f"f{n}",
            n,
            ("é" * (n % 11), n) if n % 5 else None,
            ["l"] * (n % 4),
            {"k": n},
        )
        for n in range(60)
    ]
    spark.createDataFrame(rows, schema).repartition(3).write.format("delta").save(str(tmp_path / "t"))
    return lambda: spark.read.format("delta").load(str(tmp_path / "t"))


def test_rows_left_for_smaller_batches_count_as_if_all_were_read_at_once(table, monkeypatch):
    whole = digest(table(), KEY, NONCE)
    assert whole.rows == 60
    for sizes in (((20, 3), (60, 2), (2**62, 1)), ((-1, 1), (2**62, 7)), ((2**62, 20_000),)):
        monkeypatch.setattr(module, "SIZES", sizes)
        assert digest(table(), KEY, NONCE) == whole


def test_the_size_of_a_row_counts_texts_wherever_they_are(spark):
    frame = spark.createDataFrame(
        [("abc", bytearray(b"12"), ("xy", 1), [1.5, 2.5], ["abcd"], 7), (None, None, None, None, None, 7)],
        "t string, b binary, s struct<`u.v`: string, n: int>, numbers array<double>, texts array<string>, n int",
    )
    sizes = [row[0] for row in frame.selectExpr(module.row_size(frame.schema)).collect()]
    assert sizes == [3 + 2 + 2 + 64 + len('["abcd"]'), 0]
    assert module.row_size(frame.select("n").schema) == "0L"


@pytest.mark.long
def test_no_batch_of_long_texts_grows_past_what_arrow_holds(spark, tmp_path):
    """80 KB a row, as of notes or documents: 20,000 of them are 1.6 GB."""
    place = str(tmp_path / "long")
    spark.range(20_000, numPartitions=1).selectExpr("id", "repeat('x', 80000) as note").write.format("delta").save(
        place
    )
    made = digest(spark.read.format("delta").load(place), KEY, NONCE)
    assert made.rows == 20_000
