"""The projects that `dataward init` lays out: contracts that check, templates that lint, examples that do what they say."""

import copy
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from dataward.access.iam_evaluate import Request, allows
from dataward.cli import main
from dataward.pipeline.plan import plan
from dataward.privacy.discover.macie import identifiers
from dataward.tables.aws import refuses_plaintext

ROOT = Path(__file__).parents[2]
SERVICES = ("aws", "databricks")


@pytest.fixture(scope="module", params=SERVICES)
def project(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("projects") / request.param
    named = ["--prefix", "umbrella"] if request.param == "aws" else []
    assert main(["init", str(folder), f"--{request.param}", *named]) == 0
    return folder


@pytest.fixture(scope="module")
def aws_project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aws") / "project"
    assert main(["init", str(folder), "--aws", "--prefix", "umbrella", "--account", "111122223333"]) == 0
    return folder


class Loader(yaml.SafeLoader):
    """CloudFormation's short forms, as {"Fn::Name": value}."""


Loader.add_multi_constructor(
    "!", lambda loader, tag, node: {f"Fn::{tag}": loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode)
                                    else loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode)
                                    else loader.construct_mapping(node, deep=True)})  # fmt: skip


def resources(folder, name):
    return yaml.load((folder / "aws" / f"{name}.yaml").read_text(), Loader)["Resources"]  # noqa: S506 - derives from SafeLoader


def load(file, name):
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_project_holds_contracts_that_are_well_formed_and_nothing_to_be_filled_in(project):
    for contract in project.rglob("contracts/**/*.yaml"):
        assert plan(contract).name == "customers"
        assert not re.search(r"\b(PREFIX|ACCOUNT|REGION|ENV)\b", contract.read_text())
    assert (project / ".gitignore").read_text().startswith("/keys/")
    assert "dataward publish" in (project / "README.md").read_text()
    for job in (project / "jobs").glob("*.py"):
        assert job.read_text() == (ROOT / "jobs" / job.name).read_text()


def test_both_contracts_of_a_project_demand_the_same_of_the_data(project):
    texts = [yaml.safe_load(path.read_text()) for path in sorted(project.rglob("contracts/**/customers.yaml"))]
    assert len(texts) == 2
    for key in ("rules", "columns", "default", "limits"):
        assert texts[0][key] == texts[1][key]


@pytest.mark.parametrize(("more", "said"), [
    (["--prefix", "A_b"], "--prefix"), (["--account", "12"], "--account"), (["--region", "moon"], "--region"), (["--env", ""], "--env")])  # fmt: skip
