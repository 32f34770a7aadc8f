"""Disclosure risk: k, l and t equal pycanon's; k-map and delta-presence equal a count by hand; all as rules."""

import random

import pandas as pd
import pytest
from pycanon import anonymity as oracle

from dataward.quality import risk
from dataward.quality.judge import Options, judge
from dataward.quality.suite import suite

pytestmark = pytest.mark.long

COLUMNS = ["age", "sex", "race", "zip", "education", "hours"]


def adults(rows: int, seed: int) -> pd.DataFrame:
    """People as in the UCI adult set: skewed categories, ages and hours with peaks, an income that leans on education."""
    chance = random.Random(seed)
    made = []
    for _ in range(rows):
        education = chance.choices(
            ["HS-grad", "Some-college", "Bachelors", "Masters", "Doctorate"], [32, 22, 16, 5, 1]
        )[0]
        age = min(90, max(17, round(chance.gauss(38, 13))))
        rich = chance.random() < 0.1 + 0.15 * ["HS-grad", "Some-college", "Bachelors", "Masters", "Doctorate"].index(
            education
        )
        made.append((age // 5 * 5, chance.choice("MFM"), chance.choices(["White", "Black", "Asian", "Other"], [85, 10, 3, 2])[0],
                     chance.choice(["130", "131", "148"]), education, chance.choices([20, 40, 45, 60], [1, 6, 2, 1])[0],
                     ">50K" if rich else "<=50K", chance.choice(["Sales", "Tech", "Clerical", "Exec"]), chance.randrange(0, 99999, 999)))  # fmt: skip
    return pd.DataFrame(made, columns=[*COLUMNS, "income", "occupation", "gain"])


@pytest.fixture(scope="module")
def people(spark):
    frame = adults(1500, 5)
    return frame, spark.createDataFrame(frame).coalesce(1).cache()


@pytest.mark.parametrize("block", range(5))
def test_k_l_and_t_equal_pycanons_on_fifty_sets_of_quasi_identifiers(people, block):
    pandas, frame = people
    for number in range(block * 10, block * 10 + 10):
        chance = random.Random(number)
        chosen = chance.sample(COLUMNS, chance.randint(1, 4))
        secret = ["income", "occupation", "gain"][number % 3]
        assert risk.smallest(frame, chosen) == oracle.k_anonymity(pandas, chosen), chosen
        assert risk.diversity(frame, chosen, secret) == oracle.l_diversity(pandas, chosen, [secret]), (chosen, secret)
        found, wanted = risk.closeness(frame, chosen, secret), oracle.t_closeness(pandas, chosen, [secret])
        assert found == pytest.approx(wanted, abs=1e-9), (chosen, secret)


def test_the_distribution_adds_up(people):
    pandas, frame = people
    found = risk.distribution(frame, ["age", "zip", "sex"])
    sizes = pandas.groupby(["age", "zip", "sex"]).size()
    assert sum(crowd.rows for crowd in found) == len(pandas)
    assert {crowd.least: crowd.classes for crowd in found} == {
        least: count for least, most in zip(risk.BOUNDS, [*risk.BOUNDS[1:], 10**9], strict=True) if (count := ((sizes >= least) & (sizes < most)).sum())}  # fmt: skip


def test_nulls_are_a_value_and_empty_frames_have_no_number(spark):
    frame = spark.createDataFrame(
        [("a", None, 1.0), ("a", None, None), (None, "x", 2.0), (None, "x", 2.0), (None, "x", 5.0)],
        "q string, s string, n double",
    )
    assert risk.smallest(frame, ["Q"]) == 2
    assert risk.diversity(frame, ["q"], "n") == 2  # 1.0 and null; 2.0 and 5.0
    assert risk.closeness(frame, ["q"], "s") == pytest.approx(0.6)  # a: all null, where 2 of 5 are
    assert risk.closeness(frame, ["q"], "N") is not None
    empty = frame.where("false")
    assert [
        risk.smallest(empty, ["q"]),
        risk.diversity(empty, ["q"], "s"),
        risk.closeness(empty, ["q"], "s"),
        risk.closeness(empty, ["q"], "n"),
    ] == [None] * 4
    assert risk.distribution(empty, ["q"]) == ()


def test_k_map_and_delta_presence(spark):
    mine = spark.createDataFrame([("a", 1), ("a", 1), ("b", 2), (None, 3)], "q string, z int")
    population = spark.createDataFrame(
        [("a", 1)] * 5 + [("b", 2)] * 3 + [(None, 3)] * 4 + [("c", 1)], "q string, z int"
    )
    assert risk.k_map(mine, ["q", "z"], population) == 3
    assert risk.presence(mine, ["q", "z"], population) == pytest.approx(0.4)
    assert risk.k_map(mine, ["q"], population.where("q = 'a'")) == 0
    assert risk.presence(mine, ["q"], population.where("q = 'a'")) == 1


def test_as_rules(spark, people, monkeypatch):
    pandas, frame = people
    text = ('Rules = [KAnonymity "sex", "race" >= 3, LDiversity "sex", "income" = 2, TCloseness "sex", "gain" <= 0.2, '
            'KMap "sex" "all" > 100, DeltaPresence "sex" "all" <= 1, KAnonymity "nothing" > 1]')  # fmt: skip
    made, errors = suite(text)
    assert not errors
    verdicts = judge(
        spark, frame, made, pd.Timestamp("2026-11-22").to_pydatetime(), Options("spark", {"all": frame})
    ).verdicts
    assert [verdict.outcome for verdict in verdicts] == ["PASSED"] * 5 + ["ERRORED"]
    assert verdicts[0].measured == pandas.groupby(["sex", "race"]).size().min()
    monkeypatch.setattr(risk, "MOST_VALUES", 3)
    (verdict,) = judge(
        spark, frame, suite('Rules = [TCloseness "sex" "gain" < 1]')[0], pd.Timestamp("2026-11-22").to_pydatetime()
    ).verdicts
    assert (verdict.outcome, "put them in buckets" in verdict.message) == ("ERRORED", True)


def test_the_report_shows_the_crowds_of_the_output(lake):
    lake.source([(n, f"{13000 + n % 40}", 20 + n % 17) for n in range(400)], "id int, zip string, age int")
    columns = (
        "{id: {protect: token}, zip: {protect: {generalize: {prefix: 3}}}, age: {protect: {generalize: {width: 10}}}}"
    )
    extra = 'quarantine: {{path: {root}/quarantine}}\nquasi_identifiers: [zip, age]\nrules_after: |\n  Rules = [ KAnonymity "zip", "age" >= 5 ]\n'
    result = lake.publish(columns=columns, extra=extra)
    assert result.status == "published"
    assert sum(crowd["rows"] for crowd in result.risk) == 400
    assert result.risk[0]["least"] >= 5
    assert "Crowds" in (lake.root / "reports").rglob("*.html").__next__().read_text()
    stopped = lake.publish(columns="{zip: {protect: keep}, age: {protect: keep}}", extra=extra)
    assert stopped.status == "stopped"
    assert "after protection: KAnonymity" in stopped.reasons[0]
