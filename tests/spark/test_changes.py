"""The table of changes: every cell that a repair changed, before and after, protected as the target is, and found by whoever must."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from dataward.keys import open_keys
from dataward.pipeline.key_uses import key_uses
from dataward.pipeline.plan import plan
from dataward.verbs.erase import Asked, erase
from dataward.verbs.rotate import rotate
from tests.spark.test_repair import DIRTY, SCHEMA, TREAT
from tests.steps import instead

pytestmark = pytest.mark.long

KEPT = TREAT.rstrip().removesuffix("}") + ", changes: true}"
COLUMNS = (
    "{name: {class: person_name, protect: token}, state: {class: postal_address, protect: {mask: {keep_last: 1}}}}"
)


@pytest.fixture
def people(lake):
    lake.source(DIRTY, SCHEMA)
    lake.contract(columns=COLUMNS, treat=KEPT, rules="RowCount > 1")
    return lake


def images(lake) -> list[dict]:
    return [row.asDict(recursive=True) for row in lake.read("target_changes").collect()]


def test_every_changed_cell_is_kept_before_and_after_as_the_target_keeps_it(people):
    result = people.publish("r1")
    assert result.status == "published", result.reasons
    rows = images(people)
    assert result.changes.rows == len(rows)
    of = {(row["row_id"], row["change"]): row for row in rows}
    pairs = [(of[known, "before"], of[known, "after"]) for known, change in of if change == "after"]
    assert len(of) == len(rows) == 2 * len(pairs)
    tokens = {row["id"]: row["name"] for row in people.read().collect()}
    changed = {after["name"]: (before, after) for before, after in pairs if after["name"]}
    before, after = changed[tokens[1]]  # " Ada ", "1.234,50", "20200105"
    assert before["name"] == after["name"]  # a token is of the canonical form
    assert (before["state"], after["state"]) == ("**w", "**W")
    assert (before["price"], str(after["price"])) == (None, "1234.50")  # a text has no place in a column of numbers
    assert (before["born"], after["born"]) == (None, date(2020, 1, 5))
    assert {one["column"]: one["text"] for one in after["texts"]} == {"price": "1.234,50", "born": "20200105"}
    assert (before["delay"], after["delay"] is not None) == (None, True)
    assert (before["id"], after["id"]) == (None, None)  # as it was
    assert set(after["changed"]) == {"name", "state", "price", "born", "delay"} == set(before["changed"])
    assert {one["column"]: one["treatment"] for one in after["repairs"]}["name"] == "normalise.name"
    # As many as were counted.
    told = Counter((one["treatment"], one["column"], one["what"]) for _, row in pairs for one in row["repairs"])
    counted = {(one["treatment"], one["column"], one["what"]): one["count"] for one in result.repairs}
    emptied = {key: count for key, count in counted.items() if key[1] and key[2] not in ("left", "unknown")}
    assert {key: told[key] for key in emptied} == emptied
    # Nothing readable of what is protected, wherever it lies.
    everything = b"".join(file.read_bytes() for file in (people.root / "target_changes").rglob("*") if file.is_file())
    for raw in (b"Ada", b"BOB", b"N.S.W.", b"Wien"):
        assert raw not in everything
    assert people.publish("r1").status == "unchanged"
    assert len(images(people)) == len(rows)


def test_a_run_that_dies_after_the_changes_keeps_them_once(people, monkeypatch):
    with monkeypatch.context() as patched:
        instead(patched, "account", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            people.publish("r1")
    before = len(images(people))
    assert people.publish("r1").status == "published"
    assert len(images(people)) == before > 0


def test_keys_and_persons_are_found_in_the_changes_as_well(lake):
    erasure = "\nerasure: {{subject: mail}}"
    rows = [(1, "ann@x.org", " ann "), (2, "bob@x.org", "BOB"), (3, "cy@x.org", "Cy")]
    lake.source(rows, "id int, mail string, name string")
    columns = "{mail: {class: email, protect: token}, name: {protect: token}}"
    treat = "{normalise: {name: {trim: true, case: title}}, changes: true}"
    lake.contract(columns=columns, treat=treat, extra="quarantine: {{path: {root}/quarantine}}" + erasure)
    assert lake.publish().rows["published"] == 3
    planned = plan(lake.root / "contract.yaml")
    assert [sorted(use.quarantined) for use in key_uses(lake.spark, planned.contract)] == [["mail", "name"]]
    before = {row["mail"] for row in images(lake)}
    assert len(before) == 2  # Cy was right
    rotated = rotate(lake.spark, "t", [planned])
    assert not [carrier for carrier in rotated.carriers if carrier.blocks]
    names = {row["name"] for row in images(lake)}
    assert len(names) == 4
    assert all(name.startswith("v2.") for name in names)
    rotate(lake.spark, "t", [planned], finish=True)
    assert open_keys(planned.contract.keys).window("t") is None
    erased = erase(lake.spark, [planned], Asked("bob@x.org", "T1", reports=str(lake.root / "reports")))
    assert erased.holds
    assert erased.rows[str(lake.root / "target_changes")] == 2
    assert len(images(lake)) == 2
