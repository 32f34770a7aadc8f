"""Metrics of private tables: what the contract must say, what verdicts keep, and the query that is asked."""

import pytest

from dataward.contract import Contract, Source, Target
from dataward.contract.settings import Keys
from dataward.pipeline.intake.base import Judged
from dataward.pipeline.private_metrics import metrics_query, quieted
from dataward.pipeline.repair import Mended
from dataward.quality.judge import Judgement, Verdict
from dataward.quality.statistics import Statistic
from dataward.release.plan import compiled

PRIVATE = {
    "unit": "id",
    "rows_per_unit": 3,
    "between": {"age": [0, 120]},
    "distinct": ["id"],
    "epsilon": 0.5,
    "from": "lake/budgets",
}


def contract(**given):
    return Contract(contract="people", source=Source(path="raw"), target=Target(path="lake/people"), keys=Keys(path="k", domain="d"),
                    default="keep", **given)  # fmt: skip


def judged():
    failed = Verdict('Mean "age" > 50', "Mean", "FAILED", 41.25, "> 50", "stop", 17, "41.25 is not above 50")
    judgement = Judgement((failed,), 1000, (), (Statistic("Maximum", "maximum", ("age",), 103.0),))
    return Judged(None, judgement, Mended(None, before=judgement), "")


def test_verdicts_of_a_private_table_keep_their_outcome_and_no_number():
    quiet = quieted(contract(metrics="private", private_metrics=PRIVATE), judged())
    for judgement in (quiet.judgement, quiet.mended.before):
        (verdict,) = judgement.verdicts
        assert (verdict.outcome, verdict.action) == ("FAILED", "stop")
        assert (verdict.measured, verdict.failed_rows, verdict.message, judgement.statistics) == (None, None, "", ())
        assert not any(
            canary in repr((judgement.verdicts, judgement.reproducible)) for canary in ("41.25", "17", "103")
        )


def test_exact_metrics_stay_as_they_are():
    given = judged()
    assert quieted(contract(), given) is given


def test_the_metrics_are_one_release_of_the_published_version():
    query = metrics_query(contract(metrics="private", private_metrics=PRIVATE), 7)
    plan = compiled(query, {"id": "string", "age": "int"})
    assert (query.source.version, query.target.path, query.source.sealed) == (7, "lake/people_metrics", True)
    assert [answer.kind for answer in query.answers] == ["count", "count_distinct", "mean", "quantiles", "histogram"]
    assert (plan.cost.epsilon, plan.cost.delta, plan.query.rows) == (0.5, 0.0, 3)


@pytest.mark.parametrize(("given", "words"), [
    ({"metrics": "private"}, "go together"),
    ({"private_metrics": PRIVATE}, "go together"),
    ({"metrics": "private", "private_metrics": PRIVATE, "parity": True}, "'parity' reports exact numbers"),
    ({"metrics": "private", "private_metrics": PRIVATE, "quasi_identifiers": ["age"]}, "'quasi_identifiers' reports exact numbers"),
    ({"metrics": "private", "private_metrics": {**PRIVATE, "between": {"age": [1, 1]}}}, "low below high"),
])  # fmt: skip
def test_a_contract_that_would_tell_exact_numbers_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        contract(**given)
