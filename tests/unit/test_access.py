"""Decisions: a table of cases, what is denied by default, and that no mistake of a policy ever permits."""

import json
import os
import pwd
from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataward.access.decide import Asking, ColumnFacts, Principal, TableFacts, decide
from dataward.access.explain import explain, who_can
from dataward.access.policies import of_access, parsed, quoted, schema
from dataward.access.principals import of_arn, of_databricks, of_process
from dataward.access.reidentify import budget
from dataward.access.sight import shown, sight
from dataward.access.verbs import GROUPS, VERBS
from dataward.cli import main
from dataward.contract import Access, Column
from dataward.contract.parts import Layout, Part, Shape
from dataward.errors import UsageError

HOUSE = """
@id("engineers operate") permit (principal in Dataward::Group::"engineers", action in Dataward::Action::"operate", resource);
@id("everybody looks") permit (principal in Dataward::Group::"staff", action in Dataward::Action::"look", resource)
  unless { resource has contract && resource.contract == "salaries" };
@id("payroll looks") permit (principal in Dataward::Group::"payroll", action in Dataward::Action::"look", resource == Dataward::Table::"salaries")
  when { context.purpose == "payroll" };
@id("privacy manages") permit (principal in Dataward::Group::"privacy", action in Dataward::Action::"manage", resource);
@id("no erasure at night") forbid (principal, action == Dataward::Action::"erase", resource) when { context.hour < 6 };
@id("public columns") permit (principal in Dataward::Group::"staff", action == Dataward::Action::"read_clear", resource) when { !resource.sensitive };
@id("staff tokens") permit (principal in Dataward::Group::"staff", action == Dataward::Action::"read_token", resource)
  when { ["email", "phone"].contains(resource.class) };
@id("staff masks") permit (principal in Dataward::Group::"staff", action == Dataward::Action::"read_masked", resource)
  when { ["email", "phone", "person_name"].contains(resource.class) };
@id("fraud opens") @rows_per_day("50") permit (principal in Dataward::Group::"fraud",
  action in [Dataward::Action::"read_clear", Dataward::Action::"reidentify"], resource)
  when { ["email", "national_id"].contains(resource.class) && context.purpose == "fraud-case" };
@id("contractors see no phone") forbid (principal in Dataward::Group::"contractors", action in Dataward::Action::"see", resource)
  when { resource.class == "phone" };
"""
GROUPS_OF = {
    "eve": ("staff", "engineers"), "ana": ("staff", "analysts"), "fay": ("staff", "fraud"), "pam": ("staff", "payroll"),
    "dpo": ("staff", "privacy"), "con": ("staff", "contractors"), "nobody": (), "staffer": ("Staff", "engineer", "staff "),
}  # fmt: skip
NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
PEOPLE = TableFacts("people", "lake/people", "people", tuple(
    ColumnFacts(class_ or "state", class_, stored, bool(class_), stored == "encrypted")
    for class_, stored in (("", "kept"), ("email", "encrypted"), ("phone", "aliased"), ("person_name", "coarsened"), ("national_id", "encrypted"))
))  # fmt: skip
SALARIES = replace(PEOPLE, name="salaries")

# One letter for each verb on tables, in this order: x permitted, . denied.
TABLE_VERBS = "read verify history discover audit publish anonymize quarantine_discard release train rotate erase keys_disable change_contract".split()
ON_TABLES = """
    people   eve     -        xxxxx xxxxx ....
    people   ana     -        xxxxx ..... ....
    people   fay     fraud-case xxxxx ..... ....
    people   pam     payroll  xxxxx ..... ....
    people   dpo     -        xxxxx ..... xxxx
    people   con     -        xxxxx ..... ....
    people   nobody  -        ..... ..... ....
    people   staffer -        ..... ..... ....
    salaries eve     -        ..... xxxxx ....
    salaries ana     payroll  ..... ..... ....
    salaries pam     payroll  xxxxx ..... ....
    salaries pam     -        ..... ..... ....
    salaries dpo     -        ..... ..... xxxx
    salaries nobody  payroll  ..... ..... ....
"""
# One word for each column: what read_clear, read_token, read_masked and reidentify come to.
CLASSES = ["", "email", "phone", "person_name", "national_id"]
ON_COLUMNS = """
    ana    -           x... .xx. .xx. ..x. ....
    ana    fraud-case  x... .xx. .xx. ..x. ....
    fay    fraud-case  x... xxxx .xx. ..x. x..x
    fay    -           x... .xx. .xx. ..x. ....
    fay    Fraud-case  x... .xx. .xx. ..x. ....
    con    -           x... .xx. .... ..x. ....
    nobody fraud-case  .... .... .... .... ....
    dpo    fraud-case  x... .xx. .xx. ..x. ....
"""


