"""A release set is one entry about several tables: readers get all of its versions or none, and verify checks each."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from dataward.cli import main
from dataward.contract import load
from dataward.contract.sets import load_set
from dataward.errors import ContractError, Overtaken, Problem, ProofError, UsageError
from dataward.integrity import ledger
from dataward.integrity.seal import Seal, SealedCommit, SealedContent
from dataward.keys import create_keyring, local_keyring
from dataward.report import RunResult
from dataward.verbs import release_set
from dataward.verbs.release_set import publish_set, read_set, show_set, verify_set
from tests.deltamade import Table
from tests.keyservices import environment, services
from tests.unit.test_manifest import manifests

NAMES = ("people", "orders")
SESSION = SimpleNamespace(_jsparkSession=None)  # a classic one


def seal(contract, version, run_id):
    return Seal(contract=contract.contract, run_id=run_id, target=str(contract.target), version=version, who="me", protections=[],
                quarantine=None, content=SealedContent(digest="d", nonce="n", rows=2), commit=SealedCommit(file="f", sha256="s"),
                code={}, key={"domain": "sets", "version": 1}, contract_sha256="0", time=f"2026-11-25T00:{version:02d}:00+00:00",
                source={}, verdicts=[], rows={})  # fmt: skip


def sealed(contract, ring, root, versions):
    table = Table(root)
    table.create()
    for number in range(1, versions):
        table.append([(number, f"{number}@x.org")], f"r{number}")
    for manifest in manifests(root)[0]:
        about = {"table": manifest.table, **({"whole": True} if manifest.whole else {})}
        made = seal(contract, manifest.version, f"r{manifest.version}")
        ledger.append(contract.ledger_location, ring, made, ledger.Attached(manifest.text(), more=about))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    create_keyring(root / "keys").current("sets")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for number, name in enumerate(NAMES):
            (root / f"{name}.yaml").write_text(
                f"contract: {name}\nsource: {{path: none}}\ntarget: {{path: lake/{name}}}\nkeys: {{path: keys, domain: sets}}\n"
                "columns: {}\ndefault: keep\n"
            )
            sealed(load(f"{name}.yaml"), local_keyring(root / "keys"), root / "lake" / name, 3 + number)
        (root / "set.yaml").write_text(
            "set: quarter\ncontracts: [people.yaml, orders.yaml]\nledger: {path: lake/sets}\nkeys: {path: keys, domain: sets}\n"
        )
    return root


@pytest.fixture
def given(filled, tmp_path, monkeypatch):
    shutil.copytree(filled, tmp_path / "set")
    monkeypatch.chdir(tmp_path / "set")
    return load_set("set.yaml")


def versions(released):
    return {one.contract: one.version for one in released.members}


def test_the_newest_sealed_versions_are_released_as_one_entry_that_verifies(given):
    done = publish_set(None, given, "q1")
    assert (versions(done), done.entry) == ({"people": 2, "orders": 3}, 0)
    proof = verify_set(given)
    assert (proof.holds, [one.version for one in proof.proofs], proof.findings) == (True, [2, 3], ())
    assert publish_set(None, given, "q1") == done  # a rerun repeats nothing
    again = publish_set(None, given, "q2")
    assert (again.entry, show_set(given).run_id, show_set(given, 0).run_id) == (1, "q2", "q1")
    with pytest.raises(ProofError, match="it has releases 0 to 1, not 7"):
        show_set(given, 7)


def test_removed_pointers_hide_no_release(given):
    publish_set(None, given, "q1")
    publish_set(None, given, "q2")
    shutil.rmtree("lake/sets/index")
    assert (show_set(given).run_id, verify_set(given).holds) == ("q2", True)
    bundle = Path("lake/sets/tile/entries/000.p/2")
    target = ledger.table_id("set quarter").encode()
    bundle.write_bytes(bundle.read_bytes()[::-1].replace(target[::-1], b"0" * 64, 1)[::-1])  # of the newest entry
    assert show_set(given).run_id == "q1"
    assert "entry-damaged" in {one.code for one in verify_set(given).findings if one.fails}


def test_a_set_is_signed_by_the_service_key_that_it_names_and_verified_by_it(given, monkeypatch, tmp_path):
    file = Path("set.yaml")
    file.write_text(file.read_text().replace("domain: sets}", "domain: sets, sign: 'vault:transit/sets'}"))
    signed = load_set("set.yaml")
    with services() as cloud:
        for name, value in environment(cloud.url, tmp_path).items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("VAULT_NAMESPACE", raising=False)
        cloud.transit_key("sets", "ed25519")
        publish_set(None, signed, "q1")
        assert verify_set(signed).holds
    assert [one.code for one in verify_set(given).findings if one.fails] == ["signature-invalid"]  # without that key


def test_a_set_without_a_release_cannot_be_read(given):
    with pytest.raises(ProofError, match="there is none"):
        show_set(given)


def test_a_tampered_table_is_not_released_and_fails_the_proof_of_the_set(given):
    publish_set(None, given, "q1")
    data = next(Path("lake/orders").glob("*.parquet"))
    data.write_bytes(data.read_bytes()[:-1])
    proof = verify_set(given)
    assert (proof.holds, [one.holds for one in proof.proofs]) == (False, [True, False])
    with pytest.raises(ProofError, match=r"the proof does not hold.*Nothing was released"):
        publish_set(None, given, "q2")
    assert show_set(given).run_id == "q1"


def test_a_seal_in_the_place_of_the_released_one_is_named_and_not_read(given):
    publish_set(None, given, "q1")
    shutil.rmtree("lake/people_ledger")
    shutil.rmtree("lake/people")
    sealed(load("people.yaml"), local_keyring(Path("keys")), Path("lake/people"), 3)
    assert {one.code for one in verify_set(given).findings} == {"set-member-changed"}
    with pytest.raises(ProofError, match="is not the released one. Nothing was read"):
        read_set(None, given)


def test_a_changed_statement_of_the_set_is_never_read(given):
    done = publish_set(None, given, "q1")
    entry = ledger.entries(given.ledger)[0]
    file = Path("lake/sets/statements") / entry.body.statement
    file.write_bytes(file.read_bytes().replace(b"a", b"b", 1))
    assert done.entry == 0
    for use in (show_set, verify_set, lambda one: read_set(None, one)):
        with pytest.raises(ProofError, match="missing or was changed"):
            use(given)


def test_an_entry_signed_by_another_key_is_no_release(given):
    create_keyring(Path("other")).current("sets")
    publish_set(None, given.model_copy(update={"keys": given.keys.model_copy(update={"path": "other"})}), "q1")
    proof = verify_set(given)
    assert not proof.holds
    assert {one.code for one in proof.findings if one.fails} & {"signature-invalid", "ledger-damaged", "entry-damaged"}
    with pytest.raises(ProofError, match="Nothing was read"):
        read_set(None, given)


def test_readers_get_all_tables_or_none(given, monkeypatch):
    publish_set(None, given, "q1")
    asked = []

    def reading(spark, plan, wish):
        asked.append((plan.name, wish.version))
        if plan.name == "orders" and len(asked) > 2:
            raise ProofError("lake/orders version 3: the proof does not hold")
        return release_set.Reading(plan.name.upper(), wish.version, "r", {})

    monkeypatch.setattr(release_set, "reading", reading)
    assert read_set(None, given) == {"people": "PEOPLE", "orders": "ORDERS"}
    assert asked == [("people", 2), ("orders", 3)]
    with pytest.raises(ProofError, match="set quarter: lake/orders version 3"):
        read_set(None, given)


@pytest.mark.parametrize("error", [Overtaken("busy", "r1"), ContractError([Problem("site.yaml", 1, "", "busy")])])
def test_an_error_of_one_table_names_the_set_whatever_it_holds(given, monkeypatch, error):
    publish_set(None, given, "q1")
    monkeypatch.setattr(release_set, "reading", Mock(side_effect=error))
    with pytest.raises(type(error), match="set quarter: .*busy"):
        read_set(None, given)


def test_nothing_is_released_where_one_table_is_stopped_and_a_killed_run_is_finished(given, monkeypatch):
    ran = []

    def published(spark, plan, run_id, *_):
        ran.append(plan.name)
        outcome = outcomes[plan.name]
        if outcome == "killed":
            raise KeyboardInterrupt
        return RunResult.model_construct(status=outcome, seal={"run_id": "r2"} if outcome == "published" else None)

    monkeypatch.setattr(release_set, "publish", published)
    monkeypatch.setattr(release_set, "caller", lambda *_: SimpleNamespace(name="me"))
    outcomes = {"people": "published", "orders": "stopped"}
    done = publish_set(SESSION, given, "q1")
    assert (done.entry, done.stopped) == (None, ("orders",))
    outcomes["orders"] = "killed"
    with pytest.raises(KeyboardInterrupt):
        publish_set(SESSION, given, "q2")
    with pytest.raises(ProofError, match="there is none"):
        show_set(given)
    outcomes["orders"] = "unchanged"
    done = publish_set(SESSION, given, "q2")
    assert (done.entry, versions(done)) == (0, {"people": 2, "orders": 3})
    assert ran == ["people", "orders"] * 3


@pytest.mark.parametrize("late", [False, True])
def test_a_release_that_is_killed_at_its_entry_is_finished_by_its_rerun(given, monkeypatch, late):
    real = ledger.append

    def dying(*asked):
        if late:
            real(*asked)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "append", dying)
        with pytest.raises(KeyboardInterrupt):
            publish_set(None, given, "q1")
    publish_set(None, given, "q1")
    assert [entry.body.kind for entry in ledger.entries(given.ledger)] == ["release-set"]
    assert verify_set(given).holds


def test_wrong_files_are_named_with_their_remedy(given):
    Path("twice.yaml").write_text(Path("set.yaml").read_text().replace("orders.yaml", "people.yaml"))
    with pytest.raises(ContractError, match="a contract is listed twice"):
        load_set("twice.yaml")
    Path("copy.yaml").write_text(Path("people.yaml").read_text().replace("contract: people", "contract: copy"))
    Path("same.yaml").write_text(Path("set.yaml").read_text().replace("orders.yaml", "copy.yaml"))
    with pytest.raises(UsageError, match="people and copy have the same target lake/people"):
        publish_set(None, load_set("same.yaml"), "q1")
    Path("more.yaml").write_text("sett: x\n")
    with pytest.raises(ContractError, match="unknown key 'sett'"):
        load_set("more.yaml")


def test_the_command_releases_shows_and_verifies(given, capsys):
    assert main(["release-set", "publish", "set.yaml", "--newest", "--run-id", "q1", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert [(one["contract"], one["version"]) for one in done["members"]] == [("people", 2), ("orders", 3)]
    assert main(["release-set", "show", "set.yaml"]) == 0
    assert "people: lake/people version 2, run r2" in capsys.readouterr().out
    assert main(["release-set", "verify", "set.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True
    data = next(Path("lake/orders").glob("*.parquet"))
    data.unlink()
    assert main(["release-set", "verify", "set.yaml"]) == 1
    assert "THE PROOF DOES NOT HOLD" in capsys.readouterr().out
