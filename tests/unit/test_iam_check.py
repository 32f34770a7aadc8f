"""`dataward access iam --check`: the simulator's answers, policies that are wider than needed, and CloudTrail's records."""

import copy
import gzip
import json

import pytest

from dataward.access import iam
from dataward.access.iam_diff import against_policy, against_trail
from dataward.access.iam_evaluate import Request, allows
from dataward.access.iam_verbs import QUERIES
from dataward.cli import main
from tests.aws import aws
from tests.iam_lake import CONTRACT, KEY, QUERY
from tests.iam_lake import contract_of as contract
from tests.iam_policies import HOME, policy_of, spare
from tests.iam_wire import ACCOUNT, FREE, REGION, read


def test_preflight_asks_for_what_its_policy_grants_and_for_all_of_it(tmp_path):
    seen = []
    with aws() as cloud:
        for name in ("raw", "lake", "keys"):
            cloud.client("s3").create_bucket(Bucket=f"{name}-abc")
        cloud.forbids = lambda *call: seen.extend(read(*call)) or False
        (tmp_path / "people.yaml").write_text(CONTRACT.format(tag="abc", key=KEY))
        (tmp_path / "spark.conf").write_text("spark.master local[2]\n")
        assert main(["preflight", str(tmp_path / "people.yaml"), "--conf", str(tmp_path / "spark.conf")]) == 1
    asked = [request for request in seen if request.action not in FREE]
    policy = iam.policy(contract((tmp_path / "people.yaml").read_text()), "preflight", HOME)
    assert [request for request in asked if not allows(policy, request)] == []
    assert spare(policy, asked) == []


def test_ledger_verbs_and_heads_ask_for_what_their_policies_grant_and_for_all_of_it(tmp_path, monkeypatch):
    """Over HTTP, each request decided by the policy itself; no Spark is needed for a ledger in S3 and its heads."""
    from dataward.integrity import ledger
    from dataward.keys import open_keys

    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    with aws() as cloud:
        for name in ("lake", "keys"):
            cloud.client("s3").create_bucket(Bucket=f"{name}-abc")
        cloud.client("s3").create_bucket(Bucket="locks-abc", ObjectLockEnabledForBucket=True)
        cloud.client("logs").create_log_group(logGroupName="/dataward/heads")
        key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
        (tmp_path / "people.yaml").write_text(CONTRACT.format(tag="abc", key=key))
        assert main(["keys", "create", str(tmp_path / "people.yaml")]) == 0
        mine = contract((tmp_path / "people.yaml").read_text())
        ring = open_keys(mine.keys)
        ledger.record(mine.ledger_location, ring, "people", "note", b"0")
        for verb in ("ledger-publish", "ledger-publish", "ledger-show", "ledger-check"):
            policy, seen = policy_of(verb, mine), []

            def decide(*call, policy=policy, seen=seen):
                asked = [request for request in read(*call) if request.action not in FREE]
                seen += asked
                return not all(allows(policy, request) for request in asked)

            if verb == "ledger-publish":
                ledger.record(mine.ledger_location, ring, "people", "note", b"one more")
            cloud.forbids = decide
            code = main(["ledger", verb.removeprefix("ledger-"), "--contract", str(tmp_path / "people.yaml")])
            cloud.forbids = lambda *call: False
            assert (code, [request for request in seen if not allows(policy, request)]) == (0, [])
            if verb != "ledger-publish" or "logs:GetLogEvents" in {
                request.action for request in seen
            }:  # the second time
                assert spare(policy, seen) == []


def test_a_log_group_of_events_is_granted_to_every_verb_and_asked_for_by_it(tmp_path, monkeypatch):
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    audit = f"audit: {{sinks: [{{kind: cloudwatch, group: /dataward/events}}], spool: {tmp_path}/spool}}\n"
    with aws() as cloud:
        cloud.client("s3").create_bucket(Bucket="keys-abc")
        cloud.client("logs").create_log_group(logGroupName="/dataward/events")
        key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
        (tmp_path / "people.yaml").write_text(CONTRACT.format(tag="abc", key=key) + audit)
        mine = contract((tmp_path / "people.yaml").read_text())
        seen = []
        cloud.forbids = lambda *call: seen.extend(read(*call)) or False
        for verb in ("create", "list"):
            assert main(["keys", verb, str(tmp_path / "people.yaml")]) == 0
    asked = [request for request in seen if request.action.startswith("logs:")]
    for verb in iam.VERBS:
        statements = [one for one in policy_of(verb, mine)["Statement"] if one["Sid"].startswith("Events")]
        if verb in QUERIES:  # a query has no audit of its own: the machine's settings say where its events go
            assert statements == []
            continue
        assert all(allows({"Statement": statements}, request) for request in asked)
        # An interrupted delivery is read again.
        assert spare({"Statement": statements}, asked) == ["Events1: logs:GetLogEvents"]


