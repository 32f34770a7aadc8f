"""What EMR, Glue and Databricks are given, tried as far as that goes without an account: their APIs, their arguments, our parser."""

import importlib.metadata
import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import yaml

from dataward.cli import _parser, entry, main
from dataward.cli.glue import own_arguments
from dataward.spark import jars
from dataward.spark.session import REQUIRED

ROOT = Path(__file__).parents[2]
JARS = jars.expected(jars.SETS["3.5"].sums)  # EMR 7 and Glue 5
RUN = [
    "--JOB_NAME",
    "nightly",
    "--JOB_ID",
    "j_1",
    "--JOB_RUN_ID",
    "jr_2",
    "--job-bookmark-option",
    "job-bookmark-disable",
]


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("platforms")
    for platform in ("aws", "databricks"):
        named = ["--prefix", "umbrella"] if platform == "aws" else []
        assert main(["init", str(folder / platform), f"--{platform}", *named]) == 0
    return folder


@pytest.fixture
def aws(projects, monkeypatch):
    """Clients of moto's EMR, EMR Serverless, Glue and IAM; what is laid out for them, by name."""
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    folder = projects / "aws/aws"
    with mock_aws():
        yield (
            lambda service: boto3.client(service, region_name="eu-west-1"),
            lambda name: json.loads((folder / name).read_text()),
        )


def glue_argv(arguments):
    """As Glue starts a script: pairs, its own first, in one list; and a lone "true" where it put an option of its own."""
    return ["true", *RUN, "true", *(word for pair in arguments.items() for word in pair), "--TempDir", "s3://temp/"]


@pytest.mark.parametrize(("given", "own"), [
    (["publish", *RUN, "--contract", "c.yaml"], ["publish", "--contract", "c.yaml"]),
    (["publish", *RUN, "--json", "", "--contract", "c.yaml"], ["publish", "--json", "--contract", "c.yaml"]),
    (["publish", *RUN, "--json", "true", "--contract=c.yaml"], ["publish", "--json", "--contract", "c.yaml"]),
    (["publish", *RUN, "--explain", "false", "--contract", "c.yaml"], ["publish", "--contract", "c.yaml"]),
    (["publish", "--JOB_NAME=n", "--conf", "a=b --conf c=d", "--enable-metrics", "--contract", "c"], ["publish", "--contract", "c"]),
    (["rotate", *RUN, "--contract", "c", "--arguments", "people --key 'a b'"], ["rotate", "people", "--key", "a b", "--contract", "c"]),
    (["publish", "--conf", "x", "--contract", "c"], ["publish", "--conf", "x", "--contract", "c"]),
])  # fmt: skip
def test_arguments_of_a_glue_job_without_those_that_glue_reserves(given, own):
    """The last case is no Glue job: nothing is left out."""
    assert own_arguments(given) == own


def test_quotes_that_do_not_match_are_a_usage_error(capsys):
    assert main(["rotate", *RUN, "--arguments", "people '"]) == 2
    assert capsys.readouterr().err == "dataward: --arguments people ': No closing quotation: write it as in a shell\n"


def test_every_job_runs_under_the_arguments_of_glue(monkeypatch, capsys):
    """Jobs differ by their verb; each gets its own help, as if Glue had passed nothing."""
    for job in sorted((ROOT / "jobs").glob("*.py")):
        monkeypatch.setattr(
            sys, "argv", [str(job), *glue_argv({"--arguments": "--help", "--additional-python-modules": "x"})]
        )
        runpy.run_path(str(job), run_name="__main__")
        assert capsys.readouterr().out.startswith(f"usage: dataward {job.stem.replace('_', '-')} ")


def test_the_glue_job_is_accepted_and_its_arguments_are_those_of_publish(aws):
    client, laid_out = aws
    job = laid_out("glue/publish.json")
    glue = client("glue")
    assert glue.create_job(**job)["Name"] == "dataward-customers-publish"
    assert glue.start_job_run(JobName=job["Name"], Arguments={"--run-id": "nightly-1"})["JobRunId"]
    arguments = {**glue.get_job(JobName=job["Name"])["Job"]["DefaultArguments"], "--run-id": "nightly-1"}
    parsed = _parser().parse_args(own_arguments(["publish", *glue_argv(arguments)]))
    assert (parsed.contract, parsed.run_id, parsed.report) == (
        "customers.yaml",
        "nightly-1",
        "s3://umbrella-lake/reports",
    )
    assert parsed.metrics == ["logs:/dataward/prod/customers"]
    settings = dict(text.split("=", 1) for text in arguments["--conf"].split(" --conf "))
    assert settings == {**REQUIRED, "spark.io.encryption.enabled": "true"}
    assert {Path(arguments[name]).name for name in ("--extra-jars", "--extra-py-files")} <= JARS.keys()


def test_the_emr_steps_are_accepted_and_their_arguments_are_those_of_publish(aws):
    client, laid_out = aws
    emr = client("emr")
    cluster = emr.run_job_flow(
        Name="c", ReleaseLabel="emr-7.9.0", Instances={"InstanceCount": 1, "MasterInstanceType": "m5.xlarge"}
    )
    (step,) = laid_out("emr/steps.json")
    assert step["Type"] == "CUSTOM_JAR"  # the AWS CLI makes of it:
    given = {
        "Name": step["Name"],
        "ActionOnFailure": step["ActionOnFailure"],
        "HadoopJarStep": {"Jar": step["Jar"], "Args": step["Args"]},
    }
    (made,) = emr.add_job_flow_steps(JobFlowId=cluster["JobFlowId"], Steps=[given])["StepIds"]
    told = emr.describe_step(ClusterId=cluster["JobFlowId"], StepId=made)["Step"]["Config"]["Args"]
    submitted(
        told[1:], job="s3://umbrella-packages/jobs/publish.py", environment="spark.yarn.appMasterEnv.PYSPARK_PYTHON"
    )


