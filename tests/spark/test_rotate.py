"""Rotation: new writes under a new version, joins whole all the while, tables brought over once whatever dies on the way."""

import random
import re

import pytest
from pyspark.sql import functions as F

from dataward.errors import KeyringError, ProofError, TargetError, UsageError
from dataward.integrity import ledger
from dataward.keys import local_keyring
from dataward.pipeline import seal as sealing
from dataward.pipeline.plan import plan
from dataward.privacy import retokenise
from dataward.privacy.protect import vault as vaults
from dataward.privacy.protect.entries import Table
from dataward.tables import commits, delta
from dataward.verbs import rotate as module
from dataward.verbs.reidentify import _Asking
from dataward.verbs.rotate import rotate
from dataward.verbs.verify import verify

pytestmark = pytest.mark.long

SCHEMA = "id bigint, m string, e string, c string, n string, r bigint, part string"
ROWS = [
    (
        n,
        f"ada{n}@x.org",
        f"mail {n}" if n % 3 else None,
        f"{4539578763621 + n:013d}",
        f"Ada {n % 4}",
        100 + n,
        "ab"[n % 2],
    )
    for n in range(12)
]
COLUMNS = """
  id: {protect: keep}
  m: {class: email, protect: token}
  e: {class: note, protect: {encrypt: {}}}
  c: {class: account, protect: {fpe: {alphabet: digits}}}
  n: {class: person_name, protect: {vault: {path: ROOT/vault}}}
  r: {class: salary, protect: {encrypt_random: {}}}
  part: {protect: keep}
"""
ORDERS = [(n, f"ada{n % 12}@x.org") for n in range(30)]


@pytest.fixture
def two(made_once):
    return made_once(people_and_orders)


def people_and_orders(lake):
    """They join by the token of the mail address."""
    lake.source(ROWS, SCHEMA)
    people = lake.contract(
        rules='ColumnValues "id" < 11',
        columns=COLUMNS.replace("ROOT", str(lake.root)),
        target="mode: append, partition_by: [part]",
    )
    text = people.read_text()
    lake.publish("p1")
    orders = lake.root / "orders.yaml"
    path = lake.source(ORDERS, "nr bigint, mail string", "orders_source")
    orders.write_text(
        f"contract: orders\nsource: {{path: {path}}}\ntarget: {{path: {lake.root}/orders}}\nkeys: {{path: {lake.root}/keys, domain: t}}\n"
        "columns: {nr: {protect: keep}, mail: {class: email, protect: token}}\n"
    )
    lake.people, lake.orders = people, orders
    assert people.read_text() == text
    module_publish(lake, orders, "o1")


def module_publish(lake, file, run_id):
    from dataward.pipeline.publish import publish

    return publish(lake.spark, plan(file), run_id, str(lake.root / "reports"))


def rotated(lake, *files, finish=False):
    return rotate(lake.spark, "t", [plan(file) for file in files or (lake.people, lake.orders)], finish)


def joined(lake, version=1):
    """Orders that find their person, whichever version either table is at."""
    people, orders = lake.read("target"), lake.read("orders")

    def old(frame, name):
        beside = f"{name}__v{version}"
        return F.coalesce(F.col(beside), F.col(name)) if beside in frame.columns else F.col(name)

    by_old = orders.join(people, old(orders, "mail") == old(people, "m")).count()
    return by_old, orders.join(people, orders["mail"] == people["m"]).count()


def originals(lake, name="target"):
    """Every original that can be had back, by id."""
    contract = plan(lake.people)
    asking = _Asking(lake.spark, contract, type("W", (), {"columns": ("id", "e", "c", "n", "r"), "where": "true"})())
    if name != "target":
        return None
    return sorted(tuple(row.values()) for row in asking.opened(asking.chosen()).rows)


EXPECTED = sorted((row[0], row[2], row[3], row[4], str(row[5])) for row in ROWS if row[0] < 11)
FOUND = len([order for order in ORDERS if order[1] in {row[1] for row in ROWS if row[0] < 11}])


