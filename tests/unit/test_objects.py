"""What a contract demands of connections to S3 is compared with the session's settings, before anything is read."""

import pytest

from dataward.contract import Contract, Location, Quarantine, Source, Target
from dataward.contract.places import bucket_and_key, identity
from dataward.tables.log import is_elsewhere
from dataward.tables.objects import unfit

KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
ENCRYPTED = {"fs.s3a.encryption.algorithm": "SSE-KMS", "fs.s3a.encryption.key": KEY}


def contract(target="s3a://lake/people", **storage):
    text = {"contract": "t", "source": {"path": "in"}, "target": {"path": target}, "keys": {"path": "k", "domain": "t"}}
    return Contract.model_validate({**text, **({"storage": storage} if storage else {})})


def troubles(made, conf=None, environ=None, where="local"):
    return list(unfit(made, conf or {}, environ or {}, where))


@pytest.mark.parametrize(
    ("conf", "environ", "named"),
    [
        ({"fs.s3a.endpoint": "http://minio:9000"}, {}, "fs.s3a.endpoint"),
        ({"fs.s3a.bucket.lake.endpoint": "HTTP://minio:9000"}, {}, "fs.s3a.bucket.lake.endpoint"),
        ({"fs.s3a.endpoint": "minio:9000", "fs.s3a.connection.ssl.enabled": "false"}, {}, "connection.ssl.enabled"),
        ({}, {"AWS_ENDPOINT_URL": "http://minio:9000"}, "AWS_ENDPOINT_URL"),
        ({}, {"AWS_ENDPOINT_URL_S3": "http://minio:9000"}, "AWS_ENDPOINT_URL_S3"),
    ],
)
def test_plaintext_is_refused_where_the_contract_demands_tls(conf, environ, named):
    assert [named in one for one in troubles(contract(tls=True), conf, environ)] == [True]
    assert troubles(contract(tls=False), conf, environ) == []
    assert troubles(contract(), conf, environ) == []
    assert troubles(contract("lake/people", tls=True), conf, environ) == []


def test_https_endpoints_and_those_of_aws_are_no_plaintext():
    secure = {"fs.s3a.endpoint": "https://minio:9000", "fs.s3a.endpoint.region": "eu-west-1"}
    assert troubles(contract(tls=True), secure, {"AWS_ENDPOINT_URL": "https://minio:9000"}) == []
    assert troubles(contract(tls=True)) == []


@pytest.mark.parametrize(
    ("target", "conf", "where", "good"),
    [
        ("s3a://lake/people", {}, "local", False),
        ("s3a://lake/people", ENCRYPTED, "local", True),
        ("s3a://lake/people", {**ENCRYPTED, "fs.s3a.encryption.key": "other"}, "local", False),
        ("s3a://lake/people", {**ENCRYPTED, "fs.s3a.bucket.lake.encryption.key": "other"}, "local", False),
        ("s3a://lake/people", {**ENCRYPTED, "fs.s3a.bucket.raw.encryption.key": "other"}, "local", True),
        ("s3a://lake/people", {**ENCRYPTED, "fs.s3a.encryption.algorithm": "AES256"}, "local", False),
        (
            "s3a://lake/people",
            {"fs.s3a.server-side-encryption-algorithm": "SSE-KMS", "fs.s3a.server-side-encryption.key": KEY},
            "local",
            True,
        ),
        ("s3://lake/people", ENCRYPTED, "emr", False),
        (
            "s3://lake/people",
            {"fs.s3.enableServerSideEncryption": "true", "fs.s3.serverSideEncryption.kms.keyId": KEY},
            "emr",
            True,
        ),
    ],
)
def test_writes_must_be_encrypted_under_the_contracts_kms_key(target, conf, where, good):
    found = troubles(contract(target, kms=KEY), conf, where=where)
    assert (found == []) is good
    assert all(f"would not be encrypted under {KEY}: set spark.hadoop.fs.s3" in one for one in found)


@pytest.mark.parametrize("path", ["s3://lake/people", "s3a://lake/people", "s3n://lake/people/", "S3A://lake/people//"])
def test_spellings_of_a_place_in_s3_are_one_place(path):
    assert identity(path) == "s3://lake/people"
    assert bucket_and_key(path) == ("lake", "people")


def test_a_name_with_and_without_the_sessions_own_catalog_is_one_table():
    assert identity("spark_catalog.lake.people") == identity("lake.people") == "lake.people"
    assert identity("main.lake.people") == "main.lake.people"
    assert Location(table="Spark_Catalog.lake.people").same(Location(table="lake.People"))
    assert not Location(table="main.lake.people").same(Location(table="lake.people"))


@pytest.mark.parametrize(("given", "sql", "beside"), [
    ("lake.people", "lake.people", "lake.people_ledger"), ("`lake`.`people`", "lake.people", "lake.people_ledger"),
    ("prod-eu.lake.people", "`prod-eu`.lake.people", "`prod-eu`.lake.people_ledger"),
    ("`prod-eu`.`2024`.`people-raw`", "`prod-eu`.`2024`.`people-raw`", "`prod-eu`.`2024`.`people-raw_ledger`"),
    ("lake.2024_sales", "lake.2024_sales", "lake.2024_sales_ledger"), ("lake.café", "lake.`café`", "lake.`café_ledger`")])  # fmt: skip
def test_a_name_is_one_table_with_and_without_quotes(given, sql, beside):
    location = Location(table=given)
    assert (location.table, location.beside("ledger").table) == (sql, beside)
    assert location.same(Location(table=sql.replace("`", "").upper()))
    assert Source(table=given).table == Target(table=given).table == Quarantine(table=given).location.table == sql


@pytest.mark.parametrize(
    "name", ["a.b.c.d", "`a.b`.c", "a b", "`a``b`", "a;drop table b", "`a", "a..b", "'a'", "a\nb", "a/*b*/"]
)
def test_what_is_no_name_of_a_table_is_refused(name):
    for model in (Location, Source, Target, Quarantine):
        with pytest.raises(ValueError, match="'table' is a name such as people"):
            model(table=name)


@pytest.mark.parametrize(
    ("name", "elsewhere"),
    [("people", False), ("lake.people", False), ("spark_catalog.lake.people", False), ("main.lake.people", True)],
)
def test_names_of_other_catalogs_are_told_from_those_of_spark_catalog(monkeypatch, name, elsewhere):
    monkeypatch.delenv("DATABRICKS_RUNTIME_VERSION", raising=False)
    assert is_elsewhere(name) is elsewhere
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "16.4")  # its Delta keeps the catalog of a name
    assert is_elsewhere(name) is False


def test_credentials_in_a_path_are_refused_without_being_repeated():
    with pytest.raises(ValueError, match="holds credentials before '@'") as refused:
        contract("s3a://CANARYKEY:CANARYSECRET@lake/people")
    assert "CANARY" not in str(refused.value.errors(include_input=False))


def test_a_keyring_at_another_spelling_of_s3_is_no_local_file():
    keys = {"path": "s3a://keys/ring.json", "domain": "t", "provider": "aws_kms", "key": KEY}
    with pytest.raises(ValueError, match="write the keyring's path as s3://BUCKET/KEY"):
        Contract.model_validate({"contract": "t", "source": {"path": "i"}, "target": {"path": "o"}, "keys": keys})
