"""What `make package` builds, used where nothing else is: an empty folder, an empty virtual environment."""

import filecmp
import json
import os
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from dataward.keys import create_keyring
from dataward.spark import jars
from dataward.spark.java import find_java
from tests.e2e.conftest import ROOT

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the environment's wheels are for Python 3.11"),
]
INTERPRETER = str(Path(sys.executable).resolve())
CONTRACT = """\
contract: people
source: {{format: csv, path: {root}/in.csv, options: {{header: true}}}}
target: {{path: {root}/lake/people}}
quarantine: {{path: {root}/lake/quarantine}}
keys: {{path: keys, domain: people}}
rules: 'Rules = [ IsComplete "name", IsUnique "id" ]'
columns: {{id: {{protect: keep}}, name: {{class: person_name, protect: token}}, mail: {{class: email, protect: encrypt}}}}
"""


def built(output, *arguments, **environment):
    command = [
        sys.executable,
        str(ROOT / "conf/package/build.py"),
        "--output",
        str(output),
        "--python",
        INTERPRETER,
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=output.parent, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return output


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    return built(tmp_path_factory.mktemp("package") / "dist", SOURCE_DATE_EPOCH="1700000000")


@pytest.fixture(scope="module")
def environment(dist):
    """The archive unpacked beside it, as YARN does for the driver of a cluster-mode job."""
    folder = dist.parent / "work" / "environment"
    folder.mkdir(parents=True)
    (archive,) = dist.glob("*-environment-*.tar.gz")
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(folder)], check=True)
    return folder


def bare():
    """No virtual environment, no PYTHONPATH: what a fresh node has."""
    return {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}


def test_two_builds_give_the_same_bytes(dist, tmp_path):
    """In another place, time zone and language, and with other permissions of new files."""
    before = os.umask(0o077)
    try:
        again = built(tmp_path / "again", SOURCE_DATE_EPOCH="1700000000", TZ="Asia/Tokyo", LC_ALL="C")
    finally:
        os.umask(before)
    names = sorted(file.relative_to(dist).as_posix() for file in dist.rglob("*") if file.is_file())
    assert len(names) == 5 + 1 + len(
        jars.expected(jars.SETS["3.5"].sums)
    )  # wheel, zip, environment, SBOM, SHA256SUMS; the sums of the jars
    assert filecmp.cmpfiles(dist, again, names, shallow=False) == (names, [], [])
    told = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=again, capture_output=True, text=True)
    assert (told.returncode, told.stdout) == (0, "")


def test_the_archive_publishes_and_verifies_on_executors_of_their_own_where_nothing_is_installed(dist, environment):
    work = environment.parent
    create_keyring(work / "keys")
    (work / "in.csv").write_text("id,name,mail\n1,ada,ada@example.org\n2,,bob@example.org\n3,eve,eve@example.org\n")
    (work / "people.yaml").write_text(CONTRACT.format(root=work))
    for job in ("publish", "verify"):
        (work / f"{job}.py").write_bytes((ROOT / "jobs" / f"{job}.py").read_bytes())
    (archive,) = dist.glob("*-environment-*.tar.gz")
    settings = {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.io.encryption.enabled": "true",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.databricks.delta.snapshotPartitions": "2",
    }
    home = Path(pyspark.__file__).parent
    python = "./environment/bin/python"
    node = {
        **bare(),
        "SPARK_HOME": str(home),
        "JAVA_HOME": find_java(),
        "PYSPARK_PYTHON": python,
        "PYSPARK_DRIVER_PYTHON": python,
    }

    def submitted(job, *arguments):
        command = [str(home / "bin/spark-submit"), "--master", "local-cluster[2,1,1024]", "--driver-memory", "1g",
                   "--jars", ",".join(str(jar) for jar in sorted((dist / "jars").glob("*.jar"))),
                   "--archives", f"{archive}#environment"]  # fmt: skip
        command += [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
        command += [f"{job}.py", "--contract", "people.yaml", "--json", *arguments]
        return subprocess.run(command, cwd=work, env=node, capture_output=True, text=True, timeout=600)

    done = submitted("publish", "--run-id", "first")
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert json.loads(done.stdout)["rows"] == {"in": 3, "published": 2, "quarantined": 1, "dropped": 0}
    proof = subprocess.run(
        [environment / "bin/dataward", "verify", "--contract", "people.yaml", "--json"],
        cwd=work,
        env=node,
        capture_output=True,
        text=True,
    )
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert json.loads(proof.stdout)["holds"] is True
    assert not [
        module
        for module in (environment / "lib/python3.11/site-packages").iterdir()
        if module.name.startswith("pyspark")
    ]


def test_the_wheel_alone_answers_help_checks_a_contract_and_names_the_missing_extra(dist, environment, tmp_path):
    """The wheels of the archive without those of extras; what pip would install for the wheel alone."""
    (wheel,) = dist.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)], check=True)

    def ran(*arguments):
        return subprocess.run(
            [tmp_path / "venv/bin/dataward", *arguments], cwd=tmp_path, env=bare(), capture_output=True, text=True
        )

    assert ran("--help").returncode == 0
    (tmp_path / "people.yaml").write_text(CONTRACT.format(root=tmp_path))
    assert ran("contract", "check", "people.yaml").returncode == 0
    refused = ran("publish", "--contract", "people.yaml")
    assert (refused.returncode, refused.stderr.count("\n")) == (3, 1)
    assert "pip install 'dataward[spark]'" in refused.stderr
