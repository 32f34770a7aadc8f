"""Which sealed version is read, by its time."""

from contextlib import nullcontext
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from dataward.errors import ProofError
from dataward.verbs import read
from dataward.verbs.read import Wish

SEALS = {number: SimpleNamespace(time=f"2026-11-2{number}T10:00:00+00:00", run_id=f"r{number}") for number in (1, 2, 3)}


@pytest.fixture
def chosen(monkeypatch):
    monkeypatch.setattr(read, "isolated", nullcontext)
    monkeypatch.setattr(read, "seals_and_commits", lambda spark, contract: (SEALS, {}))
    plan = SimpleNamespace(contract=SimpleNamespace(target="lake/t"))
    return lambda **wish: read._version(None, plan, Wish(verified=False, **wish))


def test_a_time_without_a_zone_is_utc(chosen):
    assert chosen(as_of=datetime(2026, 11, 22, 10)) == (2, "r2")
    assert chosen(as_of=datetime(2026, 11, 22, 9, 59, tzinfo=timezone.utc)) == (1, "r1")
    with pytest.raises(ProofError, match="no version was sealed at 2026-11-21 09:00:00"):
        chosen(as_of=datetime(2026, 11, 21, 9))


def test_the_newest_or_the_named_version_is_read(chosen):
    assert (chosen(), chosen(version=1)) == ((3, "r3"), (1, "r1"))
    with pytest.raises(ProofError, match="version 7 is not sealed; sealed are 1 to 3"):
        chosen(version=7)
