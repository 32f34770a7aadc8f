"""The order of a release: stage, charge, open. Shared by the verb (a store in Delta) and the auditor (a store in memory)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from dataward.errors import Overdrawn, UsageError
from dataward.release.account import Entry
from dataward.release.draws import Staged

__all__ = ["Store", "once"]


class Store(Protocol):
    """Storage of draws and charges."""

    def found(self, charge: Entry) -> Entry | None:
        """Return the earlier charge of the same run."""
        ...

    def covered(self, charge: Entry) -> str:
        """Return why a charge would be refused now, and store the refusal; empty if it would be accepted."""
        ...

    def stage(self, answer: Any) -> Staged:
        """Store a drawn answer so that it is unreadable without its key."""
        ...

    def ask(self, charge: Entry) -> Entry:
        """Enter a charge with the key of its draw, or refuse it."""
        ...


def once(store: Store, charge: Entry, draw: Callable[[], Any]) -> Entry:
    """Return the charge of a run, which contains the key of its only draw.

    ``draw`` is called if the run was not charged before. Its result is unreadable until the charge, with the
    key, is committed: a run killed before that has spent and shown nothing; one killed after it finds its answer again.

    Raises:
        Overdrawn: the budget does not cover the charge.
        UsageError: the run ID was charged for another query.
    """
    earlier = store.found(charge)
    if earlier is not None:
        if earlier.sha256 != charge.sha256:
            raise UsageError(
                f"run id '{charge.run_id}' has charged another query to this budget: choose another run id"
            )
        return earlier
    if reason := store.covered(charge):  # before minutes of work; the decision with the charge counts
        raise Overdrawn(reason)
    staged = store.stage(draw())
    entered = store.ask(replace(charge, draw=staged.draw, secret=staged.secret))
    if entered.kind == "refusal":
        raise Overdrawn(entered.reason)
    return entered
