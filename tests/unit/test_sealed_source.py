"""A source that must be sealed: its seal and its bytes are verified before a row is read."""

import shutil

import pytest

from dataward.contract import Keys, Source, load
from dataward.errors import ContractError, ProofError, UsageError
from dataward.integrity.dsse import Ed25519Signer, pem
from dataward.keys import signing_key
from dataward.pipeline.sealed_source import seal_of
from tests.deltamade import thirty
from tests.keys import Ring
from tests.sealedmade import RING, Sealed, enter, made
from tests.unit.test_manifest import manifests

KEYS = Keys(provider="local", path="keys", domain="people")


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
    found = seal_of(None, source(), 29, (KEYS, RING))
    assert (found["version"], found["run_id"], found["entry"], found["ledger"]) == (29, "r29", 29, "lake/people_ledger")
    assert len(found["statement"]) == 64


def test_an_older_sealed_version_is_verified_as_that_version(sealed):
    assert seal_of(None, source(), 5, (KEYS, RING))["run_id"] == "r5"


def test_a_file_that_changed_since_is_refused_by_name(sealed, tmp_path):
    file = next((tmp_path / "lake/people").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(ProofError, match=rf"version 29 is not as it was sealed: .*{file.name}"):
        seal_of(None, source(), 29, (KEYS, RING))


def test_a_foreign_commit_after_the_seal_is_refused(sealed, tmp_path):
    sealed.table.append([(1, "x@y.z")], None)
    shutil.rmtree(tmp_path / "lake/people")
    shutil.copytree(sealed.table.root, tmp_path / "lake/people")
    with pytest.raises(ProofError, match="version 30 is not as it was sealed"):
        seal_of(None, source(), 30, (KEYS, RING))


def test_a_commit_without_effect_on_rows_keeps_the_seal(sealed, tmp_path):
    version = sealed.table.optimize()
    shutil.rmtree(tmp_path / "lake/people")
    shutil.copytree(sealed.table.root, tmp_path / "lake/people")
    assert seal_of(None, source(), version, (KEYS, RING))["version"] == 29


def test_public_keys_take_the_place_of_the_keyring(sealed, tmp_path):
    (tmp_path / "keys.pem").write_text(pem(RING.public_key("people", 1)))
    assert seal_of(None, source(public_keys=["keys.pem"]), 29, (KEYS, Ring(1, {1: b"z" * 32})))["entry"] == 29
    with pytest.raises(ProofError, match="not as it was sealed"):
        seal_of(None, source(), 29, (KEYS, Ring(1, {1: b"z" * 32})))
    with pytest.raises(UsageError, match=r"nowhere\.pem"):
        seal_of(None, source(public_keys=["nowhere.pem"]), 29, (KEYS, RING))


def test_a_seal_signed_by_the_key_in_a_service_that_the_contract_names_is_trusted_and_by_no_other(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    service = Ed25519Signer(signing_key(Ring(1, {1: b"in the service".ljust(32)}), "people", 1))
    sealed = Sealed(tmp_path, thirty(tmp_path / "table", "append"))
    manifest = manifests(sealed.table.root)[0][0]
    enter(sealed, 0, "r0", manifest, service, target="table")
    signed = Source.model_validate({"path": "table", "sealed": {"ledger": "ledger"}})
    monkeypatch.setattr(
        "dataward.integrity.proof.trust.service_signer", lambda named: {"vault:transit/k": service}[named]
    )
    monkeypatch.setattr(Ed25519Signer, "publics", property(lambda self: (self.public,)), raising=False)
    named = KEYS.model_copy(update={"sign": "vault:transit/k"})
    with pytest.raises(ProofError, match="signature-invalid"):
        seal_of(None, signed, 0, (KEYS, RING))
    assert seal_of(None, signed, 0, (named, RING))["run_id"] == "r0"


def test_without_a_ledger_the_remedy_is_said(sealed):
    with pytest.raises(ProofError, match="there is no ledger elsewhere"):
        seal_of(None, source(ledger="elsewhere"), 29, (KEYS, RING))


def test_only_delta_has_seals(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "contract: c\nsource: {path: a.csv, format: csv, sealed: true}\ntarget: {path: t}\nkeys: {path: k, domain: d}\n"
    )
    with pytest.raises(ContractError, match="'sealed' goes with format delta, not csv"):
        load(tmp_path / "c.yaml")