def test_tables_are_brought_over_and_the_window_closes(two):
    before = two.read().select("id", "m", "e", "c", "n").orderBy("id").collect()
    assert joined(two) == (FOUND, FOUND)
    half = rotated(two, two.people)
    assert (half.old, half.new, half.window, [one for one in half.carriers if one.blocks]) == (1, 2, True, [])
    assert joined(two) == (FOUND, 0)  # orders are at version 1: they join by the column beside
    done = rotated(two)
    assert done.new == 2
    assert joined(two) == (FOUND, FOUND)
    after = two.read().orderBy("id").collect()
    assert [row.m__v1 for row in after] == [row.m for row in before]
    assert [(row.e__v1, row.c__v1, row.n) for row in after] == [(row.e, row.c, row.n) for row in before]
    assert all(row.m.startswith("v2.") and row.r.startswith("v2.") for row in after)
    assert all(row.m.startswith("v2.") for row in two.read("quarantine").collect())
    assert originals(two) == EXPECTED
    target = plan(two.people).contract.target
    assert delta.laid_out_by(two.spark, target, delta.newest(two.spark, target))["part"] == "partition column"
    versions = two.versions()
    assert rotated(two).carriers[0].blocks is False  # nothing left to do but old versions
    assert two.versions() == versions
    closed = rotated(two, finish=True)
    assert not closed.window
    assert "m__v1" not in two.read().columns + two.read("quarantine").columns
    assert joined(two) == (FOUND, FOUND)
    assert originals(two) == EXPECTED
    for file in (two.people, two.orders):
        assert verify(two.spark, plan(file)).holds
    local_keyring(two.root / "keys").set_enabled("t", 1, False)
    assert originals(two) == EXPECTED
    token, path = two.read().first().n, str(two.root / "vault")
    ring = local_keyring(two.root / "keys")
    assert vaults.out_of_vault(two.spark, path, [token], lambda version: ring.key("vault", "t", version))


PLACES = [(commits, "replace_all"), (commits, "_save"), (sealing, "content_of"), (ledger, "append"), (retokenise.Step, "carried"),
          (retokenise.Step, "moved"), (Table, "rekey"), (module, "live_versions"), (delta, "commit_file")]  # fmt: skip


class Death:
    """Dies at the n-th call of what a rotation is made of, before or after it, and again some calls later."""

    def __init__(self, chance, times):
        self.left, self.died = [chance.randint(1, 9) for _ in range(times)], 0
        self.after = {name: chance.random() < 0.5 for _, name in PLACES}

    def of(self, owner, name):
        real = getattr(owner, name)

        def called(*given, **more):
            if not self.left:
                return real(*given, **more)
            self.left[0] -= 1
            now = self.left[0] == 0
            found = real(*given, **more) if not now or self.after[name] else None
            if now:
                del self.left[0]
                self.died += 1
                raise KeyboardInterrupt
            return found

        return called


def test_killed_anywhere_and_taken_up_again(two, monkeypatch):
    """Two rotations, one after another, that die ten times at random calls; each is taken up again until it is through."""
    chance, joins = random.Random(11), []
    for version, times in enumerate((5, 5), 1):
        death = Death(chance, times)
        with monkeypatch.context() as patch:
            for owner, name in PLACES:
                patch.setattr(owner, name, death.of(owner, name))
            for finish in (False, True):
                while True:
                    try:
                        rotated(two, finish=finish)
                        break
                    except KeyboardInterrupt:
                        joins.append(joined(two, version)[0])
        assert death.died == times
        assert joined(two, version) == (FOUND, FOUND)
        assert originals(two) == EXPECTED
        assert not [name for frame in (two.read(), two.read("orders")) for name in frame.columns if "__v" in name]
        ring = local_keyring(two.root / "keys")
        assert (ring.current("t"), ring.window("t")) == (version + 1, None)
    assert joins == [FOUND] * 10  # they hold at every moment
    for file in (two.people, two.orders):
        assert verify(two.spark, plan(file)).holds


