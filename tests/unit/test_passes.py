"""Which passes a publish makes: decided on contract, rules and columns, without Spark."""

from datetime import datetime, timezone

from pyspark.sql.types import StructType

from dataward.contract import Contract
from dataward.pipeline.passes import Pass, passes
from dataward.privacy.protect import ColumnPlan
from dataward.quality.explain import explain
from dataward.quality.suite import suite
from tests.keys import Ring

SCHEMA = StructType().add("id", "integer").add("mail", "string").add("card", "string")
LOOK = Pass("sample", "look for sensitive data", "a column leaves the job readable")


def of(rules="RowCount > 1", **more):
    given = {"contract": "t", "source": {"path": "s"}, "target": {"path": "t", "mode": "append"}, "default": "keep"}
    given |= {
        "keys": {"path": "k", "domain": "d"},
        "columns": {"mail": {"protect": "token"}},
        "engine": "spark",
        **more,
    }
    contract = Contract.model_validate(given)
    made, _ = suite(f"Rules = [ {rules} ]")
    plan = ColumnPlan.resolve(contract, Ring(1, {1: b"a" * 32}), SCHEMA)
    return passes(plan, made, explain(made, "spark", datetime.now(timezone.utc)))


def test_the_plainest_publish_scans_looks_and_writes():
    assert of() == (
        Pass("source", "judge 1 rule: 1 scan"),
        LOOK,
        Pass("source", "protect the rows that pass and write them to t (append)"),
    )
    assert LOOK not in of(discovery="off")


def test_rows_are_counted_by_themselves_only_where_a_rule_compares_rows():
    assert not [one for one in of('IsComplete "id", IsComplete "mail"') if "count the rows" in one.what]
    (found,) = [one for one in of('IsComplete "id", IsUnique "mail"') if "count the rows" in one.what]
    assert found.when == "a row fails a rule about other rows, or rows fail many rules"


def test_every_feature_names_its_passes():
    found = of(
        quarantine={"path": "q"}, parity=True, windows={"column": "id", "length": "1 day"}, quasi_identifiers=["id"],
        columns={"mail": {"protect": "token"}, "card": {"protect": "fpe"}}, rules_after="Rules = [ RowCount > 1 ]",
        target={"path": "t", "mode": "merge", "on": ["id"]}, treat={"missing": {"id": {"with": "median"}}},
    )  # fmt: skip
    assert [(one.over, one.what.split()[0]) for one in found] == [
        ("source", "judge"), ("source", "repair"), ("sample", "try"), ("source", "judge"), ("sample", "look"),
        ("protected rows", "judge"), ("protected rows", "count"), ("source", "protect"), ("target", "find"), ("source", "protect"),
        ("source", "measure"), ("source", "measure"), ("target", "measure"),
    ]  # fmt: skip
