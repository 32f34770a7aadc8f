"""Storage that refuses or does not answer is an error with the place, and never an empty folder."""

import os
from unittest.mock import Mock

import pytest

from dataward.errors import TargetError
from dataward.spark.hadoop import Hadoop
from dataward.tables import near
from dataward.tables.store import Local


def test_a_folder_that_cannot_be_listed_is_not_empty(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"")
    listed = os.scandir

    def refused(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    assert Local(tmp_path).names("") == ["a/file", "b/file"]
    monkeypatch.setattr(os, "scandir", refused)
    for look in (lambda: Local(tmp_path).names(""), lambda: near.below(str(tmp_path))):
        with pytest.raises(TargetError, match="/b: cannot be listed .Permission denied"):
            look()
    assert Local(tmp_path).names("gone") == []


@pytest.mark.parametrize(("call", "words"), [
    (lambda store: store.exists("f"), "hdfs://n/l/f: cannot be read"), (lambda store: store.names("tile"), "l/tile: cannot be listed"),
    (lambda store: store.delete(["f"]), "l/f: cannot be deleted"), (lambda store: store.create("f", b""), "l/f: cannot be"),
])  # fmt: skip
def test_every_call_of_a_file_system_of_hadoop_that_fails_names_the_place(call, words):
    store = object.__new__(Hadoop)
    store.place, store._root, store._hadoop = "hdfs://n/l", "hdfs://n/l", Mock()
    store._system = Mock(**{f"{name}.side_effect": RuntimeError("refused") for name in ("isFile", "exists", "delete")})
    with pytest.raises(TargetError, match=words):
        call(store)