def test_wrong_names_lay_out_nothing(tmp_path, capsys, more, said):
    assert main(["init", str(tmp_path / "new"), "--aws", *more]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_what_goes_with_aws_alone_is_refused_elsewhere(tmp_path, capsys):
    for platform in ((), ("--databricks",)):
        assert main(["init", str(tmp_path / "new"), *platform, "--prefix", "lake"]) == 2
        assert "--prefix goes with --aws" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_next_commands_can_be_pasted_whatever_the_folder_is_called(tmp_path, capsys):
    folder = tmp_path / "new project"
    assert main(["init", str(folder)]) == 0
    assert f"  cd '{folder}'\n" in capsys.readouterr().out


def test_a_folder_that_holds_something_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine").write_text("x")
    assert main(["init", str(tmp_path), "--aws"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_project_without_a_platform_runs_as_well(tmp_path, capsys):
    assert main(["init", str(tmp_path / "new"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == [
        ".gitignore",
        "contracts/customers.yaml",
        "data/customers.csv",
    ]


def test_the_readme_of_a_project_names_every_parameter_without_a_default(aws_project):
    rows = re.findall(r"^\| `(\w+)` \|.*\|(.*)\|$", (aws_project / "README.md").read_text(), re.MULTILINE)
    named = {stack: set(re.findall(r"`(\w+)`(?! of)", cell)) for stack, cell in rows}
    assert set(named) == {path.stem for path in (aws_project / "aws").glob("*.yaml")}
    for stack, names in named.items():
        template = yaml.load((aws_project / "aws" / f"{stack}.yaml").read_text(), Loader)  # noqa: S506 - derives from SafeLoader
        asked = {name for name, given in (template.get("Parameters") or {}).items() if "Default" not in given}
        assert asked == names & set(template.get("Parameters") or {}), stack
    assert "`Prefix` (umbrella)" in (aws_project / "README.md").read_text()


def test_templates_are_clean_to_cfn_lint(aws_project):
    files = sorted(map(str, (aws_project / "aws").glob("*.yaml")))
    assert len(files) == 8
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), *files],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.long
def test_templates_are_clean_to_checkov_and_each_skip_is_of_a_check_that_would_fail(aws_project, tmp_path):
    program = next(
        (
            p
            for p in (os.environ.get("CHECKOV"), str(ROOT / ".venv-checkov/bin/checkov"), shutil.which("checkov"))
            if p and Path(p).exists()
        ),
        None,
    )
    if program is None:
        pytest.skip("checkov has a virtual environment of its own: make lint-aws")

    def checked(folder):
        command = [program, "-d", str(folder), "--framework", "cloudformation", "--skip-download", "-o", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        return json.loads(done.stdout)

    told = checked(aws_project / "aws")
    assert [(found["check_id"], found["resource"]) for found in told["results"]["failed_checks"]] == []
    assert told["summary"]["passed"] > 100
    bare = tmp_path / "bare"
    shutil.copytree(aws_project / "aws", bare)
    skips = []
    for file in bare.glob("*.yaml"):
        skips += re.findall(r"- \{id: (\w+), comment: .{20,}\}", file.read_text())
        file.write_text(
            re.sub(r"    Metadata:\n      checkov:\n        skip:\n(          - .*\n)+", "", file.read_text())
        )
    assert (
        sorted(found["check_id"] for found in checked(bare)["results"]["failed_checks"])
        == sorted(skips)
        == ["CKV_AWS_18"]
    )


def test_every_bucket_encrypts_keeps_versions_and_answers_tls_through_the_endpoint_alone(aws_project):
    made = resources(aws_project, "storage")
    buckets = [name for name, one in made.items() if one["Type"] == "AWS::S3::Bucket"]
    assert buckets == ["Raw", "Lake", "Keys", "Evidence", "AccessLogs"]
    for name in buckets:
        properties, policy = made[name]["Properties"], made[f"{name}Policy"]["Properties"]["PolicyDocument"]
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        assert all(properties["PublicAccessBlockConfiguration"].values())
        assert made[name]["DeletionPolicy"] == "Retain"
        assert refuses_plaintext(policy)
        if name != "AccessLogs":
            (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
            assert through(policy, {"aws:SourceVpce": ("vpce-mine",)})
            assert not through(policy, {"aws:SourceVpce": ("vpce-other",)})
            assert not through(policy, {})
            assert through(policy, {"aws:PrincipalArn": ("arn:break-glass",)})
            assert not through(policy, {"aws:SourceVpce": ("vpce-mine",), "aws:SecureTransport": ("false",)})
    lock = made["Evidence"]["Properties"]["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert lock["Mode"] == "COMPLIANCE"


def through(policy, context):
    """Whether a bucket policy, with its parameters filled in, lets somebody read who may by IAM."""
    told = json.loads(json.dumps(policy).replace(json.dumps({"Fn::Ref": "VpcEndpointId"}), '"vpce-mine"')
                      .replace(json.dumps({"Fn::Ref": "BreakGlassArn"}), '"arn:break-glass"'))  # fmt: skip
    denies = [{**s, "Resource": "*"} for s in told["Statement"] if s["Effect"] == "Deny"]
    usual = {"aws:SecureTransport": ("true",), "s3:TlsVersion": ("1.3",), "aws:PrincipalArn": ("arn:role",),
             "aws:PrincipalIsAWSService": ("false",), "aws:ViaAWSService": ("false",)}  # fmt: skip
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    return allows({"Statement": [everything, *denies]}, Request("s3:GetObject", "o", {**usual, **context}))


def test_the_key_of_a_domain_opens_nothing_of_another(aws_project):
    statements = resources(aws_project, "keys")["DomainKey"]["Properties"]["KeyPolicy"]["Statement"]
    (deny,) = [copy.deepcopy(s) for s in statements if s["Effect"] == "Deny"]
    deny["Condition"]["StringNotEquals"] = {
        "kms:EncryptionContext:domain": "customers",
        "kms:EncryptionContext:env": "prod",
    }
    only = [{"Effect": "Allow", "Action": "*", "Resource": "*"}, deny]

    def opens(**context):
        told = {f"kms:EncryptionContext:{name}": (value,) for name, value in context.items()}
        return allows({"Statement": only}, Request("kms:Decrypt", "k", told))

    assert opens(domain="customers", env="prod")
    assert not opens(domain="payroll", env="test")
    assert all(
        one["Properties"]["EnableKeyRotation"] is True
        for one in resources(aws_project, "keys").values()
        if one["Type"] == "AWS::KMS::Key"
    )


def test_roles_are_what_iam_prints_and_linted(aws_project, capsys):
    from parliament import analyze_policy_string

    contract = str(aws_project / "contracts/aws/customers.yaml")
    command = ["iam", contract, "publish", "--role", "glue", "--cloudformation", "--report", "s3://umbrella-lake/reports",
               "--bucket-key", "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:alias/dataward-prod-buckets",
               "--log-group", "/dataward/prod/customers", "--account", "${AWS::AccountId}", "--region", "${AWS::Region}"]  # fmt: skip
    capsys.readouterr()
    assert main(command) == 0
    printed = json.loads(capsys.readouterr().out)["Resources"]["CustomersPublishRole"]
    roles = resources(aws_project, "roles")
    assert roles["CustomersPublishRole"] == printed
    assert set(roles) == {f"Customers{verb}Role" for verb in ("Publish", "Verify", "Erase", "Rotate", "KeysCreate")}
    for role in roles.values():
        (policy,) = role["Properties"]["Policies"]
        text = (
            json.dumps(policy["PolicyDocument"])
            .replace("${AWS::Partition}", "aws")
            .replace("${AWS::Region}", "eu-west-1")
        )
        text = re.sub(r'\{"Fn::Sub": ("[^"]*")\}', r"\1", text.replace("${AWS::AccountId}", "111122223333"))
        found = [str(finding) for finding in analyze_policy_string(text).findings]
        assert [
            told for told in found if "kms:ResourceAliases" not in told
        ] == []  # KMS has this key, parliament's list does not


@pytest.mark.parametrize(("message", "state"), [
    ("SystemExit: 1", "AskOwner"), ("SystemExit: 2", "ContractMistake"), ("x SystemExit: 3 y", "WaitAndTryAgain"),
    ("SystemExit: 4", "NotPermitted"), ("Command failed with exit code 10", "Broken")])  # fmt: skip
def test_step_functions_go_on_by_the_exit_code(aws_project, message, state):
    definition = resources(aws_project, "pipeline")["Machine"]["Properties"]["Definition"]
    states = definition["States"]
    assert states[definition["StartAt"]]["Next"] == "Train"
    assert states[states["Publish"]["Catch"][0]["Next"]]["Next"] == "ExitCode"
    choices = states["ExitCode"]["Choices"]
    taken = [c["Next"] for c in choices if re.fullmatch(c["StringMatches"].replace("*", ".*"), message)]
    assert (taken or [states["ExitCode"]["Default"]])[0] == state
    assert all(target in states for one in states.values() for target in [one.get("Next")] if target)


@pytest.fixture
def dag(aws_project, monkeypatch):
    """The DAG with the little of Airflow that it uses."""
    failures = types.SimpleNamespace(AirflowException=type("AirflowException", (Exception,), {}))
    failures.AirflowFailException = type("AirflowFailException", (failures.AirflowException,), {})

    class Task:
        def __call__(self, function):
            return lambda *given: types.SimpleNamespace(__rshift__=None)

        def branch(self, **_):
            return lambda function: lambda *given: Before()

    class Before:
        def __rshift__(self, other):
            return other

    decorators = types.SimpleNamespace(task=Task(), dag=lambda **_: lambda function: function)
    monkeypatch.setitem(sys.modules, "airflow", types.ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.decorators", decorators)
    monkeypatch.setitem(sys.modules, "airflow.exceptions", failures)
    return load(aws_project / "aws/airflow/dag.py", "dag"), failures


def test_what_airflow_runs_is_in_the_project(dag, aws_project):
    text = (aws_project / "aws/airflow/dag.py").read_text()
    named = re.findall(r'"((?:[\w.-]+/)+[\w.-]+\.(?:py|conf|yaml))"', text)
    assert {"jobs/publish.py", "aws/sagemaker/processing.py"} <= set(named)
    assert [name for name in named if not (aws_project / name).is_file()] == []


def test_airflow_goes_on_by_the_exit_code(dag):
    module, failures = dag
    assert (module.next_task(0), module.next_task(1)) == ("train", "ask_owner")
    for code, kind in (
        (3, failures.AirflowException),
        (2, failures.AirflowFailException),
        (4, failures.AirflowFailException),
    ):
        with pytest.raises(failures.AirflowException) as caught:
            module.next_task(code)
        assert type(caught.value) is kind  # only what a later try may mend is tried again


def test_a_model_is_trained_on_a_verified_version_alone_and_says_which(aws_project, tmp_path, monkeypatch, capsys):
    train, register = (load(aws_project / f"aws/sagemaker/{name}.py", name) for name in ("train", "register"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "train.csv").write_text(
        "orders,returned\n" + "".join(f"{n},{int(n > 20)}\n" for n in range(1, 41))
    )
    monkeypatch.setenv("SM_CHANNEL_TRAIN", str(tmp_path / "in"))
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path / "model"))
    for proof in (None, {"holds": False, "version": 3}, {"holds": "yes"}):
        if proof is not None:
            (tmp_path / "in" / "dataward.json").write_text(json.dumps(proof))
        with pytest.raises(SystemExit) as stop:
            train.main()
        assert stop.value.code == 1
        assert not (tmp_path / "model").exists()
    proof = {"holds": True, "version": 3, "target": "s3://lake/customers", "contract": "customers", "run_id": "r3"}
    (tmp_path / "in" / "dataward.json").write_text(json.dumps(proof))
    train.main()
    assert json.loads((tmp_path / "model" / "dataward.json").read_text()) == proof
    assert json.loads((tmp_path / "model" / "model.json").read_text())["weights"][0] > 0
    assert register.metadata(proof) == {"dataward_holds": "True", "dataward_version": "3", "dataward_target": "s3://lake/customers",
                                        "dataward_contract": "customers", "dataward_run_id": "r3"}  # fmt: skip
    with pytest.raises(SystemExit, match="does not hold"):
        register.metadata({**proof, "holds": False})


def test_processing_reads_nothing_where_the_proof_does_not_hold(aws_project, tmp_path, monkeypatch):
    processing = load(aws_project / "aws/sagemaker/processing.py", "processing")
    answer = types.SimpleNamespace(returncode=1, stdout='{"holds": false}')
    monkeypatch.setattr(processing.subprocess, "run", lambda *_, **__: answer)
    monkeypatch.setattr(sys, "argv", ["processing.py", "--contract", "c.yaml", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stop:
        processing.main()
    assert stop.value.code == 1
    assert not (tmp_path / "out").exists()


def test_identifiers_of_macie_are_what_macie_takes():
    found = identifiers()
    assert len({one.name for one in found}) == len(found) > 30
    for one in found:
        assert 1 <= len(one.regex) <= 512
        assert not re.search(r"\(\?[^:]|\\p|\\[1-9]", one.regex), one.name
        assert len(one.keywords) <= 50
        assert all(3 <= len(word) <= 90 for word in one.keywords)
        assert 1 <= one.distance <= 300
        re.compile(one.regex)


@pytest.mark.parametrize(("text", "name", "near"), [
    ("ada@example.org", "email-1", False), ("AKIAIOSFODNN7EXAMPLE", "cloud-key-1", False), ("Bearer eyJhbGciOiJI.eyJzdWIiOiIx.x", "jwt-1", False),
    ("DE89 3704 0044 0532 0130 00", "iban-near-words-1", True), ("DE89370400440532013000", "iban-near-words-1", True),
    ("536-90-4399", "national-id-near-words-1", True), ("4111 1111 1111 1111", "payment-card-near-words-1", True), ("aa:BB:cc:00:11:22", "mac-address-1", False)])  # fmt: skip
def test_identifiers_of_macie_find_what_detectors_find(text, name, near):
    (one,) = [one for one in identifiers() if one.name == name]
    assert re.search(one.regex, text)
    assert bool(one.keywords) is near
    assert not re.search(one.regex, "order 17 of Monday")
