"""A value that no operator takes stops a run before the long passes; in a row that is diverted it stops nothing."""

import pytest

from dataward.contract import Document, problems_of
from dataward.errors import ProtectionError
from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.privacy.protect import ColumnPlan, attempt
from tests.keys import ZEROS

ROWS = [(n, f"{4000 + n:08}", f"c{n}", n % 3) for n in range(40)]
SCHEMA = "id int, card string, code string, region int"
COLUMNS = "{card: {protect: fpe}}"
RULES = 'IsUnique "code",\nColumnValues "id" < 100'


def phases(lake, **contract):
    """The phases of a run, and what it came to."""
    told = []
    file = lake.contract(rules=RULES, columns=COLUMNS, **contract)
    try:
        return told, publish(lake.spark, plan(file), None, str(lake.root / "reports"), told.append)
    except ProtectionError as error:
        return [line.split()[0] for line in told], error


@pytest.mark.parametrize("more", ["", "\nquasi_identifiers: [region]"])
def test_an_unfit_value_stops_the_run_before_the_rules_are_judged(lake, more):
    lake.source([*ROWS, (50, "12 canary", "c50", 1)], SCHEMA)
    done, error = phases(lake, extra=f"quarantine: {{{{path: {lake.root}/quarantine}}}}{more}")
    assert done == ["run", "pin"]
    assert str(error).startswith("card: it holds values that fpe cannot protect")
    assert "canary" not in str(error)
    assert not (lake.root / "target").exists()
    assert not (lake.root / "quarantine").exists()


def test_an_unfit_value_in_a_row_that_a_rule_diverts_stops_nothing(lake):
    lake.source([*ROWS, (50, "no", "c1", 1), (101, "nor this", "c101", 1)], SCHEMA)
    _, result = phases(lake)
    assert result.rows == {"in": 42, "published": 39, "quarantined": 3, "dropped": 0}
    assert "try" in [phase.name for phase in result.phases]


def test_nothing_is_tried_where_no_value_can_stop_the_run(lake):
    lake.source(ROWS, SCHEMA)
    lake.contract(columns="{card: {class: payment_card, protect: token}}")
    assert "try" not in [phase.name for phase in lake.publish().phases]


def test_columns_are_tried_whatever_their_names_with_the_columns_that_they_read(spark):
    text = (
        "contract: t\nsource: {path: a}\ntarget: {path: b}\nkeys: {path: k, domain: d}\ndefault: keep\n"
        "columns: {'day.of`birth': {protect: {date_shift: {by: 'who is', format: '%Y-%m-%d'}}}}\n"
    )
    contract, _ = problems_of(Document.parse(text))
    frame = spark.createDataFrame([("2020-01-31", "ada", 1)], "`day.of``birth` string, `who is` string, n int")
    ring = ZEROS
    decided = ColumnPlan.resolve(contract, ring, frame.schema)
    columns = decided.stopping()
    assert columns == ("day.of`birth",)
    attempt(decided, frame, columns)
    with pytest.raises(ProtectionError, match="date_shift cannot protect"):
        attempt(decided, frame.selectExpr("'no date' as `day.of``birth`", "`who is`", "n"), columns)
