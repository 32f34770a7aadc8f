"""A run that is killed at any of its writes, and rerun, leaves the tables of a run that was never killed."""

from datetime import datetime

import pytest

from dataward.pipeline import write
from tests.steps import NAMES, instead

pytestmark = pytest.mark.long

SCHEMA = "id int, state string, at timestamp"
ROWS = [
    (1, " nsw ", datetime(2026, 1, 1, 10)),
    (2, "vic", datetime(2026, 1, 1, 10, 30)),
    (3, None, datetime(2026, 1, 1, 11)),
    (4, "qld ", datetime(2026, 1, 1, 12)),
]
TABLES = {
    "target": ("id", "state"),
    "quarantine": ("id", "failed_rules"),
    "target_changes": ("change", "state"),
    "target_history": ("run_id", "series", "outcome", "status"),
    "target_windows": ("run_id", "rule", "count"),
}


class Killed(BaseException):
    """What no handler catches."""


def prepared(lake):
    lake.source(ROWS, SCHEMA)
    lake.contract(
        rules='IsComplete "state",\nRowCount > 1',
        treat="{changes: true, normalise: {state: {trim: true}}}",
        extra="quarantine: {{path: {root}/quarantine}}\nhistory: {{}}\nwindows: {{column: at, length: 1 hour}}",
    )


def tables(lake):
    found = {name: lake.rows(name, *columns) for name, columns in TABLES.items()}
    return found | {"target_ledger": [(entry.seq, entry.body.kind) for entry in lake.entries()]}


@pytest.fixture
def unbroken(made_once):
    def fill(lake):
        prepared(lake)
        assert lake.publish("r1").rows == {"in": 4, "published": 3, "quarantined": 1, "dropped": 0}

    return tables(made_once(fill))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_killed_before_or_after_each_write_and_rerun(lake, unbroken, monkeypatch, name, late):
    prepared(lake)
    step = dict(write.WRITES)[name]

    def dying(*given):
        if late:
            step(*given)
        raise Killed

    with monkeypatch.context() as patch:
        instead(patch, name, dying)
        with pytest.raises(Killed):
            lake.publish("r1")
    assert lake.publish("r1").status == "published"
    assert tables(lake) == unbroken
    assert lake.verify().holds
