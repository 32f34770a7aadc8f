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
        self.matched += other.matched
        self.passed += other.passed
        self.by_chance += other.by_chance


@dataclass
class Evidence:
    """``values``: rows with text in them; ``texts``: different ones, counted per batch, of which ``prose`` have five words or
    more; ``smallest``: the smallest hashes of
    all texts (a KMV sketch: Bar-Yossef et al., *Counting Distinct Elements in a Data Stream*, 2002), which tell how many
    different ones there are in all. ``whole`` is by pattern and by class, ``inside`` by class: texts that hold one."""

    values: int = 0
    nulls: int = 0
    texts: int = 0
    characters: int = 0
    prose: int = 0
    smallest: list[int] = field(default_factory=list)
    whole: dict[str, Counted] = field(default_factory=dict)
    inside: dict[str, Counted] = field(default_factory=dict)

    def add(self, other: Evidence) -> None:
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
        return self.characters / self.texts if self.texts else 0.0

    def as_data(self) -> dict[str, Any]:
        plain = {name: [c.matched, c.passed, c.by_chance] for name, c in self.whole.items()}
        within = {name: [c.matched, c.passed, c.by_chance] for name, c in self.inside.items()}
        head = [self.values, self.nulls, self.texts, self.characters, self.prose]
        return {"head": head, "smallest": self.smallest, "whole": plain, "inside": within}

    @classmethod
    def of_data(cls, data: dict[str, Any]) -> Evidence:
        whole, inside = ({name: Counted(*c) for name, c in data[key].items()} for key in ("whole", "inside"))
        values, nulls, texts, characters, *prose = data["head"]  # states of earlier versions lack the last
        return cls(values, nulls, texts, characters, prose[0] if prose else 0, data["smallest"], whole, inside)
