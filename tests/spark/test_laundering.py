"""What others change in a table is named by every later run that touches it, and by verify for ever, with and without Spark."""

import json

import pyarrow.parquet as pq
import pytest

from dataward.pipeline.plan import plan
from dataward.verbs.restore import restore
from dataward.verbs.verify import Asked, verify_contract

pytestmark = pytest.mark.long

SCHEMA = "id int, state string, v string"
MERGE = "mode: merge, on: [id], partition_by: [state]"


@pytest.fixture
def sealed(made_once):
    def two_states(lake):
        lake.source([(1, "nsw", "a"), (2, "nsw", "b"), (3, "vic", "c"), (4, "vic", "d")], SCHEMA)
        lake.publish("r1", target=MERGE, rules="RowCount > 0")

    return made_once(two_states)


def commit_file(lake, version):
    log = lake.root / "target/_delta_log"
    for crc in (*log.glob("*.crc"), *log.glob(".*.crc")):
        crc.unlink(missing_ok=True)
    return log / f"{version:020d}.json"


def first(lake):
    """The version in which the rows were written; properties are set in commits of their own."""
    log = lake.root / "target/_delta_log"
    return next(number for number in range(lake.versions()) if '"add"' in (log / f"{number:020d}.json").read_text())


def changed_cell(lake):
    file = next((lake.root / "target").glob("state=nsw/*.parquet"))
    rows, before = pq.read_table(file, partitioning=None), file.stat().st_size
    at = rows.schema.get_field_index("v")
    pq.write_table(rows.set_column(at, rows.schema.field(at), [["!", *rows.column(at).to_pylist()[1:]]]), file)
    (file.parent / f".{file.name}.crc").unlink(missing_ok=True)
    log = commit_file(lake, first(lake))
    log.write_text(log.read_text().replace(f'"size":{before},', f'"size":{file.stat().st_size},'))


def foreign_append(lake):
    rows = lake.spark.createDataFrame([(99, "nsw", "foreign")], SCHEMA)
    told = json.dumps({"dataward": 1, "run_id": "r1", "mac": "0" * 64})
    rows.write.format("delta").mode("append").option("userMetadata", told).save(str(lake.root / "target"))


def deleted_row(lake):
    lake.spark.sql(f"delete from delta.`{lake.root}/target` where id = 1")


def dropped_add(lake):
    log = commit_file(lake, first(lake))
    lines = log.read_text().splitlines(True)
    log.write_text("".join(line for line in lines if '"add"' not in line or "state=vic" not in line))


def run(lake, run_id, *rows):
    lake.source(list(rows), SCHEMA)
    lake.forget()
    return lake.publish(run_id)


def codes(lake, **asked):
    proof = verify_contract(None, plan(lake.root / "contract.yaml").contract, Asked(**asked))
    return {one.code for one in proof.findings if one.fails}


@pytest.mark.parametrize(
    ("tamper", "warns", "code"),
    [
        (changed_cell, "was changed after it was sealed", "data-file-was-changed"),
        (foreign_append, "was written by others", "commit-unattested"),
        (deleted_row, "was written by others", "commit-unattested"),
        (dropped_add, "", "commit-edited"),
    ],
)
def test_a_change_by_others_is_named_by_the_run_that_touches_it_and_by_verify_for_ever(sealed, tamper, warns, code):
    assert codes(sealed) == set()
    tamper(sealed)
    touching = run(sealed, "r2", (2, "nsw", "new"), (5, "nsw", "n"))
    assert warns in " ".join(touching.warnings)
    run(sealed, "r3", (6, "tas", "n"))
    assert code in codes(sealed)
    assert not sealed.verify().holds


def test_a_file_that_was_changed_is_named_in_every_seal_until_all_rows_are_replaced(sealed):
    changed_cell(sealed)
    file = next((sealed.root / "target").glob("state=nsw/*.parquet")).relative_to(sealed.root / "target")
    for run_id, row in (("r2", (2, "nsw", "new")), ("r3", (6, "tas", "n"))):
        assert run(sealed, run_id, row).seal["content"]["changed"] == [str(file)]
    sealed.contract(target="mode: overwrite, partition_by: [state]")
    assert run(sealed, "r4", (7, "qld", "n")).seal["content"]["changed"] == []


def test_after_a_foreign_change_a_sealed_version_is_restored_with_its_own_sum(sealed):
    version = sealed.versions() - 1
    foreign_append(sealed)
    sealed.forget()
    restore(sealed.spark, plan(sealed.root / "contract.yaml"), version, "back")
    proof = sealed.verify()
    assert (proof.holds, proof.run_id) == (True, "back"), [str(one) for one in proof.findings if one.fails]
