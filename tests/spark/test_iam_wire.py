"""Each verb under the policy that `dataward iam` prints for it, and without any one action of it, over s3a and real HTTP.

What it asks is kept for tests/unit/test_iam.py.
"""

import json
import os
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dataward import read
from dataward.access import iam
from dataward.access.iam_evaluate import allows
from dataward.access.iam_verbs import QUERIES, SITES
from dataward.contract import Location
from dataward.federated.certificates import private_key
from dataward.federated.encode import pack
from dataward.federated.model import Model
from dataward.federated.plan import read_plan, read_site
from dataward.integrity import ledger
from dataward.keys import open_keys
from dataward.pipeline import publish as publishing
from dataward.pipeline.plan import plan
from dataward.verbs.held import protections_of
from dataward.verbs.history import history
from dataward.verbs.iam import subject
from dataward.verbs.intersect import intersect
from dataward.verbs.site import init as new_key
from dataward.verbs.site import load
from tests.iam_lake import QUERY, SITE, SYNTHESIS, cloud
from tests.iam_policies import lacking
from tests.iam_wire import ACCOUNT, REGION, harmless, normal
from tests.installed import SPARK4

pytestmark = [pytest.mark.long, pytest.mark.skipif(SPARK4, reason="hadoop-aws for Spark 4 brings a bundle of 686 MB")]
RECORD = "RECORD" in os.environ
EACH_ACTION = "EACH_ACTION" in os.environ
"""Whether each verb is also run without each action of its policy, which takes a quarter of an hour."""

DATA = Path(__file__).parents[1] / "data" / "iam"


def policy_of(lake, verb):
    named = {
        **dict.fromkeys(QUERIES, "query"),
        **dict.fromkeys(SITES, "south"),
        "intersect": "north",
        "synthesize": "synthesis",
    }
    if verb in named:
        made, more = subject(str(lake.folder / f"{named[verb]}.yaml"), verb)
        return iam.policy(made.contract, verb, iam.Account(ACCOUNT, REGION, more=more))
    place = Location(path=f"s3a://lake-{lake.tag}/folder/{verb}")
    account = iam.Account(ACCOUNT, REGION, more={"folder": place, "checkpoint": place})
    return iam.policy(plan(lake.contract).contract, verb, account, f"s3a://lake-{lake.tag}/reports")


def kept(lake, verb, seen):
    """Compare with what is in the repository; RECORD=1 adds to it: what a verb asks depends on what ran before it."""
    requests = {_key(one): one for one in (normal(request, lake.tag) for request in seen)}
    texts = json.dumps(sorted([r.action, r.resource, sorted(r.context.items())] for r in requests.values()))
    asked = json.loads(texts)
    file = DATA / f"{verb}.json"
    if RECORD or not file.exists():
        DATA.mkdir(parents=True, exist_ok=True)
        earlier = json.loads(file.read_text()) if file.exists() else []
        asked = sorted([*asked, *(line for line in earlier if line not in asked)])
        file.write_text("[\n" + ",\n".join(json.dumps(line) for line in asked) + "\n]\n")
    known = json.loads(file.read_text())
    new = [
        line for line in asked if line not in known and not line[1].endswith("/_dataward/turn.json")
    ]  # as the LogStore needs
    assert new == [], f"RECORD=1 adds to tests/data/iam/{verb}.json"


def _key(request):
    return (request.action, request.resource, *sorted(request.context.items()))


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """A keyring and one published version, both made under their policies."""
    with cloud(spark, tmp_path_factory.mktemp("iam")) as made:
        text = made.contract.read_text()  # requests of heads are decided live by tests/unit/test_iam_check.py
        made.contract.write_text(re.sub(r"^heads:\n(?:  - .*\n)+", "", text, flags=re.MULTILINE))
        run(made, "keys-create", "keys", "create", str(made.contract), contract=False)
        run(made, "publish", "publish", "--run-id", "r1", *reports(made))
        yield made


def reports(lake):
    return ["--report", f"s3a://lake-{lake.tag}/reports"]


NOT_FATAL: dict[str, set[str]] = {}
"""Actions of a verb without which it goes on, and why."""

went_on: dict[str, set[str]] = {}


@pytest.fixture(autouse=True)
def no_verb_goes_on_without_an_action():
    yield
    found = {**went_on}
    went_on.clear()
    assert found == {}


