"""A contract whose tables, reports and keyring lie in S3 with keys of KMS, and a recorder of what its verbs ask of AWS."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from dataward.access.iam_evaluate import Request, allows
from dataward.cli import main
from dataward.contract import Contract
from tests.aws import aws
from tests.iam_wire import ACCOUNT, FREE, REGION, read

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/HEX"

CONTRACT = """
contract: people
source: {{path: "s3a://raw-{tag}/people"}}
target: {{path: "s3a://lake-{tag}/silver/people", mode: merge, "on": [id]}}
quarantine: {{path: "s3a://lake-{tag}/silver/people_quarantine"}}
keys: {{provider: aws_kms, key: {key}, path: "s3://keys-{tag}/rings/people.json", domain: people, env: prod}}
columns:
  id: {{protect: keep}}
  email: {{class: email, protect: token}}
  note: {{class: free_text, protect: {{encrypt: {{}}}}, domain: notes}}
default: keep
discovery: off
history: {{}}
heads:
  - {{s3: "s3://locks-{tag}/heads", retain_days: 30}}
  - {{cloudwatch: /dataward/heads}}
erasure: {{subject: id}}
access: {{reidentify: [{{principals: ["arn:aws:sts::123456789012:user/moto"], classes: [free_text], purposes: [support], rows_per_day: 100}}]}}
rules: |
  Rules = [ IsPrimaryKey "id", ColumnValues "email" matches ".+@.+" ]
"""


QUERY = """
release: counts
source: {{path: "s3a://lake-{tag}/silver/people"}}
unit: row
answers: [count]
spend: {{epsilon: 1.0, delta: 1.0e-6, from: "s3a://lake-{tag}/gold/budgets"}}
target: {{path: "s3a://lake-{tag}/gold/counts"}}
keys: {{provider: aws_kms, key: {key}, path: "s3://keys-{tag}/rings/people.json", domain: people, env: prod}}
"""


SYNTHESIS = (
    QUERY.replace("counts", "made")
    .replace("release:", "synthesize:")
    .replace("answers: [count]", "columns: {{id: {{between: [0, 10], bins: 5}}}}")
)


SITE = """
site: {name}
key: {folder}/keys/{name}.key
coordinator: {folder}/keys/coordinator.pub
listen: {{host: 127.0.0.1, port: 0}}
contract: {contract}
plans: {plans}
state: {folder}/state
budget: {{path: "s3a://lake-{tag}/gold/budgets"}}
"""


def contract_of(text: str = "", **more: Any) -> Contract:
    """The contract, or a text like it, with some settings changed."""
    return Contract.model_validate({**yaml.safe_load(text or CONTRACT.format(tag="TAG", key=KEY)), **more})


@dataclass
class Cloud:
    """``seen`` holds what was asked since ``forget``; where ``policy`` is set, what it does not allow is refused."""

    spark: Any
    folder: Path
    tag: str
    contract: Path
    aws: Any
    seen: list[Request] = field(default_factory=list)
    refused: list[Request] = field(default_factory=list)
    policy: dict | None = None

    def watch(self, *call: Any) -> bool:
        asked = [request for request in read(*call) if request.action not in FREE]
        self.seen += asked
        denied = [request for request in asked if self.policy is not None and not allows(self.policy, request)]
        self.refused += denied
        return bool(denied)

    def objects(self) -> list[str]:
        """Every key of the lake's bucket."""
        pages = self.aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=f"lake-{self.tag}")
        return [f"/{found['Key']}" for page in pages for found in page.get("Contents", ())]

    def run(self, *argv: str, policy: dict | None = None, contract: bool = True) -> int:
        """Run a verb in this process, as a fresh job would: the JVM holds no state of tables."""
        with patch("dataward.cli.say.under_spark_submit", return_value=False):  # messages go where pytest looks
            return self.call(lambda: main([*argv, *(["--contract", str(self.contract)] if contract else [])]), policy)

    def call(self, work: Callable[[], Any], policy: dict | None = None) -> int:
        """Do some work like a verb; returns its exit code, else 0."""
        self.seen.clear(), self.refused.clear()
        self.spark.sparkContext._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
        self.policy = policy
        try:
            result = work()
            return result if type(result) is int else 0
        finally:
            self.policy = None


SETTINGS = {
    "fs.s3a.access.key": "test",
    "fs.s3a.secret.key": "test",
    "fs.s3a.path.style.access": "true",
    "fs.s3a.connection.ssl.enabled": "false",
    "fs.s3a.directory.marker.retention": "keep",
    "fs.s3a.attempts.maximum": "2",
    "fs.s3a.retry.limit": "1",
}


@contextmanager
def cloud(spark: Any, folder: Path) -> Iterator[Cloud]:
    """Buckets, a key, a keyring and a source of ten people, two of whom have no e-mail address."""
    tag = secrets.token_hex(4)
    with aws() as made:
        hadoop = spark.sparkContext._jsc.hadoopConfiguration()
        for name, value in {**SETTINGS, "fs.s3a.endpoint": made.endpoint}.items():
            hadoop.set(name, value)
        for bucket in ("raw", "lake", "keys"):
            made.client("s3").create_bucket(Bucket=f"{bucket}-{tag}")
        made.client("s3").create_bucket(Bucket=f"locks-{tag}", ObjectLockEnabledForBucket=True)
        made.client("logs").create_log_group(logGroupName="/dataward/heads")
        key = made.client("kms").create_key()["KeyMetadata"]["Arn"]
        contract = folder / "people.yaml"
        contract.write_text(CONTRACT.format(tag=tag, key=key))
        rows = [(n, f"ada{n}@x.org" if n > 1 else "none", f"note {n}") for n in range(10)]
        frame = spark.createDataFrame(rows, "id bigint, email string, note string")
        frame.coalesce(1).write.format("delta").save(f"s3a://raw-{tag}/people")
        cloud = Cloud(spark, folder, tag, contract, made)
        made.forbids = cloud.watch
        yield cloud
        for name in (*SETTINGS, "fs.s3a.endpoint"):
            hadoop.unset(name)
