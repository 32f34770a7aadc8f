"""What a CSV header may be, on plain lists: names that clash, names that lack, and first records that are no header."""

from __future__ import annotations

import pytest

from dataward.tables.header import trouble

UUID = "0b0f7a3e-9c2a-4b1e-8f00-1a2b3c4d5e6f"


@pytest.mark.parametrize(("header", "records"), [
    (["id", "name", "mail"], [["1", "Ann", "a@x.org"], ["2", "Ben", "b@x.org"]]),
    (["country", "2019", "2020", "2021"], [["FR", "12", "13", "14"], ["DE", "2", "3", "4"]]),
    (["Province/State", "Lat", "1/22/20", "1/23/20"], [["", "33.1", "0", "0"], ["Ontario", "51.2", "1", "4"]]),
    (["station", "2020-01", "2020-02"], [["S1", "0.5", "0.7"]]),
    (["station", *map(str, range(1, 32))], [["S1", *map(str, range(31))]]),
    (["q1", "q2", "addr2"], [["A1", "B2", "Apt 2"]]),
    (["id", "name", "icd10", "line12"], []),
    (["id", "name"], [["id", "name"], ["1", "Ann"]]),  # two files in one
    (["name", "größe", "名前"], [["Ann", "1,70", None]]),
    (["iso_3166_1", "icd10", "sha256"], [["FR", "A00.1", "ab12"]]),
])  # fmt: skip
def test_names_are_taken_for_names(header, records):
    assert trouble(header, records) is None


@pytest.mark.parametrize(("header", "records"), [
    (["1", "Ann", "Meyer"], [["2", "Ben", "Moss"]]),
    (["Ann", "34"], [["Ben", "51"]]),
    (["Ann", "ann@example.org"], []),
    (["Ann", "1980-02-03"], [["Ben", "1977-11-30"]]),
    (["Ann", "3/2/1980"], [["Ben", "30/11/77"]]),
    (["Ann", "+49 170 5551234"], [["Ben", "none"]]),
    (["Ann", "4929371288416675"], [["Ben", ""]]),
    (["Ann", "12.50", "-3"], [["Ben", "3.75", "-14"]]),
    (["Ann", "F", "NY"], [["Ben", "M", "CA"], ["Eve", "F", "TX"]]),
    (["Ann", "P0017"], [["Ben", "P0018"], ["Eve", "P0021"]]),
    (["Ann", UUID], []),
    (["Ann", "1980-02-03"], []),
])  # fmt: skip
def test_a_first_record_is_told_from_a_header_and_not_shown(header, records):
    what, remedy = trouble(header, records)
    assert "values where column names should be" in what
    assert "source.schema" in remedy
    assert not any(value in what + remedy for value in header if len(value) > 1)


@pytest.mark.parametrize(("header", "words"), [
    (["id", "name", ""], "column 3 of the 3 columns of the header has no name (its line ends in a separator)"),
    (["", "name"], "column 1 of the 2 columns of the header has no name"),
    (["id", None, "b"], "column 2 of the 3"),
    (["id", "Id", "ID"], "the header has 'id', 'Id', 'ID', which Spark does not tell apart"),
    (["id", "name", "name"], "the header has 'name' twice"),
    (["a", "a", "a"], "the header has 'a' 3 times"),
    (["id", "no\nte"], "a name in the header holds a line break"),
    (["id", "M\ufffdller"], "bytes that are no text"),
    (["i\0d"], "bytes that are no text"),
])  # fmt: skip
def test_what_no_header_may_be_is_said_with_its_remedy(header, words):
    what, remedy = trouble(header, [["1", "Ann", "x"]])
    assert words in what
    assert remedy
