"""Findings of a publish in a sample of its rows: sensitive columns that the contract does not name, and residue in the output.

Gate in: a column (or path) that is kept, with neither a class nor a reason, and looks sensitive. Gate out: sensitive pieces
inside of texts that leave the job readable: kept, masked, generalised, or with parts replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dataward.contract import Column, Contract
from dataward.contract.draft import classed, in_json, plain_or_quoted
from dataward.errors import Problem
from dataward.privacy.discover.columns import outside
from dataward.privacy.discover.custom import with_custom
from dataward.privacy.discover.score import UNSEEN, Finding
from dataward.privacy.discover.spark import discover_frame, sample
from dataward.privacy.protect import ColumnPlan, arrow_schema, protect, tree
from dataward.privacy.protect.compiled import read_by
from dataward.spark.sql import identifier

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


__all__ = ["Looked", "free_text_warning", "look", "weighed"]

SURE = 0.99
"""Confidence from which on the whole of a protected column counts as residue: a mask that hides nothing."""


@dataclass(frozen=True)
class Looked:
    """Result of the search for sensitive data.

    Attributes:
        findings: what the columns hold.
        unclassed: (path, what was found, line to add to the contract).
        residue: descriptions of readable sensitive data in the output.
        unseen: (path, warning or "") of free text that stays readable.
    """

    findings: tuple[Finding, ...] = ()
    unclassed: tuple[tuple[str, str, str], ...] = ()
    residue: tuple[str, ...] = ()
    unseen: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Return the numbers of scanned and found columns as text."""
        found = len(self.unclassed) + len(self.residue)
        summary = f"{len(self.findings)} columns looked at, {found or 'nothing'} found"
        if not self.unseen:
            return summary
        if not found:
            summary = f"{len(self.findings)} columns looked at, nothing of a known form found"
        return f"{summary}; free text, of which a part is seen only: {', '.join(path for path, _ in self.unseen)}"

    @property
    def warnings(self) -> list[str]:
        """What may stand in texts that people will read, and no look could find."""
        return [warning for _, warning in self.unseen if warning]

    def problems(self, file: str, line: int) -> list[Problem]:
        """Return the unclassed columns as problems of a contract."""
        return [Problem(file, line, f"columns.{path}", what, remedy) for path, what, remedy in self.unclassed]


def look(spark: SparkSession, plan: ColumnPlan, frame: DataFrame, total: int) -> Looked:
    """Look at a sample of the rows as they would leave the job; one job over it, or none where nothing leaves readable."""
    contract, fields = plan.contract, list(arrow_schema(frame.schema))
    readable = {field.name: lines for field in fields if (lines := _readable(contract, field))}
    if not readable:
        return Looked()
    read = {name for field in fields if field.name in readable for name in read_by(contract, field)}
    drawn = sample(frame, contract.discovery.rows, total)
    drawn = drawn.select(*(identifier(name) for name in frame.columns if name in readable or name in read))
    # What is only read stays as it is: nothing is entered into a vault for a look.
    protecting, _ = protect(spark, plan, drawn.select(*map(identifier, readable)))
    ready = protecting(drawn, strict=False)
    ready = ready.select(*(identifier(name) for name in ready.columns if name in readable))
    return weighed(contract, fields, discover_frame(ready, with_custom(contract.discovery.detectors)))


def weighed(contract: Contract, fields: Iterable[pa.Field], findings: Sequence[Finding]) -> Looked:
    """Derive the consequences of findings in protected rows; ``fields`` are those of the rows before protection."""
    lines = {path: line for field in fields for path, line in _readable(contract, field).items()}
    unclassed: list[tuple[str, str, str]] = []
    residue: list[str] = []
    unseen: list[tuple[str, str]] = []
    for finding in findings:
        path, inside = outside(finding.column, lines)
        line = lines.get(path)
        if line is None:  # a part of the column that is protected for good, or kept for a reason
            continue
        sure = finding.sensitive and finding.confidence.value >= contract.discovery.confidence
        if line.protect.keeps and sure:
            unclassed.append(_unclassed(contract, finding, path, inside))
        else:
            residue += _residue(finding, line)
            if finding.prose and not inside:
                unseen.append((path, free_text_warning(path, line)))
    return Looked(tuple(findings), tuple(unclassed), tuple(residue), tuple(unseen))


def _readable(contract: Contract, field: pa.Field) -> dict[str, Column]:
    """Return by path the entries of readable parts of a column in the output for which the contract gives no decision."""
    found = {}
    for path, parts in tree.paths(field):
        line = contract.line(field.name, parts)
        given: Any = line.protect
        unspoken = given.keeps and line.class_ is None and given.reason is None
        if unspoken or given.readable:
            found[path] = line
    return found


def free_text_warning(path: str, line: Column) -> str:
    """Return the warning about readable free text; empty where the contract does everything possible."""
    how = "kept" if line.protect.keeps else f"under {line.protect.op}"
    if getattr(line.protect, "also", ()):
        return ""
    remedy = (
        "redact_text with 'also' takes out what other columns of the row hold (also: [name, mrn]), redact takes all"
    )
    if line.protect.keeps:
        remedy += "; if it may stay readable, say so: {keep: {reason: ...}}"
    return f"column '{path}' ({how}) holds free text: {UNSEEN}; {remedy}"


def _unclassed(contract: Contract, finding: Finding, path: str, inside: str) -> tuple[str, str, str]:
    sure = finding.confidence
    class_ = str(finding.class_)
    what = (
        f"'{finding.column}' looks like {class_} (confidence {sure.value:.2f}, {sure.low:.2f} to {sure.high:.2f}; "
        f"{finding.evidence[0]}), and the contract keeps it without a word"
    )
    line = in_json([(inside, class_)]) if inside else classed(class_, contract.policy)
    key = plain_or_quoted(path)
    return (
        path,
        what,
        f"add  {key}: {line}  or, if it may stay readable,  {key}: {{protect: {{keep: {{reason: ...}}}}}}",
    )


def _residue(finding: Finding, line: Column) -> Iterator[str]:
    """Yield readable residue of other classes than the entry's own; of its own class where the operator hides nothing of a value."""
    op = line.protect.op
    how = "kept" if line.protect.keeps else f"under {op}"
    for class_, share in finding.inside:
        if class_ != line.class_:
            yield f"column '{finding.column}' ({how}): {class_} inside of {share:.2%} of its different texts"
    expected = {"protected", *((line.class_,) if op != "mask" else ())}
    if (
        not line.protect.keeps
        and finding.class_
        and finding.class_ not in expected
        and finding.confidence.value >= SURE
    ):
        yield f"column '{finding.column}' ({how}): still looks like {finding.class_} ({finding.confidence.value:.2f})"
