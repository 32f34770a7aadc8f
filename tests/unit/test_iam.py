"""Policies of `dataward iam`: held to the requests that the verbs really sent (tests/data/iam), and minimal by deletion."""

import copy
import functools
import json
import re
from pathlib import Path

import pytest

from dataward.access import iam
from dataward.access.iam_evaluate import Request, allows, as_list
from dataward.cli import main
from tests.aws import aws
from tests.iam_lake import CONTRACT, KEY, SITE
from tests.iam_lake import contract_of as contract
from tests.iam_policies import HOME, REPORTS, enforce, part, policy_of, spare, without
from tests.iam_wire import ACCOUNT, REGION, harmless
from tests.unit.test_guarded import CASES, FREE, commands

DATA = Path(__file__).parents[1] / "data" / "iam"

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
    "synthesize": [
        "Probe1: s3:prefix gold/",
        *(f"Read: {S3}/gold{one}" for one in ("", "/budgets", "/made", "/made_draws")),
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
        "Probe2: s3:prefix silver/",
        f"Read: {S3}/silver",
        f"Write: {S3}/reports/*",
        f"Write: {S3}/silver/people_history/*",
        f"Write: {S3}/silver/people_states/*",
        *(f"Delete: {S3}/silver/people_{one}/*" for one in ("erased", "history", "ledger", "states")),
    ],
}
"""Rights that a recorded run did not need, and another one does."""

RECORDED = sorted(file.stem for file in DATA.glob("*.json"))


@functools.cache
def recorded(verb):
    lines = json.loads((DATA / f"{verb}.json").read_text())
    return [
        Request(action, resource, {key: tuple(values) for key, values in context})
        for action, resource, context in lines
    ]


def refused(policy, verb):
    return [request for request in recorded(verb) if not allows(policy, request) and not harmless(request)]


LIVE = {"preflight", "ledger-publish"}
"""Verbs whose requests are decided below, over HTTP."""

NOTHING = {"audit-correlate"}
"""Verbs that ask AWS nothing."""


def test_each_verb_with_a_policy_was_recorded():
    assert sorted({*iam.VERBS} - {*LIVE, *NOTHING}) == RECORDED


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
    audits = {f"audit {argv[0]}" for argv in CASES["audit"]}
    modes = {"publish --stream", "publish --explain", "history --mark"}
    reaching = {*commands(), *audits, *modes} - {"audit", *FREE, *none}
    assert {re.sub("[ -]+", "-", name) for name in reaching} | {"read"} == {*iam.VERBS}  # `read` is a function


def test_a_sites_file_names_its_contract_and_its_budget(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("people.yaml").write_text(CONTRACT.format(tag="TAG", key=KEY))
    site = SITE.format(name="south", folder=".", contract="people.yaml", plans=["plan.yaml"], tag="TAG")
    Path("site.yaml").write_text(site)
    printed = []
    for argv in (["site.yaml", "site-serve"], ["people.yaml", "site-serve"], ["site.yaml", "intersect"]):
        assert main(["iam", *argv]) == 0
        printed.append(json.loads(capsys.readouterr().out))
    charge = Request("s3:PutObject", f"{S3}/gold/budgets/_delta_log/1.json")
    assert [allows(policy, charge) for policy in printed] == [True, False, False]
    assert all(allows(policy, Request("s3:GetObject", f"{S3}/silver/people/part")) for policy in printed)


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
