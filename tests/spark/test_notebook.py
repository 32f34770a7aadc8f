"""The Databricks notebook, executed as Databricks does: cell by cell source with `spark` and `display` given."""

import runpy
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(lake, monkeypatch, notebook):
    assert notebook.read_text().startswith("# Databricks notebook source\n")
    lake.source([(1, "ada"), (2, None)], "id int, name string")
    contract = lake.contract(rules='IsComplete "name"', columns="{name: {class: person_name, protect: token}}")
    monkeypatch.setenv("DATAWARD_CONTRACT", str(contract))
    monkeypatch.setenv("DATAWARD_REPORTS", str(lake.root / "reports"))
    shown = []
    made = runpy.run_path(
        str(notebook), init_globals={"spark": lake.spark, "display": lambda frame: shown.append(frame.collect())}
    )
    assert made["result"].status == "published"
    assert made["proof"].holds
    assert [len(rows) for rows in shown] == [1, 1]
