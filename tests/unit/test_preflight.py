"""Each finding of `dataward preflight` on plain facts; the state of buckets from moto's server over HTTP."""

import json

import pytest
from botocore.exceptions import NoCredentialsError

from dataward.cli import main
from dataward.contract import Contract
from dataward.spark import settings
from dataward.tables import aws as storage
from dataward.tables.aws import StorageState, refuses_plaintext
from dataward.verbs.preflight import Facts, findings
from tests.aws import aws

SAFE = {"spark.master": "yarn", "spark.authenticate": "true", "spark.network.crypto.enabled": "true",
        "spark.io.encryption.enabled": "true", "spark.delta.logStore.s3a.impl": "io.delta.storage.S3DynamoDBLogStore"}  # fmt: skip
GOOD = StorageState("lake", encryption="aws:kms", key="k", versioning=True, lock="COMPLIANCE 365", tls_only=True,
                    plaintext=False, public=False, logging=True)  # fmt: skip


def contract(**more):
    given = {"contract": "t", "source": {"path": "s3a://raw/t"}, "target": {"path": "s3a://lake/t"},
             "keys": {"path": "conf/keys", "domain": "t"}, "default": "keep",
             "columns": {"id": {"protect": "keep"}, "e": {"class": "email", "protect": "token"}}}  # fmt: skip
    return Contract.model_validate({**given, **more})


def codes(conf=None, bucket=GOOD, of=None, **facts):
    buckets = {"target": bucket, "ledger": bucket}
    found = findings(of or contract(), Facts({**SAFE, **(conf or {})}, buckets=buckets, **facts))
    return {finding.code: finding.stops for finding in found}


def test_nothing_is_found_where_all_is_as_it_should_be():
    assert codes() == {}


@pytest.mark.parametrize(("conf", "code", "stops"), [
    ({"spark.delta.logStore.s3a.impl": "io.delta.storage.S3SingleDriverLogStore"}, "log-store", False),
    ({"spark.sql.parquet.encryption.column.keys": "k:a"}, "parquet-encryption-ignored", True),
    ({"parquet.crypto.factory.class": "x"}, "parquet-encryption-ignored", True),
    ({"spark.network.crypto.enabled": "false"}, "rpc-plaintext", False),
    ({"spark.authenticate": "false"}, "rpc-plaintext", False),
    ({"spark.io.encryption.enabled": "false"}, "spill-plaintext", True),
    ({"fs.s3a.endpoint": "http://minio:9000"}, "s3a-plaintext", True),
    ({"fs.s3a.bucket.lake.connection.ssl.enabled": "false"}, "s3a-plaintext", True),
    ({"fs.s3a.access.key": "AKIA"}, "static-credentials", False),
    ({"fs.s3a.bucket.lake.access.key": "AKIA"}, "static-credentials", False),
    ({"javax.jdo.option.ConnectionURL": "jdbc:postgresql://u:geheim@db/m?password=geheim"}, "jdbc-plaintext", True),
])  # fmt: skip
def test_a_setting(conf, code, stops):
    assert codes(conf) == {code: stops}


def test_settings_that_are_safe_or_of_one_process_find_nothing():
    assert codes({"javax.jdo.option.ConnectionURL": "jdbc:postgresql://db/m?sslmode=verify-full"}) == {}
    assert (
        codes({"fs.s3a.endpoint": "https://s3.eu-west-1.amazonaws.com", "fs.s3a.connection.ssl.enabled": "true"}) == {}
    )
    local = {"spark.master": "local[2]", "spark.authenticate": "false", "spark.io.encryption.enabled": "false"}
    assert codes(local) == {}


def test_several_writers_make_a_single_driver_log_store_a_reason_to_stop():
    assert codes({"spark.delta.logStore.s3a.impl": ""}, writers=2) == {"log-store": True}
    at_home = contract(source={"path": "raw"}, target={"path": "lake/t"})
    assert findings(at_home, Facts({"spark.master": "local[2]"}, writers=2)) == []


def test_a_password_in_an_address_is_not_shown():
    told = findings(
        contract(), Facts({**SAFE, "javax.jdo.option.ConnectionURL": "jdbc:mysql://u:geheim@db/m?password=geheim"})
    )
    assert "geheim" not in str(told)
    assert "//db/m" in str(told)


@pytest.mark.parametrize(("change", "code", "stops"), [
    ({"public": True}, "bucket-public", True), ({"versioning": False}, "bucket-unversioned", False),
    ({"plaintext": True}, "bucket-tls", True), ({"tls_only": False}, "bucket-tls", True),
    ({"encryption": "AES256"}, "bucket-unencrypted", False), ({"logging": False}, "bucket-unlogged", False),
    ({"lock": ""}, "object-lock", False), ({"expires": (("t", 30),)}, "lifecycle-deletes", True), ({"expires": (("other", 3),)}, None, None),
])  # fmt: skip
def test_a_bucket(change, code, stops):
    assert codes(bucket=StorageState(**{**GOOD.__dict__, **change})) == ({code: stops} if code else {})


@pytest.mark.parametrize(("properties", "leaks"), [
    ({}, True), ({"delta.dataSkippingStatsColumns": "`id`,`E`"}, True), ({"delta.dataSkippingStatsColumns": "id"}, False),
    ({"delta.dataSkippingNumIndexedCols": "1"}, False), ({"delta.dataSkippingNumIndexedCols": "-1"}, True)])  # fmt: skip
def test_statistics_of_a_sensitive_column(properties, leaks):
    found = codes(properties={"target": properties}, columns={"target": ("id", "e")})
    assert found == ({"statistics": True} if leaks else {})