def person(name):
    return Principal(name, "os", GROUPS_OF[name])


def cases():
    for line in ON_TABLES.split("\n"):
        if line.strip():
            table, who, purpose, *letters = line.split()
            for verb, letter in zip(TABLE_VERBS, "".join(letters), strict=True):
                at = SALARIES if table == "salaries" else PEOPLE
                yield Asking(person(who), verb, at, None, purpose.strip("-"), now=NOON), letter == "x"
    for line in ON_COLUMNS.split("\n"):
        if line.strip():
            who, purpose, *words = line.split()
            for column, word in zip(PEOPLE.columns, words, strict=True):
                for verb, letter in zip(("read_clear", "read_token", "read_masked", "reidentify"), word, strict=True):
                    yield (
                        Asking(person(who), verb, PEOPLE, column, "" if purpose == "-" else purpose, now=NOON),
                        letter == "x",
                    )


def house(text=HOUSE):
    return parsed(text, "house.cedar")


def test_a_table_of_cases_comes_out_as_people_expect():
    asked, expected = zip(*cases(), strict=True)
    assert len(asked) >= 200
    assert 0.2 < sum(expected) / len(expected) < 0.6
    decisions = decide(house(), asked)
    wrong = [
        (one.principal.name, one.verb, one.table.name, one.column and one.column.class_, one.purpose, decision.why)
        for one, decision, want in zip(asked, decisions, expected, strict=True)
        if decision.allowed != want
    ]
    assert wrong == []
    # A batch answers as one request after the other does.
    some = list(zip(asked, decisions, strict=True))[::17]
    assert [decide(house(), [one])[0] for one, _ in some] == [decision for _, decision in some]


def test_a_batch_parses_policies_and_entities_once(monkeypatch):
    from dataward.access import decide as module

    asked = [one for one, _ in cases() if one.principal.name == "ana" and one.table is PEOPLE]
    calls = []
    whole = module.cedar()

    class Counting:
        Entities = whole.Entities

        def is_authorized_batch(self, requests, *rest):
            calls.append(len(requests))
            return whole.is_authorized_batch(requests, *rest)

    monkeypatch.setattr(module, "cedar", Counting)
    decide(house(), asked)
    assert calls == [len(asked)]


def test_time_counts():
    erase = Asking(person("dpo"), "erase", PEOPLE, now=NOON)
    assert decide(house(), [erase, replace(erase, now=NOON.replace(hour=3))])[1].policies == ("no erasure at night",)
    until = Access.model_validate({"grants": [{"principals": ["dpo"], "verbs": ["erase"], "until": "2026-11-25"}]})
    last, after = (datetime(2026, 11, day, 0, 0, tzinfo=timezone.utc) for day in (25, 26))
    asked = [replace(erase, now=now) for now in (NOON, last, after)]
    assert [decision.allowed for decision in decide(of_access(until), asked)] == [True, True, False]


def test_without_access_everything_works_but_originals_of_protected_values():
    asked = [Asking(person("nobody"), verb.name, PEOPLE) for verb in VERBS.values() if verb.on == "Table"]
    assert all(decision.allowed for decision in decide(of_access(Access()), asked))
    column = {column.class_: column for column in PEOPLE.columns}
    ask = Asking(person("nobody"), "read_clear", PEOPLE)
    opened = [
        ask.about(column["email"]),
        ask.about(column["email"], "reidentify"),
        ask.about(column["phone"], "reidentify"),
    ]
    closed = [ask.about(column[""]), ask.about(column["phone"]), ask.about(column["email"], "read_token")]
    assert [decision.allowed for decision in decide(of_access(Access()), [*opened, *closed])] == [False] * 3 + [
        True
    ] * 3


def test_one_grant_closes_everything_else():
    granted = Access.model_validate({"grants": [{"groups": ["staff"], "verbs": ["verify"]}]})
    asked = [Asking(person("ana"), verb.name, PEOPLE) for verb in VERBS.values() if verb.on == "Table"]
    assert [
        one.verb for one, decision in zip(asked, decide(of_access(granted), asked), strict=True) if decision.allowed
    ] == ["verify"]


LEVELS = {"email": "masked", "national_id": "absent", "phone": "clear", "default": "token"}


