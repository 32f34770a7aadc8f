"""The graph over contracts: equal places are one table, edges lead from what was read to what was written."""

import re
from pathlib import Path

import pytest

from dataward.cli import main
from dataward.contract import Contract
from dataward.errors import ContractError
from dataward.integrity.seal import Seal, SealedCommit, SealedContent
from dataward.report.lineage import html
from dataward.verbs.lineage import graph, plans_of

KEYS = {"path": "k", "domain": "d"}


def contract(name: str, source: str, target: str, **references: str) -> Contract:
    return Contract.model_validate(
        {
            "contract": name, "source": {"path": source}, "target": {"path": target}, "keys": KEYS,
            "references": {alias: {"path": place} for alias, place in references.items()},
        }
    )  # fmt: skip


def seal(of: Contract, version: int, read: int, **references: int) -> Seal:
    return Seal.model_construct(
        contract=of.contract, run_id=f"run-{version}", target=str(of.target), version=version, time="2026-11-25T10:00:00+00:00",
        source={"version": read}, references={alias: {"version": number} for alias, number in references.items()},
        verdicts=[{"outcome": "PASSED"}, {"outcome": "PASSED"}, {"outcome": "FAILED"}], rows={"published": 12_345},
        protections=[{"column": "mail", "protection": "token", "stage": "jvm"}, {"column": "id", "protection": "keep", "stage": "kept"}],
        content=SealedContent.model_construct(), commit=SealedCommit.model_construct(),
    )  # fmt: skip


RAW = contract("raw", "in/people", "lake/raw")
CLEAN = contract("clean", "lake/raw/", "lake/clean", countries="lake/countries")
MART = contract("mart", "lake/clean", "lake/mart")
GRAPH = graph([(MART, None), (CLEAN, seal(CLEAN, 3, 7, countries=2)), (RAW, seal(RAW, 7, 0))])


def test_a_chain_is_one_graph_however_places_are_spelled():
    assert [[table.place for table in layer] for layer in GRAPH.layers()] == [
        ["lake/countries", "in/people"],
        ["lake/raw"],
        ["lake/clean"],
        ["lake/mart"],
    ]
    clean = next(edge for edge in GRAPH.edges if edge.contract == "clean" and edge.role == "source")
    assert (clean.source, clean.source_version, clean.verdicts) == ("lake/raw", 7, {"PASSED": 2, "FAILED": 1})
    assert clean.protected == {"mail": "token"}
    assert next(edge for edge in GRAPH.edges if edge.role == "countries").source_version == 2
    assert next(table for table in GRAPH.tables if table.place == "lake/raw").version == 7
    assert next(edge for edge in GRAPH.edges if edge.contract == "mart").run_id is None


def test_the_page_shows_every_table_and_contract_and_fetches_nothing():
    page = html(GRAPH, "now")
    for text in (
        "lake/raw",
        "lake/countries",
        "12,345 rows",
        "version 7 sealed",
        "no seal",
        "never published",
        "clean: countries",
    ):
        assert text in page
    assert page.count('<g class="edge') == len(GRAPH.edges)
    assert not re.search(r"<script|<link|src=|href=|@import", page)


def test_curves_and_labels_between_the_same_tables_lie_side_by_side():
    own = contract("own", "lake/a", "lake/b", first="lake/a", second="lake/a")
    page = html(graph([(own, None)]), "now")
    curves = set(re.findall(r'd="(M[^"]+ C[^"]+)"', page))
    assert len(curves) == 3
    places = re.findall(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>own', page)
    assert len(places) == len(set(places)) == 3


def test_a_cycle_of_contracts_ends():
    there, back = contract("there", "a", "b"), contract("back", "b", "a")
    assert sorted(table.place for layer in graph([(there, None), (back, None)]).layers() for table in layer) == [
        "a",
        "b",
    ]


def test_a_folder_without_contracts_is_said(tmp_path, capsys):
    assert main(["lineage", str(tmp_path)]) == 2
    assert "there is no contract" in capsys.readouterr().err


def test_contracts_come_from_files_and_folders():
    names = [it.name for it in plans_of(["conf/contracts", "conf/contracts/people.yaml"])]
    assert names[-1] == "people"
    assert len(names) > 3


def test_yaml_files_of_a_folder_that_are_no_contracts_are_left_out_and_named(tmp_path):
    (tmp_path / "a.yaml").write_text(Path("conf/contracts/people.yaml").read_text())
    (tmp_path / "b.yml").write_text(Path("conf/contracts/planes.yaml").read_text())
    (tmp_path / "cases.yaml").write_text("contract: a.yaml\ncases: []\n")
    (tmp_path / "stack.yaml").write_text("Resources:\n  Bucket: !Ref Name\n")
    (tmp_path / "list.yaml").write_text("- 1\n")
    said = []
    assert [it.name for it in plans_of([str(tmp_path)], said.append)] == ["people", "planes"]
    assert [Path(line.split(",")[0].removeprefix("left out: ")).name for line in said] == [
        "cases.yaml",
        "list.yaml",
        "stack.yaml",
    ]
    (tmp_path / "open.yaml").write_text("a: 1\nb: [1\n")
    plans_of([str(tmp_path)], said.append)
    assert said[-2].startswith(f"left out: {tmp_path}/open.yaml, which cannot be read as a contract: ")


def test_a_contract_with_a_mistake_is_not_left_out(tmp_path):
    (tmp_path / "a.yaml").write_text("contract: a\nsource: {path: x}\n")
    with pytest.raises(ContractError, match=r"a\.yaml"):
        plans_of([str(tmp_path)])


@pytest.mark.parametrize("place", ["nowhere.yaml"])
def test_a_missing_contract_is_a_contract_error(place, capsys):
    assert main(["lineage", place]) == 2
    assert f"{place}: there is no such file; check its path" in capsys.readouterr().err
