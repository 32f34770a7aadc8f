"""Versions of a table are compared by key, brought back under a seal, and removed only as the contract allows."""

import pytest

from dataward.errors import NotPermitted, ProofError, TargetError, UsageError
from dataward.integrity import ledger
from dataward.pipeline import seal as sealing
from dataward.pipeline.plan import plan
from dataward.tables import commits
from dataward.verbs import restore as verb
from dataward.verbs.diff import diff
from dataward.verbs.restore import restore
from dataward.verbs.vacuum import retained_hours, vacuum

SCHEMA = "id int, mail string, state string"
COLUMNS = "{mail: {class: email, protect: token}}"
MERGE = "mode: merge, on: [id]"


@pytest.fixture
def two_versions(made_once):
    def fill(lake):
        lake.source([(1, "a@x.org", "nsw"), (2, "b@x.org", "vic"), (3, "c@x.org", "qld")], SCHEMA)
        lake.publish("r1", columns=COLUMNS, target=MERGE)
        lake.source([(2, "b@x.org", "tas"), (3, "z@x.org", "qld"), (4, "d@x.org", "qld")], SCHEMA)
        lake.publish("r2")

    return made_once(fill)


def planned(lake):
    return plan(lake.root / "contract.yaml")


def newest(lake):
    return lake.versions() - 1


def test_versions_are_compared_by_key_and_values_stay_protected(two_versions):
    found = diff(two_versions.spark, planned(two_versions), 0, newest(two_versions), examples=9)
    assert (found.added, found.removed, found.changed, found.unchanged) == (1, 0, 2, 1)
    assert found.columns_changed == {"mail": 1, "state": 1}
    assert found.examples == ({"what": "added", "id": 4}, {"what": "changed", "id": 2}, {"what": "changed", "id": 3})
    back = diff(two_versions.spark, planned(two_versions), newest(two_versions), 0, key=("mail",), examples=1)
    assert (back.added, back.removed, back.changed) == (1, 2, 1)
    assert str(back.examples[0]["mail"]).startswith("v1.")
    with pytest.raises(UsageError, match="several rows have the same state"):
        diff(two_versions.spark, planned(two_versions), 0, newest(two_versions), key=("state",))
    with pytest.raises(UsageError, match="--key statt: .*did you mean 'state'"):
        diff(two_versions.spark, planned(two_versions), 0, 0, key=("statt",))
    with pytest.raises(TargetError, match="versions 0 and 99 cannot be compared"):
        diff(two_versions.spark, planned(two_versions), 0, 99)


def test_a_sealed_version_comes_back_under_a_seal(two_versions):
    before = two_versions.rows()
    done = restore(two_versions.spark, planned(two_versions), 0, "back")
    assert (done.restored, done.rows, done.version) == (0, 3, newest(two_versions))
    assert [row[0] for row in two_versions.rows()] == [1, 2, 3]
    assert two_versions.rows() != before
    proof = two_versions.verify()
    assert (proof.holds, proof.version, proof.run_id) == (True, done.version, "back")
    assert restore(two_versions.spark, planned(two_versions), 0, "back") == done
    assert newest(two_versions) == done.version
    with pytest.raises(UsageError, match="'back' is sealed already, and did not restore version 1"):
        restore(two_versions.spark, planned(two_versions), 1, "back")
    with pytest.raises(ProofError, match="version 99 is not sealed"):
        restore(two_versions.spark, planned(two_versions), 99)


STEPS = {"restored": (commits, "restore_to"), "sealed": (verb, "seal_version"), "attached": (sealing, "attached"),
         "entered": (ledger, "append")}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_restoration_is_ended_by_its_rerun(two_versions, monkeypatch, step, late):
    owner, name = STEPS[step]
    real, first = getattr(owner, name), newest(two_versions)

    def killed(*given, **more):
        if late:
            real(*given, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(KeyboardInterrupt):
            restore(two_versions.spark, planned(two_versions), 0, "back")
    done = restore(two_versions.spark, planned(two_versions), 0, "back")
    assert (done.rows, done.version, newest(two_versions)) == (3, first + 1, first + 1)
    assert [row[0] for row in two_versions.rows()] == [1, 2, 3]
    assert [entry.seal.run_id for entry in two_versions.entries() if entry.body.kind == "seal"].count("back") == 1
    assert two_versions.verify().holds


def test_what_was_tampered_with_is_not_restored(two_versions):
    for file in (two_versions.root / "target").glob("*.parquet"):
        file.write_bytes(file.read_bytes() + b"x")
    versions = two_versions.versions()
    with pytest.raises(ProofError, match="not as it was sealed, so it is not restored: data-file-changed"):
        restore(two_versions.spark, planned(two_versions), 0)
    assert two_versions.versions() == versions


def test_vacuum_keeps_what_the_contract_retains(two_versions):
    assert [one.files for one in vacuum(two_versions.spark, planned(two_versions))] == [0]
    two_versions.contract(columns=COLUMNS, target=MERGE, extra="retention: {{days: 0}}")
    would = vacuum(two_versions.spark, planned(two_versions), dry_run=True)
    done = vacuum(two_versions.spark, planned(two_versions))
    assert [one.files for one in would] == [one.files for one in done] == [1]
    proof = two_versions.verify()
    assert proof.holds
    with pytest.raises(TargetError, match="version 0 cannot be restored: 1 of its files are gone"):
        restore(two_versions.spark, planned(two_versions), 0)


def test_retention_and_holds_are_the_contracts(two_versions):
    def contract(extra):
        two_versions.contract(columns=COLUMNS, target=MERGE, extra=extra)
        return planned(two_versions).contract

    assert retained_hours(contract("retention: {{days: 30}}"), None) == 720
    assert retained_hours(contract("retention: {{days: 30}}"), 1000) == 1000
    with pytest.raises(NotPermitted, match="24 hours are fewer than the contract's retention of 720 hours"):
        retained_hours(contract("retention: {{days: 30}}"), 24)
    with pytest.raises(NotPermitted, match="24 hours are fewer than Delta's safe retention of 168 hours"):
        retained_hours(contract(""), 24)
    with pytest.raises(NotPermitted, match=r"legal hold \(case 7\): no file"):
        retained_hours(contract("retention: {{days: 0, hold: case 7}}"), None)
