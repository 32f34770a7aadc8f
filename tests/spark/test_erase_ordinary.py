"""Erasure of people as they are: names inside of other names, values that others share, an open window, and coming back."""

import pytest

from dataward.integrity import ledger
from dataward.keys import local_keyring
from dataward.pipeline import erasing
from dataward.pipeline.key_uses import key_uses
from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.tables import maintenance
from dataward.verbs import erase as module_of_the_verb
from dataward.verbs.erase import Asked, erase
from dataward.verbs.rotate import rotate
from dataward.verbs.verify import verify

pytestmark = pytest.mark.long

SCHEMA = "id string, name string, mail string, npi string, at struct<city: string, code: string>, card string"
PEOPLE = [
    ("p-1", "Smith", "ada@x.org", "1234567893", ("Springfield", "Q12345"), "4539578763621"),
    ("p-2", "Smithson", "bob@x.org", "1234567893", ("Springfield", "Q12345"), "4539578763622"),
    ("p-3", "Blacksmith", "xada@x.org", "1234567893", ("Springfield", "Q99999"), "4539578763623"),
]
COLUMNS = """
  id: {class: person_id, protect: token}
  name: {class: person_name, protect: keep}
  mail: {class: email, protect: {encrypt: {}}}
  npi: {class: npi, protect: token}
  at: {protect: keep}
  at.city: {class: city, protect: keep}
  at.code: {class: code, protect: token}
  card: {class: account, protect: {fpe: {alphabet: digits}}}
"""
EXTRA = "quarantine: {{path: {root}/quarantine}}\nerasure: {{subject: id}}\n"


@pytest.fixture
def people(made_once):
    def published_people(lake):
        lake.source(PEOPLE, SCHEMA)
        lake.publish("r1", columns=COLUMNS, extra=EXTRA, target="mode: overwrite")

    return made_once(published_people)


def erased(lake, subject="p-1", *files, **more):
    plans = [plan(file) for file in (lake.root / "contract.yaml", *files)]
    return erase(lake.spark, plans, Asked(subject, "T-1", reports=str(lake.root / "reports"), **more))


def contract_of(lake):
    return plan(lake.root / "contract.yaml").contract


def test_words_match_on_bounds_and_shared_values_are_counted(people):
    done = erased(people)
    assert done.residues == (), [(one.named, one.path, one.inside) for one in done.residues]
    assert done.holds
    assert done.shared >= 4  # npi and city, raw and protected
    assert [row.name for row in people.read().orderBy("name").collect()] == ["Blacksmith", "Smithson"]


def test_a_residue_says_where_it_is_and_what_to_do(people):
    people.source(
        [*PEOPLE[:2], ("p-3", "friend of Smith", "c@x.org", "1", ("Shelbyville", "Q1"), "4539578763623")], SCHEMA
    )
    people.publish("r2")
    done = erased(people, values=("friend of",))
    (residue,) = done.residues
    assert (residue.named, residue.kind, residue.inside) == ("given (raw)", "data", "column name")
    assert "leave it out of --values" in residue.next
    assert not done.holds


def test_in_an_open_window_tokens_of_both_versions_are_gone_and_shared_ones_counted(people):
    orders = people.root / "orders.yaml"  # not brought over: its tokens are the outgoing ones
    path = people.source(
        [(n, PEOPLE[n][0], PEOPLE[n][3]) for n in range(3)], "nr int, id string, npi string", "orders_source"
    )
    orders.write_text(
        f"contract: orders\nsource: {{path: {path}}}\ntarget: {{path: {people.root}/orders}}\nkeys: {{path: {people.root}/keys, domain: t}}\n"
        "columns: {nr: {protect: keep}, id: {class: person_id, protect: token}, npi: {class: npi, protect: token}}\n"
        "erasure: {subject: id}\n"
    )
    publish(people.spark, plan(orders), "o1", str(people.root / "reports"))
    rotate(people.spark, "t", [plan(people.root / "contract.yaml")])
    assert "id__v1" in people.read().columns
    done = erased(people, "p-1", orders)
    assert done.residues == (), [(one.named, one.path, one.inside) for one in done.residues]
    assert done.rows[f"{people.root}/orders"] == 1
    assert people.read("orders").count() == 2


