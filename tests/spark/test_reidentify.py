"""Originals go to whom the contract names, for the purpose it names, and no more rows a day; every ask is in the ledger."""

import csv
import getpass
import json
import stat
from datetime import datetime, timedelta, timezone

import pytest

from dataward.access.decide import Principal
from dataward.cli import main
from dataward.errors import KeyringError, NotPermitted, TargetError, UsageError
from dataward.integrity import ledger
from dataward.integrity.log import log
from dataward.keys import local_keyring
from dataward.pipeline.key_uses import key_uses
from dataward.pipeline.plan import plan
from dataward.verbs import reidentify as module
from dataward.verbs.reidentify import Wanted, reidentify

pytestmark = pytest.mark.long

COLUMNS = """
  id: {protect: keep}
  e: {class: email, protect: {encrypt: {}}}
  c: {class: payment_card, protect: {fpe: {keep_last: 4, check: luhn}}}
  n: {class: person_name, protect: {vault: {path: ROOT/vault}}}
  r: {class: salary, protect: {encrypt_random: {}}}
  t: {class: national_id, protect: token}
"""
ACCESS = "access: {{reidentify: [{{principals: [%s], classes: [email, payment_card, person_name, salary], purposes: [fraud-case], rows_per_day: 5}}]}}\n"
ROWS = [(n, f"ada{n}@x.org", "4539578763621486", f"Ada {n}" if n else None, 100 + n, f"{n}") for n in range(8)]
NAMES = "id bigint, e string, c string, n string, r bigint, t string"


@pytest.fixture
def asked(made_once, monkeypatch):
    """A published table with an allow list, its names under redact: a vault would cost every test seconds."""
    monkeypatch.setattr(module, "principal", lambda *_: Principal("ana"))

    def fill(lake):
        published(lake, COLUMNS.replace("{vault: {path: ROOT/vault}}", "redact"))

    return made_once(fill)


def published(lake, columns):
    lake.source(ROWS, NAMES)
    lake.publish(columns=columns, extra="quarantine: {{path: {root}/quarantine}}\n" + ACCESS % "ana")
    return lake


def ask(lake, columns="id,e", where="id < 3", purpose="fraud-case", ticket="T-1", out="out.csv", show=False):
    wanted = Wanted(tuple(columns.split(",")), where, purpose, ticket)
    return reidentify(lake.spark, plan(lake.root / "contract.yaml"), wanted, out and str(lake.root / out), show)


def asks(lake):
    return [
        record
        for record in ledger.records(plan(lake.root / "contract.yaml").contract.ledger_location)
        if record.kind == "ask"
    ]


def test_every_reversible_operator_gives_its_originals_to_a_private_file(lake, monkeypatch):
    monkeypatch.setattr(module, "principal", lambda *_: Principal("ana"))
    asked = published(lake, COLUMNS.replace("ROOT", str(lake.root)))
    given = ask(asked, "id,e,c,n,r")
    file = asked.root / "out.csv"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = sorted(csv.DictReader(file.open()), key=lambda row: row["id"])
    assert [tuple(row.values()) for row in rows] == [
        tuple("" if v is None else str(v) for v in row[:5]) for row in ROWS[:3]
    ]
    assert (given.rows, given.left_today, given.shown) == (3, 2, None)
    (entry,) = asks(asked)
    assert (entry.who, entry.granted, entry.rows, entry.purpose, entry.ticket) == ("ana", True, 3, "fraud-case", "T-1")
    assert entry.classes == ["email", "payment_card", "person_name", "salary"]
    assert asked.verify().holds  # the ledger's chain takes asks among its seals


def test_what_is_not_allowed_is_denied_and_entered(asked, monkeypatch):
    denied = [
        ({"purpose": "curiosity"}, "ana", "for the purpose 'curiosity'"),
        ({"where": "true"}, "ana", "6 rows or more were asked for, and 0 of 5"),
        ({}, "bob", "no line of access.reidentify names 'bob'"),
    ]
    for change, who, why in denied:
        monkeypatch.setattr(module, "principal", lambda *_, who=who: Principal(who))
        with pytest.raises(NotPermitted, match=why):
            ask(asked, **change)
    assert not (asked.root / "out.csv").exists()
    assert [(entry.granted, entry.who) for entry in asks(asked)] == [(False, who) for _, who, _ in denied]
    assert all(why in entry.reason for entry, (_, _, why) in zip(asks(asked), denied, strict=True))