def test_a_grant_shows_each_class_at_its_level_and_rows_by_their_condition():
    access = Access.model_validate({"grants": [
        {"groups": ["staff"], "verbs": ["read"], "see": LEVELS, "rows": "state = 'nsw'"},
        {"groups": ["analysts"], "verbs": ["read"], "see": {"email": "token"}, "rows": "state = 'vic'", "purposes": ["study"]},
    ]})  # fmt: skip
    seen = {who: sight(of_access(access), Asking(person(who), "read", PEOPLE, purpose=purpose)) for who, purpose in
            (("eve", ""), ("ana", "study"), ("nobody", ""))}  # fmt: skip
    levels = {who: [look.shown for look in found.columns] for who, found in seen.items()}
    assert levels["eve"] == ["original", "masked", "stored", "stored", "absent"]
    assert levels["ana"] == ["original", "stored", "stored", "stored", "absent"]
    assert levels["nobody"] == ["absent"] * 5
    assert [found.rows for found in seen.values()] == ["state = 'nsw'", "(state = 'nsw') OR (state = 'vic')", "false"]


@pytest.mark.parametrize(("stored", "sealed", "may", "way"), [
    ("kept", False, "ctm", "original"), ("kept", False, "tm", "masked"), ("kept", False, "m", "masked"), ("kept", False, "", "absent"),
    ("encrypted", True, "ctm", "opened"), ("encrypted", True, "tm", "stored"), ("encrypted", True, "m", "masked"),
    ("aliased", False, "ctm", "stored"), ("aliased", False, "m", "masked"), ("coarsened", False, "m", "stored"),
    ("coarsened", False, "", "absent"), ("removed", False, "m", "stored"), ("kept", True, "tm", "masked"), ("kept", True, "c", "opened"),
])  # fmt: skip
def test_levels_never_show_more_than_they_say(stored, sealed, may, way):
    permitted = {level: level[0] in may for level in ("clear", "token", "masked")}
    assert shown(ColumnFacts("c", "email", stored, True, sealed), permitted) == way


REIDENTIFY = [
    {"principals": ["ana"], "classes": ["email"], "purposes": ["fraud"], "rows_per_day": 3},
    {"principals": ["ana", "bob"], "classes": ["email", "phone"], "purposes": ["fraud", "support"], "rows_per_day": 9},
]


@settings(deadline=None)
@given(
    who=st.sampled_from(["ana", "bob", "eve"]),
    purpose=st.sampled_from(["fraud", "support", ""]),
    classes=st.lists(st.sampled_from(["email", "phone", "salary", None]), min_size=1, max_size=3),
)
def test_todays_lines_mean_in_cedar_what_they_meant(who, purpose, classes):
    """The first line that names principal, purpose and every class, and its rows a day."""
    lines = [
        one
        for one in REIDENTIFY
        if who in one["principals"] and purpose in one["purposes"] and set(classes) <= set(one["classes"])
    ]
    contract = _contract(access={"reidentify": REIDENTIFY})
    found, why = budget(
        contract,
        Asking(Principal(who), "reidentify", PEOPLE, purpose=purpose),
        {f"c{n}": c for n, c in enumerate(classes)},
    )
    assert (found, bool(why)) == (lines[0]["rows_per_day"] if lines else 0, not lines)


def test_a_permit_without_rows_a_day_gives_no_originals():
    contract = _contract(access={"grants": [{"principals": ["ana"], "verbs": ["open", "reidentify"]}]})
    ask = Asking(Principal("ana"), "reidentify", PEOPLE, purpose="fraud")
    assert budget(contract, ask, {"e": "email"})[0] == 0


def _contract(**more):
    from dataward.contract import Contract

    given = {
        "contract": "people",
        "source": {"path": "a"},
        "target": {"path": "b"},
        "keys": {"path": "k", "domain": "d"},
    }
    return Contract.model_validate({**given, **more})


BROKEN = [
    'permit (principal, action, resource) when { context.hour * 9223372036854775807 > 1 || true };',
    'forbid (principal, action, resource) when { context.hour * 9223372036854775807 * 9223372036854775807 > 1 };',
    'forbid (principal, action == Dataward::Action::"read", resource) when { ip(context.purpose).isLoopback() };',
]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN)
def test_a_policy_that_fails_denies_also_where_another_permits(text):
    """Cedar skips a policy whose condition fails: a forbid would be lost."""
    policies = parsed("permit (principal, action, resource);\n" + text, "p", valid=False)
    (decision,) = decide(policies, [Asking(person("ana"), "read", PEOPLE, purpose="x", now=NOON)])
    assert (decision.allowed, bool(decision.errors)) == (False, True)


