"""A run that another writer overtook is repeated under its ID; other errors are not."""

import pytest

from dataward.contract import Location
from dataward.errors import Overtaken, TargetError
from dataward.pipeline.attempts import ATTEMPTS, repeated
from dataward.pipeline.context import Asked
from dataward.tables import commits


class Runs:
    def __init__(self, *errors):
        self.errors, self.ids, self.waits = list(errors), [], []

    def __call__(self, asked):
        self.ids.append(asked.run_id)
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def repeated(self):
        lines = []
        return repeated(Asked(None, None, progress=lines.append), self, self.waits.append), lines


def test_an_overtaken_run_is_repeated_under_the_id_that_it_had():
    runs = Runs(Overtaken("lake/t: another writer", "r7"), Overtaken("lake/t: another writer", "r7"))
    done, lines = runs.repeated()
    assert (done, runs.ids, len(runs.waits)) == ("done", [None, "r7", "r7"], 2)
    assert lines[0] == "  attempt 1: lake/t: another writer; it is repeated"


def test_other_errors_and_too_many_attempts_are_errors():
    with pytest.raises(TargetError, match="full"):
        Runs(TargetError("full")).repeated()
    always = Runs(*[Overtaken("t", "r7")] * 99)
    with pytest.raises(Overtaken):
        always.repeated()
    assert len(always.ids) == ATTEMPTS


class ProtocolChangedException(Exception):
    """As Delta's Python package raises it where two runs create one table."""


@pytest.mark.parametrize(
    ("error", "kind"), [(ProtocolChangedException("x"), Overtaken), (ValueError("x"), TargetError)]
)
def test_a_write_that_delta_refuses_for_another_writer_names_the_run(monkeypatch, error, kind):
    def write():
        raise error

    monkeypatch.setattr(commits, "tighten", lambda *given: None)
    monkeypatch.setattr(commits.delta, "find_run", lambda *given, **more: None)
    with pytest.raises(TargetError, match="lake/t: .*Nothing of this run was published here") as stop:
        commits._read_back(None, Location(path="lake/t"), commits.Transaction("r7", {}, ()), write)
    assert type(stop.value) is kind
    assert getattr(stop.value, "run_id", "r7") == "r7"