def test_rows_of_a_day_are_spent_and_come_back_tomorrow(asked, monkeypatch):
    assert ask(asked, where="id < 3", out="1.csv").left_today == 2
    with pytest.raises(NotPermitted, match="3 rows or more were asked for, and 3 of 5 a day are spent"):
        ask(asked, where="id < 3", out="2.csv")
    assert ask(asked, where="id < 2", out="3.csv").left_today == 0

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(timezone.utc) + timedelta(days=1)

    monkeypatch.setattr(module, "datetime", Tomorrow)
    assert ask(asked, where="id < 3", out="4.csv").left_today == 2
    assert [entry.granted for entry in asks(asked)] == [True, False, True, True]


def test_two_who_ask_at_once_never_get_more_than_the_budget(asked, monkeypatch):
    """Between the look at the budget and the entry another ask is entered: the look is taken again."""
    real, met = log._committed, []

    def meeting(*given):
        if not met:
            met.append(1)
            ask(asked, where="id < 4", out="other.csv")
        return real(*given)

    monkeypatch.setattr(log, "_committed", meeting)
    with pytest.raises(NotPermitted, match="4 of 5 a day are spent"):
        ask(asked, where="id < 4", out="mine.csv")


def test_a_wrong_ask_is_a_usage_error(asked):
    for change, said in [
        ({"columns": "t"}, "token, which is one-way"), ({"columns": "id"}, "none of these columns is protected"),
        ({"columns": "ee"}, "did you mean 'e'"), ({"where": "nothing = 1"}, "--where does not fit"), ({"out": None}, "give --out FILE"),
        ({"ticket": " "}, "state a purpose"), ({"out": "contract.yaml"}, "exists already"),
    ]:  # fmt: skip
        with pytest.raises(UsageError, match=said):
            ask(asked, **change)
    assert asks(asked) == []


def test_shown_only_where_asked_for(asked, capsys, monkeypatch):
    monkeypatch.setattr("dataward.spark.session.get", lambda: asked.spark)
    argv = [
        "reidentify",
        "--contract",
        str(asked.root / "contract.yaml"),
        "--columns",
        "e",
        "--where",
        "id = 1",
        "--purpose",
        "fraud-case",
        "--ticket",
        "T",
    ]
    assert main([*argv, "--out", str(asked.root / "o.csv"), "--json"]) == 0
    told = capsys.readouterr().out
    assert json.loads(told)["rows"] == 1
    assert "ada1@" not in told
    assert main([*argv, "--show"]) == 0
    assert "ada1@x.org" in capsys.readouterr().out
    monkeypatch.setattr(module, "principal", lambda *_: Principal("eve"))
    assert main([*argv, "--show"]) == 4


def test_a_disabled_key_a_changed_value_and_an_older_version(asked):
    assert ask(asked, where="id = 0", out="0.csv").rows == 1
    ring = local_keyring(asked.root / "keys")
    ring.rotate("t")
    ring.set_enabled("t", 1, False)
    with pytest.raises(KeyringError, match="version 1 of domain 't'.*disabled"):
        ask(asked, where="id = 1", out="1.csv")
    ring.set_enabled("t", 1, True)
    assert ask(asked, "e,c", where="id = 1", out="2.csv").rows == 1


def test_the_login_is_no_environment_variable(asked, monkeypatch):
    monkeypatch.undo()
    me = getpass.getuser()
    monkeypatch.setenv("SPARK_USER", "somebody")
    monkeypatch.setenv("USER", "somebody")
    monkeypatch.setenv("LOGNAME", "somebody")
    assert module.principal(asked.spark, plan(asked.root / "contract.yaml")).name == me


