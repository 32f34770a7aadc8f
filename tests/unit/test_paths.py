"""What a name means in a table: a column, a path into one, a path into JSON; and what is there."""

import pyarrow as pa
import pytest

from dataward.contract import Document, problems_of
from dataward.errors import KeyringError
from dataward.privacy.paths import located
from dataward.privacy.protect import compiled, key_of
from dataward.privacy.reidentify import originals
from tests.keys import Ring

RING = Ring(1, {1: bytes(range(32))})
SCHEMA = pa.schema(
    [
        ("a.b", pa.string()),
        ("a", pa.struct([("b", pa.string()), ("list", pa.list_(pa.struct([("c", pa.string())])))])),
        ("m", pa.map_(pa.string(), pa.string())),
        ("doc", pa.string()),
    ]
)
COLUMNS = """
  a: {protect: keep}
  a.b: {class: x, protect: {encrypt: {}}}
  a.list.c: {class: y, protect: {encrypt: {}}}
  m.value: {class: z, protect: {encrypt: {}}}
  doc: {class: note, protect: {json: {fields: {p.q: {protect: {encrypt: {}}}}, rest: keep}}}
"""
ROWS = [
    {
        "a.b": "dotted",
        "a": {"b": "one", "list": [{"c": "x"}, {"c": "y"}]},
        "m": [("k", "v"), ("l", "w")],
        "doc": '{"p":[{"q":"s"},{"q":"t"}]}',
    },
    {"a.b": None, "a": None, "m": None, "doc": None},
    {"a.b": "d", "a": {"b": None, "list": []}, "m": [], "doc": "none"},
]


def contract_of(columns):
    made, problems = problems_of(Document.parse(
        f"contract: t\nsource: {{path: a}}\ntarget: {{path: b}}\nkeys: {{path: k, domain: people}}\ncolumns: {columns}\ndefault: keep\n"
    ))  # fmt: skip
    assert not problems, [str(problem) for problem in problems]
    return made


@pytest.mark.parametrize(("name", "column", "path", "op", "expected"), [
    ("A.LIST.C", "a", ("list", "c"), "encrypt", [["x", "y"], [], []]),
    ("m.value", "m", ("value",), "encrypt", [["v", "w"], [], []]),
    ("m.key", "m", ("key",), "keep", [["k", "l"], [], []]),
    ("doc.p.q", "doc", ("p", "q"), "encrypt", [["s", "t"], [], []]),
    ("a.b", "a.b", (), "encrypt", ["dotted", None, "d"]),
])  # fmt: skip
def test_a_path_gives_the_values_of_each_row(name, column, path, op, expected):
    place = located(contract_of(COLUMNS), SCHEMA, name)
    assert (place.column, place.path, place.line.protect.op) == (column, path, op)
    there = place.of(pa.Table.from_pylist(ROWS, SCHEMA).column(column).combine_chunks())
    assert there.by_row(there.values.to_pylist(), 3) == expected


def test_a_field_of_a_struct_where_no_column_has_its_name():
    place = located(contract_of(COLUMNS), SCHEMA.remove(0), "a.b")
    assert (place.where, place.line.class_) == ("a.b", "x")
    there = place.of(pa.Table.from_pylist(ROWS, SCHEMA).column("a").combine_chunks())
    assert there.by_row(there.values.to_pylist(), 3) == ["one", None, None]


@pytest.mark.parametrize("name", ["b", "a.x", "m.other", "a.b.c"])
def test_a_path_that_leads_nowhere(name):
    assert located(contract_of(COLUMNS), SCHEMA, name) is None


def given_back(protection, values, more=()):
    """The originals of protected values, with further texts that stand among them."""
    contract = contract_of(f"{{a: {{class: c, protect: {protection}}}}}")
    schema = pa.schema([("a", pa.string())])
    batch = pa.RecordBatch.from_arrays([pa.array(values, pa.string())], schema=schema)
    made = compiled(contract, key_of(RING), schema).apply(batch).column(0).to_pylist()
    return originals(None, contract, contract.column("a"), RING, pa.array([*made, *more], pa.string()), {1})


def test_what_the_operator_did_not_make_is_skipped():
    assert given_back("{encrypt: {}}", ["one", None], ["plain", "v1.0 release", ""]) == [b"one", None, None, None, None]
    assert given_back("{fpe: {alphabet: digits}}", ["1234567"], ["no digits", "12"]) == [b"1234567", None, None]


def test_what_a_reversible_fallback_made_is_opened_and_of_another_skipped():
    fpe = "{fpe: {alphabet: base62, separators: '. ', invalid: {fallback: OTHER}}}"
    assert given_back(fpe.replace("OTHER", "encrypt"), ["abcdefg", "a-b"]) == [b"abcdefg", b"a-b"]
    assert given_back(fpe.replace("OTHER", "token"), ["abcdefg", "a-b"]) == [b"abcdefg", None]
    assert given_back(fpe.replace("OTHER", "redact"), ["abcdefg", "a-b"])[0] == b"abcdefg"


def test_a_damaged_value_is_an_error_not_a_gap():
    with pytest.raises(KeyringError, match="damaged"):
        given_back("{encrypt: {}}", ["one"], ["v1.AAAAAAAAAAAAAAAAAAAAAAAA"])
