"""What each reader sees of a table, and that views and masks generated from the same policies show the same."""

import itertools
import json
import re

import pytest

from dataward import read
from dataward.access.decide import Principal
from dataward.access.nested import MASK
from dataward.errors import NotPermitted, ProofError, UsageError
from dataward.integrity import ledger
from dataward.pipeline.plan import plan
from dataward.spark.workers import collected
from dataward.verbs.access import For, views
from dataward.verbs.read import Wish, reading

COLUMNS = """
  id: {protect: keep}
  mail: {class: email, protect: {encrypt: {}}}
  card: {class: payment_card, protect: {fpe: {keep_last: 4, check: luhn}}}
  name: {class: person_name, protect: {vault: {path: ROOT/vault}}}
  pay: {class: salary, protect: {encrypt_random: {}}}
  ssn: {class: national_id, protect: token}
  city: {class: postal_address, protect: {mask: {keep_last: 2}}}
  dot.ted: {class: phone, protect: keep}
  address: {protect: keep}
  address.street: {class: postal_address, protect: {encrypt: {}}}
  contacts: {protect: keep}
  contacts.mail: {class: email, protect: {encrypt: {}}}
  tags: {protect: keep}
  tags.value: {class: person_name, protect: token}
  doc: {protect: {json: {fields: {mail: {class: email, protect: {encrypt: {}}}, who.name: {class: person_name, protect: token}}, rest: keep}}}
  state: {protect: keep}
"""
GRANTS = """
access:
  grants:
    - {groups: [owners], verbs: [look, operate], see: {default: clear}}
    - {groups: [analysts], verbs: [read], see: {default: token, email: masked, salary: absent}, rows: "state = 'nsw' or id = 6"}
    - {groups: [interns], verbs: [read], see: {default: masked, person_name: absent}, rows: "id < 3"}
    - {groups: [fraud], verbs: [read], see: {email: clear, payment_card: clear}, purposes: [fraud-case]}
"""
ROWS = [
    (
        n,
        f"ada{n}@x.org",
        "4539578763621486",
        f"Ada {n}" if n else None,
        100 + n,
        f"{n}",
        f"Town {n}",
        f"+61 {n}",
        (f"{n} High St", f"Town {n}") if n else None,
        [("home", f"ada{n}@x.org"), ("work", None)] if n != 2 else [],
        {"nick": f"Ada {n}"},
        json.dumps({"mail": f"ada{n}@x.org", "who": [{"name": f"Ada {n}", "age": n}], "n": 1}) if n != 4 else None,
        "vic" if n % 2 else "nsw",
    )
    for n in range(7)
]
SCHEMA = "id bigint, mail string, card string, name string, pay bigint, ssn string, city string, `dot.ted` string, address struct<street:string,town:string>, contacts array<struct<kind:string,mail:string>>, tags map<string,string>, doc string, state string"
GROUPS = ("owners", "analysts", "interns", "fraud")


def as_member(monkeypatch, *groups):
    monkeypatch.setattr("dataward.pipeline.guard.asker", lambda *_: Principal("ana", "os", groups))


@pytest.fixture
def table(made_once, monkeypatch):
    as_member(monkeypatch, "owners")

    def fill(lake):
        lake.source(ROWS, SCHEMA)
        audit = f"audit: {{sinks: [{{kind: jsonl, path: {lake.root}/events.jsonl}}, {{kind: delta, path: {lake.root}/events}}], spool: {lake.root}/spool}}\n"
        lake.publish(columns=COLUMNS.replace("ROOT", str(lake.root)), extra="quarantine: {{path: {root}/quarantine}}\n" + GRANTS.replace("{", "{{").replace("}", "}}") + audit.replace("{", "{{").replace("}", "}}"))  # fmt: skip

    return made_once(fill)


