"""Parts of columns inside of structs, lists, maps and JSON: each is shown at its own level, in frames and in SQL."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql.types import ArrayType, IntegerType, MapType, StringType, StructField, StructType

from dataward.access.decide import Asking, ColumnFacts, Principal
from dataward.access.nested import MASK
from dataward.access.policies import parsed
from dataward.access.sight import Look, column_facts, projection, table_facts
from dataward.access.views import masks_and_filters
from dataward.contract import Contract
from dataward.contract.parts import layout, shape_of
from dataward.privacy.opening import Display, _changed, _Document, openable

TEXT, NUMBER = StringType(), IntegerType()


def struct(**fields):
    return StructType([StructField(name, kind) for name, kind in fields.items()])


def contract(columns, **more):
    given = {"contract": "t", "source": {"path": "s"}, "target": {"path": "t"}, "keys": {"path": "k", "domain": "t"}, "default": "keep"}  # fmt: skip
    return Contract.model_validate({**given, "columns": columns, **more})


def column_of(columns, name, kind, **more):
    return layout(contract(columns, **more), name, shape_of(kind))


STREET = {"address": {"protect": "keep"}, "address.street": {"class": "postal_address", "protect": {"encrypt": {}}}}
ADDRESS = struct(street=TEXT, town=TEXT, geo=struct(x=NUMBER))
JSON = {
    "doc": {
        "protect": {
            "json": {"fields": {"who.name": {"class": "person_name", "protect": {"encrypt": {}}}}, "rest": "keep"}
        }
    }
}


def names(column):
    return {".".join(path): part.name for path, part in column.leaves.items()}


def test_each_leaf_belongs_to_the_entry_with_the_longest_path():
    assert names(column_of(STREET, "address", ADDRESS)) == {
        "street": "address.street",
        "town": "address",
        "geo.x": "address",
    }
    inside = {**STREET, "address.geo": {"protect": "token"}}
    assert names(column_of(inside, "address", ADDRESS))["geo.x"] == "address.geo"
    items = {"items.mail": {"class": "email", "protect": "token"}}
    assert names(column_of(items, "items", ArrayType(struct(mail=TEXT, n=NUMBER)))) == {
        "mail": "items.mail",
        "n": "items",
    }
    assert names(column_of({"m.value": {"protect": "token"}}, "m", MapType(TEXT, TEXT))) == {
        "key": "m",
        "value": "m.value",
    }
    document = column_of(JSON, "doc", TEXT)
    assert [part.name for part in document.parts] == ["doc", "doc.who.name"]
    assert not document.whole


def test_a_part_has_the_facts_of_its_own_entry():
    made = contract(STREET)
    facts = {part.name: column_facts(made, part) for part in layout(made, "address", shape_of(ADDRESS)).parts}
    assert facts["address.street"] == ColumnFacts("address.street", "postal_address", "encrypted", True, True)
    assert facts["address"] == ColumnFacts("address")


def sql(column, ways, view=True):
    facts = {part.name: column_facts(contract({}), part) for part in column.parts}
    return projection(column, {name: Look(facts[name], ways.get(name, "original")) for name in facts}, view)


@pytest.mark.parametrize(("columns", "kind", "ways", "made"), [
    (STREET, ADDRESS, {}, "`address`"),
    (STREET, ADDRESS, {"address.street": "masked"},
     "CASE WHEN `address` IS NOT NULL THEN named_struct('street', CASE WHEN `address`.`street` IS NOT NULL THEN '[masked]' END, "
     "'town', `address`.`town`, 'geo', `address`.`geo`) END AS `address`"),
    (STREET, ADDRESS, {"address.street": "absent"},
     "CASE WHEN `address` IS NOT NULL THEN named_struct('town', `address`.`town`, 'geo', `address`.`geo`) END AS `address`"),
    (STREET, ADDRESS, {"address.street": "absent", "address": "absent"}, None),
    (STREET, struct(street=TEXT), {"address.street": "absent"}, None),
    ({"address": {"protect": "token"}}, ArrayType(TEXT), {"address": "masked"}, "CAST(NULL AS array<string>) AS `address`"),
    ({"address.a": {"protect": "token"}}, ArrayType(struct(a=NUMBER, b=TEXT)), {"address.a": "masked"},
     "transform(`address`, e0 -> CASE WHEN e0 IS NOT NULL THEN named_struct('a', CAST(NULL AS int), 'b', e0.`b`) END) AS `address`"),
    ({"address.value": {"protect": "token"}}, MapType(TEXT, TEXT), {"address.value": "masked"},
     "transform_values(`address`, (k0, v0) -> CASE WHEN v0 IS NOT NULL THEN '[masked]' END) AS `address`"),
    ({"address.key": {"protect": "token"}}, MapType(TEXT, TEXT), {"address.key": "masked"}, "CAST(NULL AS map<string,string>) AS `address`"),
    ({"address.key": {"protect": "token"}}, MapType(TEXT, TEXT), {"address.key": "absent"}, None),
])  # fmt: skip
def test_sql_shows_each_leaf_at_its_level(columns, kind, ways, made):
    assert sql(column_of(columns, "address", kind), ways) == made


def test_sql_masks_json_with_hidden_parts_as_a_whole_and_a_frame_rewrites_it():
    document = column_of(JSON, "doc", TEXT)
    assert sql(document, {"doc.who.name": "masked"}) == "CASE WHEN `doc` IS NOT NULL THEN '[masked]' END AS `doc`"
    assert sql(document, {"doc.who.name": "masked"}, view=False) == "`doc`"
    assert sql(document, {"doc.who.name": "opened"}) == "`doc`"
    assert sql(document, {"doc": "absent", "doc.who.name": "absent"}) is None


def display(column, **ways):
    given = {name.replace("__", "."): way for name, way in ways.items()}
    return Display((column,), {part.name: given.get(part.name, "original") for part in column.parts}, MASK)


def shown(text, opened=None, **ways):
    column = column_of(JSON, "doc", TEXT)
    openers = {} if opened is None else {"doc.who.name": lambda values: [opened.get(one) for one in values.to_pylist()]}
    document = _Document(display(column, **ways), column.leaves[()], column.json[()], openers)
    return document(pa.array([text], pa.string()))[0]


DOC = '{"who":[{"name":"ada","age":3},{"name":null}],"n":1.5}'


def test_parts_of_json_are_masked_left_out_and_opened():
    assert json.loads(shown(DOC, doc__who__name="masked")) == {
        "who": [{"name": MASK, "age": 3}, {"name": None}],
        "n": 1.5,
    }
    assert json.loads(shown(DOC, doc__who__name="absent")) == {"who": [{"age": 3}], "n": 1.5}
    assert json.loads(shown(DOC, {"ada": "Ada"}, doc__who__name="opened"))["who"][0] == {"name": "Ada", "age": 3}
    assert json.loads(shown(DOC, {}, doc__who__name="opened"))["who"][0] == {"name": None, "age": 3}
    assert json.loads(shown(DOC, doc="absent", doc__who__name="stored")) == {"who": [{"name": "ada"}, {"name": None}]}
    assert shown('{"n":1}', doc="absent", doc__who__name="stored") is None
    assert shown(None, doc__who__name="masked") is None
    assert shown("no JSON", doc__who__name="masked") == MASK


CANARY = "canary-71"
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=3), st.just(CANARY))
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["who", "name", "n"]), inner, max_size=3)
    ),
)


@settings(deadline=None)
@given(DOCUMENTS, st.sampled_from(["masked", "absent"]))
def test_no_value_of_a_hidden_part_is_left_in_a_document(document, way):
    text = json.dumps({"who": {"name": document}, "n": 1})
    left = shown(text, doc__who__name=way)
    assert CANARY not in left
    assert json.loads(left)["n"] == 1


def test_leaves_inside_of_arrays_change_and_lengths_and_nulls_stay():
    kind = pa.list_(pa.struct([("mail", pa.string()), ("n", pa.int32())]))
    values = pa.array([[{"mail": "a", "n": 1}, None], None, [], [{"mail": None, "n": 2}]], kind)
    upper = {("mail",): lambda leaf: [one and one.upper() for one in leaf.to_pylist()]}
    made = [[{"mail": "A", "n": 1}, None], None, [], [{"mail": None, "n": 2}]]
    assert _changed(values, upper).to_pylist() == made
    assert _changed(values.slice(2), upper).to_pylist() == made[2:]
    of_map = pa.array([[("k", "a")], None, []], pa.map_(pa.string(), pa.string()))
    assert _changed(of_map, {("value",): upper["mail",]}).to_pylist() == [[("k", "A")], None, []]


def test_keys_of_maps_are_not_opened():
    encrypt = {"protect": {"encrypt": {}}}
    column = column_of({"m.key": encrypt, "m.value": encrypt}, "m", MapType(TEXT, TEXT))
    assert [openable(column, part) for part in column.parts] == [False, True]
    inside = column_of({"m": encrypt}, "m", struct(a=ArrayType(MapType(TEXT, TEXT)), b=TEXT))
    assert [openable(inside, part) for part in inside.parts] == [False]


POLICY = """
@id("staff") permit (principal in Dataward::Group::"staff", action == Dataward::Action::"read", resource);
@id("public") permit (principal in Dataward::Group::"staff", action == Dataward::Action::"read_clear", resource) when { !resource.sensitive };
@id("names") permit (principal in Dataward::Group::"staff", action == Dataward::Action::"read_token", resource)
  when { resource.class == "person_name" };
