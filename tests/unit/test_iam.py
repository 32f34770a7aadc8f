"""Policies of `dataward iam`: held to the requests that the verbs really sent (tests/data/iam), and minimal by deletion."""

import copy
import functools
import gzip
import http.client
import json
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from dataward.access import iam
from dataward.access.iam_diff import against_policy, against_trail
from dataward.access.iam_evaluate import Request, allows, as_list
from dataward.access.iam_verbs import QUERIES
from dataward.cli import main
from dataward.contract import Location
from dataward.verbs.iam import subject
from tests.aws import aws, moto
from tests.iam_lake import CONTRACT, KEY, QUERY
from tests.iam_lake import contract_of as contract
from tests.iam_wire import ACCOUNT, FREE, REGION, harmless, read
from tests.unit.test_guarded import CASES

DATA = Path(__file__).parents[1] / "data" / "iam"
HOME = iam.Account(ACCOUNT, REGION)
REPORTS = "s3a://lake-TAG/reports"
S3 = "arn:aws:s3:::lake-TAG"
ABOVE = {
    "publish": [
        "Probe2: s3:prefix silver/",
        *(f"Read: {S3}/silver{one}" for one in ("", "/people_history", "/people_quarantine")),
    ],
    "anonymize": ["Probe1: s3:prefix folder/", f"Read: {S3}/folder", f"Read: {S3}/folder/anonymize"],
    "budget-set": ["Probe1: s3:prefix gold/", f"Read: {S3}/gold", f"Read: {S3}/gold/budgets"],
    "release": [
        "Probe1: s3:prefix gold/",
        *(f"Read: {S3}/gold{one}" for one in ("", "/budgets", "/counts", "/counts_draws")),
    ],
}
"""Folders of tables that a verb creates: asked for where no turn's object is in them yet (a LogStore of DynamoDB takes no turns)."""
SPARE = {
    **ABOVE,
    "publish-stream": [
        *ABOVE["publish"],
        f"Read: {S3}/silver/people",
        f"Read: {S3}/folder",
    ],  # its first run creates them
    "rotate": [f"Write: {S3}/silver/people_quarantine/*"],  # it rewrites a quarantine with rows in it
    "erase": [  # of tables in which this person was not found, and of states that no contract left here
        f"Read: {S3}/silver",
        f"Write: {S3}/reports/*",
        f"Write: {S3}/silver/people_history/*",
        f"Write: {S3}/silver/people_states/*",
        *(f"Delete: {S3}/silver/people_{one}/*" for one in ("erased", "history", "ledger", "states")),
    ],
}
"""Rights that a recorded run did not need, and another one does."""
RECORDED = sorted(file.stem for file in DATA.glob("*.json"))


def policy_of(verb, of=None, account=HOME, query=None):
    if verb in QUERIES:
        text = QUERY.format(tag="TAG", key=KEY)
        made, more = subject(str(query or _written(text)), verb)
        return iam.policy(made.contract, verb, replace(account, more=more))
    place = Location(path=f"s3a://lake-TAG/folder/{verb}")
    return iam.policy(
        of or contract(heads=()), verb, replace(account, more={"folder": place, "checkpoint": place}), REPORTS
    )


@functools.cache
def _written(text):
    file = Path(tempfile.mkdtemp()) / "query.yaml"
    file.write_text(text)
    return file


@functools.cache
def recorded(verb):
    lines = json.loads((DATA / f"{verb}.json").read_text())
    return [
        Request(action, resource, {key: tuple(values) for key, values in context})
        for action, resource, context in lines
    ]


def refused(policy, verb):
    return [request for request in recorded(verb) if not allows(policy, request) and not harmless(request)]


def without(policy):
    """Every statement that lacks one action, one resource or one value of a condition: its name, number and rest (None: nothing)."""
    for number, statement in enumerate(policy["Statement"]):
        for field in ("Action", "Resource"):
            values = as_list(statement[field])
            for value in values:
                rest = {**statement, field: [v for v in values if v != value]}
                yield f"{statement['Sid']}: {value}", number, rest if len(values) > 1 else None
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                if key == "s3:prefix" or key == "kms:EncryptionContext:domain":
                    for value in as_list(values):
                        rest = copy.deepcopy(statement)
                        rest["Condition"][operator][key] = [v for v in as_list(values) if v != value]
                        yield f"{statement['Sid']}: {key} {value}", number, rest


def part(policy, number, rest):
    """The policy with another statement at a number."""
    statements = [*policy["Statement"][:number], *([rest] if rest else []), *policy["Statement"][number + 1 :]]
    return {**policy, "Statement": statements}


def spare(policy, requests):
    """What of a policy (of Allow statements) no request needs: only those that one statement alone allows can tell."""
    only = [[] for _ in policy["Statement"]]
    for request in requests:
        by = [n for n, one in enumerate(policy["Statement"]) if allows({"Statement": [one]}, request)]
        if len(by) == 1:
            only[by[0]].append(request)
    return [
        what
        for what, number, rest in without(policy)
        if all(rest is not None and allows({"Statement": [rest]}, request) for request in only[number])
    ]