def plain(value):
    """A row or value without the types of its library; a null field counts as absent."""
    if hasattr(value, "asDict"):
        return plain(value.asDict())
    if isinstance(value, dict):
        return tuple(sorted((name, plain(one)) for name, one in value.items() if one is not None))
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        pairs = [one for one in value if type(one) is tuple and len(one) == 2 and isinstance(one[0], str)]
        return tuple(sorted((name, plain(one)) for name, one in pairs) if pairs else map(plain, value))
    return value


def contract_of(lake):
    return lake.root / "contract.yaml"


def seen(lake, **how):
    return {row["id"]: row for row in read(lake.spark, contract_of(lake), form="arrow", **how).to_pylist()}


def test_an_owner_sees_originals_also_of_vaults_and_it_is_entered(table):
    whole = reading(table.spark, contract_of(table))
    rows = sorted(collected(whole.frame).to_pylist(), key=lambda row: row["id"])
    for row, (n, mail, card, name, pay, *_, state) in zip(rows, ROWS, strict=True):
        assert (row["id"], row["mail"], row["card"], row["name"], row["pay"], row["state"]) == (
            n,
            mail,
            card,
            name,
            str(pay),
            state,
        )
        assert row["ssn"].startswith("v1.")  # one-way: there is nothing to open
        assert row["city"] == f"****{n:>2}"
        assert row["dot.ted"] == f"+61 {n}"
        assert row["address"] == ({"street": f"{n} High St", "town": f"Town {n}"} if n else None)
        assert [one["mail"] for one in row["contacts"]] == ([mail, None] if n != 2 else [])
        assert dict(row["tags"])["nick"].startswith("v1.")
        doc = json.loads(row["doc"]) if n != 4 else {"mail": mail, "who": [{"name": "v1.", "age": n}], "n": 1}
        assert doc.pop("who")[0]["name"].startswith("v1.")
        assert doc == {"mail": mail, "n": 1}
    (entry,) = [one for one in ledger.records(plan(contract_of(table)).contract.ledger_location) if one.kind == "ask"]
    assert (entry.who, entry.columns, entry.reason, entry.granted) == (
        "ana",
        ["mail", "card", "name", "pay", "address.street", "contacts.mail", "doc.mail"],
        "read",
        True,
    )
    assert whole.sees["mail"] == "opened"
    plans = whole.frame._jdf.queryExecution().toString()
    assert "ada1@x.org" not in plans


def test_readers_see_columns_at_their_levels_and_rows_by_their_conditions(table, monkeypatch):
    as_member(monkeypatch, "analysts")
    rows = seen(table)
    stored = {row["id"]: row.asDict() for row in table.read().collect()}
    assert sorted(rows) == [0, 2, 4, 6]
    assert all("pay" not in row for row in rows.values())
    for n, row in rows.items():
        assert (row["mail"], row["dot.ted"]) == (MASK, MASK)
        assert [row[name] for name in ("card", "name", "ssn", "city", "state")] == [
            stored[n][name] for name in ("card", "name", "ssn", "city", "state")
        ]
        assert plain(row["address"]) == plain(stored[n]["address"])
        assert row["contacts"] == ([{"kind": "home", "mail": MASK}, {"kind": "work", "mail": None}] if n != 2 else [])
        assert plain(row["tags"]) == plain(stored[n]["tags"])
        if n != 4:
            assert json.loads(row["doc"]) == {**json.loads(stored[n]["doc"]), "mail": MASK}
    as_member(monkeypatch, "interns")
    rows = seen(table)
    assert sorted(rows) == [0, 1, 2]
    assert "name" not in rows[0]
    assert {rows[n][name] for n in rows for name in ("mail", "card", "pay", "ssn", "dot.ted")} == {MASK}
    assert rows[1]["city"] == stored[1]["city"]
    assert (rows[1]["address"], rows[0]["address"]) == ({"street": MASK, "town": "Town 1"}, None)
    assert "tags" not in rows[1]  # a map has no keys without values
    assert json.loads(rows[1]["doc"]) == {"mail": MASK, "who": [{"age": 1}], "n": 1}
    as_member(monkeypatch, "fraud")
    with pytest.raises(NotPermitted):
        seen(table)
    rows = seen(table, purpose="fraud-case")
    assert [(rows[n]["mail"], rows[n]["card"]) for n in sorted(rows)] == [row[1:3] for row in ROWS]
    assert set(rows[1]) == {"id", "mail", "card", "state", "address", "contacts", "doc"}
    assert rows[1]["address"] == {"town": "Town 1"}
    assert rows[1]["contacts"] == [{"kind": "home", "mail": "ada1@x.org"}, {"kind": "work", "mail": None}]
    assert json.loads(rows[1]["doc"]) == {"mail": "ada1@x.org", "who": [{"age": 1}], "n": 1}