@pytest.mark.parametrize(("condition", "context", "holds"), [
    ({"StringEquals": {"K": "a"}}, {"k": ("a",)}, True), ({"StringEquals": {"k": ["a", "b"]}}, {"k": ("b",)}, True),
    ({"StringEquals": {"k": "a*"}}, {"k": ("ab",)}, False), ({"StringLike": {"k": "a*"}}, {"k": ("ab",)}, True),
    ({"StringEquals": {"k": "a"}}, {}, False), ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
    ({"StringNotEquals": {"k": "a"}}, {}, True), ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": ("b",)}, False),
    ({"Null": {"k": "true"}}, {}, True), ({"Null": {"k": "false"}}, {}, False), ({"Bool": {"k": "true"}}, {"k": ("TRUE",)}, True),
    ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ("a", "c")}, False), ({"ForAllValues:StringEquals": {"k": "a"}}, {}, True),
    ({"ForAnyValue:StringEquals": {"k": ["a", "b"]}}, {"k": ("a", "c")}, True), ({"ForAnyValue:StringEquals": {"k": "a"}}, {}, False),
    ({"NumericLessThanEquals": {"k": "2"}}, {"k": ("3",)}, False), ({"Unheard": {"k": "a"}}, {"k": ("a",)}, False),
    ({"StringEquals": {"k": "a", "l": "b"}}, {"k": ("a",)}, False),
])  # fmt: skip
def test_conditions_are_evaluated_as_aws_documents_them(condition, context, holds):
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": condition}
    assert allows({"Statement": [allow]}, Request("s3:GetObject", "r", context)) is holds


def test_a_deny_wins_also_where_it_is_not_understood():
    allow = {"Effect": "Allow", "Action": "S3:Get*", "Resource": "arn:aws:s3:::b/?*"}
    asked = Request("s3:GetObject", "arn:aws:s3:::b/k")
    assert allows({"Statement": allow}, asked)
    for deny in ({"Action": "s3:*", "Resource": "*"}, {"NotAction": "kms:*", "NotResource": "x"},
                 {"Action": "*", "Resource": "*", "Condition": {"Unheard": {"k": "a"}}}):  # fmt: skip
        assert not allows({"Statement": [allow, {"Effect": "Deny", **deny}]}, asked)
    assert not allows({"Statement": []}, asked)


