"""Tampering, of every kind that the issue names, is found and its culprit named."""

import json
import shutil

import pytest

from dataward.access.principals import of_process
from dataward.errors import ProofError
from dataward.pipeline.plan import plan
from dataward.verbs.history import history
from dataward.verbs.verify import Asked, verify_contract

SCHEMA = "id int, mail string"
ROWS = [(1, "a"), (2, "b"), (3, "c")]


@pytest.fixture
def sealed(made_once):
    def fill(lake):
        lake.source(ROWS, SCHEMA)
        lake.publish("r1", columns="{mail: {class: email, protect: token}}")
        assert lake.verify().holds

    return made_once(fill)


def failed(lake, version=None):
    proof = lake.verify(version)
    assert not proof.holds
    return {check.name: check.detail for check in proof.checks if not check.holds}


def data_file(lake, name="target"):
    return next((lake.root / name).glob("*.parquet"))


def test_a_swapped_data_file_is_named(sealed):
    file = data_file(sealed)
    sealed.spark.createDataFrame([(1, "v1.x"), (2, "y"), (3, "z")], SCHEMA).coalesce(1).write.parquet(
        str(sealed.root / "other")
    )
    shutil.copy(data_file(sealed, "other"), file)
    (file.parent / f".{file.name}.crc").unlink()
    sealed.forget()
    told = failed(sealed)
    assert file.name in told["content"]


def test_a_damaged_data_file_is_named(sealed):
    file = data_file(sealed)
    data = bytearray(file.read_bytes())
    data[4:40] = bytes(36)
    file.write_bytes(data)
    (file.parent / f".{file.name}.crc").unlink()
    assert file.name in failed(sealed)["content"]
    file.unlink()
    assert file.name in failed(sealed)["content"]


def test_an_edited_commit_file_is_named(sealed):
    file = sealed.root / "target/_delta_log/00000000000000000000.json"
    file.write_text(file.read_text().replace('\\"run_id\\": \\"r1\\"', '\\"run_id\\": \\"r9\\"'))
    (file.parent / f".{file.name}.crc").unlink(missing_ok=True)
    sealed.forget()
    assert "commit-edited: 00000000000000000000.json" in failed(sealed)["commit"]


def test_an_add_removed_from_a_commit_is_named(sealed):
    file = sealed.root / "target/_delta_log/00000000000000000000.json"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if '"add"' not in line))
    for crc in file.parent.glob("*.crc"):
        crc.unlink()
    for crc in file.parent.glob(".*.crc"):
        crc.unlink()
    sealed.forget()
    told = failed(sealed)
    assert "commit-edited: 00000000000000000000.json" in told["commit"]
    assert f"{data_file(sealed).name} (sealed, but not listed)" in told["commit"]
    assert "rows-changed" in told["content"]


def test_an_edited_statement_is_named(sealed):
    sealed.publish("r2")
    name = sealed.root / "target_ledger/statements" / sealed.entries()[0].body.statement
    name.write_text(name.read_text().replace('"payload":"e', '"payload":"f'))
    assert "statement-changed: ledger entry 0" in failed(sealed)["ledger"]


def test_an_edited_entry_is_named(sealed):
    sealed.publish("r2")
    bundle = sealed.root / "target_ledger/tile/entries/000.p/2"
    bundle.write_bytes(bundle.read_bytes().replace(b'"version":0', b'"version":7', 1))
    told = failed(sealed)["ledger"]
    assert "entry-damaged: ledger entry 0: its bytes do not lead to the root that the checkpoint signs" in told


def test_a_ledger_whose_tail_is_cut_is_named(sealed):
    sealed.publish("r2")
    shutil.copytree(sealed.root / "target_ledger", sealed.root / "older")
    sealed.publish("r3")
    shutil.rmtree(sealed.root / "target_ledger")
    (sealed.root / "older").rename(sealed.root / "target_ledger")
    assert "version-without-entry: version 2 (WRITE): rerun it with --run-id r3" in failed(sealed)["newest"]
    (sealed.root / "target_ledger/tile/entries/000.p/2").unlink()
    with pytest.raises(ProofError, match=r"000\.p/2: the bundle of entries is missing\. Restore it"):
        sealed.verify()


def test_no_ledger_and_no_such_version(sealed):
    with pytest.raises(ProofError, match=r"version 7 is not sealed in ledger .*; sealed "):
        sealed.verify(7)
    shutil.rmtree(sealed.root / "target_ledger")
    sealed.forget()
    with pytest.raises(ProofError, match="there is none"):
        sealed.verify()


def test_a_write_that_is_not_ours_is_named_and_older_versions_still_verify(sealed):
    sealed.spark.sql(f"delete from delta.`{sealed.root}/target` where id = 1")
    assert "commit-unattested: version 1 (DELETE)" in failed(sealed)["newest"]
    assert sealed.verify(0).holds


