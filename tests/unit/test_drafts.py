"""What discovery drafts loads, goes with every column, protects every value and passes its own gate, whatever the table."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.contract import Document, Source, problems_of
from dataward.contract.draft import Drafting, plain_or_quoted
from dataward.contract.load import policy_of
from dataward.privacy.discover.columns import by_path
from dataward.privacy.discover.gates import weighed
from dataward.privacy.discover.scanner import scanner
from dataward.privacy.discover.score import judge_column
from dataward.privacy.protect import compiled, key_of, misfits, undecided
from dataward.verbs.discover import Discovered, drafted
from tests.cases import cases
from tests.keys import ZEROS

ROWS = 60
POLICY = "conf/policies/default.yaml"
HOWS = (Drafting(), Drafting(policy_of(POLICY), POLICY))


def doc(n):
    return json.dumps({"u": {"mail": f"u{n}@x.org", "tel": f"030 90182{n:03}"}, "n": n, "note": f"ask v{n}@x.org"})


# What a column of row n holds, and its type.
KINDS = {
    "flag": (lambda n: n % 2 == 0, pa.bool_()),
    "blob": (lambda n: bytes([n, 255]), pa.binary()),
    "count": (lambda n: n, pa.int64()),
    "ratio": (lambda n: n / 7, pa.float64()),
    "amount": (lambda n: Decimal(n) / 100, pa.decimal128(10, 2)),
    "day": (lambda n: date(1950, 1, 1) + timedelta(days=199 * n), pa.date32()),
    "moment": (lambda n: datetime(2026, 1, 1) + timedelta(minutes=n), pa.timestamp("us", "UTC")),
    "mail": (lambda n: f"user{n}@example.org", pa.string()),
    "phone at home": (lambda n: f"030 901820{n:02}", pa.string()),
    "phone abroad": (lambda n: f"+49 30 9018{n:04}" if n % 5 else f"x{n}", pa.string()),
    "duration": (lambda n: f"{n % 3:02}.{n * 7919 % 10**6:06}", pa.string()),
    "person": (lambda n: f"{('Ada', 'Grace', 'Alan')[n % 3]} {('Smith', 'Hopper', 'Turing', 'Miller')[n % 4]}", pa.string()),
    "security code": (lambda n: f"{n * 37 % 1000:03}", pa.string()),
    "postcode": (lambda n: 10000 + 137 * n, pa.int32()),
    "prose": (lambda n: f"{'Ada Smith' if n % 2 else 'she'} wrote from u{n}@x.org about order {n}, call 030-901820", pa.string()),
    "plain prose": (lambda n: f"the {n}th delivery came late again, no reason given", pa.string()),
    "json": (lambda n: doc(n) if n % 9 else "no JSON: w@x.org", pa.string()),
    "json with keys that are data": (lambda n: json.dumps({f"u{n}@x.org": n, "a b": {"value": f"u{n}@x.org"}}), pa.string()),
    "mails": (lambda n: [f"u{n}@x.org", None], pa.list_(pa.string())),
    "codes": (lambda n: [f"{n * 37 % 1000:03}"], pa.list_(pa.string())),
    "struct": (lambda n: {"mail": f"u{n}@x.org", "ok": n % 2 == 0, "raw": b"x"}, pa.struct([("mail", pa.string()), ("ok", pa.bool_()), ("raw", pa.binary())])),
    "map": (lambda n: [("home", f"030 901820{n:02}"), ("who", f"u{n}@x.org")], pa.map_(pa.string(), pa.string())),
    "nothing": (lambda n: None, pa.string()),
    "token": (lambda n: f"v1.{n:032x}", pa.string()),
}  # fmt: skip
NAMES = st.sampled_from(
    ["c1", "mail address", "größe", 'quo"te', "back\\slash", "😀 name", "x: y", "null", "on", "tab\there", "phone", "zip", "card_number",
     "cvv", "address_type", "date of birth", "note", "lat", "user.mail", "#c", "[x]", "surname", "iban", "v1.2", " lead"]
)  # fmt: skip
TABLES = st.lists(
    st.tuples(NAMES, st.sampled_from(sorted(KINDS))), min_size=1, max_size=5, unique_by=lambda one: one[0]
)


def table_of(chosen):
    columns = [
        pa.array([None if n % 11 == 10 else KINDS[kind][0](n) for n in range(ROWS)], KINDS[kind][1])
        for _, kind in chosen
    ]
    return pa.RecordBatch.from_arrays(columns, [name for name, _ in chosen])


def findings(batch):
    seen = [(path, scanner().look_at(values)) for path, values in by_path(batch)]
    return tuple(judge_column(path, evidence, beside=[name for name, _ in seen]) for path, evidence in seen)


def publishes(batch, how):
    """Everything that a publish of the draft decides about this table, without Spark; gives the contract."""
    text = drafted(
        Source(path="data/my table.csv", format="csv"), Discovered("t", ROWS, ROWS, findings(batch), batch.schema), how
    )
    contract, problems = problems_of(Document.parse(text))
    assert not problems, (text, [str(problem) for problem in problems])
    assert [path for field in batch.schema for path in undecided(contract, field)] == []
    assert [trouble for field in batch.schema if (trouble := misfits(contract, field, batch.schema))] == []
    ready = compiled(contract, key_of(ZEROS), batch.schema).apply(batch)  # no value stops the run
    looked = weighed(contract, batch.schema, findings(ready))
    assert (looked.unclassed, looked.residue) == ((), ()), text
    return contract


@given(TABLES, st.sampled_from([0, 1]))
@cases(1)
def test_a_draft_of_any_table_publishes(chosen, how):
    publishes(table_of(chosen), HOWS[how])


@pytest.mark.parametrize("how", HOWS, ids=["alone", "policy"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_draft_of_every_kind_of_column_publishes(kind, how):
    contract = publishes(table_of([(kind, kind)]), how)
    assert kind in contract.columns or any(path.startswith(kind) for path in contract.columns)


@pytest.mark.parametrize(
    ("place", "name", "target"),
    [
        ("lake/people", "people", "lake/people_published"), ("/srv/lake/people/", "people", "/srv/x"), ("data/2024 sales.csv", "table_2024_sales", "lake/table_2024_sales"),
        ("s3://b/größe", "gr_e", "lake/gr_e"), ("data/---", "table", "lake/table"), ("x" * 90, "x" * 60, "lake/" + "x" * 60),
    ],
)  # fmt: skip
def test_a_draft_has_a_name_that_a_contract_takes_and_never_its_source_as_target(place, name, target):
    text = drafted(Source(path=place), Discovered(place, 0, 0, (), pa.schema([("a", pa.bool_())])))
    contract, problems = problems_of(Document.parse(text))
    assert not problems
    assert contract.contract == name
    assert str(contract.source) == place
    assert str(contract.target) == target or (str(contract.target) == "lake/people_published" and "/srv" in target)


def test_free_text_beside_names_is_redacted_of_them():
    contract = publishes(table_of([("who", "person"), ("comment", "plain prose")]), Drafting())
    assert contract.columns["comment"].protect.also == ("who",)
    assert publishes(table_of([("comment", "plain prose")]), Drafting()).columns["comment"].protect.op == "keep"


def test_a_detector_whose_class_no_column_may_have_still_drafts():
    found = Discovered("t", 1, 1, findings(table_of([("c", "mail")])), pa.schema([("c", pa.string())]))
    odd = [one.__class__(**{**vars(one), "class_": "Staff-ID"}) for one in found.columns]
    contract, problems = problems_of(
        Document.parse(drafted(Source(path="a"), Discovered("t", 1, 1, tuple(odd), found.schema)))
    )
    assert not problems
    assert contract.columns["c"].protect.op == "token"


@given(st.text())
@cases()
def test_any_text_is_read_from_yaml_as_it_was(text):
    if any("\ud800" <= character <= "\udfff" for character in text):
        return
    assert Document.parse(f"{plain_or_quoted(text)}: {plain_or_quoted(text)}").data == {text: text}
