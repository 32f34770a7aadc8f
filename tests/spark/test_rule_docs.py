"""Every example in a rule's documentation, by both engines; and the pages in docs/rules/ are those of the docstrings."""

import importlib.util
from pathlib import Path

import pytest

from dataward.quality.judge import judge
from dataward.quality.suite import suite
from tests.spark.test_judge import NOW

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
docs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(docs)

EXAMPLES = [example for kind in docs.DOCUMENTED for example in docs.examples(kind)]


@pytest.fixture(scope="module", params=["deequ", "spark"])
def verdicts(spark, request, tmp_path_factory):
    frame = spark.createDataFrame(docs.ROWS, docs.SCHEMA).selectExpr(
        "n", "id", "mail", "age", "score", "cast(at as timestamp) at", "raw"
    )
    folder = tmp_path_factory.mktemp("files")
    for name, text in docs.FILES.items():
        (folder / name).write_text(text)
    text = ",\n".join(rule for rule, _, _ in EXAMPLES).replace('"files"', f'"{folder}"')
    made, errors = suite(f"Rules = [ {text} ]")
    assert not errors, vars(errors[0])
    references = {"reference": frame.where("n <= 4").select("n", "id", "age")}
    judged = judge(spark, frame.coalesce(1), made, NOW, request.param, references)
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
