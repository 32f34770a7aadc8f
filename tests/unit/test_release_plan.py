"""What a release decides before it reads: sensitivities, noise, thresholds, costs, and what it refuses."""

import math

import pytest

from dataward.errors import ContractError, UsageError
from dataward.release.accounting import Noise, most_rho, threshold
from dataward.release.answers import forecasts
from dataward.release.noise import loss
from dataward.release.plan import compiled
from dataward.release.query import Query, load
from dataward.release.units import splits

SCHEMA = {
    "customer_id": "string",
    "city": "string",
    "day": "date",
    "amount": "decimal(9,2)",
    "age": "int",
    "x": "double",
}
TEXT = """release: spend_by_city
source: {path: lake/orders}
unit: customer_id
bounds: {rows_per_unit: 10, groups_per_unit: 3}
group_by: {city: unknown}
answers:
  - count
  - count_distinct: customer_id
  - sum: {column: amount, between: [0, 500]}
  - mean: {column: amount, between: [0, 500]}
  - quantiles: {column: amount, at: [0.5, 0.9], between: [0, 500]}
spend: {epsilon: 1.0, delta: 1.0e-6, from: lake/budgets}
target: {path: lake/spend_by_city}
"""


def query(**changes):
    base = {
        "release": "r", "source": {"path": "lake/orders"}, "unit": "customer_id", "bounds": {"rows_per_unit": 10, "groups_per_unit": 3},
        "group_by": {"city": "unknown"}, "answers": ["count"], "spend": {"epsilon": 1.0, "delta": 1e-6, "from": "lake/budgets"},
        "target": {"path": "lake/out"},
    }  # fmt: skip
    return Query.model_validate({**base, **changes})


def spending(**changes):
    return {"epsilon": 1.0, "delta": 1e-6, "from": "lake/budgets", **changes}


def test_the_query_of_the_docs_is_planned_as_written(tmp_path):
    (tmp_path / "q.yaml").write_text(TEXT)
    plan = compiled(load(tmp_path / "q.yaml"), SCHEMA)
    told = {one.kind + (" tree" if one.leaves else ""): (one.l1, one.l2) for one in plan.measures}
    assert told["rows"] == (10, 10)
    assert told["units"] == (3, math.sqrt(3))
    assert told["present"] == (10, 10)
    assert told["leaves tree"] == (30, 10 * math.sqrt(3))
    assert [one.l1 for one in plan.measures if one.kind == "sum"] == [500_000, 250_000], (
        "cents; the mean's sum is centred"
    )
    assert len(plan.measures) == 6, "a measure that two answers need is taken once"


@pytest.mark.parametrize("mechanism", ["laplace", "gaussian"])
def test_the_measures_together_cost_what_was_asked_by_opendps_own_maps(mechanism):
    answers = [
        "count",
        {"mean": {"column": "age", "between": [0, 120]}},
        {"variance": {"column": "x", "between": [-1, 1]}},
    ]
    plan = compiled(query(answers=answers, spend=spending(mechanism=mechanism)), SCHEMA)
    paid = sum(loss(one.noise, one.l1 if mechanism == "laplace" else one.l2) for one in plan.measures)
    asked = 1.0 if mechanism == "laplace" else plan.cost.rho
    assert asked * (1 - 1e-9) < paid <= asked


def test_the_better_mechanism_is_chosen():
    one = compiled(query(group_by={}, answers=["count"]), SCHEMA)
    bins = [{"histogram": {"column": "age", "edges": [0, n], "name": f"h{n}"}} for n in range(1, 40)]
    many = compiled(query(group_by={}, answers=bins), SCHEMA)
    assert (one.mechanism, many.mechanism) == ("laplace", "gaussian")
    assert one.cost.delta == 0, "pure noise and listed groups need no delta, and none is charged"


def test_rho_is_the_largest_that_converts():
    rho = most_rho(1.0, 1e-6)
    classic = (math.sqrt(math.log(1e6) + 1) - math.sqrt(math.log(1e6))) ** 2  # Bun and Steinke's conversion
    assert classic < rho < 1.5 * classic


@pytest.mark.parametrize("noise", [Noise("laplace", 3.0), Noise("gaussian", 5.0)])
@pytest.mark.parametrize("groups", [1, 4])
def test_a_threshold_is_the_smallest_that_hides_new_groups(noise, groups):
    def shown(cut):
        tail = sum(noise.pmf(k) for k in range(cut - 1, cut + 400))
        return 1 - (1 - tail) ** groups

    cut = threshold(noise, groups, 1e-4)
    assert shown(cut) <= 1e-4 * (1 + 1e-9) < shown(cut - 1)


