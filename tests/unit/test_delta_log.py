"""The log of a Delta table is read without Spark as its writer meant it, whatever the layout; what is damaged is said so."""

import contextlib
import errno
import json
import os

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.errors import SourceError
from dataward.integrity.hashing import hash_files
from dataward.tables.deltalog import checkpoint as checkpoints
from dataward.tables.deltalog import hadoop
from dataward.tables.deltalog.actions import Damaged, Vector, action, plain
from dataward.tables.deltalog.checkpoint import read_checkpoint
from dataward.tables.deltalog.folder import LocalFolder, Missing, folder
from dataward.tables.deltalog.log import Checkpoint, State, apply, commit_of, read_commit, read_listing
from tests.cases import cases
from tests.deltamade import MAP, SHAPES, thirty


@pytest.mark.parametrize("shape", SHAPES)
def test_every_checkpoint_holds_what_the_commits_before_it_add_up_to(tmp_path, shape):
    made = thirty(tmp_path / "t", shape)
    table = folder(str(made.root))
    listing, state, states = read_listing(table), State(), {}
    for version in listing.commits:
        state = states[version] = apply(state, read_commit(table, version))
    assert (len(states), listing.newest) == (30, 29)
    assert {key[0] for key in state.files} == {folder_path(add["path"]) for add in made.adds.values()}
    assert [checkpoint.version for checkpoint in listing.checkpoints] == [10, 20]
    for checkpoint in listing.checkpoints:
        found = read_checkpoint(table, checkpoint)
        assert found.files == states[checkpoint.version].files
        assert plain(found.metadata) == plain(states[checkpoint.version].metadata)
        assert found.protocol == states[checkpoint.version].protocol


@pytest.mark.parametrize("shape", SHAPES)
def test_consecutive_checkpoints_parse_each_listed_file_once(tmp_path, monkeypatch, shape):
    table, parsed = folder(str(thirty(tmp_path / "t", shape).root)), []
    one = checkpoints._file
    monkeypatch.setattr(checkpoints, "_file", lambda body: parsed.append(1) or one(body))
    alone = [read_checkpoint(table, checkpoint) for checkpoint in read_listing(table).checkpoints]
    listed, distinct = len(parsed), len({found for state in alone for found in state.files.values()})
    parsed.clear()
    known = {}
    assert [read_checkpoint(table, checkpoint, known) for checkpoint in read_listing(table).checkpoints] == alone
    assert len(parsed) == len(known) == distinct <= listed


TEXTS = st.one_of(st.none(), st.text(st.sampled_from(["a", "1", ":", "~", "/", "é"]), max_size=4))
VALUES = st.lists(st.tuples(st.text(st.sampled_from(["a", ":", "1"]), min_size=1, max_size=3), TEXTS), max_size=2, unique_by=lambda pair: pair[0])  # fmt: skip


@cases()
@given(st.lists(st.tuples(TEXTS, VALUES, st.none() | st.integers(0, 120), TEXTS), min_size=1, max_size=6))
def test_different_files_of_a_checkpoint_have_different_texts(files):
    """Whatever stands between their fields, also in a part of a batch."""
    rows = [
        {"path": path, "partitionValues": values, "size": size, "stats": stats} for path, values, size, stats in files
    ]
    kind = pa.struct([("path", pa.string()), ("partitionValues", MAP), ("size", pa.int64()), ("stats", pa.string())])
    texts = checkpoints._texts(pa.array(rows, kind))
    told = [repr(row) for row in rows]
    assert [texts.index(text) for text in texts] == [told.index(one) for one in told]
    assert checkpoints._texts(pa.array(rows, kind)[1:]) == texts[1:]


def folder_path(text):
    from urllib.parse import unquote

    return unquote(text)


def test_the_file_of_a_deletion_vector_is_the_one_that_the_protocol_names():
    # the example of Delta's protocol: storageType u
    vector = Vector("u", "ab^-aqEH.-t@S}K{vb[*k^", 4, 40, 6)
    assert vector.path == "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"


