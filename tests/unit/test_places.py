"""No two tables of a contract share a place, whichever they are."""

import pytest

from dataward.contract import Contract, Location
from dataward.contract.load import load
from dataward.errors import ContractError
from tests.unit.test_contract import GOOD


def contract(tmp_path, *changes: tuple[str, str]) -> Contract:
    text = GOOD
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (tmp_path / "c.yaml").write_text(text)
    return load(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "ledger: {path: lake/people_history}\nhistory: {}",
            "ledger and history have the same place lake/people_history",
        ),
        (
            "ledger: {path: lake/people_windows}\nwindows: {column: seen, length: 1 day}",
            "ledger and windows have the same place",
        ),
        ("ledger: {path: lake//people_quarantine/}", "quarantine and ledger have the same place"),
        ("ledger: {path: 'file:lake/people'}", "target and ledger have the same place"),
        ("ledger: {path: lake/people/ledger}", "lie one inside the other"),
        ("history: {path: lake}", "lie one inside the other"),
    ],
)
def test_places_that_clash_are_refused(tmp_path, line, words):
    with pytest.raises(ContractError, match=words):
        contract(tmp_path, ("default: refuse", f"default: refuse\n{line}"))


@pytest.mark.parametrize("line", [
    "audit: {sinks: [{kind: http, url: 'https://me:kanari@rest:8082', topic: t}]}",
    "lineage: {url: 'http://me:kanari@marquez'}",
    "heads: [{witness: 'https://kanari@witness', key: 'a+01234567+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='}]",
    "heads: [{timestamp: 'https://me:kanari@authority', certificate: roots.pem}]",
])  # fmt: skip
def test_a_url_with_a_password_is_refused_and_not_repeated(tmp_path, line):
    with pytest.raises(ContractError, match="the URL holds a user or a password") as told:
        contract(tmp_path, ("default: refuse", f"default: refuse\n{line}"))
    assert "kanari" not in str(told.value)


def test_every_table_is_listed_once_with_the_target_first(tmp_path):
    made = contract(tmp_path, ("default: refuse", "default: refuse\nhistory: {}"))
    assert list(made.tables) == ["target", "quarantine", "ledger", "history"]


@pytest.mark.parametrize(
    ("one", "other", "same", "holds"),
    [
        ("s3://b/x", "s3://b/x/", True, False),
        ("s3://b/x", "s3://b/x/y", False, True),
        ("s3://b/x", "s3://c/x", False, False),
        ("lake/people", "lake/people_ledger", False, False),
        ("/lake/people", "file:/lake/people", True, False),
        ("/lake/people", "file:///lake/people", True, False),
        ("./lake/people", "lake/people", True, False),
    ],
)
def test_spellings_of_a_path_are_one_place(one, other, same, holds):
    assert Location(path=one).same(Location(path=other)) == same
    assert Location(path=one).holds(Location(path=other)) == holds


def test_names_of_the_catalog_compare_without_case():
    assert Location(table="Lake.People").same(Location(table="lake.people"))
    assert not Location(table="lake.people").same(Location(path="lake.people"))