def run(lake, verb, *argv, contract=True, name="", call=None):
    """Run a verb with its policy; before it, where asked for, without each action of it, which must fail.

    While recording: with its policy only, and again under none where that was refused, so that one run shows all that is missing.
    """
    policy = policy_of(lake, verb)

    def under(given):
        return lake.call(call, policy=given) if call else lake.run(*argv, policy=given, contract=contract)

    if EACH_ACTION and not RECORD:
        spared = {action for action, part in lacking(policy) if not fails(under, part)}
        if spared != NOT_FATAL.get(verb, set()):
            went_on[verb] = spared
    failed = fails(under, policy)
    refused = [request for request in lake.refused if not harmless(request)]
    if RECORD and (failed or refused):
        print("RECORDED", verb, refused, under(None), [one for one in lake.seen if not allows(policy, one)])
    elif failed or refused:
        raise AssertionError((verb, failed, refused))
    if name != "later":
        kept(lake, verb, list(lake.seen))
    return list(lake.seen)


def fails(under, policy):
    try:
        return under(policy) != 0
    except Exception:  # a function, where a command has an exit code
        return True


def test_verbs_that_read_work_with_their_policies(lake):
    run(lake, "verify", "verify")
    seen = run(lake, "history", "history", name="later") + run(lake, "history", "history", "--metric", name="later")
    kept(lake, "history", seen)
    run(lake, "history-mark", "history", "--mark-bad", "r1", "--reason", "known")
    run(lake, "history-mark", "history", "--mark-good", "r1", "--reason", "known")
    run(lake, "profile", "profile", f"s3a://raw-{lake.tag}/people", "--report", str(lake.folder), contract=False)
    run(lake, "ledger-show", "ledger", "show")
    run(lake, "ledger-check", "ledger", "check")
    run(lake, "keys-verify", "keys", "verify", str(lake.contract), contract=False)
    run(lake, "quarantine-list", "quarantine", "list")
    run(lake, "reidentify", "reidentify", "--columns", "note", "--purpose", "support", "--ticket", "T1", "--show")
    run(lake, "quarantine-show", "quarantine", "show", "--run", "r1")


def test_verbs_without_spark_work_with_their_policies(lake):
    file = str(lake.contract)
    for verb in ("keys-list", "keys-public"):
        run(lake, verb, *verb.split("-"), file, contract=False)
    for verb in ("keys-disable", "keys-enable"):
        run(lake, verb, *verb.split("-"), file, "notes", "1", contract=False)
    run(lake, "ledger-head", "ledger", "head")
    run(lake, "ledger-prove", "ledger", "prove", "0")
    pointer = next(name for name in lake.objects() if "_ledger/index/" in name)
    lake.aws.client("s3").delete_object(Bucket=f"lake-{lake.tag}", Key=pointer.lstrip("/"))
    run(lake, "ledger-repair", "ledger", "repair")
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (lake.folder / "rsa.pem").write_bytes(pem)
    place = ["--to", f"s3://lake-{lake.tag}/folder/ledger-cloudtrail", "--key", str(lake.folder / "rsa.pem")]
    export = ["ledger", "cloudtrail", *place, "--account", ACCOUNT, "--region", REGION]
    assert lake.run(*export) == 0
    contract = plan(file).contract
    ledger.record(contract.ledger_location, open_keys(contract.keys), "people", "note", b"new")
    run(lake, "ledger-cloudtrail", *export)  # it continues the earlier export
    with changed(
        lake,
        "erasure:",
        f"audit: {{sinks: [{{kind: jsonl, path: {lake.folder}/events}}], spool: {lake.folder}/spool}}\nerasure:",
    ):
        for verb in ("audit-query", "audit-flush", "audit-seal", "audit-check"):
            run(lake, verb, *verb.split("-"))


def test_other_verbs_that_read_work_with_their_policies(lake):
    source = f"s3a://raw-{lake.tag}/people"
    run(lake, "access-views", "access", "views", str(lake.contract), "--for", "sql", contract=False)
    run(lake, "discover", "discover", source, "--report", str(lake.folder), contract=False)
    run(lake, "lineage", "lineage", str(lake.contract), contract=False)
    run(lake, "publish-explain", "publish", "--explain")
    with changed(lake, "access: {", "access: {grants: [{anyone: true, verbs: [read], see: {default: clear}}], "):
        run(lake, "read", call=lambda: read(lake.spark, lake.contract).collect())
    with changed(lake, "erasure:", "quasi_identifiers: {email: []}\nerasure:"):
        run(lake, "anonymize", "anonymize", "--k", "2", "--out", f"s3a://lake-{lake.tag}/folder/anonymize")
    run(lake, "suggest", "suggest", source, contract=False)