def test_a_wide_gaussian_has_a_tail_from_above():
    noise = Noise("gaussian", 2000.0)
    exact = sum(noise.pmf(k) for k in range(5000, 60000))
    assert exact <= noise.tail(5000) < 1.01 * exact


def test_half_of_delta_hides_groups_where_the_rest_converts():
    plan = compiled(query(spend=spending(mechanism="gaussian")), SCHEMA)
    assert plan.cost.hidden == 5e-7
    assert plan.threshold == threshold(plan.units.noise, 3, 5e-7)


def test_bounds_of_integers_are_reached_exactly():
    (one,) = compiled(query(answers=[{"sum": {"column": "x", "between": [-0.1, 0.3]}}], group_by={}), SCHEMA).measures
    grid = one.grid
    assert one.l1 == 10 * max(abs(grid.integer(value / 1000)) for value in range(-400, 700))
    assert abs(grid.integer(0.3) * grid.step - 0.3) <= grid.step / 2


def test_an_unlisted_answer_or_column_is_named(tmp_path):
    (tmp_path / "q.yaml").write_text(
        TEXT.replace("- sum:", "- summ:").replace("unit: customer_id", "unit: customer_id\nkind: x")
    )
    with pytest.raises(ContractError) as found:
        load(tmp_path / "q.yaml")
    told = str(found.value)
    assert "q.yaml:10: answers.2: unknown answer 'summ'; did you mean 'sum'?" in told
    assert "q.yaml:4: kind: unknown key 'kind'" in told
    assert "contract.md" not in told


@pytest.mark.parametrize(("changes", "words"), [
    ({"unit": "row"}, "remove 'bounds'"),
    ({"bounds": None}, "'bounds' is missing"),
    ({"group_by": {"customer_id": "unknown"}}, "is the unit"),
    ({"spend": spending(delta=0)}, "need a delta above 0"),
    ({"group_by": {}, "spend": spending(delta=0, mechanism="gaussian")}, "gaussian needs a delta"),
    ({"group_by": {"city": ["a", "a"]}}, "each once"),
    ({"answers": ["count", "count"]}, "two columns of the target are named 'count'"),
    ({"answers": [{"sum": {"column": "x", "between": [1, 1]}}]}, "low below high"),
    ({"target": {"path": "lake/orders"}}, "share the place"),
])  # fmt: skip
def test_a_query_that_cannot_hold_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        query(**changes)


@pytest.mark.parametrize(("changes", "words"), [
    ({"unit": "customer"}, "no column 'customer'; did you mean 'customer_id'"),
    ({"group_by": {"x": "unknown"}}, "column 'x' is double"),
    ({"answers": [{"sum": {"column": "city", "between": [0, 1]}}]}, "column 'city' is string"),
    ({"group_by": {"city": [1]}}, "its keys are texts in quotes"),
    ({"group_by": {"age": ["1"]}}, "its keys are whole numbers"),
    ({"group_by": {"day": ["1.2.2026"]}}, "dates are written"),
    ({"group_by": {"amount": [1]}}, "cannot be listed"),
])  # fmt: skip
def test_a_query_that_does_not_fit_the_table_is_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        compiled(query(**changes), SCHEMA)


def test_errors_are_forecast_for_every_answer():
    answers = [
        "count",
        {"mean": {"column": "age", "between": [0, 120]}},
        {"quantiles": {"column": "age", "at": [0.5], "between": [0, 120]}},
    ]
    plan = compiled(query(answers=answers), SCHEMA)
    told = {(one.answer, one.of): one.half_width for one in forecasts(plan)}
    assert told["count", None] == plan.measure("rows").noise.half_width(1 - 0.95)
    assert told["mean_age", 100] > told["mean_age", 1000] > told["mean_age", 10_000] > 0
    assert 0 < told["quantiles_age", 10_000] <= 1


@pytest.mark.parametrize(("unit", "columns", "protection", "versions", "words"), [
    ("id", ["id", "id__v1"], "token", {2}, "a rotation is open"),
    ("id__v1", ["id", "id__v1"], "token", {1}, "going out of use"),
    ("id", ["id"], "token", {1, 2}, "key versions 1 and 2"),
    ("id", ["id"], "encrypt_random", {1}, "does not keep persons apart"),
    ("id", ["id"], "mask(keep_last=4)", (), "does not keep persons apart"),
    ("id", ["id"], "token", {2}, ""),
    ("id", ["id"], "keep", (), ""),
    ("id", ["id"], None, (), ""),
])  # fmt: skip
def test_a_unit_that_splits_a_person_is_refused(unit, columns, protection, versions, words):
    told = splits(unit, columns, protection, versions)
    assert (words in told) if words else told == ""