def test_one_folder_however_it_is_written(tmp_path):
    for text in (f"{tmp_path}", f"{tmp_path}/", f"file:{tmp_path}", f"file://{tmp_path}", f"file://{tmp_path}/"):
        assert folder(text).root == tmp_path
    odd = tmp_path / "a b%20c#d"
    odd.mkdir()
    assert folder(f"file:{odd}").root == odd
    (tmp_path / "a b").mkdir()
    assert folder(f"file://{tmp_path}/a%20b").root == tmp_path / "a b"


def test_a_pipe_in_the_place_of_a_file_is_missing_and_nobody_waits(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Missing):
        LocalFolder(tmp_path).read("pipe")


def test_a_file_that_this_user_may_not_read_is_neither_missing_nor_changed(tmp_path, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("pathlib.Path.open", denied)
    with pytest.raises(SourceError, match="file: Permission denied; give this user the right"):
        LocalFolder(tmp_path).read("file")
    monkeypatch.setattr("os.scandir", denied)
    with pytest.raises(SourceError, match="_delta_log: Permission denied"):
        LocalFolder(tmp_path).names("_delta_log")


def test_a_file_that_the_disk_does_not_return_is_neither_missing_nor_changed(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("pathlib.Path.open", broken)
    with pytest.raises(SourceError, match="file: Input/output error; try again"):
        LocalFolder(tmp_path).read("file")
    with pytest.raises(Missing):
        LocalFolder(tmp_path).read("x" * 300)


@pytest.mark.parametrize(
    ("said", "raised"), [("java.io.FileNotFoundException: f", Missing), ("Connection refused", SourceError)]
)
def test_a_file_that_hadoop_cannot_reach_is_not_missing(monkeypatch, said, raised):
    def read(spark, path):
        raise RuntimeError(said)

    monkeypatch.setattr(hadoop, "read_bytes", read)
    with pytest.raises(raised):
        hadoop.HadoopFolder(None, "hdfs://name/t").read("f")


def test_no_hash_is_taken_outside_of_the_table(tmp_path):
    (tmp_path / "secret").write_text("x")
    (tmp_path / "t").mkdir()
    found = hash_files(LocalFolder(tmp_path / "t"), ["../secret", "a/../../secret", "gone"])
    assert [one.sha256 for one in found.values()] == [None, None, None]


@given(st.binary(max_size=400))
def test_bytes_in_the_place_of_a_commit_are_a_commit_or_damaged(data):
    attempt(lambda: commit_of(0, data))


JSON = st.sampled_from(
    [
        None,
        True,
        -1,
        2**70,
        1.5,
        float("nan"),
        float("inf"),
        "",
        "u",
        "{",
        '{"a": 1}',
        "x" * 30,
        [],
        [1],
        [["a", "b"]],
        {},
        {"a": None},
    ]
)
FIELDS = st.sampled_from(["path", "size", "partitionValues", "stats", "deletionVector", "storageType", "pathOrInlineDv", "id", "schemaString",
                          "configuration", "minReaderVersion", "readerFeatures", "userMetadata", "operation", "offset", "sizeInBytes", "cardinality"])  # fmt: skip


@given(
    st.sampled_from(["add", "remove", "metaData", "protocol", "commitInfo"]),
    st.dictionaries(FIELDS, JSON | st.dictionaries(FIELDS, JSON)),
)
def test_actions_of_any_content_are_read_or_damaged(kind, body):
    attempt(lambda: commit_of(0, json.dumps({kind: body}).encode()))
    attempt(lambda: action(kind, body))


def test_nesting_without_end_is_damaged():
    with pytest.raises(Damaged):
        commit_of(0, b"[" * 100_000)
    with pytest.raises(Damaged):
        commit_of(0, b'{"add":{"path":"a","size":1,"stats":"' + b"[" * 100_000 + b'"}}')


@cases()
@given(st.binary(max_size=200), st.sampled_from([".json", ".parquet"]))
def test_bytes_in_the_place_of_a_checkpoint_are_damaged_or_empty(tmp_path_factory, data, ending):
    root = tmp_path_factory.mktemp("t")
    (root / "_delta_log").mkdir()
    name = f"{0:020d}.checkpoint{ending}"
    (root / "_delta_log" / name).write_bytes(data)
    attempt(lambda: read_checkpoint(LocalFolder(root), Checkpoint(0, (name,))))


def attempt(read):
    with contextlib.suppress(Damaged):
        read()
