"""How packages are built, on files of a few bytes; tests/e2e/test_package.py builds the real ones."""

import json
import re
import runpy
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from dataward.spark import jars

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def package():
    """The modules of conf/package/, which is no Python package and imports itself by short names."""
    sys.path.insert(0, str(ROOT / "conf/package"))
    try:
        import archives
        import build
        import environment
        import sbom
    finally:
        sys.path.remove(str(ROOT / "conf/package"))
    yield type("Package", (), {"archives": archives, "build": build, "environment": environment, "sbom": sbom})
    for name in ("archives", "build", "environment", "sbom"):
        sys.modules.pop(name, None)


def wheel(folder, name, needs=(), licence="License-Expression: MIT"):
    file = folder / f"{name}-1.0-py3-none-any.whl"
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {name}",
        "Version: 1.0",
        licence,
        *(f"Requires-Dist: {need}" for need in needs),
    ]
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join(lines) + "\n")
        archive.writestr(f"{name}/__init__.py", "")
        archive.writestr(f"{name}/tests/test_it.py", "")
        archive.writestr(f"{name}-1.0.data/platlib/{name}/made.so", b"elf")
        archive.writestr(f"{name}-1.0.data/scripts/{name}", "#!python")
    return file


def test_bytes_depend_on_content_and_time_alone(package, tmp_path, monkeypatch):
    made = []
    for epoch, names in (("1700000000", "ab"), ("1700000000", "ba"), ("1800000000", "ab")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        entries = {name: name.encode() for name in names}
        package.archives.write_zip(tmp_path / "a.zip", entries)
        package.archives.write_tar(
            tmp_path / "a.tar.gz", entries, links={"python": "/usr/bin/python3.11"}, programs=frozenset("a")
        )
        made.append([(tmp_path / name).read_bytes() for name in ("a.zip", "a.tar.gz")])
    assert made[0] == made[1]
    assert all(one != other for one, other in zip(made[0], made[2], strict=True))
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        told = [(m.name, oct(m.mode), m.mtime, m.linkname, m.uid, m.uname) for m in archive.getmembers()]
    assert told == [("a", "0o755", 1800000000, "", 0, ""), ("b", "0o644", 1800000000, "", 0, ""),
                    ("python", "0o777", 1800000000, "/usr/bin/python3.11", 0, "")]  # fmt: skip


def test_an_environment_holds_modules_and_compiled_ones_and_no_scripts_of_its_builder(package, tmp_path):
    target = package.environment.Target()
    package.environment.pack(tmp_path / "e.tar.gz", target, [wheel(tmp_path, "small")], tmp_path / "scratch")
    with tarfile.open(tmp_path / "e.tar.gz") as archive:
        names = archive.getnames()
        assert archive.getmember("bin/python").linkname == "/usr/bin/python3.11"
        assert b"home = /usr/bin\n" in archive.extractfile("pyvenv.cfg").read()
    library = "lib/python3.11/site-packages"
    assert {name for name in names if "small/" in name} == {f"{library}/small/__init__.py", f"{library}/small/made.so"}
    assert {name for name in names if name.startswith("bin/")} == {
        "bin/dataward",
        "bin/python",
        "bin/python3",
        "bin/python3.11",
    }


def test_another_python_than_the_wheels_are_for_is_refused(package):
    with pytest.raises(SystemExit, match=r"python3\.9: it must end in /python3\.11"):
        _ = package.environment.Target(python="/usr/bin/python3.9").version


def test_the_lock_meets_every_requirement_and_pins_hashes(package, monkeypatch):
    pinned = {}
    for line in package.environment.LOCK.read_text().splitlines():
        found = re.fullmatch(r"([a-z0-9-]+)==(\S+)( --hash=sha256:[0-9a-f]{64})+", line)
        pinned[found[1]] = found[2]
    assert not pinned.keys() & {"pyspark", "py4j", "dataward"}  # a cluster's Spark is never replaced
    given = {}
    monkeypatch.setattr("setuptools.setup", lambda **arguments: given.update(arguments))
    runpy.run_path(str(ROOT / "setup.py"))
    extras = given["extras_require"]
    assert set(package.environment.ALONE) < set(extras["spark"])
    for text in (
        *package.environment.ALONE,
        *given["install_requires"],
        *(need for extra in package.environment.EXTRAS for need in extras[extra]),
    ):
        need = Requirement(text)
        name = re.sub(r"[-_.]+", "-", need.name).lower()
        assert need.specifier.contains(pinned.get(name, "0"), prereleases=True), f"{text}: run make lock"


@pytest.mark.parametrize(
    "name", sorted({name for jars_of in jars.SETS.values() for name in jars.expected(jars_of.sums)})
)
def test_a_jars_coordinate_is_read_from_its_name(package, name):
    group, artifact, version = package.sbom.coordinate(name)
    assert f"{group}_{artifact}-{version}.jar" == name
    assert re.match(r"\d+\.\d", version)
    assert "/" not in artifact


def test_the_bill_is_valid_cyclonedx_and_knows_what_needs_what(package, tmp_path):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    own = wheel(tmp_path, "dataward", ["small>=1", "other; extra == 'aws'", "missing; extra == 'demo'"])
    parts = [wheel(tmp_path, "small", ["other; python_version < '3.4'"]),
             wheel(tmp_path, "other", licence="Classifier: License :: OSI Approved :: BSD License")]  # fmt: skip
    jar = tmp_path / "io.delta_delta-spark_2.12-3.3.3.jar"
    jar.write_bytes(b"jar")
    text = package.sbom.bill(own, parts, [jar], {"python_version": "3.11"})
    assert text == package.sbom.bill(own, parts[::-1], [jar], {"python_version": "3.11"})
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    told = json.loads(text)
    needs = {line["ref"]: line.get("dependsOn", []) for line in told["dependencies"]}
    assert needs["pkg:pypi/dataward@1.0"] == [
        "pkg:maven/io.delta/delta-spark_2.12@3.3.3",
        "pkg:pypi/other@1.0",
        "pkg:pypi/small@1.0",
    ]
    assert needs["pkg:pypi/small@1.0"] == []
    by_name = {part["name"]: part for part in told["components"]}
    assert by_name["small"]["licenses"][0]["license"]["id"] == "MIT"
    assert by_name["other"]["licenses"][0]["license"]["name"] == "BSD License"
    assert len(by_name["delta-spark_2.12"]["hashes"][0]["content"]) == 64


def test_the_wheel_has_every_file_of_the_package(package):
    """By the patterns of setup.py: what they miss would be missing on a cluster only."""
    patterns = re.search(r'"dataward": \[(.*?)\]', (ROOT / "setup.py").read_text(), re.DOTALL)[1]
    folder = ROOT / "lib/dataward"
    packed = {file for pattern in re.findall(r'"([^"]+)"', patterns) for file in folder.glob(pattern) if file.is_file()}
    assert {file for file in package.archives.files_below(folder).values() if file.suffix != ".py"} <= packed
    for file in folder.rglob("*.py"):
        if "project" not in file.parts:
            assert (file.parent / "__init__.py").exists(), file
        else:
            assert file in packed
