"""Compare what summaries of the log say that writers remember: last batches of applications (``txn``), metadata of domains.

An application whose batch number was put up is refused its next batches without an error; put down, it writes batches twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dataward.tables.deltalog.actions import Damaged, Marked, action

__all__ = ["SUMMED", "Remembered", "marks_of"]

SUMMED = {"txn": "setTransactions", "domainMetadata": "domainMetadata"}
"""Fields of a version checksum by kind of action."""
EXPIRY = "delta.setTransactionRetentionDuration"
"""With this property, checkpoints leave out applications that have not written for so long."""


@dataclass
class Remembered:
    """What commits add up to; unknown (None) before version 0 or the first checkpoint after a gap.

    Attributes:
        commits: what each readable commit says.
    """

    commits: dict[int, tuple[Marked, ...]] = field(default_factory=dict)
    _state: dict[tuple[str, str], Marked] | None = None
    _version: int = -1

    def advance(self, version: int) -> None:
        """Add the commit of a version."""
        marks = self.commits.get(version)
        if version == 0:
            self._state = {}
        if marks is None or version != self._version + 1:
            self._state = self._state if version == 0 and marks is not None else None
        if self._state is not None and marks is not None:
            for mark in marks:
                self._state[mark.kind, mark.name] = mark
        self._version = version

    def begin(self, marks: Iterable[Marked]) -> None:
        """Take over what a checkpoint says, where nothing is known before it."""
        if self._state is None:
            self._state = {(mark.kind, mark.name): mark for mark in marks}

    def other(
        self, found: Iterable[Marked], metadata: Mapping[str, Any] | None, kinds: tuple[str, ...] = tuple(SUMMED)
    ) -> str:
        """Return how a summary differs, in words; empty where it does not, or nothing is known.

        Args:
            found: what the summary says.
            metadata: the table's metadata, whose properties say whether applications expire.
            kinds: the kinds that the summary has.
        """
        if self._state is None:
            return ""
        there = {(mark.kind, mark.name): mark for mark in found if mark.value}
        known = {key: mark for key, mark in self._state.items() if mark.value and key[0] in kinds}
        expires = EXPIRY in (metadata or {}).get("configuration", {})
        names = [key for key, mark in there.items() if known.get(key) != mark]
        names += [key for key in known if key not in there and not (expires and key[0] == "txn")]
        what = {"txn": "last batch of application", "domainMetadata": "metadata of domain"}
        return "; ".join(f"the {what[kind]} '{name}' is another one than in the commits" for kind, name in names[:3])


def marks_of(kind: str, listed: Any) -> list[Marked] | None:
    """Return what a version checksum says of a kind; None where it says nothing.

    Raises:
        Damaged: it is malformed.
    """
    if listed is None:
        return None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise Damaged(f"its list of '{kind}' is malformed")
    return [mark for one in listed if isinstance(mark := action(kind, one), Marked)]