@settings(deadline=None)
@given(text=st.text(max_size=60), cut=st.integers(0, len(HOUSE)), length=st.integers(0, 40))
def test_a_damaged_policy_file_is_refused_or_decides_as_cedar_alone_does(text, cut, length):
    damaged = HOUSE[:cut] + text + HOUSE[cut + length :]
    try:
        policies = parsed(damaged, "p")
    except UsageError:
        return
    asked = [one for one, _ in cases()][::9]
    import cedarpy

    for one, decision in zip(asked, decide(policies, asked), strict=True):
        if decision.allowed:
            assert _alone(cedarpy, damaged, one) == "Allow"


def _alone(cedarpy, text, one):
    """Ask Cedar with entities written here, without our batches and handles."""
    resource = f'Dataward::Column::"{one.column.name}"' if one.column else f'Dataward::Table::"{one.table.name}"'
    entities = [
        {"uid": {"type": "Dataward::User", "id": one.principal.name}, "attrs": {"name": one.principal.name, "kind": "os"},
         "parents": [{"type": "Dataward::Group", "id": group} for group in one.principal.groups]},
        {"uid": {"type": "Dataward::Table", "id": one.table.name}, "parents": [],
         "attrs": {"contract": one.table.name, "place": one.table.place, "domain": one.table.domain,
                   "classes": ["email", "phone", "person_name", "national_id"]}},
    ]  # fmt: skip
    if one.column:
        facts = {
            "name": one.column.name,
            "class": one.column.class_,
            "stored": one.column.stored,
            "sensitive": one.column.sensitive,
            "sealed": one.column.sealed,
        }
        entities.append({"uid": {"type": "Dataward::Column", "id": one.column.name}, "attrs": facts,
                         "parents": [{"type": "Dataward::Table", "id": one.table.name}]})  # fmt: skip
    context = {
        "purpose": one.purpose,
        "ticket": one.ticket,
        "now": {"__extn": {"fn": "datetime", "arg": "2026-11-25T12:00:00Z"}},
        "hour": 12,
        "weekday": 3,
    }
    request = {
        "principal": f'Dataward::User::"{one.principal.name}"',
        "action": f'Dataward::Action::"{one.verb}"',
        "resource": resource,
        "context": context,
    }
    return cedarpy.is_authorized(request, text, entities, schema=schema()).decision.value


@settings(deadline=None)
@given(
    name=st.text(max_size=20), groups=st.lists(st.text(max_size=12), max_size=3), purpose=st.text(max_size=12),
    verb=st.sampled_from([*VERBS, "", "publish ", "any", "operate"]), class_=st.text(max_size=12), table=st.text(max_size=8),
)  # fmt: skip
def test_odd_entities_are_denied_or_permitted_by_a_policy_that_names_them(name, groups, purpose, verb, class_, table):
    """Names with quotes, escapes and control characters stay names: nobody gets into a group by a name."""
    on_column = verb in VERBS and VERBS[verb].on == "Column"
    column = ColumnFacts(class_, class_, "encrypted", True, True) if on_column else None
    asked = Asking(Principal(name, "os", tuple(groups)), verb, TableFacts(table), column, purpose, now=NOON)
    (decision,) = decide(house(), [asked])
    staff = {"staff", "engineers", "payroll", "privacy", "fraud"}
    assert not decision.allowed or staff & set(groups)
    assert not decision.allowed or verb in VERBS


@settings(deadline=None)
@given(st.text(max_size=30))
def test_a_quoted_name_is_read_back_as_it_was(name):
    policies = parsed(f"permit (principal == Dataward::User::{quoted(name)}, action, resource);", "p")
    assert policies.named("User") == (name,)
    asked = [Asking(Principal(who), "read", PEOPLE) for who in (name, name + "x")]
    assert [decision.allowed for decision in decide(policies, asked)] == [True, False]


@pytest.mark.parametrize(("text", "words"), [
    ("permit (principal, action, resource) when { resource.klass == 1 };", "klass"),
    ('permit (principal, action == Dataward::Action::"publihs", resource);', "publihs"),
    ("permit (principal, action, resource", "unexpected"),
    ("permit (principal == ?principal, action, resource);", "templates"),
    ('@rows("state = (select max(x) from y)") permit (principal, action == Dataward::Action::"read", resource);', "@rows"),
    ('@rows("true") forbid (principal, action, resource);', "a forbid denies all rows"),
    ('@rows_per_day("many") permit (principal, action == Dataward::Action::"reidentify", resource);', "whole number"),
])  # fmt: skip
def test_a_policy_that_does_not_validate_is_refused_with_its_mistake(text, words):
    with pytest.raises(UsageError, match="house.cedar: .*") as told:
        house(text)
    assert words in str(told.value)


