"""The whole journey over s3a: TLS under a test CA, credentials of the provider chain, SSE-KMS, and two writers that lose nothing."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataward.spark import jars
from dataward.spark.java import find_java, trusting
from tests.aws import aws
from tests.jars import hadoop_aws
from tests.jvm import QUICK

pytestmark = pytest.mark.long

CONTRACT = """\
contract: people
source: {{format: csv, path: "s3a://raw-data/{name}.csv", options: {{header: true}}, schema: "id INT, mail STRING, team STRING"}}
target: {{path: "{scheme}://lake-data/{target}/", mode: {mode}}}
quarantine: {{path: "s3a://lake-data/{target}_quarantine"}}
history: {{}}
keys: {{provider: aws_kms, key: "{key}", path: "s3://keys-data/ring.json", domain: people}}
storage: {{tls: {tls}, {kms}}}
engine: spark
columns:
  id: {{protect: keep}}
  mail: {{class: email, protect: token}}
  team: {{protect: keep}}
erasure: {{subject: mail}}
discovery: off
rules: |
  Rules = [ IsPrimaryKey "id", ColumnValues "mail" matches ".+@.+" ]
"""
MODES = {
    "whole": "overwrite",
    "more": "append",
    "keyed": "merge, on: [id]",
    "part": "replace, partition_by: [team], partition: {team: a}",
    "fresh": "refresh, partition_by: [team]",
}


def rows(first, last, bad=True):
    lines = [f"{n},ada.{n}@example.org,a" for n in range(first, last)] + ([f"{last},nobody,a"] if bad else [])
    return ("id,mail,team\n" + "\n".join(lines) + "\n").encode()


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    """AWS behind TLS; requests to S3 are kept as (method, path, headers)."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with aws(tmp_path) as made:
        made.asked = []
        made.forbids = lambda method, path, headers, body: bool(made.asked.append((method, path, headers)))
        made.s3 = made.client("s3")
        for bucket in ("raw-data", "lake-data", "keys-data"):
            made.s3.create_bucket(Bucket=bucket)
        made.key = made.client("kms").create_key()["KeyMetadata"]["Arn"]
        yield made


def contract(workplace, cloud, name, mode, **more):
    told = {"name": name, "target": name, "mode": mode, "key": cloud.key, "scheme": "s3a", "tls": "true"}
    text = CONTRACT.format(**{**told, "kms": f'kms: "{cloud.key}"', **more})
    if name == "fresh":
        text = text.replace("erasure: {subject: mail}\n", "")
    return workplace.contract(text, f"{name}.yaml")


def settings(cloud, **more):
    return {
        "spark.master": "local[2]",
        "spark.hadoop.fs.s3a.endpoint": cloud.endpoint,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.encryption.algorithm": "SSE-KMS",
        "spark.hadoop.fs.s3a.encryption.key": cloud.key,
        **more,
    }


def submitted(workplace, cloud, *runs, **more):
    """Jobs in one process of spark-submit; nothing but the provider chain has credentials."""
    trust = trusting(Path(os.environ["AWS_CA_BUNDLE"]), workplace.root)
    conf = settings(cloud, **more) | {
        "spark.driver.extraClassPath": ":".join(map(str, hadoop_aws())),
        "spark.driver.extraJavaOptions": trust,
    }
    return workplace.submit_each(*runs, conf=conf)


def writes(cloud):
    """Requests that make objects in the lake."""
    return [one for one in cloud.asked if one[0] in ("PUT", "POST") and one[1].startswith("/lake-data/") and "?delete" not in one[1]]  # fmt: skip


def test_every_mode_is_published_and_verified_over_s3a_and_every_object_is_encrypted(workplace, cloud):
    for name in MODES:
        cloud.s3.put_object(Bucket="raw-data", Key=f"{name}.csv", Body=rows(0, 8))
    parts = b"\n".join(line.rpartition(b",")[0] for line in rows(0, 8).splitlines())
    cloud.s3.delete_object(Bucket="raw-data", Key="fresh.csv")
    cloud.s3.put_object(Bucket="raw-data", Key="fresh.csv/team=a/one.csv", Body=parts)
    files = {name: contract(workplace, cloud, name, mode) for name, mode in MODES.items()}
    runs = [
        ("publish", "--contract", file, "--run-id", "r1", "--report", "s3a://lake-data/reports")
        for file in files.values()
    ]
    assert workplace.dataward("keys", "create", files["whole"]).code == 0
    done = submitted(workplace, cloud, *runs, *(("verify", "--contract", file) for file in files.values()))
    assert [one.code for one in done] == [0] * 2 * len(MODES), [one.err[-3000:] for one in done if one.code][:1]
    made = writes(cloud)
    unencrypted = {
        re.sub(r"\d{3,}|[0-9a-f-]{20,}", "N", path) for _, path, headers in made
        if (headers.get("x-amz-server-side-encryption"), headers.get("x-amz-server-side-encryption-aws-kms-key-id")) != ("aws:kms", cloud.key)
        and "uploadId" not in path
    }  # fmt: skip
    assert len(made) > 50
    assert unencrypted == set()
    # Without Spark, as a checker would: another spelling of the place is the same table.
    spelled = contract(workplace, cloud, "whole", "overwrite", scheme="s3")
    assert workplace.dataward("verify", "--contract", spelled, "--all").code == 0


