"""What README and docs show as YAML loads as it stands there."""

import re
from pathlib import Path

import jsonschema
import pytest

from dataward.contract import Contract, Document, json_schema
from dataward.contract.load import detectors, policy_of
from dataward.pipeline.plan import plan
from tests.doc_contracts import REST, blocks, contracts, keys_of

SCHEMA = json_schema()


@pytest.mark.parametrize(("place", "text"), contracts(), ids=lambda given: given if "\n" not in given else "")
def test_a_contract_that_a_page_shows_loads(place, text, tmp_path):
    (tmp_path / "contract.yaml").write_text(text, encoding="utf-8")
    assert plan(tmp_path / "contract.yaml").name, place


@pytest.mark.parametrize(("place", "text"), contracts(), ids=lambda given: given if "\n" not in given else "")
def test_a_contract_that_a_page_shows_is_one_that_an_editor_takes(place, text):
    jsonschema.validate(Document.parse(text).data, SCHEMA)


@pytest.mark.parametrize(("line", "taken"), [
    ("discovery: off", True), ("discovery: {gate: off}", True), ("discovery: on", False),
    ("treat: {duplicates: {d: {similar: {a: name, b: {as: date, weight: 2}}, block: [a]}}}", True),
    ("treat: {duplicates: {d: {similar: {a: names}, block: [a]}}}", False),
])  # fmt: skip
def test_short_forms_are_known_to_the_json_schema(line, taken):
    data = Document.parse("\n".join([*REST.values(), line])).data
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(data) == taken


PARTS = {"policy": policy_of, "detectors": detectors}


@pytest.mark.parametrize(("place", "text"), [block for block in blocks() if keys_of(block[1])[0] in PARTS])
def test_a_policy_or_a_file_of_detectors_that_a_page_shows_loads(place, text, tmp_path):
    (tmp_path / "part.yaml").write_text(text, encoding="utf-8")
    assert PARTS[keys_of(text)[0]](tmp_path / "part.yaml"), place


def test_the_page_of_contracts_has_every_key():
    rows = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", Path("docs/contract.md").read_text(), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    assert set(Contract.model_fields) - named == set()


def test_every_page_with_yaml_is_looked_at():
    pages = {place.partition(":")[0] for place, _ in blocks()}
    assert {"README.md", "docs/contract.md", "docs/keys.md", "docs/treat.md"} <= pages
