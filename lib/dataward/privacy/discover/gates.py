"""What a publish finds in a sample of its rows: columns that the contract does not speak of, and residue in what it lets out.

Gate in: a column (or path) that is kept, with neither a class nor a reason, and looks sensitive. Gate out: sensitive pieces
inside of texts that leave the job readable: kept, masked, generalised, or with parts replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Column, Contract
from dataward.errors import Problem
from dataward.privacy.discover.columns import JSON
from dataward.privacy.discover.custom import with_custom
from dataward.privacy.discover.score import Finding
from dataward.privacy.discover.spark import discover_frame, sample
from dataward.privacy.protect import arrow_schema, protect, tree

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dataward.privacy.keys import KeyProvider

__all__ = ["Looked", "look"]

READABLE = frozenset({"mask", "generalize", "json", "redact_text"})
"""Operators of whose output people can read a part."""

SURE = 0.99
"""Confidence from which on the whole of a protected column counts as residue: a mask that hides nothing."""


@dataclass(frozen=True)
class Looked:
    """``unclassed``: (path, what, the line to add). ``residue``: what leaves readable, for people."""

    findings: tuple[Finding, ...] = ()
    unclassed: tuple[tuple[str, str, str], ...] = ()
    residue: tuple[str, ...] = ()

    def __str__(self) -> str:
        found = len(self.unclassed) + len(self.residue)
        return f"{len(self.findings)} columns looked at, {found or 'nothing'} found"

    def problems(self, file: str, line: int) -> list[Problem]:
        return [Problem(file, line, f"columns.{path}", what, remedy) for path, what, remedy in self.unclassed]


def look(spark: SparkSession, contract: Contract, keys: KeyProvider, frame: DataFrame, total: int) -> Looked:
    """Look at a sample of the rows as they would leave the job; one job over it, or none where nothing leaves readable."""
    given = contract.discovery
    lines = _readable(contract, frame)
    if given.gate == "off" or not lines:
        return Looked()
    names = list(dict.fromkeys(path.split(".")[0] for path in lines))
    read = {by for name in names for by in _reads(contract, name)} & set(frame.columns)
    drawn = sample(frame, given.rows, total).select(*(f"`{name}`" for name in dict.fromkeys([*names, *sorted(read)])))
    protecting, _ = protect(spark, contract, keys, drawn)
    ready = protecting(drawn, strict=False)
    ready = ready.select(*(f"`{name}`" for name in names if name in ready.columns))
    findings = discover_frame(ready, with_custom(given.detectors))
    unclassed: list[tuple[str, str, str]] = []
    residue: list[str] = []
    for finding in findings:
        line = lines.get(finding.column.partition(JSON)[0])
        if line is None:  # a part of the column that is protected for good, or kept for a reason
            continue
        if (
            line.protect.op == "keep"
            and finding.class_ not in (None, "protected")
            and finding.confidence.value >= given.confidence
        ):
            unclassed.append(_unclassed(contract, finding))
        else:
            residue += _residue(finding, line)
    return Looked(tuple(findings), tuple(unclassed), tuple(residue))


def _readable(contract: Contract, frame: DataFrame) -> dict[str, Column]:
    """By path, the lines of what people could read in the output and nobody has said why."""
    found = {}
    for field in arrow_schema(frame.schema):
        for path, parts in tree.paths(field):
            line = contract.line(field.name, parts)
            given: Any = line.protect
            unspoken = given.op == "keep" and line.class_ is None and given.reason is None
            if unspoken or given.op in READABLE:
                found[path] = line
    return found


def _reads(contract: Contract, name: str) -> Iterator[str]:
    """Other columns that a column's operators read."""

    def below(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("by"), str):
                yield value["by"]
            for inner in value.values():
                yield from below(inner)

    yield from below(contract.column(name).protect.model_dump())


def _unclassed(contract: Contract, finding: Finding) -> tuple[str, str, str]:
    sure = finding.confidence
    class_ = str(finding.class_)
    what = (
        f"'{finding.column}' looks like {class_} (confidence {sure.value:.2f}, {sure.low:.2f} to {sure.high:.2f}; "
        f"{finding.evidence[0]}), and the contract keeps it without a word"
    )
    known = contract.policy is not None and class_ in contract.policy.classes
    protect = "" if known else ", protect: token"
    path, _, inside = finding.column.partition(JSON)
    if inside:
        line = f"{path}: {{protect: {{json: {{fields: {{{inside}: {{class: {class_}, protect: token}}}}}}}}}}"
    else:
        line = f"{path}: {{class: {class_}{protect}}}"
    return path, what, f"add  {line}  or, if it may stay readable,  {path}: {{protect: {{keep: {{reason: ...}}}}}}"


def _residue(finding: Finding, line: Column) -> Iterator[str]:
    """What is readable of other classes than the line's own; of its own where nothing of a value was hidden."""
    op = line.protect.op
    how = "kept" if op == "keep" else f"under {op}"
    for class_, share in finding.inside:
        if class_ != line.class_:
            yield f"column '{finding.column}' ({how}): {class_} inside of {share:.2%} of its different texts"
    expected = {"protected", *((line.class_,) if op != "mask" else ())}
    if op != "keep" and finding.class_ and finding.class_ not in expected and finding.confidence.value >= SURE:
        yield f"column '{finding.column}' ({how}): still looks like {finding.class_} ({finding.confidence.value:.2f})"
