"""The ledger where Spark has a part in it: Hadoop file systems, tables of the catalog, old ledgers, heads of a publish."""

import json
from dataclasses import replace

import pytest

from dataward.contract import Location
from dataward.errors import ProofError, TargetError
from dataward.integrity import ledger, migrate
from dataward.integrity.ledger import About
from dataward.integrity.log import log as writing
from dataward.integrity.log.log import Log
from dataward.spark.hadoop import Hadoop
from tests.logs import ORDERS, PEOPLE, RING, filled, kinds, raced
from tests.unit.test_ledger import chain


def test_the_same_log_through_hadoop(spark, tmp_path, monkeypatch):
    store = Hadoop(f"file://{tmp_path}/log")
    assert [store.create("a/b", b"\0\xff"), store.create("a/b", b"2"), store.read("a/b")] == [True, False, b"\0\xff"]
    store.put("a/b", b"3")
    store.put("c", b"")
    assert [store.read("a/b"), store.read("c"), store.read("d"), store.exists("a")] == [b"3", b"", None, False]
    assert [store.names(""), store.names("a"), store.names("nowhere")] == [["a/b", "c"], ["a/b"], []]
    store.delete(["a/b", "c", "d"])
    assert store.names("") == []
    monkeypatch.setattr(ledger, "store_at", Hadoop)
    # One writer: unlike HDFS, Hadoop's local file system does not rename atomically, and Dataward never uses it for a ledger.
    raced(Location(path=f"file://{tmp_path}/people_ledger"), 1, 6, [PEOPLE])


@pytest.fixture
def table(spark):
    made = Location(table="people_of_the_catalog_ledger")
    yield made
    for name in (made, made.beside("before_log")):
        spark.sql(f"drop table if exists {name.table}")


def test_a_log_in_a_table_of_the_catalog(spark, table, monkeypatch):
    real, met = writing._committed, []

    def late(*given):
        if not met:  # another writer takes this turn first
            met.append(given[1])
            ledger.record(table, RING, "people", "note", b"other", About("other", ORDERS))
        return real(*given)

    filled(table, 1)
    with monkeypatch.context() as patch:
        patch.setattr(writing, "_committed", late)
        assert ledger.record(table, RING, "people", "note", b"mine", About("mine", PEOPLE)).seq == 2
    assert met == [1]
    assert [entry.seal_text for entry in ledger.entries(table)] == ["0", "other", "mine"]
    assert ledger.find(table, "mine", PEOPLE, "note").body.nth == 1
    assert kinds(table) == []
    log = ledger.open_log(table)
    assert log.proof(1).trouble(log.entry(1), ledger.verifiers(table, RING)) == ""
    ledger.redact(table, RING, "people", [1], "erase-1")
    assert [entry.seal_text for entry in ledger.entries(table, "note")] == ["0", "", "mine"]
    assert kinds(table) == []


def old_ledger(spark, place, entries):
    rows = []
    for entry in entries:
        seal = entry.record
        files = [(file.path, file.rows, file.digest) for file in entry.files]
        rows.append((entry.seq, seal.run_id, seal.contract, seal.target, seal.version, seal.time, entry.seal_text, files,
                     entry.previous, entry.hash, entry.signature))  # fmt: skip
    writer = spark.createDataFrame(rows, migrate.SCHEMA).coalesce(1).write.format("delta").mode("overwrite")
    writer.save(place.path) if place.path else writer.saveAsTable(place.table)


@pytest.mark.parametrize("kind", ["path", "table"])
def test_an_old_ledger_is_brought_over_with_its_proof(spark, tmp_path, table, monkeypatch, kind):
    place = table if kind == "table" else Location(path=str(tmp_path / "people_ledger"))
    old = chain(3)
    old_ledger(spark, place, old)
    for use in (lambda: ledger.records(place), lambda: ledger.find(place, "r1", PEOPLE), lambda: filled(place, 1)):
        with pytest.raises(ProofError, match="of an older Dataward.*ledger migrate CONTRACT"):
            use()
    real, left = ledger.enter, [2]

    def dying(*given):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "enter", dying)
        with pytest.raises(KeyboardInterrupt):
            migrate.migrate(spark, place, RING)
    if kind == "path":
        with pytest.raises(ProofError, match="migration was not finished"):
            ledger.records(place)
    assert migrate.migrate(spark, place, RING) == 3
    entries = ledger.entries(place)
    assert [entry.body.kind for entry in entries] == ["seal", "seal", "seal", "migration"]
    assert [entry.seal_text for entry in entries[:3]] == [one.seal_text for one in old]
    files = [json.loads(ledger.open_log(place).statement(entry.body.manifest)) for entry in entries[:3]]
    carried = [replace(one, files=tuple(migrate.FileContent(*file) for file in files[entry.seq]), previous=entry.body.about["chain"][0], hash=entry.body.about["chain"][1],
                       signature=entry.body.about["chain"][2]) for one, entry in zip(old, entries, strict=False)]  # fmt: skip
    assert carried == old
    assert migrate.chain_flaws(carried, RING) == []
    assert json.loads(entries[3].seal_text)["head"] == old[2].hash
    assert ledger.newest_seal(place, PEOPLE).run_id == "r2"
    assert ledger.find(place, "r1", PEOPLE).seal.version == 1
    assert kinds(place) == []
    filled(place, 1)
    if kind == "path":
        with pytest.raises(ProofError, match="migrated already"):
            migrate.migrate(spark, place, RING)


def test_an_old_ledger_that_was_changed_is_not_brought_over(spark, tmp_path):
    place = Location(path=str(tmp_path / "people_ledger"))
    entries = chain(3)
    old_ledger(spark, place, [*entries[:1], replace(entries[1], files=()), entries[2]])
    with pytest.raises(ProofError, match="ledger entry 1: its seal or its hash was changed"):
        migrate.migrate(spark, place, RING)
    assert ledger.open_log(place).size() == 0
    with pytest.raises(ProofError, match="nothing is to be migrated"):
        migrate.migrate(spark, Location(path=str(tmp_path / "nothing")), RING)


def test_a_publish_whose_head_cannot_be_kept_says_so_and_its_rerun_keeps_it(spark, lake):
    lake.source([(1, "a")], "id int, x string")
    (lake.root / "audit").write_text("a file where the folder should be")
    extra = "heads: [{{directory: {root}/audit}}, {{directory: {root}/audit/x, required: false}}]"
    with pytest.raises(
        TargetError, match="version 0 is committed and sealed; .* not kept at a required place.*--run-id r1"
    ):
        lake.publish("r1", columns="{}", extra=extra, default="keep")
    (lake.root / "audit").unlink()
    again = lake.publish("r1")
    assert (again.status, again.target.version, len(lake.entries())) == ("unchanged", 0, 1)
    assert len(list((lake.root / "audit").rglob("*.checkpoint"))) == 2
    assert isinstance(ledger.open_log(Location(path=f"{lake.root}/target_ledger")), Log)
