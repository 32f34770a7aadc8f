"""The order of a release: staged, charged, opened. Shared by the verb (a store in Delta) and the auditor (one in memory)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from dataward.errors import Overdrawn, UsageError
from dataward.release.account import Entry
from dataward.release.draws import Staged

__all__ = ["Store", "once"]


class Store(Protocol):
    """Where draws and charges are kept."""

    def found(self, charge: Entry) -> Entry | None:
        """Return the earlier charge of the same run."""
        ...

    def covered(self, charge: Entry) -> str:
        """Return why a charge would be refused now; empty where it would not. A refusal is kept."""
        ...

    def stage(self, answer: Any) -> Staged:
        """Keep a drawn answer so that nobody can read it without its key."""
        ...

    def ask(self, charge: Entry) -> Entry:
        """Enter a charge with the key of its draw, or refuse it."""
        ...


def once(store: Store, charge: Entry, draw: Callable[[], Any]) -> Entry:
    """Return the charge of a run, which holds the key of its only draw.

    ``draw`` is called where the run was not charged before. What it returns is readable by nobody until the charge, with the
    key, is committed: killed before, the run has spent and shown nothing; killed after, it finds its answer again.

    Raises:
        Overdrawn: the budget does not cover the charge.
        UsageError: the run id has charged another query.
    """
    earlier = store.found(charge)
    if earlier is not None:
        if earlier.sha256 != charge.sha256:
            raise UsageError(
                f"run id '{charge.run_id}' has charged another query to this budget: choose another run id"
            )
        return earlier
    if reason := store.covered(charge):  # before minutes of work; what counts is decided with the charge
        raise Overdrawn(reason)
    staged = store.stage(draw())
    entered = store.ask(replace(charge, draw=staged.draw, secret=staged.secret))
    if entered.kind == "refusal":
        raise Overdrawn(entered.reason)
    return entered
