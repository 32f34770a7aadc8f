"""Every verb asks the policies and leaves one event, allowed or denied; what does neither is listed here with its reason."""

import argparse
import ast
import json
import shutil
from pathlib import Path

import pytest

import dataward
from dataward.access import site
from dataward.cli import _parser, main
from dataward.errors import ContractError, RunError
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import plan
from dataward.verbs.site import init as new_key
from tests.unit.test_contract import GOOD

FREE = {
    "contract check": "reads the contract's text only",
    "contract schema": "prints a schema",
    "dqdl fmt": "prints rules",
    "jars": "fetches Spark's jars",
    "access explain": "answers from the contract's text and policies only",
    "access who-can": "answers from the contract's text and policies only",
    "access sees": "answers from the contract's text and policies only",
    "access test": "answers from the contract's text and policies only",
    "access schema": "prints a schema",
    "iam": "prints a policy, from the contract's text only",
    "init": "writes a new project, without data",
    "site init": "creates the key of a new site or coordinator, which opens nothing yet",
}
"""Commands without a decision and an event: they touch no data, key of data, proof or event."""

C = ["--contract", "c.yaml"]
CANARY = "canary-4b7e@x.org"
CASES = {
    "publish": [[*C], [*C, "--explain"], [*C, "--stream", "checkpoint"]],
    "history": [[*C], [*C, "--metric"], [*C, "--windows"], [*C, "--keys"], [*C, "--mark-bad", "r", "--reason", "w"]],
    "ledger show": [C],
    "ledger head": [C],
    "ledger prove": [["0", *C]],
    "ledger check": [C],
    "ledger repair": [C],
    "ledger publish": [C],
    "ledger migrate": [C],
    "ledger cloudtrail": [[*C, "--to", "s3://b/p", "--key", "k", "--account", "123456789012", "--region", "eu-west-1"]],
    "lineage": [["c.yaml"]],
    "quarantine list": [C],
    "quarantine show": [[*C, "--run", "r"]],
    "quarantine release": [[*C, "--run", "r"]],
    "quarantine discard": [[*C, "--run", "r", "--reason", "w"]],
    "profile": [C, ["data", "--format", "csv"]],
    "suggest": [["data", "--format", "csv"]],
    "discover": [["data", "--format", "csv"], ["data", "--all"]],
    "reidentify": [
        [*C, "--columns", "mail", "--where", f"mail = '{CANARY}'", "--purpose", "p", "--ticket", "t", "--show"]
    ],
    "rotate": [["d", *C]],
    "erase": [[*C, "--subject", CANARY, "--ticket", "t"]],
    "anonymize": [[*C, "--k", "5"]],
    "release": [["q.yaml"], ["q.yaml", "--plan"], ["q.yaml", "--audit"], ["q.yaml", "--verify"]],
    "synthesize": [["s.yaml"]],
    "budget show": [["budgets"]],
    "budget set": [["budgets", "--table", "t", "--unit", "row", "--epsilon", "1"]],
    "budget reserve": [["budgets", "--table", "t", "--unit", "row", "--epsilon", "1", "--name", "n"]],
    "keys create": [["c.yaml"], ["ring"]],
    "keys list": [["c.yaml"], ["ring"]],
    "keys verify": [["c.yaml"]],
    "keys public": [["c.yaml"]],
    "keys disable": [["c.yaml", "d", "1"]],
    "keys enable": [["c.yaml", "d", "1"]],
    "keys migrate": [["c.yaml", "moved"], ["ring", "c.yaml"]],
    "access views": [["c.yaml", "--for", "sql"]],
    "access approve": [["c.yaml", "--column", "mail", "--by", "dpo", "--key", "keys/north.key"]],
    "audit": [[name, *C] for name in ("query", "flush", "seal", "check")]
    + [["correlate", *C, "--cloudtrail", "trail.json"]],
    "preflight": [["c.yaml"]],
    "monitor": [["reports", "--metrics", "stdout"]],
    "dashboard": [["reports"]],
    "train": [["plan.yaml", "--key", "keys/coordinator.key"], ["models", "--verify"]],
    "survey": [["survey.yaml", "--key", "keys/coordinator.key"]],
    "intersect": [["share.yaml", "--site", "sharing.yaml"], ["models", "--verify"]],
    "score": [["models", *C, "--out", "scores"], ["models", *C, "--records", "records.jsonl"]],
    "mlflow": [["--model", "models"], C],
    "site serve": [["site.yaml"]],
    "verify": [C, [*C, "--bundle", "b.zip"], [*C, "--storage"]],
    "diff": [["0", "1", *C]],
    "restore": [["--to", "0", *C]],
    "vacuum": [C],
    "reconcile": [C],
    "release-set publish": [["set.yaml"], ["set.yaml", "--newest"]],
    "release-set verify": [["set.yaml"]],
    "release-set show": [["set.yaml"]],
}
"""Arguments of every other command: its ways to run."""


