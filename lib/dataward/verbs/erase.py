"""Erase a person with a proof: delete or shred, search every remaining byte, and enter the result in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataward.pipeline.erasing import Forgotten, enter, folders, forget, permitted, redact
from dataward.pipeline.guard import guarded
from dataward.pipeline.heads import PUBLISH, keep_all
from dataward.pipeline.person import Asked, Person, look, of_this_person, opened
from dataward.pipeline.plan import Plan
from dataward.privacy.needles import SHORTEST
from dataward.privacy.residue import Residue, search
from dataward.spark.session import demand_encryption, isolated
from dataward.spark.settings import FORMAT_CHECK

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Asked", "Erased", "erase"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Erased:
    """Result of an erasure. ``residues`` name files with remaining values; without any, and with nothing ``unread``, the proof holds.

    ``shredded``: values of at least one table were made unreadable by destroying their key. ``short`` counts values too short to be
    searched inside longer text, ``shared`` those that other people have as well.
    """

    rows: dict[str, int]
    files: int
    bytes: int
    forms: int
    short: int
    shared: int
    residues: tuple[Residue, ...]
    unread: tuple[str, ...]
    source_rows: int
    entries: tuple[int, ...]
    shredded: bool

    @property
    def holds(self) -> bool:
        """Whether nothing remains and everything could be read."""
        return not self.residues and not self.unread


@guarded("erase")
def erase(spark: SparkSession, plans: Sequence[Plan], asked: Asked, progress: Progress = lambda line: None) -> Erased:
    """Erase a person from the tables of these contracts.

    Raises:
        UsageError: a contract names no subject column, or the subject cannot be one.
        NotPermitted: a legal hold or a retention period forbids it; the refusal is entered in the ledger as well.
        TargetError: a table cannot be changed; run it again.
    """
    with isolated(spark) as own:
        own.conf.set(FORMAT_CHECK, "false")  # data files are read without the log
        if any(plan.contract.keys.spill == "encrypted" for plan in plans):
            demand_encryption(own)  # the searched values are sent to the executors
        tables = [opened(own, plan, asked) for plan in plans]
        for table in tables:
            permitted(table)
            if table.unread:
                progress(
                    f"  warning: {table.unread}. Values that only the source holds are not searched for: give them by --values"
                )
        people = of_this_person([look(table) for table in tables])
        needles = [needle for person in people for needle in person.needles]
        for person in people:
            progress(f"  {person.tables.contract.target}: {person}")
        done = [_forgotten(person, progress) if not asked.prove else Forgotten() for person in people]
        searched = list(dict.fromkeys(folder for table in tables for folder in folders(table)))
        found = search(own, searched, needles)
        redacted: dict[str, list[int]] = {}
        if not asked.prove and found.residues:
            redacted = {str(table.contract.ledger_location): redact(table, found, needles) for table in tables}
            found = search(own, searched, needles)
        known = {needle.value for needle in needles}
        progress(
            f"  searched {found.files:,} files, {found.bytes:,} bytes for {len(known)} values: {len(found.residues)} residues"
        )
        entries = [
            enter(person, forgotten, found, redacted.get(str(person.tables.contract.ledger_location), []))
            for person, forgotten in zip(people, done, strict=True)
            if not asked.prove
        ]
        keep_all([plan.contract for plan in plans if entries], "the erasure is done and entered", PUBLISH, progress)
        return Erased(
            rows={place: count for forgotten in done for place, count in forgotten.rows.items()},
            files=found.files,
            bytes=found.bytes,
            forms=len(known),
            short=sum(len(value) < SHORTEST for value in known),
            shared=sum(person.shared for person in people),
            residues=found.residues,
            unread=found.unread,
            source_rows=sum(person.source_rows for person in people),
            entries=tuple(entries),
            shredded=any(table.shredded for table in tables),
        )


def _forgotten(person: Person, progress: Progress) -> Forgotten:
    done = forget(person)
    progress(f"  {person.tables.contract.target}: {', '.join(f'{n} rows of {p}' for p, n in done.rows.items())}")
    return done