ALIKE = {"score": "verify", "mlflow": "verify", "site-serve": "verify", "intersect": "verify", "synthesize": "release"}
"""Verbs whose requests are not recorded, since they need a trained model, or are those of another verb."""
LIVE = {"preflight", "ledger-publish"}
"""Verbs whose requests are decided below, over HTTP."""
NOTHING = {"audit-correlate"}
"""Verbs that ask AWS nothing."""
NOT_RECORDED = {"reconcile"}
"""Verbs whose policies no recorded request proves yet (docs/iam.md names them)."""


def test_each_verb_with_a_policy_was_recorded():
    assert sorted({*iam.VERBS} - {*ALIKE, *LIVE, *NOTHING, *NOT_RECORDED}) == RECORDED


def test_each_command_that_reaches_aws_has_a_policy():
    none = {
        "access approve": "signs a text",
        "dashboard": "local files",
        "monitor": "local files; its destinations are sns:Publish, logs and webhooks that the command names",
        "keys migrate": "once, by hand: rights of keys-verify on the old keyring, of keys-create and kms:Encrypt on the new one",
        "ledger migrate": "reads and writes the ledger once, by hand",
        "release-set publish": "the policies of publish of its contracts, and of audit-seal of a contract with the set's ledger",
        "release-set verify": "the policies of verify of its contracts",
        "release-set show": "the policies of ledger-show of its contracts",
        "survey": "the coordinator's local files",
        "train": "the coordinator's local files",
    }
    named = {name.replace(" ", "-") for name in CASES} - {name.replace(" ", "-") for name in none}
    missing = {name for name in named if name not in iam.VERBS and name != "audit"}
    assert missing == set()


@pytest.mark.parametrize("verb", RECORDED)
def test_a_verb_may_do_all_that_it_was_seen_to_do(verb):
    assert refused(policy_of(verb), verb) == []


@pytest.mark.parametrize("verb", RECORDED)
def test_no_action_resource_or_condition_value_can_be_left_out(verb):
    requests = [request for request in recorded(verb) if not harmless(request)]
    assert [one for one in spare(policy_of(verb), requests) if one not in SPARE.get(verb, ())] == []


@pytest.mark.parametrize("change", [
    {"keys": {"provider": "aws_kms", "key": KEY.replace("HEX", "other"), "path": "s3://keys-TAG/rings/people.json", "domain": "people", "env": "prod"}},
    {"keys": {"provider": "aws_kms", "key": KEY, "path": "s3://keys-TAG/rings/people.json", "domain": "people", "env": "test"}},
    {"keys": {"provider": "aws_kms", "key": KEY, "path": "s3://keys-TAG/rings/people.json", "domain": "others", "env": "prod"}},
    {"keys": {"provider": "aws_kms", "key": KEY, "path": "s3://keys-TAG/rings/others.json", "domain": "people", "env": "prod"}},
    {"source": {"path": "s3a://raw-TAG/other"}},
    {"target": {"path": "s3a://lake-TAG/silver/peopl", "mode": "merge", "on": ["id"]}},
])  # fmt: skip
def test_the_policy_of_another_contract_refuses_the_job(change):
    assert refused(policy_of("publish", contract(**change)), "publish")


def test_no_publisher_may_delete_and_only_erasure_does():
    deletes = {verb for verb in iam.VERBS if "s3:DeleteObject" in json.dumps(policy_of(verb))}
    assert deletes == {"erase", "vacuum", "publish-stream"}
    assert not any(
        "*" in action for verb in iam.VERBS for s in policy_of(verb)["Statement"] for action in as_list(s["Action"])
    )


def test_a_probe_of_a_folder_above_lists_two_names_and_no_more():
    policy = policy_of("publish")
    probe = {"s3:prefix": ("silver/",), "s3:delimiter": ("/",), "s3:max-keys": ("2",)}
    asked = Request("s3:ListBucket", "arn:aws:s3:::lake-TAG", probe)
    assert allows(policy, asked)
    assert not allows(policy, Request(asked.action, asked.resource, {**probe, "s3:max-keys": ("1000",)}))
    assert not allows(policy, Request(asked.action, asked.resource, {"s3:prefix": ("silver/",)}))


def test_a_key_named_by_its_alias_is_granted_by_that_alias():
    keys = {"provider": "aws_kms", "key": "alias/people", "path": "conf/ring", "domain": "people", "env": "prod"}
    policy = policy_of("publish", contract(keys=keys))
    context = {"kms:EncryptionContext:env": ("prod",), "kms:EncryptionContext:domain": ("people",),
               "kms:EncryptionContext:purpose": ("derivation",), "kms:EncryptionContext:version": ("1",),
               "kms:EncryptionContextKeys": ("env", "domain", "purpose", "version"), "kms:RequestAlias": ("alias/people",)}  # fmt: skip
    assert allows(policy, Request("kms:Decrypt", KEY, context))
    assert not allows(policy, Request("kms:Decrypt", KEY, {**context, "kms:RequestAlias": ("alias/others",)}))
    assert not allows(policy, Request("kms:Decrypt", KEY, {**context, "kms:EncryptionContextKeys": ("env", "more")}))