def commands(parser=None, name=()):
    """Yield the name of every command of the command line."""
    parser = parser or _parser()
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield " ".join(name)
    for action in below:
        for word, inner in action.choices.items():
            yield from commands(inner, (*name, word))


def test_every_command_is_tried_or_has_a_reason():
    assert sorted([*FREE, *CASES]) == sorted(commands())


CONTRACT = """\
contract: people
source: {path: a}
target: {path: b, mode: merge, on: [mail]}
keys: {path: ring, domain: d}
quarantine: {path: q}
heads: [{directory: heads}]
columns: {mail: {class: email, protect: token}}
erasure: {subject: mail}
"""
SET = "set: s\ncontracts: [c.yaml]\nledger: {path: sets}\nkeys: {path: ring, domain: d}\n"
QUERY = """\
release: r
source: {path: b}
unit: row
answers: [count]
spend: {epsilon: 1.0, delta: 1.0e-6, from: budgets}
target: {path: answers}
"""
SYNTHESIS = """\
synthesize: r
source: {path: b}
unit: row
columns: {month: {between: [1, 13], bins: 12}}
spend: {epsilon: 1.0, delta: 1.0e-6, from: budgets}
target: {path: made}
"""
SITES = "\n".join(
    f"  - {{name: {name}, url: 'https://127.0.0.1:{port}', public_key: keys/{name}.pub}}"
    for name, port in (("north", 7401), ("south", 7402), ("west", 7403))
)
PLAN = f"""\
plan: p
model: {{type: linear, features: [{{name: x}}], label: y}}
sites:
{SITES}
rounds: 2
minimum_sites: 2
output: {{path: models}}
"""
SURVEY = f"""\
survey: s
sites:
{SITES}
columns: {{x: double}}
rules: 'Rules = [ RowCount > 1 ]'
output: survey
"""
SHARE = f"""\
intersect: shared
key: mail
receiver: north
sites:
{SITES.rpartition(chr(10))[0]}
output: shared
"""
SITE = """\
site: north
key: keys/north.key
coordinator: keys/coordinator.pub
listen: {host: 127.0.0.1, port: 0}
contract: c.yaml
plans: [plan.yaml]
state: state
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded") / "project"
    texts = {"c.yaml": CONTRACT, "q.yaml": QUERY, "s.yaml": SYNTHESIS, "plan.yaml": PLAN, "survey.yaml": SURVEY,
             "site.yaml": SITE, "share.yaml": SHARE, "sharing.yaml": SITE.replace("plan.yaml", "share.yaml"), "set.yaml": SET, "records.jsonl": json.dumps({"mail": CANARY}), "trail.json": '{"Records": []}'}  # fmt: skip
    for name in ("north", "south", "west", "coordinator"):
        new_key(folder / "keys", name)
    for name, text in texts.items():
        (folder / name).write_text(text)
    for name in ("reports", "models"):
        (folder / name).mkdir()
    (folder / "data").mkdir()
    (folder / "data" / "a.csv").write_text(f"mail\n{CANARY}\n")
    return folder


def _stops(*_):
    raise RunError("stopped by the test")


@pytest.fixture
def run(project, tmp_path, monkeypatch):
    """Run a command under grants of the machine, without Spark and network; returns its exit code and its events."""
    shutil.copytree(project, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setattr(site, "SITE", tmp_path / "site.yaml")
    monkeypatch.setattr("dataward.spark.session.get", type("Classic", (), {"_jsparkSession": None}))
    monkeypatch.setattr("dataward.federated.coordinator.Coordinator.run", _stops)
    monkeypatch.setattr("dataward.verbs.mlflow._mlflow", _stops)
    sink = tmp_path / "events.jsonl"

    def ran(grant, *argv):
        audit = f"{{sinks: [{{kind: jsonl, path: {sink}}}], spool: {tmp_path}/spool}}"
        site.SITE.write_text(f"access: {{grants: [{grant}]}}\naudit: {audit}\n")
        code = main(list(argv))
        lines = sink.read_text().splitlines() if sink.exists() else []
        written = [file.read_text() for file in (tmp_path / "spool").rglob("*") if file.is_file()]
        assert CANARY not in "".join([*lines, *written])
        return code, [json.loads(line)["unmapped"]["dataward"] for line in lines]

    return ran


WAYS = [pytest.param([*name.split(), *argv], id=" ".join([name, *argv])) for name in CASES for argv in CASES[name]]


@pytest.mark.parametrize("argv", WAYS)
def test_a_denied_command_exits_4_and_leaves_one_event(run, argv, capsys):
    code, events = run("{principals: [nobody], verbs: [read]}", *argv)
    if argv[0] == "reidentify":  # decided by column, once the table is known: tests/spark/test_reidentify.py
        assert (code, [event["status"] for event in events]) == (3, ["failure"])
        return
    assert (code, [event["status"] for event in events]) == (4, ["denied"]), capsys.readouterr().err
    assert f"may not {events[0]['verb']} " in capsys.readouterr().err


@pytest.mark.parametrize("argv", WAYS)
def test_a_permitted_command_leaves_one_event(run, argv):
    code, events = run("{anyone: true, verbs: [look, operate, manage]}", *argv)
    assert code != 4
    assert len(events) == 1
    assert events[0]["status"] in ("success", "failure")


TEXT = "the contract's text and policies only"
UNGUARDED = {
    "access": {"explained": TEXT, "seen": TEXT, "who": TEXT, "run_cases": TEXT},
    "audit": {"since": "parses a time"},
    "batches": {
        "bounded": "the body of stream's batches through Spark Connect",
        "commits_to_read": "looks at given commits",
        "demand_plain": "reads a contract's source",
    },
    "bundle": {"write_bundle": "the body of bundle, of proofs that are read already"},
    "datasets": {
        "hugging_face_dataset": "reads by dataward.read, which decides",
        "hugging_face_of": "converts a given table",
        "torch_dataset": "reads by dataward.read, which decides",
        "torch_of": "converts a given table",
    },
    "discover": {
        "draft_lines": "prints given findings",
        "drafted": "prints given findings",
        "html": "prints given findings",
        "source_of": "looks up the format of a place",
    },
    "held": {
        "held": "calls verify, which decides",
        "protections_of": "of a given seal",
        "sealed": "calls verify, which decides",
        "statement_of": "of a given seal",
    },
    "iam": {
        "compare": "compares given policies",
        "grant": TEXT,
        "subject": TEXT,
        "template": "prints given policies",
    },
    "init": {"init": "writes a new project, without data"},
    "intersect": {"party_of": "part of intersect and site serve, which decide"},
    "ledger": {"note_of": "parses a given file"},
    "lineage": {"graph": "of given seals", "plans_of": "reads contracts"},
    "preflight": {
        "collect": "the body of preflight",
        "findings": "of given facts",
        "storage_of": "settings of buckets, for preflight and verify, which decide",
    },
    "profile": {
        "compared": "compares given profiles",
        "html": "prints a given profile",
        "profiled": "measures a given frame",
        "read": "parses a profile",
    },
    "reidentify": {"principal": "the caller"},
    "release_set": {"read_set": "reads by dataward.reading, which decides"},
    "release": {"verify_release": "calls verify, which decides"},
    "reports": {"check_report": "part of verify"},
    "site": {
        "init": "creates a new key",
    },
    "suggest": {"others": "filters given suggestions"},
    "survey": {"numbers_of": "measures a given frame", "tally_of": "reads a plan"},
    "vacuum": {"retained_hours": "reads a contract"},
    "verify": {"proved": "the body of verify", "trusted": "reads public keys, for verify and bundle, which decide"},
    "publish": {"publish": "calls the pipeline's publish, which decides"},
}
"""Public functions of verbs without a decision and an event of their own."""


def _guarded(tree):
    """Return the public functions of a module, and those that decide or call one of the same module that does."""
    functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    called = {
        name: {node.id for node in ast.walk(one) if isinstance(node, ast.Name)} for name, one in functions.items()
    }
    found = {name for name, names in called.items() if names & {"guarded", "watched"}}
    while more := {name for name, names in called.items() if names & found} - found:
        found |= more
    (public,) = (
        ast.literal_eval(one.value)
        for one in tree.body
        if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "__all__"
    )
    return {name for name in functions if name in public}, found


def test_a_plan_may_be_given_as_the_path_of_its_contract(tmp_path):
    @guarded("verify")
    def name(spark, plan):
        return plan.name

    file = tmp_path / "people.yaml"
    file.write_text(GOOD)
    assert [name(None, given) for given in (str(file), file, plan(file))] == ["people"] * 3
    assert name(spark=None, plan=file) == "people"
    with pytest.raises(ContractError, match="there is no such file"):
        name(None, "nowhere.yaml")


def test_every_public_function_of_a_verb_decides_or_has_a_reason():
    left = {}
    for module in sorted((Path(dataward.__file__).parent / "verbs").glob("[a-z]*.py")):
        public, found = _guarded(ast.parse(module.read_text()))
        if public - found:
            left[module.stem] = public - found
    assert left == {module: set(reasons) for module, reasons in UNGUARDED.items()}


def test_no_module_takes_a_user_from_the_environment():
    """SPARK_USER, LOGNAME and USER are what Spark and getpass answer with."""
    asking = {"sparkUser", "getuser", "getlogin", "getpass"}
    for module in Path(dataward.__file__).parent.rglob("*.py"):
        if any(name in (text := module.read_text()) for name in asking):
            names = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(ast.parse(text))}
            assert not names & asking, module
