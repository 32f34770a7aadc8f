"""A source that must be sealed: its seal and its bytes are verified before a row is read."""

import shutil

import pytest

from dataward.contract import Source, load
from dataward.errors import ContractError, ProofError, UsageError
from dataward.integrity.dsse import pem
from dataward.pipeline.sealed_source import seal_of
from tests.keys import Ring
from tests.sealedmade import RING, made


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return made(tmp_path_factory.mktemp("sealed") / "made")


@pytest.fixture
def sealed(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(whole.table.root, "lake/people")
    shutil.copytree(whole.root / "ledger", "lake/people_ledger")
    return whole.copy(tmp_path / "again")


def source(**sealed) -> Source:
    return Source.model_validate({"path": "lake/people", "sealed": sealed or True})


def test_a_sealed_version_is_named_by_its_entry(sealed):
    found = seal_of(None, source(), 29, RING)
    assert (found["version"], found["run_id"], found["entry"], found["ledger"]) == (29, "r29", 29, "lake/people_ledger")
    assert len(found["statement"]) == 64


def test_an_older_sealed_version_is_verified_as_that_version(sealed):
    assert seal_of(None, source(), 5, RING)["run_id"] == "r5"


def test_a_file_that_changed_since_is_refused_by_name(sealed, tmp_path):
    file = next((tmp_path / "lake/people").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(ProofError, match=rf"version 29 is not as it was sealed: .*{file.name}"):
        seal_of(None, source(), 29, RING)


def test_a_foreign_commit_after_the_seal_is_refused(sealed, tmp_path):
    sealed.table.append([(1, "x@y.z")], None)
    shutil.rmtree(tmp_path / "lake/people")
    shutil.copytree(sealed.table.root, tmp_path / "lake/people")
    with pytest.raises(ProofError, match="version 30 is not as it was sealed"):
        seal_of(None, source(), 30, RING)


def test_a_commit_without_effect_on_rows_keeps_the_seal(sealed, tmp_path):
    version = sealed.table.optimize()
    shutil.rmtree(tmp_path / "lake/people")
    shutil.copytree(sealed.table.root, tmp_path / "lake/people")
    assert seal_of(None, source(), version, RING)["version"] == 29


def test_public_keys_take_the_place_of_the_keyring(sealed, tmp_path):
    (tmp_path / "keys.pem").write_text(pem(RING.public_key("people", 1)))
    assert seal_of(None, source(public_keys=["keys.pem"]), 29, Ring(1, {1: b"z" * 32}))["entry"] == 29
    with pytest.raises(ProofError, match="not as it was sealed"):
        seal_of(None, source(), 29, Ring(1, {1: b"z" * 32}))
    with pytest.raises(UsageError, match=r"nowhere\.pem"):
        seal_of(None, source(public_keys=["nowhere.pem"]), 29, RING)


def test_without_a_ledger_the_remedy_is_said(sealed):
    with pytest.raises(ProofError, match="there is no ledger elsewhere"):
        seal_of(None, source(ledger="elsewhere"), 29, RING)


def test_only_delta_has_seals(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "contract: c\nsource: {path: a.csv, format: csv, sealed: true}\ntarget: {path: t}\nkeys: {path: k, domain: d}\n"
    )
    with pytest.raises(ContractError, match="'sealed' goes with format delta, not csv"):
        load(tmp_path / "c.yaml")