def test_forms_agree_and_versions_are_sealed_ones(table, monkeypatch):
    as_member(monkeypatch, "analysts")
    file = contract_of(table)
    spark_rows = sorted(map(plain, read(table.spark, file).collect()))
    arrow = read(table.spark, file, form="arrow", version=0)
    assert sorted(map(plain, arrow.to_pylist())) == spark_rows
    pandas = read(table.spark, file, form="pandas", as_of="2100-01-01")
    assert sorted(plain(row) for row in pandas.to_dict("records")) == spark_rows
    for wrong, error in (
        ({"version": 9}, ProofError),
        ({"as_of": "2000-01-01T00:00Z"}, ProofError),
        ({"as_of": "soon"}, UsageError),
        ({"form": "xml"}, UsageError),
    ):
        with pytest.raises(error):
            read(table.spark, file, **wrong)


def test_a_changed_table_is_not_read(table, monkeypatch):
    as_member(monkeypatch, "analysts")
    table.spark.sql(f"update delta.`{table.root}/target` set state = 'nsw' where id = 1")
    with pytest.raises(ProofError, match=r"the proof does not hold.*Nothing was read"):
        read(table.spark, contract_of(table))
    assert reading(table.spark, contract_of(table), Wish(verified=False)).version == 0


def test_every_read_is_an_event_without_values_in_file_and_table(table, monkeypatch):
    as_member(monkeypatch, "analysts")
    seen(table, purpose="study")
    as_member(monkeypatch)
    with pytest.raises(NotPermitted):
        seen(table)
    told = [json.loads(line) for line in (table.root / "events.jsonl").read_text().splitlines()]
    own = [one["unmapped"]["dataward"] for one in told]
    assert [(one["verb"], one["status"]) for one in own] == [
        ("publish", "success"),
        ("read", "success"),
        ("read", "denied"),
    ]
    assert (own[0]["rows"]["published"], own[0]["version"]) == (7, 0)
    assert (own[1]["rows"], own[1]["version"], own[1]["purpose"], own[1]["sees"]["mail"]) == (4, 0, "study", "masked")
    rows = table.spark.read.format("delta").load(str(table.root / "events")).orderBy("sequence").collect()
    assert [(row.verb, row.sequence, row.event) for row in rows] == [
        (o["verb"], n, json.dumps(e, sort_keys=True, separators=(",", ":")))
        for n, (o, e) in enumerate(zip(own, told, strict=True), 1)
    ]
    kept = [
        file.read_bytes()
        for name in ("events.jsonl", "spool", "events")
        for file in [table.root / name, *(table.root / name).rglob("*")]
        if file.is_file()
    ]
    for row in ROWS:
        assert not any(str(value).encode() in data for value in (row[1], row[2], row[3]) if value for data in kept)