@pytest.mark.parametrize(("skew", "found"), [(5, {}), (-90, {"clock": False}), (700, {"clock": True}), (None, {})])
def test_the_clock(skew, found):
    assert codes(skew=skew) == found


def test_a_policy_refuses_plain_http_only_if_it_denies_everything_to_everybody():
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    assert refuses_plaintext({"Statement": [deny]})
    assert not refuses_plaintext({"Statement": [{**deny, "Action": "s3:GetObject"}]})
    assert not refuses_plaintext({"Statement": [{**deny, "Principal": {"AWS": "arn:aws:iam::1:root"}}]})
    assert not refuses_plaintext({"Statement": [{**deny, "Effect": "Allow"}]})
    assert not refuses_plaintext({})
    condition = {"Bool": {"aws:SecureTransport": ["false"]}}
    assert refuses_plaintext({"Statement": {**deny, "Principal": {"AWS": ["*"]}, "Condition": condition}})


def test_the_state_of_a_bucket_is_read_over_the_wire():
    with aws() as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="plain")
        s3.create_bucket(Bucket="safe", ObjectLockEnabledForBucket=True)
        s3.put_object_lock_configuration(Bucket="safe", ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 90}}})  # fmt: skip
        s3.put_bucket_encryption(Bucket="safe", ServerSideEncryptionConfiguration={"Rules": [
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k1"}}]})  # fmt: skip
        s3.put_public_access_block(Bucket="safe", PublicAccessBlockConfiguration=dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True))  # fmt: skip
        deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}}}  # fmt: skip
        s3.put_bucket_policy(Bucket="safe", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
        safe, plain = storage.storage_state("s3a://safe/t"), storage.storage_state("s3://plain/t", try_plaintext=True)
        gone = storage.storage_state("s3://gone/t")
        assert abs(storage.clock_skew()) < 60
    assert (safe.encryption, safe.key, safe.versioning, safe.lock, safe.tls_only, safe.public) == \
        ("aws:kms", "k1", True, "COMPLIANCE 90", True, False)  # fmt: skip
    assert (plain.versioning, plain.lock, plain.tls_only, plain.public, plain.plaintext) == (
        False,
        "",
        False,
        True,
        True,
    )
    assert "NoSuchBucket" in gone.unread[0]
    assert (gone.encryption, gone.tls_only) == (None, None)
    assert [name for name, holds, _ in safe.lines() if not holds] == ["logging"]


def test_a_bucket_that_cannot_be_asked_is_one_finding_with_its_remedy(monkeypatch):
    monkeypatch.setattr(storage, "_client", lambda *_, **__: Unreachable())
    state = storage.storage_state("s3://lake/t", try_plaintext=True)
    assert state.unread == ("encryption and the settings after it: AWS could not be reached (NoCredentialsError)",)
    (found,) = findings(contract(), Facts(SAFE, unread=state.unread))
    assert (found.code, found.stops) == ("not-known", False)
    assert "--no-storage" in found.remedy


class Unreachable:
    """A client without credentials."""

    def __getattr__(self, name):
        def call(**_):
            raise NoCredentialsError

        return call


def test_the_verb_reads_a_properties_file_and_exits_1_where_the_job_should_not_run(tmp_path, capsys):
    file = tmp_path / "spark.conf"
    file.write_text(
        "# a comment\nspark.master  yarn\nspark.hadoop.fs.s3a.endpoint=http://minio:9000\nspark.io.encryption.enabled true\n"
    )
    assert settings.of_file(str(file))["fs.s3a.endpoint"] == "http://minio:9000"
    text = (
        "contract: t\nsource: {path: raw}\ntarget: {path: lake/t}\nkeys: {path: conf/keys, domain: t}\ndefault: keep\n"
    )
    (tmp_path / "t.yaml").write_text(text)
    argv = ["preflight", str(tmp_path / "t.yaml"), "--conf", str(file), "--json"]
    assert main(argv) == 1
    told = json.loads(capsys.readouterr().out)
    assert [(found["code"], found["stops"]) for found in told["findings"]] == [
        ("s3a-plaintext", True),
        ("rpc-plaintext", False),
    ]
    file.write_text("spark.master local[2]\n")
    assert main(argv) == 0
    assert main([*argv[:-2], str(tmp_path / "no.conf")]) == 2
    assert main([*argv, "--writers", "0"]) == 2


def test_verify_reports_the_state_of_buckets_beside_the_proof_and_not_in_it(tmp_path, monkeypatch, capsys):
    from dataward.verbs.verify import Check, Proof

    proof = Proof("t", "s3://lake/t", 3, "r1", "2026-11-25", (Check("ledger", True, "7 entries"),))
    monkeypatch.setattr("dataward.verbs.verify.verify_contract", lambda *_: proof)
    file = tmp_path / "t.yaml"
    file.write_text(
        'contract: t\nsource: {path: raw}\ntarget: {path: "s3://lake/t"}\nkeys: {path: conf/keys, domain: t}\ndefault: keep\n'
    )
    with aws() as cloud:
        cloud.client("s3").create_bucket(Bucket="lake")
        assert main(["verify", "--contract", str(file), "--storage"]) == 0
        told = capsys.readouterr().out
        assert main(["verify", "--contract", str(file), "--storage", "--json"]) == 0
        (state,) = json.loads(capsys.readouterr().out)["storage"]
    assert "the proof holds" in told
    assert "bucket lake, which is no part of the proof" in told
    assert "note    versions   an overwritten object is gone" in told
    assert (state["bucket"], state["plaintext"], state["lock"]) == ("lake", True, "")
    file.write_text(file.read_text().replace("s3://lake/t", "lake/t"))
    assert main(["verify", "--contract", str(file), "--storage", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["storage"] == []
    assert "no table of this contract is in S3" in told.err