@pytest.mark.parametrize("mode", ["append", "merge, on: [m]"])
def test_publishing_while_the_window_is_open(two, mode):
    local_keyring(two.root / "keys").rotate("t")
    text = two.people.read_text().replace("mode: append", f"mode: {mode}")
    two.people.write_text(re.sub(r"  n: .*\n", "  n: {protect: redact}\n", text) if mode != "append" else text)
    more = [
        (20, "new@x.org", "mail", "4539578769999", "Ada 1", 7, "a"),
        (3, "ada3@x.org", "mail", "4539578763624", "Ada 3", 8, "b"),
    ]
    two.source(more, SCHEMA)
    if mode == "append":
        with pytest.raises(KeyringError, match="still under version 1: run dataward rotate first"):
            two.publish("p2")
        local_keyring(two.root / "keys")
        Table(two.spark, f"{two.root}/vault", "vault").rekey(local_keyring(two.root / "keys"), "t", 1, 2)
    two.people.write_text(two.people.read_text().replace('ColumnValues "id" < 11', 'ColumnValues "id" < 30'))
    two.publish("p2")
    rows = {(row.id, row.m[:3], (row.m__v1 or "-")[:3]) for row in two.read().where("id in (2, 3, 20)").collect()}
    old = {(2, "v1.", "-"), (3, "v1.", "-")} if mode == "append" else {(2, "v1.", "-")}
    assert rows == old | {(3, "v2.", "v1."), (20, "v2.", "v1.")}
    assert joined(two)[0] == FOUND + (3 if mode == "append" else 0)  # ada3 stands there twice after an append


def test_what_the_source_no_longer_has_keeps_the_window_open(two):
    two.source(ROWS[:5], SCHEMA)
    done = rotated(two, two.people)
    blocking = [one for one in done.carriers if one.blocks]
    assert {(one.place.rpartition("/")[2], one.column, one.rows) for one in blocking} == {
        ("target", "m", 6),
        ("quarantine", "m", 1),
    }
    with pytest.raises(ProofError, match="version 1 is still carried.*target column 'm'.*window stays open"):
        rotated(two, two.people, finish=True)
    two.source(ROWS, SCHEMA)
    rotated(two, two.people)
    assert not rotated(two, two.people, finish=True).window


def test_what_cannot_be_brought_over_says_publish_again(lake):
    lake.source([(1, "1990-01-02")], "id bigint, d string")
    columns = "{id: {class: x, protect: {pick: {values: [a, b]}}}, d: {protect: keep}}"
    file = lake.contract(columns=columns)
    lake.publish("r1")
    done = rotate(lake.spark, "t", [plan(file)])
    assert [(one.column, one.rows) for one in done.carriers if one.blocks] == [("id", None)]
    lake.publish("r2")
    assert not rotate(lake.spark, "t", [plan(file)], finish=True).window


def test_values_without_a_version_are_not_mixed_after_the_window(two):
    rotated(two, two.orders)
    local_keyring(two.root / "keys").close_window("t")  # closed although people were not brought over
    with pytest.raises(UsageError, match="column 'c'.*another version of the key.*dataward rotate"):
        two.publish("p3")


def test_rows_that_came_in_meanwhile_are_not_lost(two, monkeypatch):
    real = commits._save

    def meeting(writer, place):
        if str(place).endswith("/target"):
            monkeypatch.setattr(commits, "_save", real)
            two.read().where("id = 1").write.format("delta").mode("append").save(str(place))
        return real(writer, place)

    monkeypatch.setattr(commits, "_save", meeting)
    count = two.read().count()
    with pytest.raises(TargetError, match="somebody wrote version"):
        rotated(two, two.people)
    assert two.read().count() == count + 1


def test_wrong_asks(two):
    with pytest.raises(UsageError, match="does not use domain 'x': it uses t"):
        rotate(two.spark, "x", [plan(two.people)])
    with pytest.raises(UsageError, match="no rotation under way"):
        rotated(two, finish=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "content_of", lambda *_: 1 / 0)
        with pytest.raises(TargetError, match="--run-id o2"):
            module_publish(two, two.orders, "o2")
    with pytest.raises(UsageError, match="run 'o2' is not sealed yet"):
        rotated(two)
    assert local_keyring(two.root / "keys").current("t") == 1


def test_what_was_repaired_before_it_was_protected_is_brought_over_too(lake):
    lake.source([(1, " ADA "), (2, "ada"), (2, "Bob"), (3, None)], "id int, name string")
    treat = "{normalise: {name: {trim: true, case: lower}}, duplicates: {d: {on: [id]}}, missing: {name: {constant: nobody}}}"
    lake.publish("p1", columns="{name: {class: person_name, protect: token}}", treat=treat)
    before = lake.rows("target", "name") + lake.rows("quarantine", "name")
    rotate(lake.spark, "t", [plan(lake.root / "contract.yaml")])
    after = lake.rows("target", "name") + lake.rows("quarantine", "name")
    assert all(name.startswith("v1.") for (name,) in before)
    assert all(name.startswith("v2.") for (name,) in after)
