"""Which commits of a Delta table a stream reads that Dataward bounds itself."""

import pytest

from dataward.errors import SourceError
from dataward.tables.deltalog.actions import Added, Info, Removed
from dataward.tables.deltalog.log import CommitFile
from dataward.verbs.batches import commits_to_read


def commit(version, operation, added=(), removed=()):
    return CommitFile(version, "", Info(operation), tuple(added), tuple(removed))


def test_commits_that_add_rows_are_read_and_those_that_change_none_are_not():
    found = [
        commit(1, "WRITE", [Added("a", 1)]),
        commit(2, "OPTIMIZE", [Added("b", 1, data_change=False)], [Removed("a", data_change=False)]),
        commit(3, "SET TBLPROPERTIES"),
        commit(4, "WRITE", [Added("c", 1)]),
    ]
    assert commits_to_read("t", found) == [1, 4]


@pytest.mark.parametrize("added", [[], [Added("b", 1)]])
def test_a_commit_that_changed_or_removed_rows_ends_the_stream(added):
    found = [commit(1, "WRITE", [Added("a", 1)]), commit(2, "MERGE", added, [Removed("a")])]
    with pytest.raises(SourceError, match=r"version 2 \(MERGE\) changed or removed rows"):
        commits_to_read("t", found)
