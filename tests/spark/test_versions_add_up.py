"""Digests follow from version to version: honest runs of every mode verify, and what others changed shows for ever."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from dataward.contract import Target
from dataward.errors import TargetError
from dataward.integrity import ledger
from dataward.integrity.digest import digest_one
from dataward.pipeline import content
from dataward.pipeline.content import REREAD, Change, Sealing, commit_mac, content_of, digest_of, without
from dataward.pipeline.watch import Watch
from dataward.spark.session import isolated
from dataward.tables import commits, delta
from tests.keys import RING, TWO_VERSIONS, Ring

SCHEMA = "id int, p string, v string"


class Chain:
    """A table and the contents that seals state of its versions; commits are those of a publish, without the rest of it."""

    def __init__(self, spark, root, keys=None):
        self.spark, self.root, self.seals = spark, Path(root), []
        self.keys, self.key_version = keys or RING, 1

    def commit(
        self, mode, rows, schema=SCHEMA, seal=True, first=True, repeatable=True, meanwhile=None, run=None, **target
    ):
        target = Target(path=str(self.root), mode=mode, partition_by=["p"], **target)
        frame = self.spark.createDataFrame(rows, schema)
        run_id = run or f"r{len(list(self.root.glob('_delta_log/*.json')))}"
        told = {"contract_sha256": "c", "as_of": "now"}
        told["mac"] = commit_mac(self.sealing(0).secret, self.sealing(0).contract, run_id, told)
        with Watch(self.spark, self.sealing(0).secret, first, repeatable) as watch:
            manner = commits.Manner(watch=watch.through)
            done = commits.commit_target(self.spark, frame, target, commits.Transaction(run_id, told), manner)
            if meanwhile:
                meanwhile(self, done.version)
            change = watch.change(self.sealing(done.version), done)
        if seal:
            self.seal(done.version, change)
        return done.version, change

    def sealing(self, version):
        contract = SimpleNamespace(target=Target(path=str(self.root)), ledger_location=None)
        return Sealing(self.spark, contract, self.keys, "d", self.key_version, version)

    def seal(self, version, change=REREAD):
        told = content_of(self.sealing(version), change)
        self.seals.append(
            SimpleNamespace(version=version, content=told, key={"domain": "d", "version": self.key_version})
        )
        return told

    def earlier(self, sealing):
        return max(
            (one for one in self.seals if one.version < sealing.version), key=lambda one: one.version, default=None
        )

    @property
    def newest(self):
        return self.seals[-1].content

    def holds(self):
        """Whether the newest seal is of what the table holds, as verify computes it."""
        seal = self.seals[-1]
        secret = self.keys.key("digest", "d", seal.key["version"])
        told = digest_of(seal, delta.read(self.spark, Target(path=str(self.root)), seal.version), secret)
        return told == (seal.content.digest, seal.content.rows)

    def forget(self):
        self.spark.sparkContext._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


@pytest.fixture(scope="module")
def own(spark):
    with isolated(spark) as session:
        yield session


@pytest.fixture(scope="module")
def begun(own, tmp_path_factory):
    """A table of two sealed versions."""
    chain = Chain(own, tmp_path_factory.mktemp("begun") / "t")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "earlier_seal", chain.earlier)
        begin(chain)
    return chain


def begin(chain):
    chain.commit("overwrite", [(1, "a", "x"), (2, "a", "y"), (3, "b", "z")])
    chain.commit("append", [(4, "b", None), (5, "", "w")])


@pytest.fixture
def chain(own, begun, tmp_path, monkeypatch):
    made = Chain(own, tmp_path / "t", begun.keys)
    shutil.copytree(begun.root, made.root)
    made.seals = list(begun.seals)
    monkeypatch.setattr(content, "earlier_seal", made.earlier)
    monkeypatch.setattr(ledger, "find", lambda *_: None)
    yield made
    made.forget()


def honest(chain):
    """One run of each mode after another; yields after each."""
    for mode, rows, more in (
        ("append", [(6, "b", "n")], {}),
        ("merge", [(3, "b", "new"), (7, "c", None)], {"on": ["id"]}),
        ("replace", [(8, "a", "r")], {"partition": {"p": "a"}}),
    ):
        chain.commit(mode, rows, **more)
        yield mode


def test_honest_runs_of_every_mode_rest_on_the_seal_before_and_verify(chain):
    assert [(one.content.basis, one.content.measured) for one in chain.seals] == [
        ("written", "written"),
        (0, "written"),
    ]
    for mode in honest(chain):
        assert chain.holds(), mode
        assert (chain.newest.basis, chain.newest.measured) == (chain.seals[-2].version, "written"), mode
    assert chain.newest.rows == 6
    chain.commit("overwrite", [(1, "a", "x")])
    assert (chain.newest.basis, chain.newest.rows, chain.holds()) == ("written", 1, True)


def commit_file(chain, version):
    for crc in (chain.root / "_delta_log").glob("*.crc"):
        crc.unlink()
    for crc in (chain.root / "_delta_log").glob(".*.crc"):
        crc.unlink()
    return chain.root / f"_delta_log/{version:020d}.json"


def changed_cell(chain, name="v", value="!"):
    """The file and its size in the log, as somebody with write access to the storage would do it."""
    file = next(chain.root.glob("p=a/*.parquet"))
    rows = pq.ParquetFile(file).read()
    at = rows.schema.get_field_index(name)
    rows = rows.set_column(at, rows.schema.field(at), [[value, *rows.column(at).to_pylist()[1:]]])
    before = file.stat().st_size
    pq.write_table(rows, file)
    (file.parent / f".{file.name}.crc").unlink()
    log = commit_file(chain, 0)
    log.write_text(log.read_text().replace(f'"size":{before},', f'"size":{file.stat().st_size},'))


def foreign_append(chain):
    rows = chain.spark.createDataFrame([(99, "a", "foreign")], SCHEMA)
    rows.write.format("delta").mode("append").option("userMetadata", json.dumps({"dataward": 1, "run_id": "r9", "mac": "0" * 64})).save(
        str(chain.root)
    )  # fmt: skip


def deleted_row(chain):
    chain.spark.sql(f"delete from delta.`{chain.root}` where id = 1")


def dropped_add(chain):
    log = commit_file(chain, 1)
    log.write_text(
        "".join(line for line in log.read_text().splitlines(True) if '"add"' not in line or "p=b" not in line)
    )


@pytest.mark.parametrize("tamper", [changed_cell, foreign_append, deleted_row, dropped_add])
def test_what_others_changed_before_honest_runs_shows_for_ever(chain, tamper):
    tamper(chain)
    chain.forget()
    assert len(list(honest(chain))) == 3
    assert not chain.holds()


def test_versions_of_others_are_named_in_the_seal_and_maintenance_is_not(chain):
    chain.spark.sql(f"optimize delta.`{chain.root}`")
    chain.spark.sql(f"delete from delta.`{chain.root}` where id = 1")
    version, _ = chain.commit("append", [(6, "b", "n")])
    assert (chain.newest.basis, chain.newest.unsealed) == (1, (version - 1,))


def changed_file(chain, version):
    """Change a file that a commit has just added, and its size in the log."""
    file = max(chain.root.glob("p=*/*.parquet"), key=lambda one: one.stat().st_mtime_ns)
    before = file.stat().st_size
    pq.write_table(pq.ParquetFile(file).read().slice(0, 0), file)
    (file.parent / f".{file.name}.crc").unlink()
    log = commit_file(chain, version)
    log.write_text(log.read_text().replace(f'"size":{before},', f'"size":{file.stat().st_size},'))
    chain.forget()


def test_a_file_that_is_changed_between_commit_and_seal_shows(chain):
    version, change = chain.commit("replace", [(8, "a", "r")], seal=False, partition={"p": "a"})
    changed_file(chain, version)
    chain.seal(version, change)
    assert not chain.holds()


def test_a_run_that_was_killed_before_its_seal_is_taken_in_by_the_next_and_by_its_own_rerun(chain):
    killed, _ = chain.commit("merge", [(3, "b", "new"), (7, "c", None)], seal=False, on=["id"])
    chain.commit("append", [(6, "b", "n")])
    assert (chain.newest.basis, chain.newest.measured, chain.newest.unsealed) == (1, "read", ())
    assert chain.holds()
    chain.seal(killed)
    assert chain.holds()


def test_a_rerun_of_random_protections_takes_what_lies_in_the_table(chain):
    _, change = chain.commit("append", [(6, "b", "n")], first=False, repeatable=False)
    assert (change, chain.newest.measured, chain.holds()) == (REREAD, "read", True)


@pytest.mark.parametrize("tampered", [False, True])
@pytest.mark.parametrize(
    ("mode", "more", "left"),
    [("append", {}, 7), ("replace", {"partition": {"p": "b"}}, 5), ("merge", {"on": ["id"]}, 6)],
)
def test_a_rerun_computes_its_rows_again_so_that_a_change_after_the_killed_commit_shows(
    chain, mode, more, left, tampered
):
    rows = [(6, "b", "n"), (3, "b", "new")]
    killed, _ = chain.commit(mode, rows, seal=False, run="again", meanwhile=changed_file if tampered else None, **more)
    version, _ = chain.commit(mode, rows, first=False, run="again", **more)
    assert version == killed
    assert (chain.newest.rows, chain.newest.measured, chain.holds()) == (left, "written", not tampered)


def edited_removes(chain, version):
    """Bring the file that a merge replaced back to life, and hide in the commit that it updated a row."""
    log = commit_file(chain, version)
    lines = [line for line in log.read_text().splitlines(True) if '"remove"' not in line]
    log.write_text("".join(lines).replace('"numTargetRowsUpdated":"1"', '"numTargetRowsUpdated":"0"'))
    chain.forget()


def test_a_merge_whose_commit_is_edited_before_its_seal_is_sealed_as_it_was(chain):
    chain.commit("merge", [(3, "b", "new"), (7, "c", None)], meanwhile=edited_removes, on=["id"])
    assert (chain.newest.rows, chain.newest.measured) == (6, "written")
    assert not chain.holds()


def sealed_by_an_older_release(chain):
    frame = delta.read(chain.spark, Target(path=str(chain.root)), 1)
    digest, rows = digest_one(frame, chain.keys.key("digest", "d", 1), "ab" * 16)
    told = chain.newest.model_copy(
        update={"encoding": 1, "digest": digest, "nonce": "ab" * 16, "rows": rows, "schema_sha256": ""}
    )
    chain.seals[-1] = SimpleNamespace(version=1, content=told, key={"domain": "d", "version": 1})


def test_a_seal_of_an_older_release_is_verified_before_the_next_one_follows_from_it(chain):
    sealed_by_an_older_release(chain)
    assert chain.holds()
    chain.commit("append", [(6, "b", "n")])
    assert (chain.newest.encoding, chain.newest.basis, chain.newest.rows, chain.holds()) == (2, 1, 6, True)


def test_what_was_changed_since_a_seal_of_an_older_release_is_not_sealed(chain):
    sealed_by_an_older_release(chain)
    changed_cell(chain)
    chain.forget()
    assert not chain.holds()
    with pytest.raises(TargetError, match="version 1 is not as it was sealed"):
        chain.commit("append", [(6, "b", "n")])


def test_a_merge_in_which_one_row_meets_two_is_read_back(chain):
    chain.commit("append", [(3, "b", "again")])
    _, change = chain.commit("merge", [(3, "b", "new")], on=["id"])
    assert change.added is None
    assert chain.holds()


def test_a_merge_of_some_columns_is_read_back(chain):
    _, change = chain.commit("merge", [(3, "b"), (7, "c")], schema="id int, p string", on=["id"])
    assert (change.added, chain.newest.measured, chain.holds()) == (None, "read", True)


def test_new_columns_leave_the_sum_of_old_rows_as_it_is(chain):
    chain.commit("append", [(6, "b", "n", 1.5)], SCHEMA + ", more double", evolve=True)
    assert (chain.newest.basis, chain.newest.measured, chain.holds()) == (1, "written", True)


def test_after_a_rotation_the_old_version_is_read_once_and_must_be_as_sealed(chain):
    chain.keys, chain.key_version = Ring(2, TWO_VERSIONS.secrets), 2
    chain.commit("append", [(6, "b", "n")])
    assert (chain.newest.basis, chain.holds()) == (1, True)
    chain.key_version = 1
    chain.seals.pop()
    changed_cell(chain)
    chain.forget()
    chain.key_version = 2
    with pytest.raises(TargetError, match="version 1 is not as it was sealed"):
        chain.commit("append", [(7, "b", "n")])


def test_a_table_without_a_seal_is_read_whole_and_the_seal_says_so(chain):
    chain.seals.clear()
    chain.commit("append", [(6, "b", "n")])
    assert (chain.newest.basis, chain.newest.measured, chain.newest.rows, chain.holds()) == ("whole", "read", 6, True)


def test_an_erasure_takes_the_persons_rows_from_the_sealed_sum(chain):
    target = Target(path=str(chain.root))
    for tampered in (False, True):
        if tampered:
            foreign_append(chain)
        newest = delta.latest_version(chain.spark, target)
        gone = "id = 1" if not tampered else "id = 2"
        change = without(chain.sealing(newest), delta.read(chain.spark, target, newest).where(gone))
        chain.spark.sql(f"delete from delta.`{chain.root}` where {gone}")
        chain.seal(newest + 1, change)
        assert chain.holds() != tampered
    chain.seals.clear()
    assert without(chain.sealing(newest), delta.read(chain.spark, target, newest)) == Change(basis="whole")
