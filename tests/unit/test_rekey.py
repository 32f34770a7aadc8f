"""What a rotation finds and brings over inside of columns: nested values, JSON, and what fallbacks made."""

import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from dataward.contract import Contract
from dataward.keys import create_keyring
from dataward.privacy import rekey
from dataward.privacy.protect import compiled
from dataward.privacy.protect.operator import Key
from dataward.privacy.rekey import Between, Columns

COLUMNS = {
    "who": {"protect": "keep"},
    "who.mail": {"class": "email", "protect": "token"},
    "who.pin": {"class": "account", "protect": {"fpe": {"alphabet": "digits"}}},
    "notes": {"class": "note", "protect": {"encrypt": {}}},
    "doc": {
        "class": "note",
        "protect": {
            "json": {
                "fields": {"a": {"protect": {"encrypt": {}}}, "b.c": {"protect": "token"}},
                "rest": "keep",
                "invalid": {"fallback": "encrypt"},
            }
        },
    },
    "card": {"class": "account", "protect": {"fpe": {"alphabet": "digits", "invalid": {"fallback": "encrypt"}}}},
    "text": {"class": "note", "protect": "redact_text"},
    "other": {"domain": "elsewhere", "class": "email", "protect": "token"},
}
ROWS = [
    {
        "who": {"mail": "ada@x.org", "pin": "1234567", "age": 3},
        "notes": ["one", None, "two"],
        "doc": '{"a":"secret","b":[{"c":"x@y.org"},{"c":"z"}],"d":1.5}',
        "card": "4539578763621",
        "text": "write to ada@x.org or bob@x.org",
        "other": "ada@x.org",
    },
    {"who": None, "notes": None, "doc": "no JSON", "card": "no card", "text": None, "other": None},
    {
        "who": {"mail": None, "pin": None, "age": None},
        "notes": [],
        "doc": None,
        "card": None,
        "text": "nothing",
        "other": "b",
    },
]
SCHEMA = pa.schema(
    [
        ("who", pa.struct([("mail", pa.string()), ("pin", pa.string()), ("age", pa.int64())])),
        ("notes", pa.list_(pa.string())),
        ("doc", pa.string()),
        ("card", pa.string()),
        ("text", pa.string()),
        ("other", pa.string()),
    ]
)
EVERYWHERE = {"who.mail": 1, "notes": 2, "doc: a": 1, "doc: b.c": 2, "doc": 1, "card": 1, "text": 1}


@pytest.fixture(scope="module")
def ring():
    made = create_keyring(Path(tempfile.mkdtemp(), "keys"))
    made.add_domain("t")
    made.add_domain("elsewhere")
    made.rotate("t")
    return made


@pytest.fixture(scope="module")
def contract():
    return Contract.model_validate(
        {"contract": "t", "source": {"path": "s", "format": "delta"}, "target": {"path": "p"},
         "keys": {"path": "k", "domain": "t"}, "columns": COLUMNS}
    )  # fmt: skip


def at(ring, version):
    def key(purpose, domain):
        number = version if domain == "t" else 1
        return Key(domain, number, ring.key(purpose, domain, number))

    return key


def protected(contract, ring, version):
    batch = pa.RecordBatch.from_pylist(ROWS, SCHEMA)
    return compiled(contract, at(ring, version), SCHEMA).apply(batch)


def columns(contract, ring):
    return Columns(contract, Between("t", 1, 2, at(ring, 1), at(ring, 2)), tuple(SCHEMA), frozenset())


def counted(contract, ring, batch):
    (found,) = columns(contract, ring).counting()([batch])
    return dict(zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True))


def mapped(before, after):
    pairs = {}
    for name in SCHEMA.names:
        pairs |= dict(rekey.paired(before.column(name), after.column(name), 1, 2))
    return pairs


def test_every_place_that_names_the_outgoing_version_is_counted(contract, ring):
    assert counted(contract, ring, protected(contract, ring, 1)) == EVERYWHERE
    assert counted(contract, ring, protected(contract, ring, 2)) == {}


def test_every_place_is_brought_over_to_what_a_new_run_would_write(contract, ring):
    before, after = protected(contract, ring, 1), protected(contract, ring, 2)
    (moved,) = columns(contract, ring).moving(mapped(before, after), {"who.pin", "card"})([before])
    assert moved.schema == before.schema
    assert moved.to_pylist() == after.to_pylist()
    (again,) = columns(contract, ring).moving(mapped(before, after), ())([moved])
    assert again.to_pylist() == after.to_pylist()


def test_tokens_that_no_map_explains_stay_and_are_counted(contract, ring):
    before = protected(contract, ring, 1)
    (moved,) = columns(contract, ring).moving({}, {"who.pin", "card"})([before])
    assert counted(contract, ring, moved) == {"who.mail": 1, "doc: b.c": 2, "text": 1}
    assert json.loads(moved.column("doc")[0].as_py())["d"] == 1.5


def test_what_a_document_keeps_is_no_token_of_ours():
    kept = f"v1.{'ab' * 16}"
    before = [json.dumps({"kept": kept, "a": f"v1.{'cd' * 16}"}), f"<EMAIL:v1.{'01' * 16}>"]
    after = [json.dumps({"kept": kept, "a": f"v2.{'ef' * 16}"}), f"<EMAIL:v2.{'02' * 16}>"]
    found = rekey.paired(pa.array(before), pa.array(after), 1, 2)
    assert found == [(f"v1.{'01' * 16}", f"v2.{'02' * 16}"), (f"v1.{'cd' * 16}", f"v2.{'ef' * 16}")]


def test_what_fallbacks_and_json_use_is_told_like_columns(contract, ring):
    from dataward.privacy.protect.compiled import uses

    found = {where for field in SCHEMA for where, _ in uses(contract, at(ring, 1), field)}
    assert found == {
        "who.mail",
        "who.pin",
        "notes",
        "doc: a",
        "doc: b.c",
        "doc (fallback)",
        "card",
        "card (fallback)",
        "text",
        "other",
    }
    assert contract.domains == ("t", "elsewhere")


def test_the_trees_of_both_versions_make_the_pairs_from_raw_values(contract, ring):
    raw = pa.RecordBatch.from_pylist(ROWS, SCHEMA)
    made = {}
    for name in SCHEMA.names:
        one = raw.select([name])
        before, after = (
            compiled(contract, at(ring, version), one.schema, strict=False).columns[0][1] for version in (1, 2)
        )
        (found,) = rekey.pairing(before, after, 1, 2)([one])
        made |= dict(zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True))
    assert made == mapped(protected(contract, ring, 1), protected(contract, ring, 2))
    assert len(made) == 4  # ada@x.org, in a struct and in the text, bob@x.org, and two values in JSON
