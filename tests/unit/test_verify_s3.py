"""Verify a table in S3 without Spark: what is proved, what is named, and that a refused request is not called tampering."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dataward.cli import main
from dataward.contract import load
from dataward.keys import create_keyring, local_keyring
from dataward.tables.deltalog.folder import folder
from dataward.tables.store import store_at
from tests.aws import aws
from tests.unit.test_release_set import sealed

CONTRACT = "contract: people\nsource: {path: none}\ntarget: {path: TARGET}\nkeys: {path: keys, domain: sets}\ncolumns: {}\ndefault: keep\n"
CHECK = "import sys\nfrom dataward.cli import main\ncode = main(sys.argv[1:])\nassert 'pyspark' not in sys.modules\nsys.exit(code)"


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    """A sealed table and its ledger, copied to a bucket."""
    monkeypatch.chdir(tmp_path)
    create_keyring(tmp_path / "keys").current("sets")
    with aws() as cloud:
        client = cloud.client("s3")
        client.create_bucket(Bucket="lake")
        Path("c.yaml").write_text(CONTRACT.replace("TARGET", "s3a://lake/people"))
        contract = load("c.yaml")
        local = contract.model_copy(update={"ledger": contract.target.model_copy(update={"path": "people_ledger"})})
        sealed(local, local_keyring(tmp_path / "keys"), tmp_path / "people", 4)
        for folder in ("people", "people_ledger"):
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    client.put_object(Bucket="lake", Key=str(file), Body=file.read_bytes())
            shutil.rmtree(folder)
        yield cloud


def test_a_table_in_s3_is_verified_without_spark(cloud):
    done = subprocess.run(
        [sys.executable, "-c", CHECK, "verify", "--contract", "c.yaml", "--all"], capture_output=True, text=True
    )
    assert (done.returncode, "the proof holds" in done.stdout) == (0, True), done.stderr


def test_a_changed_and_a_missing_object_are_named(cloud, capsys):
    client = cloud.client("s3")
    keys = [one["Key"] for one in client.list_objects_v2(Bucket="lake", Prefix="people/part")["Contents"]]
    body = client.get_object(Bucket="lake", Key=keys[0])["Body"].read()
    client.put_object(Bucket="lake", Key=keys[0], Body=body[:-1] + b"x")
    client.delete_object(Bucket="lake", Key=keys[1])
    assert main(["verify", "--contract", "c.yaml"]) == 1
    said = capsys.readouterr().out
    assert "data-file-changed" in said
    assert "data-file-missing" in said


def test_a_refused_request_is_an_error_and_no_finding(cloud, capsys):
    cloud.forbids = lambda method, target, headers, body: method == "GET" and "/people/part" in target
    assert main(["verify", "--contract", "c.yaml"]) == 3
    assert "access denied" in capsys.readouterr().err


@pytest.mark.parametrize("root", ["s3a://lake/ro ot/p=\u00e9", "s3://dotted.lake.example"])
def test_objects_of_any_name_are_written_listed_and_read(root):
    names = [
        "a b",
        "a+b",
        "a%20b",
        "p=a%2Fb",
        "\u00e9",
        "e\u0301",
        "x=y",
        "q#r",
        "s?t",
        "u&v",
        "[a]{b}*",
        "a:b",
        "a\\b",
        "end ",
        "100%",
    ]
    bucket, _, prefix = root.partition("://")[2].partition("/")
    with aws() as cloud:
        cloud.client("s3").create_bucket(Bucket=bucket)
        store, seen = store_at(root), folder(root)
        for name in names:
            store.put(name, name.encode())
            assert (store.create(name, b"x"), store.exists(name), seen.read(name)) == (False, True, name.encode())
        theirs = [one["Key"] for one in cloud.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
        assert sorted(theirs) == sorted(f"{prefix}/{name}".lstrip("/") for name in names)
        assert store.names("") == sorted(seen.names("")) == sorted(names)
        store.delete(names)
        assert store.names("") == []
