"""The whole proof without Spark: ledger, statements, manifests, log and bytes; and what somebody may do to the ledger."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataward.errors import ProofError, UsageError
from dataward.integrity import ledger
from dataward.integrity.checker import check, hashed, public_keys
from dataward.integrity.dsse import pem
from dataward.verbs.bundle import write_bundle
from dataward.verbs.verify import Asked
from tests.keys import STRANGER
from tests.sealedmade import RING, enter
from tests.unit.test_manifest import manifests

KEYS = pem(RING.public_key("people", 1)).encode()

STRANGERS = pem(STRANGER.public_key("people", 1)).encode()


def test_a_sealed_table_is_proved_with_public_keys_alone(sealed):
    proved = sealed.prove(sealed.trust(KEYS))
    assert proved.findings == ()
    assert (proved.sealed.seal.version, proved.entries, proved.counted.files) == (29, 30, 29)


def test_strange_public_keys_prove_nothing(sealed):
    told = {one.code for one in sealed.prove(sealed.trust(STRANGERS)).findings}
    assert {"signature-invalid", "entry-damaged", "ledger-damaged"} <= told


def test_every_version_is_told_as_far_as_it_is_left(sealed):
    table = sealed.table
    table.replace(next(iter(table.adds.values())), [(900, "a@b.c")], "r30")
    enter(sealed, 30, "r30", manifests(table.root)[0][-1])
    gone = json.loads(table.path(30).read_text().splitlines()[1])["remove"]["path"]
    (table.root / gone).unlink()
    proved = sealed.prove(every=True)
    assert [one.code for one in proved.findings] == ["data-file-gone"]
    assert {one.version: one.state for one in proved.versions} == {
        0: "whole",
        1: "metadata",
        **dict.fromkeys(range(2, 30), "partly"),
        30: "whole",
    }
    assert sealed.prove(version=5).findings[0].code == "data-file-gone"
    assert sealed.prove().findings == ()


def test_a_change_data_feed_is_attested_with_the_commit_that_wrote_it(sealed):
    table = sealed.table
    old, new = next(iter(table.adds.values())), table.file([(900, "a@b.c")])
    fed = table.file([(900, "a@b.c")])["add"]
    cdc = {"path": fed["path"], "partitionValues": {}, "size": fed["size"], "dataChange": False}
    table.commit("MERGE", "r30", table.remove(old), new, {"cdc": cdc})
    enter(sealed, 30, "r30", manifests(table.root)[0][-1])
    assert sealed.codes() == sealed.codes(every=True) == set()
    file = table.root / fed["path"]
    file.write_bytes(file.read_bytes() + b"x")
    for more in ({}, {"every": True}):
        assert [(one.code, one.place) for one in sealed.prove(**more).findings if one.fails] == [("data-file-changed", fed["path"])]  # fmt: skip
    file.unlink()  # as VACUUM does
    assert [(one.code, one.fails) for one in sealed.prove().findings] == [("data-file-gone", False)]


@pytest.mark.parametrize("name", [None, "r30"])  # or in the name of a run
def test_a_change_of_the_schema_is_told_by_its_columns(sealed, name):
    schema = json.loads(sealed.table.metadata["schemaString"])
    first, second = schema["fields"]
    for one, name in ((first, "mail"), (second, "id")):  # each column now shows the other one's values
        one["metadata"], one["name"] = {"delta.columnMapping.physicalName": one["name"]}, name
    schema["fields"].append({"name": "more", "type": "string", "nullable": True, "metadata": {}})
    sealed.table.commit(
        "RENAME COLUMN", name, {"metaData": {**sealed.table.metadata, "schemaString": json.dumps(schema)}}
    )
    (found,) = sealed.prove().findings
    assert str(found) == "commit-neutral: version 30 (RENAME COLUMN): it changed no file; it set new column more, column id as mail, column mail as id"  # fmt: skip
    sealed.table.append([(1, "a")], "r31")
    *_, forged, last = manifests(sealed.table.root)[0]
    commits = (*forged.commits, *last.commits)
    enter(sealed, 31, "r31", last.model_copy(update={"predecessor": forged.predecessor, "commits": commits, "number": 30}))  # fmt: skip
    assert sealed.prove().findings == (found,)


@pytest.mark.parametrize(
    "schema", ["7", "[]", '{"fields": 3}', '{"fields": [1, {}, {"name": 1, "type": [], "metadata": 2}]}']
)
def test_a_malformed_schema_of_others_is_no_crash(sealed, schema):
    sealed.table.commit("CHANGE COLUMN", None, {"metaData": {**sealed.table.metadata, "schemaString": schema}})
    assert {one.code for one in sealed.prove().findings} == {"commit-neutral"}


def test_statistics_in_columns_of_their_own_are_said_to_be_unproven(sealed):
    file = sorted(sealed.table.log.glob("*.checkpoint.parquet"))[-1]
    found = pq.read_table(file)
    adds = found["add"].combine_chunks()
    fields, names = adds.flatten(), [field.name for field in adds.type]
    parsed = pa.array([{"numRecords": 0}] * len(adds))
    made = pa.StructArray.from_arrays([*fields, parsed], [*names, "stats_parsed"], mask=adds.is_null())
    pq.write_table(found.set_column(found.column_names.index("add"), "add", made), file)
    assert [(one.code, one.fails) for one in sealed.prove().findings] == [("statistics-unproven", False)]


def test_a_version_that_is_not_sealed(sealed):
    with pytest.raises(ProofError, match="version 77 is not sealed in ledger .*; sealed are 0 to 29"):
        sealed.prove(version=77)


def test_runs_that_committed_together_are_sealed_in_any_order(sealed):
    table = sealed.table
    before = manifests(table.root)[0]
    table.append([(1, "a")], "r30")
    table.append([(2, "b")], "r31")
    both = manifests(table.root)[0]
    late = both[31].model_copy(
        update={"predecessor": both[30].predecessor, "commits": (*both[30].commits, *both[31].commits), "number": 30}
    )
    enter(sealed, 31, "r31", late)
    enter(sealed, 30, "r30", both[30])
    assert len(before) == 30
    assert sealed.codes() == set()
    assert [one.version for one in sealed.prove(every=True).versions] == list(range(32))


def test_a_statement_that_an_erasure_removed_is_a_note(sealed):
    ledger.redact(sealed.place, RING, "people", [12], "erase-1")
    assert [one.code for one in sealed.prove().findings] == ["statement-erased"]


def test_a_bundle_is_checked_offline_by_its_own_checker(sealed, tmp_path):
    out = tmp_path / "bundle.zip"
    log = ledger.open_log(sealed.place)
    assert write_bundle(log, ledger.table_id(sealed.target), sealed.trust(), Asked(every=True), str(out)) == tuple(
        range(30)
    )
    with zipfile.ZipFile(out) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (tmp_path / "check.py").write_bytes(files["check.py"])
    (tmp_path / "keys.pem").write_bytes(KEYS)

    def run(*more):
        done = subprocess.run(
            [sys.executable, "-I", tmp_path / "check.py", out, "--public-key", tmp_path / "keys.pem", *more],
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout

    code, told = run("--table", str(sealed.table.root))
    assert (code, told.splitlines()[-1]) == (0, "the proof holds")
    file = next(sealed.table.root.glob("part-*"))
    file.write_bytes(file.read_bytes() + b"x")
    code, told = run("--table", str(sealed.table.root))
    assert code == 1
    assert f"data-file-changed: {file.name}" in told
    (tmp_path / "keys.pem").write_bytes(STRANGERS)
    assert run()[0] == 1
    (tmp_path / "keys.pem").write_text("no key")
    assert run() == (2, "")


def test_the_checker_does_not_wait_for_a_pipe_in_the_place_of_a_file(tmp_path):
    os.mkfifo(tmp_path / "part-1")
    assert hashed(tmp_path, "part-1") is None


def test_a_bundle_of_a_version_without_a_seal_is_refused_and_leaves_no_file(sealed, tmp_path):
    log = ledger.open_log(sealed.place)
    with pytest.raises(UsageError, match="version 99 of the table has no seal in the ledger"):
        write_bundle(log, ledger.table_id(sealed.target), sealed.trust(), Asked(version=99), str(tmp_path / "b.zip"))
    assert list(tmp_path.glob("b.zip")) == []


def test_the_checker_finds_what_was_changed_in_a_bundle(sealed, tmp_path):
    out = tmp_path / "bundle.zip"
    write_bundle(
        ledger.open_log(sealed.place), ledger.table_id(sealed.target), sealed.trust(), Asked(every=True), str(out)
    )
    with zipfile.ZipFile(out) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    keys = public_keys(KEYS)
    assert check(files, keys)[1] == []
    for name, data in files.items():
        if name.startswith(("entries/", "proofs/", "statements/", "manifests/", "heads/")) and name[-12:-5] != "":
            position = len(data) // 2
            changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
            try:
                bad = check({**files, name: changed}, keys)[1]
            except ValueError:
                continue
            assert bad, name


CONTRACT = """\
contract: people
source: {format: delta, path: lake/source}
target: {path: lake/people}
ledger: {path: LEDGER}
keys: {path: keys, domain: people}
"""


def test_the_command_verifies_with_a_public_key_and_loads_no_spark(sealed, tmp_path):
    (tmp_path / "c.yaml").write_text(CONTRACT.replace("LEDGER", str(sealed.root / "ledger")))
    (tmp_path / "keys.pem").write_bytes(KEYS)
    (tmp_path / "head").write_text(str(sealed.head()))
    code = (
        "import sys; from dataward.cli import main; code = main(sys.argv[1:]); "
        "loaded = {'pyspark', 'pydeequ', 'delta', 'boto3', 'pandas', 'sqlglot', 'obstore'} & set(sys.modules); "
        "sys.exit(9 if loaded else code)"
    )
    given = [
        "verify",
        "--contract",
        "c.yaml",
        "--public-key",
        "keys.pem",
        "--head",
        "head",
        "--table",
        f"file://{sealed.table.root}/",
    ]

    def run(*more):
        done = subprocess.run([sys.executable, "-c", code, *given, *more], cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    status, out, err = run()
    assert status == 0, err
    assert "version 29, sealed 2026-11-25" in out
    assert out.splitlines()[-1] == "the proof holds"
    live = sorted(sealed.table.root.glob("part-*"))[3]
    live.unlink()
    status, out, _ = run("--json", "--all", "--bundle", "out.zip")
    told = json.loads(out)
    assert (status, told["holds"]) == (1, False)
    assert ("data-file-missing", live.name) in {(one["code"], one["place"]) for one in told["findings"] if one["fails"]}
    assert (tmp_path / "out.zip").exists()
    assert run("--rows")[0] == 2
    assert run("--head", "nowhere")[0] == 2


def damaged(sealed):
    (sealed.root / "ledger/tile/entries/000.p/30").unlink()
    shutil.rmtree(sealed.root / "ledger/index")


def emptied(sealed):
    shutil.rmtree(sealed.root / "ledger")
    ledger.record(sealed.place, RING, "people", "note", b"of another table", ledger.About("n1", "lake/orders"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda sealed: shutil.rmtree(sealed.root / "ledger"), "ledger-missing"),
        (lambda sealed: (sealed.root / "ledger/origin").unlink(), "ledger-missing"),
        (emptied, "ledger-missing"),
        (lambda sealed: (sealed.root / "ledger/origin").write_bytes(b""), "ledger-damaged"),
        (damaged, "ledger-damaged"),
    ],
)
def test_where_nothing_can_be_proved_the_finding_has_its_code(sealed, tmp_path, capsys, monkeypatch, change, code):
    from dataward.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONTRACT.replace("LEDGER", str(sealed.root / "ledger")))
    (tmp_path / "keys.pem").write_bytes(KEYS)
    change(sealed)
    given = ["--contract", "c.yaml", "--public-key", "keys.pem", "--table", str(sealed.table.root)]
    assert main(["verify", *given, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == "ProofError"
    assert [one["code"] for one in told["findings"] if one["fails"]] == [code]
    assert main(["verify", *given]) == 1
    assert capsys.readouterr().out == ""


def test_many_findings_of_one_code_are_a_few_lines_and_a_table_that_is_away_is_nowhere_ok(
    sealed, tmp_path, capsys, monkeypatch
):
    from dataward.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONTRACT.replace("LEDGER", str(sealed.root / "ledger")))
    (tmp_path / "keys.pem").write_bytes(STRANGERS)
    given = ["verify", "--contract", "c.yaml", "--public-key", "keys.pem", "--table"]
    assert main([*given, str(sealed.table.root)]) == 1
    told = capsys.readouterr().out
    assert told.count("signature-invalid: ledger entry") == 5
    assert "signature-invalid: and 25 more; --json lists every one" in told
    (tmp_path / "keys.pem").write_bytes(KEYS)
    assert main([*given, "nowhere"]) == 1
    told = capsys.readouterr().out
    assert "FAILED  table     table-missing: nowhere" in told
    assert [line.split()[1] for line in told.splitlines() if line.startswith("  ok")] == ["ledger"]


def test_who_has_no_keyring_is_told_what_to_give(sealed, tmp_path, capsys, monkeypatch):
    from dataward.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONTRACT.replace("LEDGER", str(sealed.root / "ledger")))
    assert main(["verify", "--contract", "c.yaml"]) == 3
    assert "--public-key KEYS.pem" in capsys.readouterr().err


def test_public_keys_are_exported_and_no_secret_is(tmp_path, capsys):
    from dataward.cli import main
    from dataward.integrity.dsse import key_id, read_public_keys
    from dataward.keys import local_keyring

    assert main(["keys", "create", str(tmp_path / "k"), "--domain", "people", "--domain", "orders"]) == 0
    capsys.readouterr()
    assert main(["keys", "public", str(tmp_path / "k"), "--domain", "people"]) == 0
    out = capsys.readouterr().out
    ring = local_keyring(tmp_path / "k")
    assert set(read_public_keys([out.encode()])) == {key_id(ring.public_key("people", 1))}
    assert main(["keys", "public", str(tmp_path / "k"), "--json", "--output", str(tmp_path / "keys.pem")]) == 0
    told = json.loads(capsys.readouterr().out)["keys"]
    assert [one["name"] for one in told] == ["people v1", "orders v1"]
    assert set(read_public_keys([(tmp_path / "keys.pem").read_bytes()])) == {one["key_id"] for one in told}
    assert main(["keys", "create", str(tmp_path / "k"), "--domain", "a b"]) == 2
    assert "no contract can name this domain" in capsys.readouterr().err
    assert local_keyring(tmp_path / "k").domains == ring.domains
    assert main(["keys", "public", str(tmp_path / "k"), "--domain", "peple"]) == 2