def test_buckets_keys_catalog_and_logs():
    account = iam.Account(
        ACCOUNT,
        REGION,
        bucket_key=f"{KEY}-of-bucket",
        log_group="/dataward/people",
        locations={"lake.people": "s3://lake-TAG/p"},
    )
    policy = policy_of("publish", contract(target={"table": "lake.people", "mode": "merge", "on": ["id"]},
                                           history=None, erasure=None, ledger={"path": "s3://lake-TAG/ledger"}), account)  # fmt: skip
    through = {
        "kms:ViaService": (f"s3.{REGION}.amazonaws.com",),
        "kms:EncryptionContext:aws:s3:arn": ("arn:aws:s3:::lake-TAG/p/part",),
    }
    assert allows(policy, Request("kms:GenerateDataKey", f"{KEY}-of-bucket", through))
    assert not allows(
        policy, Request("kms:GenerateDataKey", f"{KEY}-of-bucket", {**through, "kms:ViaService": ("ebs",)})
    )
    table = f"arn:aws:glue:{REGION}:{ACCOUNT}:table/lake/people"
    assert allows(policy, Request("glue:UpdateTable", table))
    assert not allows(policy, Request("glue:UpdateTable", table + "2"))
    stream = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/dataward/%s:log-stream:r1"
    assert allows(policy, Request("logs:PutLogEvents", stream % "people"))
    assert not allows(policy, Request("logs:PutLogEvents", stream % "others"))
    assert "glue:UpdateTable" not in json.dumps(policy_of("verify", contract(target={"table": "lake.people"}, erasure=None,
                                                          history=None, ledger={"path": "s3://lake-TAG/ledger"}), account))  # fmt: skip


@pytest.mark.parametrize("role", iam.ROLES)
def test_only_the_service_of_this_account_takes_the_role(role):
    (statement,) = iam.trust(role, HOME)["Statement"]
    assert statement["Principal"] == {"Service": iam.ROLES[role][0]}
    if role != "emr-ec2":
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}


@pytest.mark.parametrize("verb", iam.VERBS)
def test_policies_are_linted(verb):
    from parliament import analyze_policy_string

    account = iam.Account(
        ACCOUNT, REGION, bucket_key=KEY.replace("HEX", "4d1f2f3a-0000-4000-8000-000000000000"), log_group="/dataward/t"
    )
    good = contract(CONTRACT.format(tag="abc", key=KEY.replace("HEX", "4d1f2f3a-0000-4000-8000-000000000001")))
    found = analyze_policy_string(json.dumps(iam.policy(good, verb, account, REPORTS.lower()))).findings
    assert [str(finding) for finding in found] == []


@pytest.mark.parametrize(
    "parts", [pytest.param((2,), id="one"), pytest.param((0, 1, 3, 4, 5, 6), id="others", marks=pytest.mark.long)]
)
def test_a_keyring_is_made_with_its_policy_and_by_no_part_of_it_on_moto(tmp_path, monkeypatch, capsys, parts):
    """moto enforces actions, and of resources those of S3; it takes keys by Resource * alone, and no condition (FACTS)."""

    def forgiving(policy):
        told = copy.deepcopy(policy)
        for statement in told["Statement"]:
            if "kms:" in str(statement["Action"]):
                statement["Resource"] = "*"
                statement.pop("Condition", None)
        return told

    def tried(policy):
        with aws() as cloud:
            s3, kms, users = (cloud.client(name) for name in ("s3", "kms", "iam"))
            s3.create_bucket(Bucket="keys-abc")
            key = kms.create_key()["KeyMetadata"]["Arn"]
            users.create_user(UserName="job")
            document = json.dumps(policy).replace(KEY, key)
            users.put_user_policy(UserName="job", PolicyName="p", PolicyDocument=document)
            made = users.create_access_key(UserName="job")["AccessKey"]
            file = tmp_path / "people.yaml"
            file.write_text(CONTRACT.format(tag="abc", key=key))
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", made["AccessKeyId"])
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made["SecretAccessKey"])
            monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps the credentials that it has seen
            enforce(0)
            try:
                return main(["keys", "create", str(file)])
            finally:
                enforce(10_000)

    whole = forgiving(policy_of("keys-create", contract(CONTRACT.format(tag="abc", key=KEY))))
    assert tried(whole) == 0
    every = [part(whole, number, rest) for what, number, rest in without(whole) if "Encryption" not in what]
    assert len(every) == 7
    for one in (every[number] for number in parts):
        capsys.readouterr()
        assert tried(one) == 3
        assert re.search("AWS answered (AccessDenied|403)", capsys.readouterr().err)


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


def enforce(free_calls):
    connection = http.client.HTTPConnection(moto())
    connection.request("POST", "/moto-api/reset-auth", str(free_calls), {"Content-Type": "text/plain"})
    connection.getresponse().read()


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
