"""Account for every row of a run."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Rows"]


@dataclass(frozen=True)
class Rows:
    """Rows in = published + quarantined + dropped. ``expected``: the number to publish, where it is known before."""

    taken_in: int
    published: int
    quarantined: int
    dropped: int = 0
    expected: int | None = None

    @property
    def balanced(self) -> bool:
        """Whether no row was lost or doubled."""
        whole = self.taken_in == self.published + self.quarantined + self.dropped
        return whole and self.expected in (None, self.published)

    @property
    def words(self) -> str:
        """The counts that do not balance, in words."""
        if self.expected is not None:
            return f"rows to release ({self.expected}) != published ({self.published})"
        return (
            f"rows in ({self.taken_in}) != published ({self.published}) + quarantined ({self.quarantined}) + dropped "
            f"({self.dropped})"
        )

    def as_dict(self) -> dict[str, int]:
        """Return the counts as seals and reports name them."""
        return {
            "in": self.taken_in,
            "published": self.published,
            "quarantined": self.quarantined,
            "dropped": self.dropped,
        }