def test_a_write_of_others_is_named_by_the_next_run_and_shows_after_it(lake):
    lake.source(ROWS, SCHEMA)
    lake.publish(target="mode: append")
    lake.read().where("id = 1").write.format("delta").mode("append").save(str(lake.root / "target"))
    result = lake.publish()
    assert any("version 1 was written by others since version 0 was sealed" in words for words in result.warnings)
    assert "version 1 was written by others and is not sealed; 7 rows, sealed are 6" in failed(lake)["content"]


@pytest.mark.long
def test_maintenance_that_changes_no_row_keeps_the_proof(lake):
    for number in range(2):
        lake.source([(number, "x")], SCHEMA)
        lake.publish(f"r{number}", target="mode: append")
    lake.spark.sql(f"optimize delta.`{lake.root}/target`")
    proof = lake.verify()
    assert proof.holds
    assert "commit-neutral: version 2 (OPTIMIZE)" in {check.name: check.detail for check in proof.checks}["newest"]


def test_the_report_is_the_one_that_the_run_wrote(sealed):
    asked = Asked(reports=str(sealed.root / "reports"))

    def found():
        proof = verify_contract(None, plan(sealed.root / "contract.yaml").contract, asked)
        return {one.code for one in proof.findings}

    assert found() == set()
    report = sealed.root / "reports/t/r1/report.json"
    told = json.loads(report.read_text())
    for edited in (
        {"merged": {"inserted": 7}},
        {"discovered": [{"column": "a"}]},
        {"seconds": 1e9},
    ):  # the page shows the last
        report.write_text(json.dumps({**told, **edited}))
        assert found() == {"report-changed"}


def test_an_edited_contract_is_a_note_not_a_failure(sealed):
    sealed.contract(rules="RowCount > 0", columns="{mail: {class: email, protect: token}}")
    proof = sealed.verify()
    assert proof.holds
    assert [check.name for check in proof.checks if check.warning] == ["contract"]


def test_another_keyring_proves_nothing(sealed):
    from dataward.keys import create_keyring

    (sealed.root / "keys").unlink()
    create_keyring(sealed.root / "keys").add_domain("t")
    assert set(failed(sealed)) == {"ledger", "content"}


def test_history_lists_versions_with_their_seals(sealed):
    sealed.publish("r2")
    sealed.spark.sql(f"delete from delta.`{sealed.root}/target` where id = 1")
    told = history(sealed.spark, plan(sealed.root / "contract.yaml"))
    assert [(record.version, record.sealed, record.run_id) for record in told] == [
        (2, False, None),
        (1, True, "r2"),
        (0, True, "r1"),
    ]
    assert told[0].operation == "DELETE"
    assert told[1].rows == {"in": 3, "published": 3, "quarantined": 0, "dropped": 0}
    assert "@ version 0" in told[1].source
    assert told[1].who == of_process().name  # never Spark's user, which an environment variable sets


def test_every_type_is_digested(lake):
    values = {
        "array<string>": "array('a', null)", "map<string,int>": "map('k', 1)", "struct<a:int,b:string>": "named_struct('a', 1, 'b', 'x')",
        "boolean": "true", "date": "date'2020-01-01'", "timestamp": "timestamp'2020-01-01 01:02:03.000004'", "binary": "cast('x' as binary)",
        "decimal(30,4)": "1.5", "float": "0.1", "double": "0.1", "tinyint": "1", "smallint": "1", "bigint": "1", "string": "'ü'",
    }  # fmt: skip
    columns = [f"cast({value} as {kind}) as c{number}" for number, (kind, value) in enumerate(values.items())]
    nulls = ", ".join("null" for _ in columns)
    frame = lake.spark.sql(f"select {', '.join(columns)} union all select {nulls}")
    frame.write.format("delta").save(str(lake.root / "source"))
    result = lake.publish()
    assert result.rows["published"] == 2
    assert lake.verify().holds


def test_two_writers_meet_at_the_ledger_and_both_are_entered(sealed, monkeypatch):
    from dataward.integrity import ledger
    from dataward.integrity.log import log
    from dataward.keys import local_keyring

    real, met = log._committed, []
    place = plan(sealed.root / "contract.yaml").contract.ledger_location

    def late(*given):
        if not met:  # another writer takes this turn first
            met.append(given[1])
            ledger.record(place, local_keyring(sealed.root / "keys"), "t", "note", b"other")
        return real(*given)

    monkeypatch.setattr(log, "_committed", late)
    sealed.publish("r2")
    assert [entry.body.kind for entry in sealed.entries()] == ["seal", "note", "seal"]
    assert met == [1]
    assert sealed.verify().holds