def test_no_table_yet(lake, monkeypatch):
    lake.source(ROWS, NAMES)
    lake.contract(columns=COLUMNS.replace("ROOT", str(lake.root)))
    with pytest.raises(TargetError, match="Publish first"):
        ask(lake)


def test_what_depends_on_which_key_version(asked, monkeypatch, capsys):
    monkeypatch.setattr("dataward.spark.session.get", lambda: asked.spark)
    assert main(["history", "--contract", str(asked.root / "contract.yaml"), "--keys"]) == 0
    told = capsys.readouterr().out
    assert "e: encrypt, in version 0; originals could not be given back" in told
    assert "t: token, in version 0; new values would not be equal to these" in told
    assert "seals of version 0; these could not be verified" in told
    contract = plan(asked.root / "contract.yaml").contract
    (use,) = key_uses(asked.spark, contract)
    assert (use.columns, use.sealed, use.quarantined) == (dict.fromkeys("cert", (0,)), (0,), ())
    local_keyring(asked.root / "keys").rotate("t")
    asked.publish()
    one, two = key_uses(asked.spark, contract)
    assert (one.columns["e"], two.columns["e"], one.current, two.current) == ((0,), (1,), False, True)
    assert one.protections["c"].startswith("fpe, ")
    local_keyring(asked.root / "keys").close_window("t")
    local_keyring(asked.root / "keys").rotate("t")
    asked.publish(
        extra="",
        columns="{id: {protect: keep}, e: {class: email, protect: {encrypt: {}}}}",
        target="mode: append",
        default="drop",
    )
    uses = key_uses(asked.spark, contract)
    assert [use.columns.get("e") for use in uses] == [
        (0,),
        (1, 2),
        (2,),
    ]  # appended to: the values of version 1 are still there


NESTED = "id bigint, who struct<mail: string, tags: array<string>>, doc string, c string"
INSIDE = """
  id: {protect: keep}
  who: {protect: keep}
  who.mail: {class: email, protect: {encrypt: {}}}
  who.tags: {class: email, protect: {encrypt: {}}}
  doc: {class: email, protect: {json: {fields: {a: {class: email, protect: {encrypt: {}}}}, rest: keep}}}
  c: {class: payment_card, protect: {fpe: {alphabet: digits, invalid: {fallback: token}}}}
"""


def test_paths_are_given_and_the_budget_is_charged_for_what_was_given(lake, monkeypatch):
    monkeypatch.setattr(module, "principal", lambda *_: Principal("ana"))
    rows = [
        (
            n,
            (f"ada{n}@x.org", [f"t{n}", "u"]),
            json.dumps({"a": f"d{n}", "b": 1}),
            "4539578763621" if n == 1 else "none",
        )
        for n in range(4)
    ]
    lake.source([*rows, (4, None, None, None)], NESTED)
    lake.publish(columns=INSIDE, extra=ACCESS % "ana")
    given = ask(lake, "id,who.mail,who.tags,doc.a", "id in (1, 4)", out=None, show=True)
    assert given.shown == [{"id": 1, "who.mail": "ada1@x.org", "who.tags": ["t1", "u"], "doc.a": ["d1"]}]
    assert (given.rows, given.left_today, given.skipped) == (1, 4, 0)
    cards = ask(lake, "id,c", out=None, show=True)
    assert sorted((row["id"], row["c"]) for row in cards.shown) == [(0, None), (1, "4539578763621"), (2, None)]
    assert (cards.rows, cards.left_today, cards.skipped) == (1, 3, 2)
    with pytest.raises(UsageError, match="'who' holds further columns: name one of them, such as 'who.mail'"):
        ask(lake, "who")
    with pytest.raises(UsageError, match="'doc' holds JSON.*'doc.a'"):
        ask(lake, "doc")
    local_keyring(lake.root / "keys").rotate("t")
    local_keyring(lake.root / "keys").set_enabled("t", 1, False)
    with pytest.raises(KeyringError, match="disabled"):
        ask(lake, "who.mail")
    assert [(entry.granted, entry.rows) for entry in asks(lake)] == [(True, 1), (True, 1), (False, 0)]