def test_releases_and_budgets_work_with_their_policies(lake):
    key = plan(lake.contract).contract.keys.key
    query = lake.folder / "query.yaml"
    query.write_text(QUERY.format(tag=lake.tag, key=key))
    budgets, table = f"s3a://lake-{lake.tag}/gold/budgets", f"s3a://lake-{lake.tag}/silver/people"
    amount = ["--table", table, "--unit", "row", "--epsilon"]
    run(lake, "budget-set", "budget", "set", budgets, *amount, "3", "--delta", "1e-5", contract=False)
    run(lake, "budget-reserve", "budget", "reserve", budgets, *amount, "1", "--name", "n", contract=False)
    run(lake, "budget-show", "budget", "show", budgets, contract=False)
    run(lake, "release", "release", str(query), "--run-id", "a1", contract=False)
    for way in ("--plan", "--verify"):  # with no other rights
        assert lake.run("release", str(query), way, policy=policy_of(lake, "release"), contract=False) == 0
    (lake.folder / "synthesis.yaml").write_text(SYNTHESIS.format(tag=lake.tag, key=key))
    run(lake, "synthesize", "synthesize", str(lake.folder / "synthesis.yaml"), "--run-id", "s1", contract=False)


SITES_OF_TRAINING = """
  - {{name: north, url: "https://127.0.0.1:1", public_key: {folder}/keys/north.pub}}
  - {{name: south, url: "https://127.0.0.1:1", public_key: {folder}/keys/south.pub}}
"""
TRAINING = """
plan: p
model: {{type: linear, features: [{{name: email, categories: {emails}}}], label: id, label_bounds: [0, 1000]}}
rounds: 2
minimum_sites: 2
privacy: {{epsilon: 0.5, delta: 1.0e-6}}
output: {{path: {folder}/trained}}
sites:"""
SHARE = "intersect: shared\nkey: email\nreceiver: north\noutput: {folder}/shared\nsites:"


class Wire:
    """Passes messages of an intersection to the site that answers."""

    def __init__(self, site, peer):
        self.site, self.peer = site, peer

    def call(self, name, stage, message):
        return json.loads(json.dumps(self.site.intersect(json.loads(json.dumps(message)), self.peer)))


