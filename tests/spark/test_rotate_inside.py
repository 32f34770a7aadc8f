"""Rotation of what lies inside of columns: nested values, JSON fields and fallbacks, in target, quarantine and changes."""

import json

import pytest

from dataward.errors import ProofError, UsageError
from dataward.integrity import ledger
from dataward.keys import local_keyring
from dataward.pipeline.key_uses import key_uses
from dataward.pipeline.plan import plan
from dataward.verbs.rotate import rotate
from dataward.verbs.verify import verify

pytestmark = pytest.mark.long

SCHEMA = "id bigint, who struct<mail: string, note: string, pin: bigint>, doc string, card string"
COLUMNS = """
  id: {protect: keep}
  who: {protect: keep}
  who.mail: {class: email, protect: token}
  who.pin: {class: account, protect: {fpe: {}}}
  who.note: {class: note, protect: {encrypt: {}}}
  doc: {class: note, protect: {json: {fields: {a: {protect: {encrypt: {}}}, b: {class: email, protect: token}}, rest: keep}}}
  card: {class: account, protect: {fpe: {alphabet: digits, invalid: {fallback: encrypt}}}}
"""
ROWS = [
    (
        n,
        (f"ada{n}@x.org", f"note {n}", 1_000_000 + n),
        json.dumps({"a": f"s{n}", "b": f"ada{n}@x.org"}),
        "4539578763621" if n % 2 else "none",
    )
    for n in range(6)
]


@pytest.fixture
def nested(made_once):
    def published(lake):
        lake.source(ROWS, SCHEMA)
        treat = "{normalise: {card: {trim: true}}, changes: true}"
        lake.publish("r1", rules='ColumnValues "id" < 5', columns=COLUMNS, target="mode: overwrite", treat=treat)

    return made_once(published)


def rotated(lake, finish=False):
    return rotate(lake.spark, "t", [plan(lake.root / "contract.yaml")], finish)


def whole(lake, name):
    return json.dumps([row.asDict(True) for row in lake.read(name).collect()], default=str)


def test_nothing_carries_the_old_version_once_the_window_is_closed(nested):
    assert [one for one in rotated(nested).carriers if one.blocks] == []
    before = {
        (use.version, name)
        for use in key_uses(nested.spark, plan(nested.root / "contract.yaml").contract)
        for name in use.columns
    }
    assert {
        (2, name) for name in ("who.mail", "who.note", "who.pin", "doc: a", "doc: b", "card", "card (fallback)")
    } <= before
    assert not rotated(nested, finish=True).window
    for name in ("target", "quarantine"):
        assert "v2." in whole(nested, name)
        text = nested.read(name).drop("row_id").toPandas().to_json()
        assert "v1." not in text
    local_keyring(nested.root / "keys").set_enabled("t", 1, False)
    assert verify(nested.spark, plan(nested.root / "contract.yaml")).holds


def test_what_the_source_does_not_explain_blocks_by_its_place(nested):
    nested.source(ROWS[:1], SCHEMA)
    done = rotated(nested)
    blocking = {(one.place.rpartition("/")[2], one.column, one.rows) for one in done.carriers if one.blocks}
    assert blocking == {
        ("target", "who.mail", 4),
        ("target", "doc: b", 4),
        ("quarantine", "who.mail", 1),
        ("quarantine", "doc: b", 1),
    }
    uses = key_uses(nested.spark, plan(nested.root / "contract.yaml").contract)
    assert [max(use.columns.get("who.mail", ())) for use in uses] == [1, 1]  # the newest version holds both
    with pytest.raises(
        ProofError, match="column 'who.mail'.*publish them again.*column 'doc: b'.*quarantine discard.*stays open"
    ):
        rotated(nested, finish=True)


def test_a_contract_without_a_table_opens_no_window(lake):
    lake.source(ROWS, SCHEMA)
    lake.contract(columns=COLUMNS)
    local_keyring(lake.root / "keys").add_domain("t")
    with pytest.raises(UsageError, match="there is no table yet.*Publish contract 't' first"):
        rotated(lake)
    assert local_keyring(lake.root / "keys").window("t") is None


def test_a_table_without_keyed_columns_is_sealed_under_the_new_key(lake):
    lake.source([(1, "a")], "id int, x string")
    lake.publish("r1", columns="{}")
    contract = plan(lake.root / "contract.yaml")
    rotated(lake)
    rotated(lake, finish=True)
    local_keyring(lake.root / "keys").set_enabled("t", 1, False)
    assert verify(lake.spark, contract).holds
    seals = [record.key["version"] for record in ledger.records(contract.contract.ledger_location)]
    assert seals == [1, 2]


def test_a_table_that_was_changed_is_not_sealed_again(lake):
    lake.source([(1, "a")], "id int, x string")
    lake.publish("r1", columns="{}")
    lake.read().write.format("delta").mode("append").save(f"{lake.root}/target")
    with pytest.raises(ProofError, match="not as it was sealed"):
        rotated(lake)
