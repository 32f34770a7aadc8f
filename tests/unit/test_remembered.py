"""What writers remember in a log is followed through its commits, and summaries that say otherwise are named."""

import pytest

from dataward.integrity.proof.remembered import EXPIRY, Remembered, marks_of
from dataward.tables.deltalog.actions import Damaged, Marked

ONE, TWO = Marked("txn", "a", "1"), Marked("txn", "a", "2")
OTHER, DOMAIN, NONE = Marked("txn", "b", "7"), Marked("domainMetadata", "d", '"x"'), Marked("domainMetadata", "d", "")


def at(version, commits):
    made = Remembered(dict(enumerate(commits)) if isinstance(commits, list) else commits)
    for number in range(version + 1):
        made.advance(number)
    return made


def test_the_last_word_of_the_commits_counts():
    made = at(2, [(ONE,), (OTHER, DOMAIN), (TWO,)])
    assert made.other([TWO, OTHER, DOMAIN], {}) == ""
    assert (
        made.other([ONE, OTHER, DOMAIN], {}) == "the last batch of application 'a' is another one than in the commits"
    )
    assert "application 'b'" in made.other([TWO, DOMAIN], {})
    assert "domain 'd'" in made.other([TWO, OTHER], {})
    assert made.other([TWO, OTHER], {}, ("txn",)) == ""
    assert at(1, [(DOMAIN,), (NONE,)]).other([], {}) == ""


def test_applications_may_expire_where_the_table_says_so():
    expiring = {"configuration": {EXPIRY: "interval 1 day"}}
    assert at(0, [(ONE,)]).other([], expiring) == ""
    assert at(0, [(ONE,)]).other([TWO], expiring) != ""


def test_after_a_gap_a_checkpoint_is_believed_and_followed():
    made = at(3, {0: (ONE,), 2: (TWO,), 3: ()})
    assert made.other([OTHER], {}) == ""
    made.begin([OTHER])
    assert made.other([OTHER], {}) == ""
    made.advance(4)
    assert made.other([ONE], {}) == ""  # commit 4 is not there
    made = at(2, {1: (), 2: ()})
    made.begin([ONE])
    made.commits[3] = (OTHER,)
    made.advance(3)
    assert (made.other([ONE, OTHER], {}), made.other([ONE], {}) != "") == ("", True)


def test_a_malformed_list_is_damage():
    assert marks_of("txn", None) is None
    assert marks_of("txn", [{"appId": "a", "version": 1, "lastUpdated": 9}]) == [ONE]
    for wrong in ({}, [1], [{"appId": 1, "version": 1}], [{"version": 1}]):
        with pytest.raises(Damaged):
            marks_of("txn", wrong)