def test_training_scores_and_intersections_work_with_their_policies(lake, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    folder, table = lake.folder, f"s3a://lake-{lake.tag}/silver/people"
    for name in ("north", "south", "coordinator"):
        new_key(folder / "keys", name)
    emails = sorted(row.email for row in lake.spark.read.format("delta").load(table).select("email").collect())
    for name, text in (("plan", TRAINING), ("share", SHARE)):
        made = (text + SITES_OF_TRAINING).format(folder=folder, emails=json.dumps(emails))
        (folder / f"{name}.yaml").write_text(made)
    for name, plans in (("north", ("share",)), ("south", ("plan", "share"))):
        listed = json.dumps([f"{folder}/{one}.yaml" for one in plans])
        (folder / f"{name}.yaml").write_text(
            SITE.format(name=name, folder=folder, contract=lake.contract, plans=listed, tag=lake.tag)
        )
    budgets = [f"s3a://lake-{lake.tag}/gold/budgets", "--table", table, "--unit", "row", "--epsilon", "5"]
    assert lake.run("budget", "set", *budgets, "--delta", "1e-4", contract=False) == 0
    served = []

    def serve():
        site, _ = load(None, read_site(folder / "south.yaml"))
        served.append(site)
        for accepted in site._accepted.values():
            accepted.charge("t1")

    run(lake, "site-serve", call=serve)
    peer = private_key(folder / "keys/north.key").public_key()
    ask = Wire(served[0], peer)
    run(lake, "intersect", call=lambda: intersect(folder / "share.yaml", folder / "north.yaml", ask))
    assert json.loads((folder / "shared/card.json").read_text())["size"] == len(set(emails))
    run(lake, "mlflow", "mlflow", "--tracking", (folder / "mlruns").as_uri())
    seal = ledger.newest_seal(plan(lake.contract).contract.ledger_location, Location(path=table))
    weights, scaling = {"weights": pack(np.zeros(len(emails) + 1))}, ((0.0,) * len(emails), (1.0,) * len(emails))
    model = Model(read_plan(folder / "plan.yaml"), "00", *scaling, weights, {"south": protections_of(seal, ["email"])})
    (folder / "model.json").write_bytes(model.bytes())
    scores = ["--out", f"s3a://lake-{lake.tag}/folder/score", "--keep", "id"]
    run(lake, "score", "score", str(folder / "model.json"), *scores)


@contextmanager
def changed(lake, old, new):
    """The contract with another text, for one verb."""
    text = lake.contract.read_text()
    assert old in text
    lake.contract.write_text(text.replace(old, new))
    try:
        yield
    finally:
        lake.contract.write_text(text)


def test_rotation_works_with_its_policy(lake):
    run(lake, "rotate", "rotate", "notes")


def test_verbs_about_diverted_rows_work_with_their_policies(lake):
    text = lake.contract.read_text()
    lake.contract.write_text(text.replace('matches ".+@.+"', 'matches ".+"'))
    run(lake, "quarantine-release", "quarantine", "release", "--run", "r1", *reports(lake))
    lake.contract.write_text(text)
    assert lake.run("publish", "--run-id", "r2", *reports(lake)) == 0
    run(lake, "quarantine-discard", "quarantine", "discard", "--run", "r2", "--reason", "known")


class Killed(BaseException):
    """What no handler catches."""


def test_a_commit_of_a_killed_run_is_sealed_by_reconcile_with_its_policy(lake, monkeypatch):
    def kill(*given, **facts):
        raise Killed

    source = lake.spark.createDataFrame([(98, "y@x.org", "n")], "id bigint, email string, note string")
    source.write.format("delta").mode("append").save(f"s3a://raw-{lake.tag}/people")
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "seal_version", kill)
        with pytest.raises(Killed):
            lake.run("publish", "--run-id", "killed", *reports(lake))
    run(lake, "reconcile", "reconcile")
    assert lake.run("verify") == 0


def test_verbs_about_versions_work_with_their_policies(lake):
    newest = read(lake.spark, lake.contract).count()
    assert newest
    (last, *_) = history(lake.spark, plan(lake.contract))
    if last.version == 0:
        lake.spark.createDataFrame([(99, "z@x.org", "n")], "id bigint, email string, note string").write.format(
            "delta"
        ).mode("append").save(f"s3a://raw-{lake.tag}/people")
        assert lake.run("publish", "--run-id", "r3", *reports(lake)) == 0
    run(lake, "diff", "diff", "0", "1")
    run(lake, "restore", "restore", "--to", "0")
    with changed(lake, "erasure:", "retention: {days: 0}\nerasure:"):
        without = dict(lacking(policy_of(lake, "vacuum")))["s3:DeleteObject"]
        assert lake.run("vacuum", policy=without) == 3  # where Delta's own command ends well and removes nothing
        run(lake, "vacuum", "vacuum")


def test_a_stream_works_with_its_policy(lake):
    checkpoint = f"s3a://lake-{lake.tag}/folder/publish-stream"
    run(lake, "publish-stream", "publish", "--stream", checkpoint, *reports(lake))


def test_erasure_works_with_its_policy(lake):
    who = lake.folder / "who"
    who.write_text("5")
    run(lake, "erase", "erase", "--subject", f"@{who}", "--ticket", "T2", *reports(lake))


@pytest.mark.parametrize("sid", ["Read", "List1", "Write", "Keyring", "UseKey", "DescribeKey"])
def test_without_one_right_publish_fails_and_leaves_no_version(lake, sid):
    whole = policy_of(lake, "publish")
    part = {**whole, "Statement": [s for s in whole["Statement"] if s["Sid"] != sid]}
    before = {r for r in lake.objects() if "/silver/people/_delta_log/" in r and r.endswith(".json")}
    assert lake.run("publish", "--run-id", f"without-{sid}", policy=part) == 3
    assert lake.refused
    assert {r for r in lake.objects() if "/silver/people/_delta_log/" in r and r.endswith(".json")} == before
    assert all(not allows(part, request) for request in lake.refused)
