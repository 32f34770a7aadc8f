"""Statements for Unity Catalog and Lake Formation show at most what the policies show."""

import json
from dataclasses import replace

from dataward.access.decide import Asking, ColumnFacts
from dataward.access.policies import of_access
from dataward.access.sight import sight
from dataward.cli import main
from dataward.contract import Access, Column
from dataward.contract.parts import Layout, Part, Shape
from tests.policies import CONTRACT, NOON, PEOPLE, house, person

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