@pytest.mark.parametrize("group", ["analysts", "interns", ""])
def test_a_generated_view_shows_what_read_shows(table, monkeypatch, group):
    contract = plan(contract_of(table)).contract
    made = views(table.spark, contract, For("sql", group))
    as_member(monkeypatch, *([group] if group else []))
    if not group:
        assert made.statements == ()
        with pytest.raises(NotPermitted):
            read(table.spark, contract_of(table))
        return
    (statement,) = made.statements
    table.spark.sql(statement.replace("CREATE OR REPLACE VIEW", "CREATE OR REPLACE TEMPORARY VIEW"))
    view, frame = table.spark.table(f"t_for_{group}"), read(table.spark, contract_of(table))
    assert view.schema.simpleString() == frame.schema.simpleString()
    # A view cannot hide parts of JSON: it masks the whole document, which is less.
    assert {row.doc for row in view.collect()} <= {MASK, None}
    assert "doc: a view cannot hide parts of JSON: it is masked as a whole" in made.notes
    assert sorted(map(plain, view.drop("doc").collect())) == sorted(map(plain, frame.drop("doc").collect()))
    assert view.count() in (3, 4)


def test_masks_and_filters_of_unity_catalog_show_what_read_shows_to_members_of_any_groups(table, monkeypatch):
    """Their functions are evaluated by Spark, with each membership replaced by its answer. Absent is null there."""
    contract = plan(contract_of(table)).contract
    schema = {field.name: field.dataType.simpleString() for field in table.read().schema.fields}
    wanted = For("unity", purpose="study", name="main.hr.people")
    made = views(table.spark, contract, wanted)
    functions = {
        m.group(1): m.group(2)
        for s in made.statements
        if (m := re.match(r"CREATE OR REPLACE FUNCTION main\.hr\.people_(\w+)\(.*?\) RETURN (.*)$", s, re.S))
    }
    stored = table.read()
    for size in range(4):
        for groups in itertools.combinations(("analysts", "interns", "owners"), size):
            if "owners" in groups and size > 1:
                continue  # originals are opened by read alone
            answered = {
                name: re.sub(
                    r"is_account_group_member\('(\w+)'\)", lambda m, g=groups: str(m.group(1) in g).upper(), body
                )
                for name, body in functions.items()
            }
            parts = []
            for name in schema:
                body = answered.get(f"{re.sub('[^A-Za-z0-9_]', '_', name)}_mask", "value")
                of_column = re.sub(r"\bvalue\b", f"`{name}`", body)
                parts.append(f"{of_column} AS `{name}`")
            masked = [plain(row) for row in stored.where(answered["rows"]).selectExpr(*parts).collect()]
            as_member(monkeypatch, *groups)
            if not groups:
                assert masked == []
                continue
            if groups == ("owners",):
                assert masked == [plain(row) for row in stored.collect()]
                continue
            expected = [plain({**row, "doc": row["doc"] and MASK}) for row in seen(table, purpose="study").values()]
            assert sorted(masked) == sorted(expected)
    assert made.notes
    assert len([s for s in made.statements if "SET ROW FILTER" in s]) == 1


def test_lake_formation_filters_hold_the_columns_and_rows_of_each_group(table):
    contract = plan(contract_of(table)).contract
    made = views(table.spark, contract, For("lakeformation", name="hr.people", account="111122223333"))
    filters = {
        one["CreateDataCellsFilter"]["TableData"]["Name"]: one["CreateDataCellsFilter"]["TableData"]
        for one in made.statements
    }
    assert filters["t_analysts"]["RowFilter"] == {"FilterExpression": "state = 'nsw' or id = 6"}
    assert filters["t_analysts"]["ColumnNames"] == ["id", "card", "name", "ssn", "city", "address", "tags", "state"]
    assert "analysts: columns with hidden parts are left out: contacts, doc" in made.notes
    assert filters["t_owners"]["RowFilter"] == {"AllRowsWildcard": {}}
    assert "t_fraud" not in filters  # needs a purpose
    assert any("masked columns are left out: mail" in note for note in made.notes)
    with pytest.raises(UsageError, match="12 digits"):
        views(table.spark, contract, For("lakeformation", name="people"))