def test_a_wide_policy_is_named_with_what_is_enough():
    ours = policy_of("publish")
    assert against_policy(ours, ours) == []
    wide = {"Statement": [*ours["Statement"], {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
                          {"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "*"}]}  # fmt: skip
    found = {(d.kind, d.action): d.remedy for d in against_policy(ours, wide)}
    assert set(found) == {("too wide", "s3:*"), ("too wide", "ec2:RunInstances")}
    assert found["too wide", "ec2:RunInstances"] == "the verb does not need it: remove it"
    loose = copy.deepcopy(ours)
    del next(s for s in loose["Statement"] if s["Sid"] == "UseKey")["Condition"]["StringEquals"][
        "kms:EncryptionContext:env"
    ]
    (difference,) = against_policy(ours, loose)
    assert (difference.kind, difference.action) == ("too wide", "kms:Decrypt")
    assert "kms:encryptioncontext:env" in difference.remedy
    less = {"Statement": [s for s in ours["Statement"] if s["Sid"] != "Keyring"]}
    assert {d.kind for d in against_policy(ours, less)} == {"missing"}


def record(name, source="s3.amazonaws.com", **said):
    return {
        "eventSource": source,
        "eventName": name,
        "requestParameters": said,
        "resources": [{"ARN": KEY}] if "kms" in source else [],
    }


def test_records_of_cloudtrail_show_what_is_missing_and_what_nobody_used():
    context = {"env": "prod", "domain": "people", "purpose": "derivation", "version": "1"}
    records = [record("HeadObject", bucketName="raw-TAG", key="people/part"), record("UploadPart", bucketName="lake-TAG", key="silver/people/p"),
               record("GetCallerIdentity", "sts.amazonaws.com"), record("Decrypt", "kms.amazonaws.com", encryptionContext=context),
               record("Decrypt", "kms.amazonaws.com", encryptionContext={**context, "domain": "pay"}), record("DeleteObject", bucketName="lake-TAG", key="x")]  # fmt: skip
    found = against_trail(policy_of("publish"), records)
    assert {(d.action, d.resource) for d in found if d.kind == "missing"} == {
        ("kms:Decrypt", KEY),
        ("s3:DeleteObject", "arn:aws:s3:::lake-TAG/x"),
    }
    unused = {(d.action, d.resource) for d in found if d.kind == "unused"}
    assert ("kms:DescribeKey", KEY) in unused
    assert ("s3:GetObject", "arn:aws:s3:::raw-TAG/people/*") not in unused


def test_the_command(tmp_path, capsys):
    file = tmp_path / "people.yaml"
    file.write_text(CONTRACT.format(tag="abc", key=KEY))
    argv = ["iam", str(file), "publish"]
    assert main(argv) == 0
    policy = json.loads(capsys.readouterr().out)
    assert policy == iam.policy(contract(file.read_text()), "publish", HOME)
    assert main([*argv, "--role", "glue", "--cloudformation"]) == 0
    (role,) = json.loads(capsys.readouterr().out)["Resources"].values()
    assert role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "Service": "glue.amazonaws.com"
    }
    (tmp_path / "given.json").write_text(json.dumps(policy))
    assert main([*argv, "--diff", str(tmp_path / "given.json")]) == 0
    trail = tmp_path / "trail"
    trail.mkdir()
    (trail / "a.json.gz").write_bytes(
        gzip.compress(json.dumps({"Records": [record("GetObject", bucketName="b", key="k")]}).encode())
    )
    capsys.readouterr()
    assert main([*argv, "--diff", str(trail), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["differences"][0]["resource"] == "arn:aws:s3:::b/k"


@pytest.mark.parametrize(("more", "said"), [
    (["publihs"], "did you mean 'publish'?"), (["publish", "--role", "lambda"], "choose one of glue"),
    (["publish", "--cloudformation"], "--role"), (["publish", "--diff", "gone.json"], "No such file"),
    (["publish", "--location", "x"], "TABLE=s3://"), (["publish", "--account", "12"], "12 digits")])  # fmt: skip
def test_wrong_arguments_are_exit_2_with_a_remedy(tmp_path, capsys, more, said):
    (tmp_path / "people.yaml").write_text(CONTRACT.format(tag="abc", key=KEY))
    assert main(["iam", str(tmp_path / "people.yaml"), *more]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("text", "verb", "said"), [
    (CONTRACT.format(tag="abc", key=KEY), "release", "is a contract, and release is about a query"),
    (QUERY.format(tag="abc", key=KEY), "publish", "is a query, and publish is about a contract")])  # fmt: skip
def test_the_other_kind_of_file_is_named(tmp_path, capsys, text, verb, said):
    (tmp_path / "f.yaml").write_text(text)
    assert main(["iam", str(tmp_path / "f.yaml"), verb]) == 2
    assert said in capsys.readouterr().err


def test_places_outside_of_aws_and_unknown_folders_are_said(tmp_path, capsys):
    file = tmp_path / "t.yaml"
    file.write_text(
        "contract: t\nsource: {path: raw}\ntarget: {table: lake.t}\nkeys: {path: conf/keys, domain: t}\ndefault: keep\n"
    )
    assert main(["iam", str(file), "publish", "--account", ACCOUNT, "--region", REGION]) == 2
    assert "--location lake.t=s3://BUCKET/FOLDER" in capsys.readouterr().err
    more = ["--location", "lake.t=s3://lake/t", "--location", "lake.t_ledger=s3://lake/t_ledger"]
    assert main(["iam", str(file), "publish", "--account", ACCOUNT, "--region", REGION, *more]) == 0
    told = capsys.readouterr()
    assert "raw is not in S3" in told.err
    assert "conf/keys is not in S3" in told.err
