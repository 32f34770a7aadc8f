"""Anonymisation: the cheapest node, found again by trying all of them with pandas; written at k; the loss told."""

import itertools
import json

import pytest

from dataward.cli import main
from dataward.contract.protections import Generalize
from dataward.errors import DataError, UsageError
from dataward.pipeline.plan import plan
from dataward.privacy.anonymize import Ladder, choose
from dataward.verbs.anonymize import anonymize
from tests.spark.test_risk import adults

pytestmark = pytest.mark.long

AGE = Ladder("age", (Generalize(width=10), Generalize(width=20), Generalize(width=40)))
ZIP = Ladder("zip", (Generalize(prefix=2), Generalize(prefix=1)))
SEX = Ladder("sex", ())


def coarse(values, one, level):
    if level == 0:
        return values
    if level == one.top:
        return values.map(lambda _: None)
    given = one.levels[level - 1]
    return values // given.width * given.width if given.width else values.str[: given.prefix]


def by_hand(frame, ladders, k, most):
    """Every node, counted by pandas."""
    best = None
    for node in itertools.product(*(range(one.top + 1) for one in ladders)):
        made = {one.column: coarse(frame[one.column], one, level) for one, level in zip(ladders, node, strict=True)}
        classes = frame.assign(**made).groupby([one.column for one in ladders], dropna=False)["sex"].transform("size")
        share = float((classes < k).mean())
        losses = []
        for one, level in zip(ladders, node, strict=True):
            merged = frame.assign(made=made[one.column]).groupby("made", dropna=False)[one.column].transform("nunique")
            losses.append(1.0 if level == one.top else float((merged - 1).mean() / (frame[one.column].nunique() - 1)))
        loss = (1 - share) * sum(losses) / len(losses) + share
        if share <= most and share < 1 and (best is None or loss < best[0] - 1e-12):
            best = (loss, node)
    return best


@pytest.mark.parametrize(("k", "most"), [(5, 0.0), (5, 0.05), (40, 0.02)])
def test_the_cheapest_of_all_nodes_is_found(spark, k, most):
    frame = adults(600, k)
    found = choose(spark.createDataFrame(frame).coalesce(1), [AGE, ZIP, SEX], k, most)
    loss, _ = by_hand(frame, [AGE, ZIP, SEX], k, most)
    assert found.loss == pytest.approx(loss)
    assert found.k_after >= k
    assert found.nodes <= 5 * 4 * 2


@pytest.fixture
def people(lake):
    frame = adults(500, 3).assign(zip=lambda rows: rows.zip + "5")
    lake.source(
        [tuple(row) for row in frame[["age", "zip", "sex", "income"]].itertuples(index=False)],
        "age bigint, zip string, sex string, income string",
    )
    lake.publish(
        columns="{income: {class: income, protect: token}}",
        extra="quasi_identifiers: {{age: [{{width: 10}}, {{width: 30}}], zip: [], sex: []}}\n",
    )
    return lake


def test_a_copy_is_written_and_counted_again(people, monkeypatch, capsys):
    monkeypatch.setattr("dataward.spark.session.get", lambda: people.spark)
    argv = ["anonymize", "--contract", str(people.root / "contract.yaml"), "--k", "7"]
    assert main([*argv, "--out", f"{people.root}/copy", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["k"] >= 7 > told["chosen"]["k_before"]
    assert 0 < told["chosen"]["loss"] < 1
    assert all(
        level in ("as it is", "left out") or level.split()[0] in ("width", "prefix")
        for level in told["levels"].values()
    )
    copy = people.read("copy")
    assert copy.count() == 500 - told["chosen"]["suppressed"]
    assert copy.groupBy("age", "zip", "sex").count().selectExpr("min(count)").first()[0] == told["k"]
    assert copy.schema["age"].dataType.typeName() == "long"
    assert main(argv) == 0
    assert "nothing written" in capsys.readouterr().out
    assert main([*argv, "--out", f"{people.root}/copy"]) == 2


def test_what_cannot_be_done_is_said(people):
    planned = plan(people.root / "contract.yaml")
    with pytest.raises(DataError, match="there are 500 rows: no class of 501"):
        anonymize(people.spark, planned, 501)
    with pytest.raises(UsageError, match="k is 2 or more"):
        anonymize(people.spark, planned, 1)
    people.contract(extra="quasi_identifiers: {{sex: [{{width: 10}}]}}\n")
    with pytest.raises(UsageError, match=r"quasi_identifiers.sex: .* cannot protect string"):
        anonymize(people.spark, plan(people.root / "contract.yaml"), 5)
    people.contract(extra="")
    with pytest.raises(UsageError, match="names no quasi_identifiers"):
        anonymize(people.spark, plan(people.root / "contract.yaml"), 5)