def test_a_denial_names_the_policies_that_would_permit_and_what_they_lack():
    read = Asking(person("pam"), "read", SALARIES, now=NOON)
    found = explain(house(), read)
    assert not found.decision.allowed
    assert {near.policy: near.lacks for near in found.near} == {
        "payroll looks": ('(context.purpose) == "payroll"',),
        "everybody looks": ('not ((resource has contract) && ((resource.contract) == "salaries"))',),
    }
    assert [near.policy for near in explain(house(), Asking(person("nobody"), "publish", PEOPLE)).near] == [
        "engineers operate"
    ]
    (near,) = explain(house(), Asking(person("nobody"), "publish", PEOPLE)).near
    assert near.lacks == ('principal in Group::"engineers"',)
    assert explain(house(), replace(read, purpose="payroll")).decision.policies == ("payroll looks",)


def test_who_can_lists_groups_users_and_everybody():
    policies = house(HOUSE + 'permit (principal == Dataward::User::"root", action, resource);')
    able = [
        (kind, name)
        for kind, name, decision in who_can(policies, Asking(person("ana"), "erase", PEOPLE, now=NOON))
        if decision.allowed
    ]
    assert able == [("group", "privacy"), ("user", "root")]
    assert ("anyone", "") in [
        (kind, name)
        for kind, name, d in who_can(of_access(Access()), Asking(person("ana"), "read", PEOPLE))
        if d.allowed
    ]


def test_the_schema_has_every_verb_and_group():
    for name in (*VERBS, *GROUPS):
        house(f'permit (principal, action in [Dataward::Action::"{name}"], resource);')


def test_no_environment_variable_changes_the_principal(monkeypatch):
    for name in ("USER", "LOGNAME", "SPARK_USER", "HADOOP_USER_NAME", "SUDO_USER", "USERNAME"):
        monkeypatch.setenv(name, "root-of-all")
    found = of_process()
    assert (found.name, found.kind) == (pwd.getpwuid(os.getuid()).pw_name, "os")
    assert found.groups


def test_databricks_needs_more_than_its_variable(monkeypatch):
    from dataward.access.site import settings as settings_of
    from dataward.pipeline.guard import asker

    class Session:
        def sql(self, text):
            raise AssertionError("asked")

    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "15.4")
    monkeypatch.setenv("SPARK_USER", "boss")
    contract = _contract()
    assert asker(Session(), contract, settings_of(contract)).kind == "os"
    explicit = _contract(access={"identity": "databricks"})
    with pytest.raises(UsageError, match="on Databricks"):
        asker(Session(), explicit, settings_of(explicit))


@pytest.mark.parametrize(("arn", "groups"), [
    ("arn:aws:sts::111122223333:assumed-role/Analyst/ana", ("role:Analyst", "arn:aws:iam::111122223333:role/Analyst", "account:111122223333")),
    ("arn:aws:iam::111122223333:user/team/ana", ("account:111122223333",)),
    ("arn:aws-cn:sts::111122223333:assumed-role/A/b/c", ("role:A", "arn:aws-cn:iam::111122223333:role/A", "account:111122223333")),
    ("role:Analyst", ()), ("arn:aws:sts::1:assumed-role/Analyst/x", ()),
])  # fmt: skip
def test_groups_of_an_arn_are_its_role_and_account(arn, groups):
    assert of_arn(arn) == Principal(arn, "sts", groups)


def test_groups_of_databricks_are_those_that_the_session_confirms():
    class Session:
        def sql(self, text):
            row = ("ana@x.org",) if "current_user" in text else (None, "'it''s'" in text or "analysts" in text)
            return type("Frame", (), {"first": lambda self: row})()

    assert of_databricks(Session(), ["analysts", "boss"]) == Principal("ana@x.org", "databricks", ("analysts",))


CONTRACT = """
contract: people
source: {path: a}
target: {path: b}
keys: {path: k, domain: d}
columns: {mail: {class: email, protect: {encrypt: {}}}, state: {protect: keep}}
access:
  grants:
    - {groups: [analysts], verbs: [read], see: {email: masked}, rows: "state = 'nsw'", purposes: [fraud]}
"""


