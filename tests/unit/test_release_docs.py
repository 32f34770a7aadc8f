"""The examples of the docs and of conf/releases load, and tables without rows are answered."""

import re
from pathlib import Path

import numpy as np
import pytest

from dataward.contract.settings import PrivateMetrics
from dataward.release.answers import drawn
from dataward.release.exact import aggregated
from dataward.release.plan import compiled
from dataward.release.query import Query, load
from dataward.release.synthesis import Synthesis, load_synthesis
from tests.unit.test_release_plan import SCHEMA, query

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/release.md").read_text()
EXAMPLES = [*re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_of_the_page_loads(text, tmp_path):
    file = tmp_path / "example.yaml"
    if text.startswith("metrics"):
        file.write_text(text.split("private_metrics: ")[1])
        from dataward.contract import read_model

        assert read_model(file, PrivateMetrics).unit == "customer_id"
        return
    file.write_text(text)
    assert isinstance(load_synthesis(file) if text.startswith("synthesize") else load(file), Query | Synthesis)


@pytest.mark.parametrize("file", sorted((ROOT / "conf/releases").glob("*.yaml")), ids=lambda file: file.stem)
def test_an_example_of_conf_loads(file):
    schema = {"carrier": "string", "origin": "string", "dep_delay": "int", "month": "int", "distance": "int"}
    asked = load_synthesis(file).query if file.read_text().count("synthesize:") else load(file)
    assert compiled(asked, schema).cost.epsilon == 1.0


ANSWERS = ["count", {"mean": {"column": "x", "between": [-1, 1]}}, {"variance": {"column": "x", "between": [-1, 1]}},
           {"quantiles": {"column": "x", "at": [0.5], "between": [-1, 1]}}, {"histogram": {"column": "age", "edges": [0, 9, 99]}}]  # fmt: skip


def test_listed_groups_without_rows_are_answered():
    answer = drawn(*planned(group_by={"city": ["a", "b"], "age": [1]}))
    assert answer.groups == (("a", "1"), ("b", "1"))
    for value, low, high in answer.columns.values():
        assert len(value) == 2
        assert np.all(np.isfinite(value) & (np.asarray(low) <= value) & (value <= np.asarray(high)))


def test_a_table_without_rows_shows_no_unknown_group():
    answer = drawn(*planned(group_by={"city": "unknown"}))
    assert answer.groups == ()
    assert all(len(value) == 0 for value, _, _ in answer.columns.values())


def planned(**changes):
    plan = compiled(query(answers=ANSWERS, **changes), SCHEMA)
    return plan, aggregated(plan, [])
