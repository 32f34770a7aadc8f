"""What was counted of one column: sums, so that the evidence of two parts added is the evidence of the whole."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Counted", "Evidence"]

SKETCH = 512


@dataclass
class Counted:
    """Of one pattern or class: texts of the shape, those that passed, and how many would have by chance."""

    matched: float = 0
    passed: float = 0
    by_chance: float = 0

    def add(self, other: Counted) -> None:
        """Add the evidence of other texts."""
        self.matched += other.matched
        self.passed += other.passed
        self.by_chance += other.by_chance


@dataclass
class Evidence:
    """Mergeable evidence of what a column holds.

    Attributes:
        values: rows with text.
        nulls: rows without.
        texts: distinct texts, counted per batch.
        characters: sum of their lengths.
        prose: texts of five or more words.
        smallest: smallest hashes of the texts, a KMV sketch that estimates the number of distinct texts (Bar-Yossef et al., *Counting
            Distinct Elements in a Data Stream*, 2002).
        whole: counts of whole texts by pattern and by class.
        inside: counts of texts that contain a match, by class.
    """

    values: int = 0
    nulls: int = 0
    texts: int = 0
    characters: int = 0
    prose: int = 0
    smallest: list[int] = field(default_factory=list)
    whole: dict[str, Counted] = field(default_factory=dict)
    inside: dict[str, Counted] = field(default_factory=dict)

    def add(self, other: Evidence) -> None:
        """Add the evidence of other texts."""
        self.values += other.values
        self.nulls += other.nulls
        self.texts += other.texts
        self.characters += other.characters
        self.prose += other.prose
        self.see(other.smallest)
        for mine, theirs in ((self.whole, other.whole), (self.inside, other.inside)):
            for name, counted in theirs.items():
                mine.setdefault(name, Counted()).add(counted)

    def see(self, hashes: Iterable[int]) -> None:
        """Add hashes of texts to the sketch."""
        self.smallest = heapq.nsmallest(SKETCH, {*self.smallest, *hashes})

    @property
    def distinct(self) -> float:
        """Different texts, estimated where there are more than the sketch holds."""
        if len(self.smallest) < SKETCH:
            return float(len(self.smallest))
        return min(float(self.texts), (SKETCH - 1) * 2.0**64 / (self.smallest[-1] + 1))

    @property
    def is_prose(self) -> bool:
        """Whether the column holds free text, of which patterns see a part only."""
        return self.prose >= 0.2 * self.texts > 0

    @property
    def mean_length(self) -> float:
        """Mean length of the texts in characters."""
        return self.characters / self.texts if self.texts else 0.0

    def as_data(self) -> dict[str, Any]:
        """Return the evidence as plain data for JSON."""
        plain = {name: [c.matched, c.passed, c.by_chance] for name, c in self.whole.items()}
        within = {name: [c.matched, c.passed, c.by_chance] for name, c in self.inside.items()}
        head = [self.values, self.nulls, self.texts, self.characters, self.prose]
        return {"head": head, "smallest": self.smallest, "whole": plain, "inside": within}

    @classmethod
    def of_data(cls, data: dict[str, Any]) -> Evidence:
        """Restore evidence from :meth:`as_data`."""
        whole, inside = ({name: Counted(*c) for name, c in data[key].items()} for key in ("whole", "inside"))
        values, nulls, texts, characters, *prose = data["head"]  # states of earlier versions lack the last
        return cls(values, nulls, texts, characters, prose[0] if prose else 0, data["smallest"], whole, inside)
