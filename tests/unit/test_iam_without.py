"""Verbs that need no Spark, over HTTP: each fails without any one action of its policy, and then works with all of it.

The others: tests/spark/test_iam_wire.py.
"""

import json
import re

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dataward.access.iam_evaluate import allows
from dataward.cli import main
from dataward.contract import load
from dataward.integrity import ledger
from dataward.keys import open_keys
from dataward.verbs.site import init as new_key
from dataward.verbs.site import serve
from tests.aws import aws
from tests.iam_lake import CONTRACT, SITE
from tests.iam_policies import lacking, policy_of
from tests.iam_wire import ACCOUNT, FREE, REGION, read
from tests.unit.test_release_set import sealed

LOCKS = """
heads:
  - {s3: 's3://locks-abc/heads', retain_days: 30}
  - {cloudwatch: /dataward/heads}
"""
TRAIL = ["--to", "s3://lake-abc/folder/ledger-cloudtrail", "--key", "rsa.pem", "--account", ACCOUNT, "--region", REGION]
CASES = {
    "keys-create": ["keys", "create", "new.yaml"],
    "keys-list": ["keys", "list", "people.yaml"],
    "keys-verify": ["keys", "verify", "people.yaml"],
    "keys-public": ["keys", "public", "people.yaml"],
    "keys-disable": ["keys", "disable", "people.yaml", "notes", "1"],
    "keys-enable": ["keys", "enable", "people.yaml", "notes", "1"],
    "ledger-show": ["ledger", "show"],
    "ledger-head": ["ledger", "head"],
    "ledger-prove": ["ledger", "prove", "0"],
    "ledger-check": ["ledger", "check"],
    "ledger-repair": ["ledger", "repair"],
    "ledger-publish": ["ledger", "publish"],
    "ledger-cloudtrail": ["ledger", "cloudtrail", *TRAIL],
    "audit-seal": ["audit", "seal"],
    "audit-check": ["audit", "check"],
    "verify": ["verify"],
}
CALLS = {"site-serve": lambda: serve(None, "south.yaml").server_close()}
NOT_FATAL = {"site-serve": {"s3:PutObject"}}
"""Actions that these runs do not ask for: a site pays when a private plan asks."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """A keyring, a sealed table, its ledger and its heads in AWS; contracts and sites in the working folder."""
    root = tmp_path_factory.mktemp("without")
    with pytest.MonkeyPatch.context() as patch, aws() as cloud:
        patch.chdir(root)
        patch.setattr("boto3.DEFAULT_SESSION", None)
        s3 = cloud.client("s3")
        for name in ("lake", "keys"):
            s3.create_bucket(Bucket=f"{name}-abc")
        s3.create_bucket(Bucket="locks-abc", ObjectLockEnabledForBucket=True)
        cloud.client("logs").create_log_group(logGroupName="/dataward/heads")
        text = CONTRACT.format(tag="abc", key=cloud.client("kms").create_key()["KeyMetadata"]["Arn"])
        text = re.sub(r"^heads:\n(?:  - .*\n)+", "", text, flags=re.MULTILINE)
        text = text.replace("domain: people", "domain: sets")  # as `sealed` names it
        text += "audit: {sinks: [{kind: jsonl, path: events.jsonl}], spool: spool}\n"
        (root / "people.yaml").write_text(text)
        (root / "heads.yaml").write_text(text + LOCKS)
        (root / "new.yaml").write_text(text.replace("rings/people", "rings/new"))
        assert main(["keys", "create", "people.yaml"]) == 0
        filled(root, s3)
        sites(root)
        key = rsa.generate_private_key(65537, 2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (root / "rsa.pem").write_bytes(pem)
        yield cloud


def filled(root, s3):
    mine = load("people.yaml")
    ring = open_keys(mine.keys)
    ring.current("notes")
    beside = mine.target.model_copy(update={"path": "people_ledger"})
    sealed(mine.model_copy(update={"ledger": beside}), ring, root / "people", 4)
    for folder in ("people", "people_ledger"):
        for file in sorted((root / folder).rglob("*")):
            if file.is_file():
                key = f"silver/{file.relative_to(root)}"
                s3.put_object(Bucket="lake-abc", Key=key, Body=file.read_bytes())


def sites(root):
    for name in ("north", "south", "coordinator"):
        new_key(root / "keys", name)
    both = "".join(
        f"  - {{name: {name}, url: 'https://127.0.0.1:1', public_key: keys/{name}.pub}}\n"
        for name in ("north", "south")
    )
    share = f"intersect: shared\nkey: mail\nreceiver: north\noutput: shared\nsites:\n{both}"
    (root / "share.yaml").write_text(share)
    for name in ("north", "south"):
        site = SITE.format(name=name, folder=".", contract="people.yaml", plans=["share.yaml"], tag="abc")
        (root / f"{name}.yaml").write_text(site)


@pytest.mark.long
@pytest.mark.parametrize("verb", [*CASES, *CALLS])
def test_a_verb_fails_without_any_one_action_and_works_with_its_policy(cloud, verb):
    file = "heads.yaml" if verb == "ledger-publish" else "people.yaml"
    mine = load("new.yaml" if verb == "keys-create" else file)
    if verb == "ledger-repair":  # something to mend
        s3 = cloud.client("s3")
        listed = s3.list_objects_v2(Bucket="lake-abc", Prefix="silver/people_ledger/index/")["Contents"]
        s3.delete_object(Bucket="lake-abc", Key=listed[0]["Key"])
    argv = [] if verb in CALLS else CASES[verb]
    argv = [*argv, *(["--contract", file] if argv and not any(".yaml" in one for one in argv) else [])]

    def under(policy):
        """Whether the verb works, and what was refused."""
        refused = []
        if verb in ("ledger-publish", "ledger-cloudtrail"):  # something new to write
            ledger.record(mine.ledger_location, open_keys(mine.keys), mine.keys.domain, "note", b"new")

        def decide(*call):
            denied = [one for one in read(*call) if one.action not in FREE and not allows(policy, one)]
            refused.extend(denied)
            return bool(denied)

        cloud.forbids = decide
        try:
            return (CALLS[verb]() or 0) == 0 if verb in CALLS else main(argv) == 0, refused
        except Exception:
            return False, refused
        finally:
            cloud.forbids = lambda *call: False

    policy = json.loads(json.dumps(policy_of(verb, mine)).replace("lake-TAG", "lake-abc"))
    went_on = {action for action, rest in lacking(policy) if under(rest)[0]}
    assert (went_on, under(policy)) == (NOT_FATAL.get(verb, set()), (True, []))
