"""Which column names are refused, and why: decided on a contract and a schema, without Spark."""

import pyarrow as pa
import pytest

from dataward.contract import Contract, load
from dataward.contract.draft import plain_or_quoted
from dataward.pipeline.columns import clashing, unmapped
from dataward.pipeline.refusals import _no_column
from dataward.privacy.protect import ambiguous, undecided


def contract(**more):
    given = {"contract": "t", "source": {"path": "s"}, "target": {"path": "t"}, "keys": {"path": "k", "domain": "d"}}
    return Contract.model_validate(given | more)


def schema(*names, **kinds):
    return pa.schema([pa.field(name, pa.string()) for name in names] + [pa.field(*field) for field in kinds.items()])


def refused(given, *names):
    return [name for name, _, _ in clashing(given, list(names), schema(*names))]


QUARANTINE, CHANGES = {"quarantine": {"path": "q"}}, {"treat": {"changes": True, "missing": {"id": {"with": "mode"}}}}


@pytest.mark.parametrize("name", ["_metadata", "_Dataward_malformed", "failed_rules", "FAILED_COLUMNS", "__dw_row"])
def test_a_name_that_every_run_uses_is_refused_in_any_case_of_letters(name):
    assert refused(contract(), "id", name) == [name]


def test_names_of_the_quarantine_and_of_changes_are_refused_where_the_contract_has_these_tables():
    names = ["run_id", "row_id", "change", "changed", "repairs", "texts", "__file"]
    assert refused(contract(), *names) == []
    assert refused(contract(**QUARANTINE), *names) == ["run_id", "row_id"]
    assert refused(contract(**CHANGES), *names) == names[:-1]


def test_a_source_has_no_column_that_a_rotation_puts_beside_another():
    given = contract(columns={"email": {"protect": "token"}, "x": {"protect": "keep"}})
    assert refused(given, "email", "email__v1", "x", "x__v2") == ["email__v1"]


def test_a_column_named_as_of_a_window_is_decided_by_its_own_line_unless_its_base_is_tokenized():
    given = contract(columns={"email": {"protect": "token"}, "x": {"protect": "keep"}}, default="refuse")
    assert given.shadowed("email__v1") == "email"
    assert given.shadowed("x__v2") is None
    found = [path for field in schema("email", "email__v1", "x", "x__v2") for path in undecided(given, field)]
    assert found == ["x__v2"]
    named = contract(columns={"email": {"protect": "token"}, "email__v1": {"protect": "keep"}})
    assert named.shadowed("email__v1") is None


def test_a_path_that_leads_to_two_places_is_refused_and_a_dot_alone_is_not():
    inside = pa.struct([pa.field("b", pa.string()), pa.field("c.d", pa.string())])
    assert ambiguous(schema("a.b", "x.y", a=inside)) == ["a.b"]
    twice = pa.struct([pa.field("b.c", pa.string()), pa.field("b", pa.struct([pa.field("c", pa.string())]))])
    assert ambiguous(schema(a=twice)) == ["a.b.c"]
    assert ambiguous(schema("x.y", "x", a=inside)) == []
    assert refused_paths(schema("a.b", a=inside)) == ["a.b"]


def refused_paths(given):
    return [name for name, _, _ in clashing(contract(default="keep"), given.names, given)]


@pytest.mark.parametrize("name", ["a b", "a,b", "a;b", "a{b", "a}b", "a(b", "a)b", "a=b", "a\tb", "a\nb", " a"])
def test_names_that_need_column_mapping_are_found_at_any_depth_unless_they_are_dropped(name):
    nested = schema(s=pa.list_(pa.struct([pa.field(name, pa.string())])))
    assert unmapped(contract(default="keep"), schema("id", name)) == [name]
    assert unmapped(contract(default="keep"), nested) == [f"s.{name}"]
    assert unmapped(contract(columns={name: {"protect": "drop"}}, default="keep"), schema("id", name)) == []


@pytest.mark.parametrize("name", ["a.b", "a`b", "café", "😀", "select", "count", "a-b", "a/b", "a:b", "a'b", 'a"b'])
def test_other_names_need_no_column_mapping(name):
    assert unmapped(contract(default="keep"), schema(name)) == []


def test_a_name_in_another_unicode_form_is_told_apart_by_its_code_points():
    what, remedy = _no_column("café", ["id", "cafe\u0301"])
    assert "other code points" in what
    assert '"cafe\\U00000301"' in remedy


@pytest.mark.parametrize("name", ["a b", "tick`s", "tab\tend", "line\nbreak", 'q"uo\\te', "cafe\u0301", "😀", "null", "1", "a\u2028b", "\ufeffid", "# x", "a: b"])  # fmt: skip
def test_a_name_in_a_draft_or_a_remedy_is_read_back_as_it_is(name, tmp_path):
    for written in (plain_or_quoted(name),):
        file = tmp_path / "contract.yaml"
        file.write_text(
            "contract: t\nsource: {path: s}\ntarget: {path: t}\nkeys: {path: k, domain: d}\n"
            f"columns: {{{written}: {{protect: keep}}}}\n"
        )
        assert list(load(file).columns) == [name]
