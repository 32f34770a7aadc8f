"""A local file is replaced as a whole, or stays as it is."""

import os
import stat
from pathlib import Path

import pytest

from dataward.tables.replacing import replace_file


def test_a_file_and_its_folder_are_created_with_the_given_permissions(tmp_path):
    path = tmp_path / "new" / "file"
    replace_file(path, b"one", 0o600)
    replace_file(path, b"two", 0o600)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"two", 0o600)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_file_that_cannot_be_written_is_unchanged(tmp_path, monkeypatch, step):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


def test_a_draft_that_somebody_put_there_is_not_written_through(tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"theirs")
    (tmp_path / f".file.{os.getpid()}").symlink_to(other)
    replace_file(tmp_path / "file", b"new")
    assert (other.read_bytes(), (tmp_path / "file").read_bytes()) == (b"theirs", b"new")


def test_a_url_is_no_local_folder_with_a_colon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for url in ("s3://bucket/page.html", "dbfs:/page.html"):
        with pytest.raises(OSError, match="a path of this machine is needed here"):
            replace_file(Path(url), b"x")
    replace_file(Path("a:b/page.html"), b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a:b"]


def test_links_and_devices_stay(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "file")
    replace_file(link, b"new")
    assert (link.is_symlink(), (tmp_path / "file").read_bytes()) == (True, b"new")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    replace_file(tmp_path / "pipe", b"said")
    assert os.read(reader, 10) == b"said"
    os.close(reader)