def test_the_commands_answer_with_exit_codes(tmp_path, capsys):
    file, tests = tmp_path / "c.yaml", tmp_path / "cases.yaml"
    file.write_text(CONTRACT)
    assert main(["access", "explain", "bob", "read", str(file)]) == 4
    assert 'access.grants.0 would permit it, if principal in Group::"analysts" and' in capsys.readouterr().out
    assert (
        main(["access", "explain", "bob", "read", str(file), "--groups", "analysts", "--purpose", "fraud", "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["rows"] == "state = 'nsw'"
    assert main(["access", "who-can", "read", str(file), "--purpose", "fraud"]) == 0
    assert capsys.readouterr().out.startswith("group   analysts: permitted by access.grants.0")
    assert main(["access", "sees", "bob", str(file), "--groups", "analysts", "--purpose", "fraud", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["columns"] == {"mail": "masked", "state": "clear"}
    tests.write_text("contract: c.yaml\ncases:\n  - {who: bob, groups: [analysts], verb: read, purpose: fraud, see: {mail: masked}, expect: allow}\n"
                     "  - {who: bob, verb: publish, expect: allow}\n")  # fmt: skip
    assert main(["access", "test", str(tests)]) == 1
    assert "case 2: bob publish: expected allow, found deny (no policy permits it)" in capsys.readouterr().out
    assert main(["access", "explain", "bob", "raed", str(file)]) == 2
    assert "did you mean 'read'?" in capsys.readouterr().err
    assert main(["access", "schema"]) == 0
    assert "entity User in [Group]" in capsys.readouterr().out


@pytest.mark.parametrize(("change", "words"), [
    (("verbs: [read]", "verbs: [raed]"), "verb 'raed' is unknown; did you mean 'read'?"),
    (("groups: [analysts], ", ""), "a grant names principals or groups, or says anyone: true"),
    (("rows: \"state = 'nsw'\"", 'rows: "state = (select 1)"'), "@rows"),
    (("  grants:", "  policy: nowhere.cedar\n  grants:"), "access.policy nowhere.cedar: No such file"),
])  # fmt: skip
def test_a_mistake_in_access_is_a_mistake_of_the_contract(tmp_path, capsys, change, words):
    (tmp_path / "c.yaml").write_text(CONTRACT.replace(*change))
    assert main(["contract", "check", str(tmp_path / "c.yaml")]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "c.yaml:" in told


def test_a_verb_is_denied_before_it_starts(tmp_path):
    from dataward.errors import NotPermitted
    from dataward.pipeline.guard import guarded
    from dataward.pipeline.plan import plan

    (tmp_path / "c.yaml").write_text(CONTRACT)
    ran = []

    @guarded("publish")
    def publish(spark, plan, run_id=None):
        ran.append(run_id)

    @guarded("erase")
    def erase(spark, plans):
        ran.append("erase")

    planned = plan(tmp_path / "c.yaml")
    for call in (lambda: publish(None, planned), lambda: erase(None, [planned])):
        with pytest.raises(NotPermitted, match="may not (publish|erase) people: no policy permits it"):
            call()
    assert ran == []
    (tmp_path / "c.yaml").write_text(CONTRACT[: CONTRACT.index("access:")])
    publish(None, plan(tmp_path / "c.yaml"), run_id="r")
    assert ran == ["r"]


def test_a_verb_inside_of_a_verb_is_not_asked_again(tmp_path):
    from dataward.pipeline.guard import guarded
    from dataward.pipeline.plan import plan

    text = CONTRACT.replace(
        "groups: [analysts], verbs: [read], see: {email: masked}, rows: \"state = 'nsw'\", purposes: [fraud]",
        "anyone: true, verbs: [erase]",
    )
    (tmp_path / "c.yaml").write_text(text)
    inner = guarded("verify")(lambda spark, plan: "verified")
    outer = guarded("erase")(lambda spark, plan: inner(spark, plan))
    assert outer(None, plan(tmp_path / "c.yaml")) == "verified"


def test_the_machines_settings_govern_contracts_without_their_own(tmp_path, monkeypatch):
    from dataward.access import site

    monkeypatch.setattr(site, "SITE", tmp_path / "site.yaml")
    assert site.settings(_contract()).silent
    site.SITE.write_text(
        "access: {grants: [{groups: [ops], verbs: [publish]}]}\naudit: {sinks: [{kind: jsonl, path: e.jsonl}]}\n"
    )
    assert site.settings(None).access.governed
    assert site.settings(_contract()).access.grants[0].groups == ("ops",)
    own = site.settings(_contract(access={"grants": [{"anyone": True, "verbs": ["read"]}]}))
    assert (own.access.grants[0].anyone, own.audit is not None) == (True, True)


UNITY = """
@id("staff read") @rows("state = 'nsw'") permit (principal in Dataward::Group::"staff", action == Dataward::Action::"read", resource);
@id("all rows for fraud") permit (principal, action == Dataward::Action::"read", resource)
  when { (principal in Dataward::Group::"fraud" || principal == Dataward::User::"o'hara") && context.purpose == "fraud-case" };
@id("at noon") permit (principal in Dataward::Group::"interns", action == Dataward::Action::"read", resource) when { context.hour == 12 };
@id("staff mail") permit (principal in Dataward::Group::"staff", action == Dataward::Action::"read_masked", resource) when { resource.class == "email" };
@id("not contractors") forbid (principal in Dataward::Group::"contractors", action, resource);
@id("never at night") forbid (principal, action == Dataward::Action::"read_masked", resource) when { resource.class == "phone" && context.hour < 6 };
@id("staff phone") permit (principal in Dataward::Group::"staff", action == Dataward::Action::"read_masked", resource) when { resource.class == "phone" };
"""


def plain_columns(**kinds):
    """Columns that one entry each decides about."""
    return [Layout(name, Shape(kind), {(): Part(name, name, Column(protect="keep"))}) for name, kind in kinds.items()]


def test_unity_catalog_gets_conditions_of_membership_and_what_it_cannot_express_shows_less():
    from dataward.access.views import masks_and_filters

    table = replace(
        PEOPLE,
        columns=(
            ColumnFacts("state"),
            ColumnFacts("mail", "email", "kept", True),
            ColumnFacts("phone", "phone", "kept", True),
        ),
    )
    columns = plain_columns(state="string", mail="string", phone="bigint")
    asking = Asking(person("nobody"), "read", table, purpose="fraud-case", now=NOON)
    made = masks_and_filters(house(UNITY), asking, "main.hr.people", columns)
    rows, set_rows, *masks = made.statements
    assert rows == (
        "CREATE OR REPLACE FUNCTION main.hr.people_rows(`state` STRING) RETURN "
        "(((is_account_group_member('staff')) AND (state = 'nsw')) OR ((is_account_group_member('fraud')) OR (current_user() = 'o\\'hara'))) "
        "AND NOT (is_account_group_member('contractors'))"
    )
    assert set_rows == "ALTER TABLE main.hr.people SET ROW FILTER main.hr.people_rows ON (`state`)"
    functions = [one.partition(" RETURN ")[2] for one in masks if "FUNCTION" in one]
    assert functions == [
        "CAST(NULL AS STRING)",  # no policy shows `state`
        "CASE WHEN (is_account_group_member('staff')) AND NOT (is_account_group_member('contractors')) "
        "THEN CASE WHEN value IS NOT NULL THEN '[masked]' END ELSE NULL END",
        "CAST(NULL AS BIGINT)",  # a forbid that depends on the time holds always
    ]
    assert sorted(made.notes) == [
        "at noon has a condition that cannot be expressed: it is left out",
        "never at night has a condition that cannot be expressed: it holds always",
    ]
    other = masks_and_filters(house(UNITY), replace(asking, purpose="study"), "main.hr.people", columns)
    assert "o\\'hara" not in other.statements[0]


def test_lake_formation_gets_no_condition_that_it_does_not_have():
    from dataward.access.views import cell_filters

    text = (
        UNITY.replace("state = 'nsw'", "upper(state) = 'NSW'")
        + '\npermit (principal, action == Dataward::Action::"read_clear", resource) when { !resource.sensitive };'
    )
    asking = Asking(person("nobody"), "read", PEOPLE, purpose="study", now=NOON)
    made = cell_filters(
        house(text),
        asking,
        "111122223333",
        "hr",
        "people",
        plain_columns(**{one.name: "string" for one in PEOPLE.columns}),
    )
    names = [one["CreateDataCellsFilter"]["TableData"]["Name"] for one in made.statements]
    assert names == ["people_interns"]
    assert "staff: left out, Lake Formation's filters have no UPPER: upper(state) = 'NSW'" in made.notes
    assert any("these forbids are lost: not contractors, never at night" in note for note in made.notes)


def test_a_machines_binding_policies_hold_beside_the_contracts_own(tmp_path, monkeypatch):
    """Who writes a contract cannot grant what the machine's settings do not."""
    from dataward.access import site
    from dataward.errors import NotPermitted
    from dataward.pipeline.guard import guarded
    from dataward.pipeline.plan import plan

    monkeypatch.setattr(site, "SITE", tmp_path / "site.yaml")
    (tmp_path / "c.yaml").write_text(
        CONTRACT[: CONTRACT.index("access:")] + "access: {grants: [{anyone: true, verbs: [look, manage]}]}\n"
    )
    calls = [guarded(name)(lambda spark, plan, name=name: name) for name in ("verify", "rotate")]
    planned = plan(tmp_path / "c.yaml")
    assert [call(None, planned) for call in calls] == ["verify", "rotate"]
    site.SITE.write_text("binding: true\naccess: {grants: [{anyone: true, verbs: [look, operate]}]}\n")
    assert calls[0](None, planned) == "verify"
    with pytest.raises(NotPermitted, match="may not rotate people"):
        calls[1](None, planned)
    allowed = {"reidentify": REIDENTIFY, "grants": [{"anyone": True, "verbs": ["verify"]}]}
    ask = Asking(Principal("ana"), "reidentify", PEOPLE, purpose="fraud")
    assert budget(_contract(access=allowed), ask, {"e": "email"}) == (0, "the machine's settings do not permit it")


def test_of_two_sights_the_less_is_shown():
    from dataward.access.sight import narrowed

    asking = Asking(person("eve"), "read", PEOPLE)
    seen = []
    for see, rows in (
        ({"email": "clear", "phone": "masked", "default": "token"}, "state = 'nsw'"),
        ({"email": "token", "default": "clear"}, "id < 3"),
    ):
        grant = {"groups": ["staff"], "verbs": ["read"], "see": see, "rows": rows}
        seen.append(sight(of_access(Access.model_validate({"grants": [grant]})), asking))
    both, other = narrowed(*seen), narrowed(*reversed(seen))
    assert [look.shown for look in both.columns] == ["original", "stored", "masked", "stored", "stored"]
    assert [look.shown for look in other.columns] == [look.shown for look in both.columns]
    assert both.rows == "(state = 'nsw') AND (id < 3)"
    denied = narrowed(seen[0], sight(house("permit (principal, action, resource) when { false };"), asking))
    assert (denied.decision.allowed, {look.shown for look in denied.columns}) == (False, {"absent"})


@pytest.mark.parametrize("verbs", ["[operate]", "[operate, change_contract]"])
def test_publishing_a_changed_contract_asks_who_may_change_it(tmp_path, monkeypatch, verbs):
    from dataward.errors import NotPermitted
    from dataward.pipeline import guard
    from dataward.pipeline.plan import plan

    (tmp_path / "c.yaml").write_text(
        CONTRACT[: CONTRACT.index("access:")] + f"access: {{grants: [{{anyone: true, verbs: {verbs}}}]}}\n"
    )
    planned = plan(tmp_path / "c.yaml")
    publish = guard.guarded("publish")(lambda spark, plan: "published")

    def seal(sha256):
        return lambda *_: type("Seal", (), {"contract_sha256": sha256})()

    monkeypatch.setattr(guard.ledger, "newest_seal", lambda *_: None)
    assert publish(None, planned) == "published"
    monkeypatch.setattr(guard.ledger, "newest_seal", seal(planned.sha256))
    assert publish(None, planned) == "published"
    monkeypatch.setattr(guard.ledger, "newest_seal", seal("another"))
    if "change" in verbs:
        assert publish(None, planned) == "published"
    else:
        with pytest.raises(NotPermitted, match="may not change_contract people"):
            publish(None, planned)


def test_every_test_that_the_threat_model_names_exists():
    import re
    from pathlib import Path

    text = Path("docs/threat-model.md").read_text()
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)
    assert len(named) > 15
    for file, name in named:
        (found,) = [*Path("tests/unit").glob(file), *Path("tests/spark").glob(file)]
        assert f"def {name}(" in found.read_text(), name
    for path in re.findall(r"`(tests/\w+/\w+\.py)`", text):
        assert Path(path).exists(), path


def test_the_views_command_prints_statements_and_tells_notes_apart(tmp_path, monkeypatch, capsys):
    from dataward.access.views import Generated

    (tmp_path / "c.yaml").write_text(CONTRACT)
    asked = []

    def views(spark, contract, wanted):
        asked.append((contract.contract, wanted.platform, wanted.group, wanted.purpose, wanted.name))
        return made

    monkeypatch.setattr("dataward.spark.session.get", lambda: None)
    monkeypatch.setattr("dataward.verbs.access.views", views)
    made = Generated(("CREATE VIEW a AS\nSELECT 1", "ALTER TABLE b"), ("c is masked",))
    assert (
        main(["access", "views", str(tmp_path / "c.yaml"), "--for", "sql", "--group", "analysts", "--purpose", "fraud"])
        == 0
    )
    assert capsys.readouterr() == ("CREATE VIEW a AS\nSELECT 1;\nALTER TABLE b;\n", "note: c is masked\n")
    made = Generated(({"CreateDataCellsFilter": {}},))
    assert main(["access", "views", str(tmp_path / "c.yaml"), "--for", "lakeformation", "--name", "hr.people"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"CreateDataCellsFilter": {}}]
    made = Generated((), ("group x may not read people",))
    assert main(["access", "views", str(tmp_path / "c.yaml"), "--for", "sql", "--group", "x", "--json"]) == 4
    assert json.loads(capsys.readouterr().out) == {"statements": [], "notes": ["group x may not read people"]}
    assert asked[0] == ("people", "sql", "analysts", "fraud", "")
