"""The Databricks notebooks, executed as Databricks does: cell by cell source with `spark` and `display` given."""

import runpy
import types
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def run(lake, monkeypatch):
    """Executes a notebook; gives its names and the rows of every frame that it shows."""

    def executed(name, **more):
        file = NOTEBOOKS / f"{name}.py"
        assert file.read_text().startswith("# Databricks notebook source\n")
        monkeypatch.setenv("DATAWARD_REPORTS", str(lake.root / "reports"))
        shown = []
        given = {"spark": lake.spark, "display": lambda frame: shown.append(frame.collect()), **more}
        return runpy.run_path(str(file), init_globals=given), shown

    return executed


class Widgets:
    """Databricks' widgets: a parameter of the job, else the default."""

    def __init__(self, **given):
        self.given = given

    def text(self, name, default):
        self.given.setdefault(name, default)

    def get(self, name):
        return self.given[name]


def test_a_notebook_asks_widgets_and_without_them_the_environment(monkeypatch):
    (cell,) = [
        cell for cell in (NOTEBOOKS / "publish.py").read_text().split("# COMMAND ----------") if "def asked" in cell
    ]
    monkeypatch.setenv("DATAWARD_CONTRACT", "mine.yaml")
    monkeypatch.delenv("DATAWARD_RUN_ID", raising=False)
    for given, contract in (
        ({}, "mine.yaml"),
        ({"dbutils": types.SimpleNamespace(widgets=Widgets())}, "conf/contracts/people.yaml"),
    ):
        exec(cell, given)  # noqa: S102 - our own notebook
        assert (given["contract"], given["run_id"]) == (contract, None)


def test_every_notebook_is_tested_here_or_by_test_federated():
    assert {file.stem for file in NOTEBOOKS.glob("*.py")} == {"publish", "release", "clean", "federated"}


def test_publish(lake, run, monkeypatch):
    lake.source([(1, "ada"), (2, None)], "id int, name string")
    contract = lake.contract(rules='IsComplete "name"', columns="{name: {class: person_name, protect: token}}")
    widgets = Widgets(contract=str(contract), reports=str(lake.root / "reports"), run_id="job-7")
    made, shown = run("publish", dbutils=types.SimpleNamespace(widgets=widgets))
    assert (made["result"].status, made["result"].run_id) == ("published", "job-7")
    assert made["proof"].holds
    assert [len(rows) for rows in shown] == [1, 1]


@pytest.mark.long
def test_clean(lake, run, monkeypatch):
    monkeypatch.setenv("DATAWARD_LAKE", str(lake.root / "clean"))
    made, shown = run("clean")
    assert made["result"].rows == {"in": 9, "published": 7, "quarantined": 2, "dropped": 0}
    assert made["proof"].holds
    found, repairs, verdicts, diverted = shown
    assert {row["class"] for row in found} >= {"person_name"}
    assert ("outliers.hours", "high", 1) in [tuple(row) for row in repairs]
    assert {row["rule"].split()[0]: (row["before"], row["after"]) for row in verdicts}["IsComplete"] == (
        "FAILED",
        "PASSED",
    )
    assert sorted(row["id"] for row in diverted) in ([1, 5], [2, 5])


@pytest.mark.long
def test_release(lake, run, monkeypatch):
    monkeypatch.setenv("DATAWARD_LAKE", str(lake.root / "release"))
    made, shown = run("release")
    assert (made["released"].status, made["again"].status, made["proof"].holds) == ("released", "unchanged", True)
    assert made["audited"].holds
    forecasts, checks, answers, left = shown
    assert {row["answer"] for row in forecasts} == {"count", "count_distinct_customer", "mean_amount"}
    assert len(checks) >= 10
    assert [row["city"] for row in answers] == ["Bern", "Oslo", "Rome"]
    assert all(row["count_low"] < row["count"] < row["count_high"] for row in answers)
    assert [tuple(row) for row in left] == [(3.0, 2.0, 1)]
