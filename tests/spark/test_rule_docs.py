"""Every example in a rule's documentation, by both engines; and the pages in docs/rules/ are those of the docstrings."""

import pytest

from dataward.quality.judge import Options, judge
from dataward.quality.suite import suite
from tests.rule_docs import EXAMPLES, docs, reference, ruleset, table
from tests.spark.test_judge import NOW


@pytest.fixture(scope="module", params=["deequ", "spark"])
def verdicts(spark, request, tmp_path_factory):
    made, errors = suite(ruleset(tmp_path_factory.mktemp("files")))
    assert not errors, vars(errors[0])
    frame = table(spark)
    judged = judge(spark, frame.coalesce(1), made, NOW, Options(request.param, {"reference": reference(frame)}))
    return dict(zip(EXAMPLES, judged.verdicts, strict=True))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0])
def test_example(verdicts, example):
    verdict = verdicts[example]
    expected = None if example[1] == "none" else pytest.approx(float(example[1]), abs=1e-4)
    assert (verdict.outcome, verdict.measured) == (example[2], expected), verdict


@pytest.mark.parametrize("kind", docs.DOCUMENTED, ids=lambda kind: kind.__name__)
def test_every_kind_has_an_example(kind):
    assert docs.examples(kind)


def test_pages_are_drawn_from_the_code():
    stale = [path.name for path, text in docs.pages().items() if not path.exists() or path.read_text() != text]
    assert not stale, f"run 'make docs': {stale}"
