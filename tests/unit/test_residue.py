"""What is a value in the bytes of a file, and what is part of somebody else's."""

import base64
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.privacy.needles import Needle, Wanted, at_home, erased, holds
from dataward.privacy.residue import Residue, _in_bytes, _standing, kind_of

WORD = st.text(
    st.characters(codec="utf-8", categories=("Lu", "Ll", "Nd"), max_codepoint=0x0DFF), min_size=5, max_size=12
)
BETWEEN = st.sampled_from([" ", "\n", '"', "-", "@", "/", "\u00a0", "\u201c", "_", "(", "\u3000"])


@pytest.mark.parametrize("text", ["Smithson", "Blacksmith Smithers", "\u00dcSmith\u00e9", "xSmith1", "naSmith"])
def test_a_surname_inside_of_another_is_not_found(text):
    assert not holds(text.encode(), "Smith")
    assert erased(text.encode(), "Smith") == text.encode()


@pytest.mark.parametrize("text", [
    "Ann Smith", "Smith's", "Smithson or Smith", '"Smith"', "\u201cSmith\u201d", "dear_Smith_", json.dumps("dear\nSmith\there"),
    json.dumps(json.dumps("a\nSmith")), "q=x%20Smith", json.dumps("\u2013Smith"), "\u7530Smith\u3055\u3093", "Smith\x00",
])  # fmt: skip
def test_a_surname_that_is_a_word_is_found(text):
    assert holds(text.encode(), "Smith")
    assert b"[erased]" in erased(text.encode(), "Smith")


def test_values_in_base64_have_no_bounds():
    assert holds(base64.b64encode(b"xxsomeone@x.orgyy"), "someone@x.org")


@given(WORD, BETWEEN, WORD, BETWEEN, WORD)
def test_a_word_between_others_is_found_in_every_form_and_nothing_longer(before, left, word, right, after):
    text = f"{before}{left}{word}{right}{after}"
    for data in (text.encode(), json.dumps(text).encode(), json.dumps({"a": json.dumps(text)}).encode()):
        assert holds(data, word)
    if word not in (before, after):
        assert not holds(f"{before}{word}{after}".encode(), word)


def wanted(*values):
    return [Wanted.of(Needle(value, value)) for value in values]


def parquet(rows, schema, **how):
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), stream, **how)
    return stream.getvalue()


NAMES = pa.schema([("who", pa.struct([("name", pa.string()), ("n", pa.int64())])), ("tags", pa.list_(pa.string()))])


@pytest.mark.parametrize("how", [{}, {"compression": "none", "use_dictionary": False}])
def test_cells_of_parquet_are_found_by_their_column(how):
    data = parquet([{"who": {"name": "Smithson", "n": 12345}, "tags": ["x Jones y", None]}], NAMES, **how)
    assert _in_bytes(data, wanted("Smith", "Jones", "12345", "other")) == {
        ("Jones", "column tags"),
        ("12345", "column who.n"),
    }


def test_a_short_number_is_a_residue_in_columns_of_its_name_and_in_texts_and_not_in_every_column_of_numbers():
    """Else no erasure of customer 5 could be proved in a table that has an order 5."""
    kinds = {"order_no": pa.int64(), "Customer": pa.int32(), "amount": pa.float64(), "note": pa.string()}
    row = {"order_no": 5, "Customer": 5, "amount": 5.0, "note": "5"}
    data = parquet([row], pa.schema(list(kinds.items())))
    needles = [
        Wanted.of(Needle(f"{name} (raw)", value)) for name, value in (("customer", "5"), ("id", "5"), ("given", "5"))
    ]
    assert _in_bytes(data, needles) == {
        ("customer (raw)", "column Customer"),
        ("customer (raw)", "column note"),
        ("id (raw)", "column note"),
        ("given (raw)", "column order_no"),
        ("given (raw)", "column Customer"),
        ("given (raw)", "column amount"),
        ("given (raw)", "column note"),
    }
    long = parquet([{**row, "order_no": 12345}], pa.schema(list(kinds.items())))
    assert _in_bytes(long, [Wanted.of(Needle("customer (raw)", "12345"))]) == {("customer (raw)", "column order_no")}


def test_what_the_footer_holds_beside_cells_is_found():
    schema = NAMES.with_metadata({"note": "kept of Garfield"})
    told = parquet([{"who": {"name": "Smithson", "n": 1}, "tags": []}], schema)
    assert _in_bytes(told, wanted("Smith", "Garfield")) == {("Garfield", "its footer or unused bytes")}


@pytest.mark.parametrize(("path", "kind"), [
    ("t/_delta_log/0.json", "log"), ("t/_delta_log/1.checkpoint.parquet", "checkpoint"), ("t/part-0.parquet", "data"),
    ("t/_change_data/c.parquet", "change data"), ("reports/t/r/report.html", "file"), ("t/.part.crc", "checksum"),
    ("t/deletion_vector_1.bin", "deletion vector"),
])  # fmt: skip
def test_every_kind_of_residue_says_what_to_do_next(path, kind):
    assert kind_of(path) == kind
    assert "erase again" in Residue(path, kind, "name (raw)").next
    assert "--values" in Residue(path, kind, "given (raw)").next


def test_a_column_of_the_window_is_at_home_where_the_one_beside_it_is():
    assert at_home("mail__v1") == at_home("Mail") == "mail"
    assert at_home("who.Mail") == "who.mail"
    assert at_home("doc: a.b") == "doc"


def test_what_other_people_have_at_the_same_place_is_theirs_as_well():
    mine = [
        Needle("name (raw)", "Smith", "name"),
        Needle("npi (protected)", "v1.aa", "npi"),
        Needle("at.code (raw)", "Q12345", "at.code"),
        Needle("id (raw)", "p-1", ""),
        Needle("city (raw)", "Smithson", "city"),
    ]
    others = pa.RecordBatch.from_pylist(
        [
            {"name": "Smithson", "npi__v1": "v1.aa", "at": {"code": "Q12345"}, "id": "p-1", "city": "x"},
            {"name": "Ann Smith-Lee"},
        ]
    )
    (found,) = _standing(mine)([others.slice(0, 1)])
    assert found.column(0).to_pylist() == [1, 2]
    (found,) = _standing(mine)([others])
    assert found.column(0).to_pylist() == [0, 1, 2]
