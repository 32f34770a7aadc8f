"""Mistakes in policies never permit; what a denial names; the schema that policies are held to."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataward.access.decide import Asking, ColumnFacts, Principal, TableFacts, decide
from dataward.access.policies import parsed, quoted, schema
from dataward.access.verbs import GROUPS, VERBS
from dataward.errors import UsageError
from tests.policies import HOUSE, NOON, PEOPLE, cases, house, person

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


def test_the_schema_has_every_verb_and_group():
    for name in (*VERBS, *GROUPS):
        house(f'permit (principal, action in [Dataward::Action::"{name}"], resource);')