def test_the_run_of_emr_serverless_is_accepted_and_its_arguments_are_those_of_publish(aws):
    client, laid_out = aws
    serverless = client("emr-serverless")
    application = serverless.create_application(**laid_out("emr/application.json"), clientToken="c")["applicationId"]
    run = {
        **laid_out("emr/publish.json"),
        "applicationId": application,
        "executionRoleArn": "arn:aws:iam::123456789012:role/r",
    }
    made = serverless.start_job_run(**run, clientToken="r")["jobRunId"]
    told = serverless.get_job_run(applicationId=application, jobRunId=made)["jobRun"]
    driver = told["jobDriver"]["sparkSubmit"]
    properties = told["configurationOverrides"]["applicationConfiguration"][0]["properties"]
    conf = [word for name, value in properties.items() for word in ("--conf", f"{name}={value}")]
    options = [*shlex.split(driver["sparkSubmitParameters"]), *conf]
    submitted(
        [*options, driver["entryPoint"], *driver["entryPointArguments"]],
        job="s3://umbrella-packages/jobs/publish.py",
        environment="spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON",
    )


def submitted(words, job, environment):
    """Check a spark-submit: Delta and encryption on, packages as `make package` names them, arguments as publish takes them."""
    at = words.index(job)
    options = list(zip(words[:at:2], words[1:at:2], strict=True))
    settings = dict(value.split("=", 1) for name, value in options if name == "--conf")
    given = {name: value for name, value in options if name != "--conf"}
    assert REQUIRED.items() <= settings.items()
    assert all(
        settings[name] == "true"
        for name in ("spark.io.encryption.enabled", "spark.authenticate", "spark.network.crypto.enabled")
    )
    assert settings[environment] == settings["spark.executorEnv.PYSPARK_PYTHON"] == "./environment/bin/python"
    version = importlib.metadata.version("dataward")
    assert (
        given["--archives"] == f"s3://umbrella-packages/dataward-{version}-environment-cp311-x86_64.tar.gz#environment"
    )
    assert given["--jars"].split("/")[-1] in JARS
    parsed = _parser().parse_args(["publish", *words[at + 1 :]])
    assert (parsed.contract, parsed.report) == (Path(given["--files"]).name, "s3://umbrella-lake/reports")


def test_jobs_may_read_the_packages_and_nothing_else_there(projects):
    from dataward.access.iam_evaluate import Request, allows

    policy = json.loads((projects / "aws/aws/packages.json").read_text())
    assert allows(policy, Request("s3:GetObject", "arn:aws:s3:::umbrella-packages/jobs/publish.py", {}))
    assert not allows(policy, Request("s3:PutObject", "arn:aws:s3:::umbrella-packages/jobs/publish.py", {}))
    assert not allows(policy, Request("s3:GetObject", "arn:aws:s3:::umbrella-lake/silver", {}))


@pytest.fixture
def bundle(projects):
    return yaml.safe_load((projects / "databricks/databricks.yml").read_text())


def test_every_field_of_the_bundles_jobs_is_one_of_the_jobs_api(bundle):
    """The SDK's own classes know what the API takes: what they leave out would be ignored, or refused."""
    from databricks.sdk.service.jobs import JobSettings

    for job in bundle["resources"]["jobs"].values():
        assert JobSettings.from_dict(job).as_dict() == job


def test_tasks_name_the_entry_point_of_the_wheel_and_arguments_of_their_verbs(bundle, projects):
    named = {point.name: point for point in importlib.metadata.distribution("dataward").entry_points}
    seen = set()
    for job in bundle["resources"]["jobs"].values():
        for task in job["tasks"]:
            wheel = task["python_wheel_task"]
            assert (wheel["package_name"], named[wheel["entry_point"]].value) == ("dataward", "dataward.cli:entry")
            started = [one.replace("{{job.run_id}}", "17") for one in wheel["parameters"]]  # as Databricks does
            arguments = _parser().parse_args(started)
            contract = arguments.contract.replace("${workspace.file_path}", str(projects / "databricks"))
            assert Path(contract).exists()
            on_cluster = {"job_cluster_key"} <= task.keys()
            libraries = task["libraries"] if on_cluster else job["environments"][0]["spec"]["dependencies"]
            assert re.search(r"\./dist/\*\.whl", str(libraries))
            seen.add((wheel["parameters"][0], on_cluster))
    assert seen == {("publish", True), ("verify", True), ("publish", False), ("verify", False)}


@pytest.mark.parametrize(("argv", "code"), [(["--version"], None), (["publish"], 2)])
def test_the_entry_point_returns_on_success_and_exits_with_the_code_of_a_failure(monkeypatch, capsys, argv, code):
    """Databricks calls the function itself, and takes sys.exit(0) for a failure."""
    monkeypatch.setattr(sys, "argv", ["dataward", *argv])
    if code is None:
        assert entry() is None
    else:
        with pytest.raises(SystemExit) as stop:
            entry()
        assert stop.value.code == code
