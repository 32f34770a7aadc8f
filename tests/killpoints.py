"""Kill a run at any change of a file, before or after it, and count these points without a kill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from dataward.tables.store import Local

__all__ = ["CHANGES", "Kill", "Killed", "Scenario", "changes_of", "killed_everywhere"]

CHANGES = ("create", "put", "delete")


class Killed(BaseException):
    """What no handler catches."""


@dataclass(frozen=True)
class Scenario:
    """A run that is killed and run again.

    Attributes:
        begin: puts everything back to what it was before the run.
        run: the run; a rerun finishes it.
        check: asserts that nothing is lost or doubled, and that there is one entry each.
    """

    begin: Callable[[], object]
    run: Callable[[], object]
    check: Callable[[], object]


class Kill:
    """Kills at the n-th change of any file, before or after it; 0 kills never, and counts."""

    def __init__(self, patch: pytest.MonkeyPatch, step: int = 0, late: bool = False) -> None:
        self.left, self.late, self.seen = step, late, 0
        for name in CHANGES:
            patch.setattr(Local, name, self.dying(getattr(Local, name)))

    def dying(self, change):
        def step(store, *asked):
            self.left, self.seen = self.left - 1, self.seen + 1
            if self.left == 0 and not self.late:
                raise Killed
            done = change(store, *asked)
            if self.left == 0:
                raise Killed
            return done

        return step


def changes_of(monkeypatch: pytest.MonkeyPatch, scenario: Scenario) -> int:
    """Return the number of changes of files in one run: it can be killed before and after each."""
    scenario.begin()
    with monkeypatch.context() as patch:
        counting = Kill(patch)
        scenario.run()
    return counting.seen


def killed_everywhere(monkeypatch: pytest.MonkeyPatch, scenario: Scenario) -> int:
    """Kill a run at every change, early and late, then run it again; returns the number of kills."""
    kills = 0
    for late in (False, True):
        for step in range(1, 200):
            scenario.begin()
            with monkeypatch.context() as patch:
                Kill(patch, step, late)
                try:
                    scenario.run()
                    break
                except Killed:
                    kills += 1
            scenario.run()
            scenario.check()
    return kills
