"""How a run's columns meet what a table's owner declared: pure functions of two schemas."""

import pytest
from pyspark.sql.types import (
    ArrayType,
    ByteType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    ShortType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from dataward.tables.declared import Declared, breaches, fit, unmergeable

ID, NAME = StructField("id", IntegerType()), StructField("name", StringType())
SURE = StructField("id", IntegerType(), nullable=False)
TWICE = StructField("twice", IntegerType(), metadata={"delta.generationExpression": "id * 2"})
NUMBER = StructField(
    "number", LongType(), metadata={"delta.identity.start": 1, "delta.identity.allowExplicitInsert": False}
)
SHORT = StructField("name", StringType(), metadata={"__CHAR_VARCHAR_TYPE_STRING": "varchar(3)"})
NEW = StructField("new", StringType())


def of(*fields):
    return StructType(list(fields))


def test_equal_columns_change_nothing_whatever_is_declared_of_them():
    table = Declared(of(SURE, SHORT, TWICE, NUMBER), ("name",), {"c": "id > 0"}, clustered=True)
    for whole in (True, False):
        found = fit(of(StructField("ID", IntegerType()), NAME), table, whole)
        assert (found.changes, found.rewrites, found.problems, found.casts) == ([], False, (), {})


@pytest.mark.parametrize("whole", [True, False])
def test_a_new_column_is_taken_by_a_whole_write_and_refused_by_others_unless_the_table_may_evolve(whole):
    found = fit(of(ID, NAME, NEW), Declared(of(ID, NAME)), whole)
    assert (found.adds, found.rewrites) == (("new",), False)
    assert [name for name, _, _ in found.problems] == ([] if whole else ["new"])
    assert whole or "evolve: true" in found.problems[0][2]
    assert not fit(of(ID, NAME, NEW), Declared(of(ID, NAME)), whole, evolve=True).problems
    assert not fit(of(ID, NAME, NEW), Declared(of(ID, NAME)), whole, beside=["NEW"]).problems


def test_new_fields_are_named_by_their_path_wherever_they_are_nested():
    def nested(*more):
        inner = of(StructField("x", IntegerType()), *more)
        return of(
            StructField("s", inner),
            StructField("a", ArrayType(of(StructField("s", inner)))),
            StructField("m", MapType(StringType(), inner)),
        )

    found = fit(nested(NEW), Declared(nested()), whole=False)
    assert found.adds == ("s.new", "a.element.s.new", "m.value.new")
    assert [name for name, _, _ in found.problems] == list(found.adds)
    fewer = fit(nested(), Declared(nested(NEW)), whole=False)
    assert (fewer.problems, fewer.lacks) == ((), ("s.new", "a.element.s.new", "m.value.new"))


def test_columns_that_go_are_dropped_by_a_whole_write_unless_that_would_lose_what_is_declared():
    plain = fit(of(ID), Declared(of(ID, NAME)), whole=True)
    assert (plain.drops, plain.nulls, plain.rewrites, plain.changes) == (("name",), (), True, ["drops name"])
    for table in (
        Declared(of(SURE, NAME)),
        Declared(of(ID, NAME), checks={"c": "id > 0"}),
        Declared(of(ID, NAME, TWICE)),
    ):
        kept = fit(of(ID), table, whole=True)
        assert (kept.drops, kept.nulls, kept.rewrites, kept.problems) == ((), ("name",), False, ())
    part = fit(of(ID), Declared(of(ID, NAME)), whole=False)
    assert (part.drops, part.nulls, part.problems) == ((), (), ())


def test_a_column_declared_not_null_must_be_published_unless_the_table_fills_it():
    for whole in (True, False):
        [(name, what, _)] = fit(of(NAME), Declared(of(SURE, NAME)), whole).problems
        assert (name, "NOT NULL" in what) == ("id", True)
    filled = StructField("id", IntegerType(), False, {"CURRENT_DEFAULT": "7"})
    assert not fit(of(NAME), Declared(of(filled, NAME)), whole=False).problems


def test_an_identity_column_takes_no_values():
    found = fit(of(ID, StructField("number", LongType())), Declared(of(ID, NUMBER)), whole=False)
    assert [name for name, _, _ in found.problems] == ["number"]
    may = StructField(
        "number", LongType(), metadata={"delta.identity.start": 1, "delta.identity.allowExplicitInsert": True}
    )
    assert not fit(of(ID, StructField("number", LongType())), Declared(of(ID, may)), whole=False).problems


WIDER = [(ByteType(), ShortType()), (IntegerType(), LongType()), (FloatType(), DoubleType()), (IntegerType(), DoubleType()),
         (IntegerType(), DecimalType(10, 0)), (DecimalType(5, 2), DecimalType(10, 4))]  # fmt: skip
OTHER = [(LongType(), IntegerType()), (StringType(), IntegerType()), (LongType(), DoubleType()), (DoubleType(), FloatType()),
         (LongType(), DecimalType(18, 0)), (DecimalType(10, 4), DecimalType(10, 2)), (TimestampNTZType(), TimestampType()),
         (TimestampType(), TimestampNTZType()), (DateType(), TimestampType()), (IntegerType(), StringType())]  # fmt: skip


@pytest.mark.parametrize(("given", "known"), WIDER)
def test_values_that_the_tables_type_holds_exactly_are_written_as_it(given, known):
    for whole in (True, False):
        found = fit(of(ID, StructField("v", given)), Declared(of(SURE, StructField("V", known))), whole)
        assert (found.casts, found.changes, found.problems) == ({"V": known.simpleString()}, [], ())


@pytest.mark.parametrize(("given", "known"), OTHER)
def test_another_type_is_refused_or_announced_never_cast(given, known):
    there, here = of(ID, StructField("v", known)), of(ID, StructField("v", given))
    words = f"v from {known.simpleString()} to {given.simpleString()}"
    [(name, what, _)] = fit(here, Declared(there), whole=False).problems
    assert (name, what) == ("v", f"it is {given.simpleString()}, and {known.simpleString()} in the target")
    assert fit(here, Declared(there), whole=True).changes == [f"changes {words}"]
    assert fit(here, Declared(of(SURE, there["v"])), whole=True).problems
    assert fit(here, Declared(there, partition_by=("v",)), whole=True).problems


def test_what_rows_can_break_is_told_of_published_columns_alone():
    table = Declared(of(SURE, SHORT, TWICE), checks={"positive": "id > 0"})
    found = {breach.sql: breach.words for breach in breaches(table, ["ID", "name"])}
    assert list(found) == ["`id` is null", "char_length(rtrim(`name`)) > 3", "not coalesce((id > 0), false)"]
    assert "'id', which the target declares NOT NULL" in found["`id` is null"]
    [generated] = [breach for breach in breaches(table, ["twice"]) if "generates" in breach.words]
    assert generated.sql == "not (`twice` <=> cast((id * 2) as int))"


def test_fields_declared_not_null_inside_of_a_struct_are_required_counted_and_not_merged():
    sure = StructField("z", StringType(), nullable=False)
    table = Declared(of(ID, StructField("s", of(StructField("x", IntegerType()), StructField("y", of(sure))))))
    given = of(
        ID, StructField("S", of(StructField("x", IntegerType()), StructField("y", of(StructField("Z", StringType())))))
    )
    [breach] = breaches(table, ["id", "s"])
    assert (breach.sql, "'s.y.z'" in breach.words) == ("`s`.`y`.`z` is null", True)
    for whole in (True, False):
        assert not fit(given, table, whole).problems
        [(name, what, _)] = fit(of(ID, StructField("s", of(StructField("x", IntegerType())))), table, whole).problems
        assert (name, "NOT NULL" in what) == ("s.y.z", True)
    [(name, what, remedy)] = unmergeable(given, table)
    assert (name, "MERGE" in what, "COLUMN `s`.`y`.`z` DROP NOT NULL" in remedy) == ("s.y.z", True, True)
    assert not unmergeable(table.schema, table)
