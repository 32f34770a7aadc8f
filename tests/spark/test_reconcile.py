"""Commits of killed runs without a rerun are sealed by reconcile; what it cannot seal is listed. Sets of tables are released as one."""

import json
import shutil

import pytest

from dataward.contract import Location
from dataward.contract.sets import load_set
from dataward.errors import ProofError
from dataward.pipeline import publish as publishing
from dataward.pipeline.plan import plan
from dataward.tables import delta
from dataward.verbs.reconcile import reconcile
from dataward.verbs.release_set import publish_set, read_set, verify_set
from tests.steps import instead

pytestmark = pytest.mark.long

SCHEMA = "id int, state string"


class Killed(BaseException):
    """What no handler catches."""


def kill(*given, **facts):
    raise Killed


def rows(lake, *rows):
    lake.source(list(rows), SCHEMA)
    lake.forget()


def test_a_killed_run_whose_source_is_gone_is_adopted_and_foreign_commits_are_listed(lake, monkeypatch):
    rows(lake, (1, "nsw"), (2, None))
    lake.publish("r1", target="mode: append", rules='IsComplete "state"')
    rows(lake, (3, "vic"), (4, None), (5, "qld"))
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "seal_version", kill)
        with pytest.raises(Killed):
            lake.publish("r2")
    shutil.rmtree(lake.root / "source")
    lake.forget()
    planned = plan(lake.root / "contract.yaml")
    assert {one.code for one in lake.verify().findings if one.fails} == {"version-without-entry"}
    tried = reconcile(lake.spark, planned, dry_run=True)
    assert [(one.run_id, one.rows, one.entry) for one in tried.adopted] == [("r2", 2, None)]
    done = reconcile(lake.spark, planned)
    assert [(one.run_id, one.rows, one.entry) for one in done.adopted] == [("r2", 2, 1)]
    assert done.left == ()
    proof = lake.verify()
    assert (proof.holds, proof.run_id) == (True, "r2")
    seal = lake.entries()[-1].seal
    assert (seal.rows, seal.verdicts) == ({"in": 3, "published": 2, "quarantined": 1, "dropped": 0}, [])
    assert "its verdicts and dropped rows are not recorded" in seal.source["described"]
    again = reconcile(lake.spark, planned)
    assert (again.adopted, again.left) == ((), ())
    assert lake.publish("r2").status == "unchanged"
    table = f"delta.`{lake.root}/target`"
    lake.spark.sql(f"insert into {table} select 9, 'foreign'")
    ((left,), adopted) = (found := reconcile(lake.spark, planned)).left, found.adopted
    assert (left.operation, left.run_id, adopted) == ("WRITE", "", ())
    assert "not made by a run with this keyring" in left.why


def test_metadata_copied_from_another_table_of_the_run_is_not_adopted(lake, monkeypatch):
    """A run that is killed after its quarantine leaves no MAC that makes a foreign commit its own."""
    rows(lake, (1, "nsw"))
    lake.publish("r1", target="mode: append", rules='IsComplete "state"')
    rows(lake, (3, "vic"), (4, None))
    with monkeypatch.context() as patch:
        instead(patch, "target", kill)
        with pytest.raises(Killed):
            lake.publish("r2")
    (told,) = [one.metadata for one in delta.commits(lake.spark, Location(path=f"{lake.root}/quarantine")) if one.rows]
    forged = lake.spark.createDataFrame([(666, "forged")], SCHEMA).write.format("delta").mode("append")
    forged.option("userMetadata", json.dumps(told)).save(str(lake.root / "target"))
    found = reconcile(lake.spark, plan(lake.root / "contract.yaml"))
    assert (found.adopted, [one.run_id for one in found.left]) == ((), ["r2"])


def test_a_set_is_released_when_all_of_its_tables_are_published(lake, monkeypatch):
    rows(lake, (1, "nsw"), (2, "vic"))
    first = lake.contract(target="mode: overwrite", rules="RowCount > 1")
    other = lake.root / "other.yaml"
    text = first.read_text().replace("contract: t", "contract: other").replace("/target,", "/other,")
    other.write_text(text.replace("/quarantine", "/other_quarantine"))
    file = lake.root / "set.yaml"
    file.write_text(
        f"set: both\ncontracts: [{first}, {other}]\nledger: {{path: {lake.root}/sets}}\nkeys: {{path: {lake.root}/keys, domain: t}}\n"
    )
    given, reports = load_set(file), str(lake.root / "reports")
    done = publish_set(lake.spark, given, "q1", reports)
    assert {one.contract for one in done.members} == {"t", "other"}
    assert {name: frame.count() for name, frame in read_set(lake.spark, given).items()} == {"t": 2, "other": 2}
    rows(lake, (1, "nsw"), (2, "vic"), (3, "qld"))
    other.write_text(other.read_text().replace("RowCount > 1", "RowCount > 5"))
    stopped = publish_set(lake.spark, load_set(file), "q2", reports)
    assert (stopped.entry, stopped.stopped) == (None, ("other",))
    assert lake.read().count() == 3  # published on its own, and not seen by readers of the set
    assert {name: frame.count() for name, frame in read_set(lake.spark, given).items()} == {"t": 2, "other": 2}
    assert verify_set(given).holds
    data = next((lake.root / "other").glob("*.parquet"))
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(ProofError, match="set both: .*Nothing was read"):
        read_set(lake.spark, given)
