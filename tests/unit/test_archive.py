"""The archive of classes that a local session starts with, without starting one."""

import json
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from dataward.cli import main
from dataward.errors import SessionError
from dataward.spark import archive, jars, session


@pytest.fixture
def java(tmp_path, monkeypatch):
    """A Java, and a folder of pyspark that can be written."""
    import pyspark

    (tmp_path / "jdk").mkdir()
    (tmp_path / "jdk" / "release").write_text('JAVA_VERSION="17.0.9"')
    monkeypatch.setattr(pyspark, "__file__", str(tmp_path / "__init__.py"))
    monkeypatch.setattr(archive, "find_java", lambda: str(tmp_path / "jdk"))
    return str(tmp_path / "jdk")


@pytest.fixture
def ending(monkeypatch):
    """A session whose JVM writes what it got as the last argument when it ends."""
    given = []

    def starts(content):
        def get(**conf):
            given.append(conf["spark.driver.extraJavaOptions"])
            written = Path(given[-1].split("ArchiveClassesAtExit=")[1].split('"')[0])
            jvm = SimpleNamespace(stdin=MagicMock(), wait=lambda: content is not None and written.write_bytes(content))
            return MagicMock(sparkContext=SimpleNamespace(_gateway=SimpleNamespace(proc=jvm)))

        monkeypatch.setattr(session, "get", get)
        return given

    return starts


def test_a_session_uses_the_archive_where_there_is_one(java):
    assert archive.option(java) == ""
    archive.place(java).write_bytes(b"classes")
    assert f'-Xshare:auto "-XX:SharedArchiveFile={archive.place(java)}"' in archive.option(java)


def test_another_java_another_release_and_another_pyspark_use_no_archive_of_this_one(java, monkeypatch):
    import pyspark

    places = {archive.place(java), archive.place("/opt/java")}
    Path(java, "release").write_text('JAVA_VERSION="17.0.10"')
    places.add(archive.place(java))
    monkeypatch.setattr(pyspark, "__version__", "3.5.99")
    assert len(places | {archive.place(java)}) == 4


def test_no_session_sees_an_archive_before_it_is_whole(java, ending):
    given = ending(b"classes")
    assert archive.make() == archive.place(java)
    assert f'ArchiveClassesAtExit={archive.place(java)}"' not in given[0]
    assert archive.place(java).read_bytes() == b"classes"
    assert len(list(archive.place(java).parent.glob("dataward-*"))) == 1


def test_a_java_that_makes_no_archive_is_an_error_and_changes_nothing(java, ending):
    ending(None)
    with pytest.raises(SessionError, match="made no archive"):
        archive.make()
    assert archive.option(java) == ""


def test_a_folder_that_cannot_be_written_is_an_error_before_a_session_starts(java, ending, monkeypatch):
    given = ending(b"classes")
    monkeypatch.setattr(archive.os, "access", lambda *_: False)
    with pytest.raises(SessionError, match="cannot be written"):
        archive.make()
    assert not given


def test_jars_name_the_archive_that_was_asked_for(java, ending, monkeypatch, capsys):
    ending(b"classes")
    monkeypatch.setattr(jars, "ensure", list)
    assert main(["jars", "--json"]) == 0
    assert "archive" not in json.loads(capsys.readouterr().out)
    assert main(["jars", "--archive", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["archive"] == str(archive.place(java))
