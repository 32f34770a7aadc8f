"""What is decided about columns, once: on a contract and a schema, without Spark."""

import pytest
from pyspark.sql.types import StructType

from dataward.contract import Contract
from dataward.pipeline.small import MOST, ROW_BYTES, ROWS, is_small
from dataward.privacy.protect import ColumnPlan, output_schema
from tests.keys import Ring

ADDRESS = StructType().add("city", "string").add("zip", "string")
SCHEMA = StructType().add("id", "integer").add("mail", "string").add("note", "string").add("Part", "string")
SCHEMA = SCHEMA.add("ok", "boolean").add("address", ADDRESS)
COLUMNS = {
    "mail": {"class": "email", "protect": "token"},
    "note": {"protect": "drop"},
    "address.zip": {"class": "postcode", "protect": "redact"},
}


class Counting(Ring):
    """Counts how often a key is asked for; a window may be open."""

    def __init__(self, opened=None):
        super().__init__(3, {2: b"a" * 32, 3: b"CANARY" * 5 + b"xx"})
        self.__dict__ |= {"asked": [], "opened": opened}

    def window(self, domain):
        return self.opened

    def key(self, purpose, domain, version):
        self.asked.append((purpose, domain, version))
        return super().key(purpose, domain, version)


@pytest.fixture
def ring():
    return Counting()


def planned(ring, **more):
    given = {"contract": "t", "source": {"path": "s"}, "target": {"path": "t", "partition_by": ["part"]}}
    given |= {"keys": {"path": "k", "domain": "d"}, "columns": COLUMNS, "default": "keep", **more}
    return ColumnPlan.resolve(Contract.model_validate(given), ring, SCHEMA)


def test_each_column_has_one_decision(ring):
    plan = planned(ring)
    assert [one.name for one in plan.columns if one.kept] == [
        "id",
        "Part",
        "ok",
    ]  # something inside address is protected
    assert plan.changed == ("mail",)
    assert plan.guessable == ("mail",)
    assert plan.sensitive == ("mail", "note", "address")
    assert plan.readable == ("id", "Part", "ok")
    assert plan.of("MAIL").line.class_ == "email"


def test_statistics_leave_out_sensitive_partition_and_nested_columns(ring):
    written, _ = output_schema(planned(ring))
    assert written.names == ["id", "mail", "Part", "ok", "address"]
    assert planned(ring).statistics(written) == ["id"]


def test_the_person_whom_erase_looks_for_is_sensitive(ring):
    assert "id" in planned(ring, erasure={"subject": "id"}).sensitive


def test_a_second_column_is_one_only_while_a_window_is_open(ring):
    assert planned(ring).shadows == {}
    plan = planned(Counting(opened=2))
    assert plan.shadows == {"mail": "mail__v2"}
    written, beside = output_schema(plan)
    assert beside == ["mail__v2"]
    assert "mail__v2" in plan.sensitive
    assert "mail__v2" not in plan.statistics(written)


def test_columns_are_compiled_once(ring):
    plan = planned(ring)
    plan.stopping()
    output_schema(plan)
    for _ in range(2):
        assert [name for name, _ in plan.for_columns(SCHEMA).columns] == SCHEMA.names
        assert [name for name, _ in plan.for_columns(SCHEMA, strict=False).columns] == SCHEMA.names
    assert ring.asked == [("token", "d", 3)] * 2  # strict and lenient
    part = StructType().add("address", ADDRESS).add("mail", "string")
    assert [name for name, _ in plan.for_columns(part).columns] == ["address", "mail"]
    assert len(ring.asked) == 2


def test_a_plan_shows_no_key(ring):
    plan = planned(ring)
    plan.operators()
    assert "CANARY" not in repr(plan)


def test_an_input_is_small_by_the_bytes_that_are_known():
    most = 4 * ROWS * ROW_BYTES
    assert is_small([most - 1, 1], 4)
    assert not is_small([most, 1], 4)
    assert not is_small([1, None], 4)  # of a view nobody knows
    assert is_small([MOST], 10_000)
    assert not is_small([MOST + 1], 10_000)
