"""Decisions: a table of cases, what is denied by default, and that no mistake of a policy ever permits."""

from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataward.access.decide import Asking, ColumnFacts, Principal, decide
from dataward.access.explain import explain, who_can
from dataward.access.policies import of_access
from dataward.access.reidentify import budget
from dataward.access.sight import shown, sight
from dataward.access.verbs import VERBS
from dataward.contract import Access
from tests.policies import HOUSE, NOON, PEOPLE, REIDENTIFY, SALARIES, cases, contract_with, house, person


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
    contract = contract_with(access={"reidentify": REIDENTIFY})
    found, why = budget(
        contract,
        Asking(Principal(who), "reidentify", PEOPLE, purpose=purpose),
        {f"c{n}": c for n, c in enumerate(classes)},
    )
    assert (found, bool(why)) == (lines[0]["rows_per_day"] if lines else 0, not lines)


def test_a_permit_without_rows_a_day_gives_no_originals():
    contract = contract_with(access={"grants": [{"principals": ["ana"], "verbs": ["open", "reidentify"]}]})
    ask = Asking(Principal("ana"), "reidentify", PEOPLE, purpose="fraud")
    assert budget(contract, ask, {"e": "email"})[0] == 0


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