def test_rights_rotation_and_streams_work_over_s3a(workplace, cloud):
    cloud.s3.put_object(Bucket="raw-data", Key="people.csv", Body=rows(0, 8))
    cloud.s3.put_object(Bucket="raw-data", Key="flow.csv/one.csv", Body=rows(0, 8))
    people, flow = contract(workplace, cloud, "people", "overwrite"), contract(workplace, cloud, "flow", "append")
    assert workplace.dataward("keys", "create", people).code == 0
    report = ("--report", "s3a://lake-data/reports")
    (workplace.root / "who").write_text("ada.3@example.org")
    done = submitted(
        workplace, cloud,
        ("publish", "--contract", people, "--run-id", "r1", *report),
        ("publish", "--contract", flow, "--stream", "s3a://lake-data/checkpoint", *report),
        ("rotate", "people", "--contract", people, "--contract", flow),
        ("erase", "--contract", people, "--subject", "@who", "--ticket", "T1", *report),
        ("verify", "--contract", people), ("verify", "--contract", flow),
        ("history", "--contract", people), ("ledger", "check", "--contract", people),
    )  # fmt: skip
    assert [one.code for one in done] == [0] * 8, [
        (one.code, one.out[-500:], one.err[-3000:]) for one in done if one.code
    ][:1]
    published = [int(line.split(",")[0]) for line in rows(0, 8).decode().splitlines()[1:-1]]
    assert "9 rows in = 8 published + 1 quarantined" in done[1].err
    assert len(published) == 8


def test_settings_below_what_the_contract_demands_stop_a_run_before_it_reads(workplace, cloud):
    cloud.s3.put_object(Bucket="raw-data", Key="people.csv", Body=rows(0, 8))
    file = contract(workplace, cloud, "people", "overwrite")
    assert workplace.dataward("keys", "create", file).code == 0
    cloud.asked.clear()
    plain = cloud.endpoint.replace("https:", "http:")
    more = {"spark.hadoop.fs.s3a.endpoint": plain, "spark.hadoop.fs.s3a.encryption.algorithm": "AES256"}
    (done,) = submitted(workplace, cloud, ("publish", "--contract", file), **more)
    assert done.code == 3
    assert "fs.s3a.endpoint names an endpoint without TLS" in done.err
    assert "would not be encrypted under" in done.err
    assert [path for _, path, _ in cloud.asked if path.startswith(("/raw-data", "/lake-data"))] == []


def test_two_publishers_with_the_single_driver_log_store_lose_nothing_and_another_writer_is_found(
    workplace, cloud, tmp_path
):
    local = tmp_path / "jars"
    (local / "s3").mkdir(parents=True)
    for folder, paths in ((local, jars.ensure()), (local / "s3", hadoop_aws())):
        for path in paths:
            (folder / path.name).symlink_to(path)
    files = []
    for number, name in enumerate(("first", "second")):
        cloud.s3.put_object(Bucket="raw-data", Key=f"{name}.csv", Body=rows(10 * number, 10 * number + 5, bad=False))
        files.append(contract(workplace, cloud, name, "append", target="people"))
    assert workplace.dataward("keys", "create", files[0]).code == 0

    def slow(method, path, headers, body):
        """Commits take long, so that two writers that look for a version's file at once would both write it."""
        if method == "PUT" and re.search(r"/lake-data/people/_delta_log/\d{20}\.json", path):
            time.sleep(4)
        return False

    cloud.forbids = slow
    environment = {**os.environ, "JAVA_HOME": find_java(), "PYSPARK_PYTHON": sys.executable, "JDK_JAVA_OPTIONS": QUICK}
    environment |= {"DATAWARD_JARS": str(local), "PYSPARK_SUBMIT_ARGS": " ".join(f"--conf {k}={v}" for k, v in settings(cloud).items()) + " pyspark-shell"}  # fmt: skip

    def publishing(file, run):
        command = [sys.executable, "-m", "dataward.cli", "publish", "--contract", file, "--run-id", run]
        return subprocess.Popen(command, cwd=workplace.root, env=environment, stderr=subprocess.PIPE, text=True)

    both = [publishing(file, f"r{number}") for number, file in enumerate(files)]
    said = [job.communicate(timeout=600)[1] for job in both]
    assert [job.returncode for job in both] == [0, 0], said
    proof = workplace.dataward("verify", "--contract", files[0], "--all", "--json")
    assert (proof.code, [one["version"] for one in proof.document["versions"]]) == (0, [0, 1])
    assert sum(json.loads(line)["add"]["size"] > 0 for n in (0, 1) for line in commit(cloud, n) if '"add"' in line) == 2

    # A driver that takes no turns overwrites the newest commit.
    key = "people/_delta_log/00000000000000000001.json"
    text = cloud.s3.get_object(Bucket="lake-data", Key=key)["Body"].read()
    cloud.s3.put_object(Bucket="lake-data", Key=key, Body=text.replace(b"commitInfo", b"commitinfo"))
    third = publishing(files[0], "r2")
    assert "version 1, which run r" in (told := third.communicate(timeout=600)[1]), told
    assert "was overwritten by a writer that takes no turns" in told
    assert third.returncode == 3


def commit(cloud, version):
    key = f"people/_delta_log/{version:020d}.json"
    return cloud.s3.get_object(Bucket="lake-data", Key=key)["Body"].read().decode().splitlines()