"""


def test_a_mask_of_unity_catalog_shows_parts_to_those_who_may_see_them():
    name = {"class": "person_name", "protect": "token"}
    made = contract({"tags.value": name, "people.name": name, "people.mail": {"class": "email", "protect": "token"}})
    layouts = [
        layout(made, "tags", shape_of(MapType(TEXT, TEXT))),
        layout(made, "people", shape_of(ArrayType(struct(name=TEXT, mail=TEXT, n=NUMBER)))),
    ]
    asking = Asking(Principal("somebody"), "read", table_facts(made, layouts))
    _, _, tags, _, people, _ = masks_and_filters(parsed(POLICY, "p"), asking, "main.t", layouts).statements
    staff = "is_account_group_member('staff')"
    assert tags == (
        "CREATE OR REPLACE FUNCTION main.t_tags_mask(value map<string,string>) RETURN "
        f"CASE WHEN ({staff}) AND ({staff}) THEN transform_values(value, (k0, v0) -> CASE WHEN {staff} THEN v0 ELSE NULL END) END"
    )
    assert people.partition(" RETURN ")[2] == (
        f"CASE WHEN {staff} THEN transform(value, e0 -> CASE WHEN e0 IS NOT NULL THEN named_struct("
        f"'name', CASE WHEN {staff} THEN e0.`name` ELSE NULL END, 'mail', CAST(NULL AS STRING), "
        f"'n', CASE WHEN {staff} THEN e0.`n` ELSE NULL END) END) END"
    )