def test_an_erased_person_does_not_come_back_not_even_after_a_rotation(people):
    erased(people)
    people.publish("r2")  # the source still has them
    assert [row.name for row in people.read().orderBy("name").collect()] == ["Blacksmith", "Smithson"]
    waiting = people.read("quarantine").collect()
    assert [(row.failed_rules, row.failed_columns) for row in waiting] == [(["subject was not erased"], ["id"])]
    file = people.root / "contract.yaml"
    place = f"{people.root}/target_erased"
    assert [use.entries for use in key_uses(people.spark, contract_of(people))] == [{place: 1}]
    rotate(people.spark, "t", [plan(file)])
    rotate(people.spark, "t", [plan(file)], finish=True)
    assert [use.entries for use in key_uses(people.spark, contract_of(people))] == [{}, {place: 1}]
    local_keyring(people.root / "keys").set_enabled("t", 1, False)
    assert verify(people.spark, plan(file)).holds
    result = people.publish("r3")
    assert (result.rows["published"], result.rows["quarantined"]) == (2, 1)
    whole = b"".join(one.read_bytes() for one in (people.root / "target_erased").rglob("*") if one.is_file())
    assert b"p-1" not in whole


def test_returning_rows_are_dropped_where_the_contract_says_so(people):
    file = people.root / "contract.yaml"
    file.write_text(file.read_text().replace("{subject: id}", "{subject: id, returns: drop}"))
    erased(people)
    result = people.publish("r2")
    assert result.rows == {"in": 3, "published": 2, "quarantined": 0, "dropped": 1}
    assert people.publish("r2").status == "unchanged"
    erased(people, "p-2")
    assert people.publish("r3").rows["dropped"] == 2


STEPS = {
    "rows found": (erasing, "_change"),
    "rows deleted": (erasing, "_seal"),
    "sealed": (maintenance, "forget_past"),
    "past forgotten": (maintenance, "_checkpoint_only"),
    "sealed again": (erasing, "enter"),
}


def killed_at(monkeypatch, module, name):
    """Kill the erasure before a step."""

    def killed(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, name, killed)
        if name == "enter":
            patch.setattr(module_of_the_verb, name, killed)
        yield


@pytest.mark.parametrize("step", STEPS)
def test_the_record_says_what_the_whole_erasure_removed_wherever_it_was_killed(people, monkeypatch, step):
    for _ in killed_at(monkeypatch, *STEPS[step]):
        with pytest.raises(KeyboardInterrupt):
            erased(people)
    assert people.read().count() == (3 if step == "rows found" else 2)
    done = erased(people)
    assert done.rows[f"{people.root}/target"] == 1
    records = ledger.records(contract_of(people).ledger_location)
    (record,) = [one for one in records if one.kind == "erasure"]
    assert record.rows[f"{people.root}/target"] == 1
    rows = {"in": 3, "published": 2, "quarantined": 0, "dropped": 1}
    assert [one.rows for one in records if one.kind == "seal"][-1] == rows
    again = erased(people)
    assert again.rows[f"{people.root}/target"] == 0  # an erasure of its own
    assert verify(people.spark, plan(people.root / "contract.yaml")).holds


@pytest.mark.parametrize("step", ["rows deleted", "sealed", "past forgotten"])
def test_what_others_change_while_an_erasure_is_killed_is_never_sealed(people, monkeypatch, step):
    for _ in killed_at(monkeypatch, *STEPS[step]):
        with pytest.raises(KeyboardInterrupt):
            erased(people)
    table = f"delta.`{people.root}/target`"
    people.spark.sql(f"insert into {table} select * from {table} where name = 'Smithson'")
    assert erased(people).rows[f"{people.root}/target"] == 1
    proof = verify(people.spark, plan(people.root / "contract.yaml"))
    assert "rows-changed" in {one.code for one in proof.findings if one.fails}
