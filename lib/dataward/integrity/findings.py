"""Codes of findings: stable names of differences. docs/verify.md is generated from this table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["CODES", "SECTIONS", "Finding", "fail", "note", "section", "unique"]

SECTIONS = {
    "table": {
        "table-missing": "There is no Delta log in the folder.",
        "other-table": "The folder holds another table: its ID in Delta's log is not the sealed one.",
        "folder-rolled-back": "The folder is an older state of the table, such as a backup: nothing of later sealed versions is there.",
    },
    "content": {
        "data-file-missing": "A data file of the version is gone, and nothing in the log explains it.",
        "data-file-changed": "The bytes of a data file are not the sealed ones.",
        "data-file-swapped": "A data file holds the bytes of another sealed file of the table.",
        "data-file-was-changed": "A run replaced a data file that somebody had changed before; newer files may hold its rows.",
        "data-file-gone": "Note: a data file of an older version was removed, as VACUUM does; that version is only partly readable.",
        "deletion-vector-missing": "The file of a deletion vector is gone.",
        "deletion-vector-changed": "The bytes of a deletion vector's file are not the sealed ones.",
        "rows-changed": "The keyed digest of the rows is not the sealed one.",
    },
    "commit": {
        "commit-edited": "A commit's file is not the sealed one.",
        "commit-removed": "A commit's file is gone, and no checkpoint explains it; log cleanup removes the oldest only.",
        "commit-damaged": "A commit's file cannot be read as one.",
        "log-file-unknown": "A file in the log has a name that Delta may read and never gives, such as a commit with fewer digits.",
        "log-cleaned": "Note: the oldest commits were removed, as log cleanup does; a checkpoint holds their outcome.",
        "checkpoint-edited": "A checkpoint does not hold what the sealed commits before it add up to.",
        "checkpoint-damaged": "A checkpoint cannot be read, or lacks a part.",
        "last-checkpoint-edited": "The file _last_checkpoint names a checkpoint that is not there, or describes it wrongly.",
        "checksum-edited": "A version checksum (N.crc) does not hold what the sealed commits add up to.",
        "compacted-edited": "A compacted commit does not hold what the sealed commits add up to.",
        "file-list-edited": "A data file was added to or taken from the list of a version.",
        "file-entry-edited": "The size of a data file was edited in the log.",
        "deletion-vector-edited": "Which deletion vector a data file has was edited in the log.",
        "partition-value-edited": "A data file's partition values were edited in the log.",
        "statistics-edited": "A data file's statistics were edited in the log, by which readers skip files.",
        "statistics-unproven": "Note: a checkpoint has statistics also in columns of their own, which are not compared.",
        "schema-edited": "The schema or the partition columns were edited in the log.",
        "column-mapping-edited": "The mapping of columns to fields of the files was edited in the log.",
        "property-edited": "A table property, the name or the description was edited in the log.",
        "protocol-edited": "The protocol was edited in the log.",
    },
    "newest": {
        "commit-unattested": "A commit outside of Dataward changed rows.",
        "commit-rows-differ": "A commit says that it changes no row (such as OPTIMIZE), and the rows of its files differ.",
        "commit-neutral": "Note: a commit outside of Dataward changed no row: metadata alone, equal rows, or a sealed version restored.",
        "commit-unproven": "Note: a commit says that it changes no row, and its files do not suffice to compare the rows; --rows tells.",
        "version-without-entry": "No entry seals a commit of Dataward: its run ended before the seal (rerun it), or the ledger was cut.",
        "log-tail-cut": "Commits of sealed versions are gone from the end of the log, and data files of theirs are still there.",
    },
    "ledger": {
        "ledger-missing": "There is no ledger, or it has no entry of this table.",
        "ledger-damaged": "The ledger's files are damaged, or its entries do not add up to its signed checkpoint.",
        "ledger-tail-cut": "The ledger is shorter than a known head of it says.",
        "ledger-forked": "The ledger is not the one that a known head of it continues: an entry was changed, removed or put in between.",
        "ledger-uncovered": "Note: no signed checkpoint covers an entry yet; the next run or 'dataward ledger repair' signs one.",
        "head-unsigned": "A head that was kept elsewhere is not signed by a known key.",
        "head-damaged": "What a place of heads holds does not verify.",
        "head-unread": "Note: a place of heads could not be read or holds no head of the ledger, which was not compared with it.",
        "both-cut": "Ledger and log end earlier than a known head says: both were cut back together.",
        "entry-damaged": "A ledger entry cannot be read.",
        "entry-replayed": "A statement or a version is entered twice.",
        "entry-of-other-table": "An entry, its statement and its manifest do not speak of the same table and version.",
        "entry-removed": "A manifest names a predecessor that no entry seals.",
        "entry-without-version": "A later entry seals another commit of the same version: the folder was rolled back and written anew.",
        "statement-missing": "The statement of an entry is gone.",
        "statement-changed": "A statement's bytes are not those that its entry names.",
        "statement-erased": "Note: a statement was removed by an erasure that the ledger records.",
        "statement-without-entry": "A signed statement lies beside the ledger, and no entry names it or another attempt of its run.",
        "signature-invalid": "A statement is not signed by a known key.",
        "manifest-missing": "The manifest of a statement is gone.",
        "manifest-changed": "A manifest's bytes are not those that its statement names.",
    },
    "beside": {
        "quarantine-changed": "The quarantine is not as sealed.",
        "history-changed": "The metric history is not as sealed.",
        "changes-changed": "The table of changed cells is not as sealed.",
        "report-changed": "A run's report is not as sealed.",
        "report-missing": "Note: a run's report is gone.",
        "report-erased": "Note: an erasure that the ledger records removed a person's values from a run's report.",
        "report-page-unproven": "Note: another release of Dataward drew a report's page, so it cannot be compared with report.json.",
    },
    "set": {
        "set-member-missing": "A release set names a table of which its file lists no contract.",
        "set-member-changed": "The ledger of a table does not have the seal that a release set names.",
    },
    "contract": {
        "contract-edited": "Note: the contract was edited after the version was sealed.",
    },
}
"""Codes with their meaning, by subject. Codes are stable: other tools match them."""

CODES = {code: words for section in SECTIONS.values() for code, words in section.items()}


@dataclass(frozen=True)
class Finding:
    """A difference from a seal. ``fails``: the proof does not hold; else it is a note.

    ``place``: the file, entry or version of the difference.
    """

    code: str
    place: str
    detail: str
    fails: bool = True

    def __str__(self) -> str:
        """Return the finding on one line."""
        return f"{self.code}: {self.place}: {self.detail}" if self.detail else f"{self.code}: {self.place}"


def fail(code: str, place: str, detail: str = "") -> Finding:
    """Return a finding that fails the proof."""
    return Finding(_known(code), place, detail or CODES[code])


def note(code: str, place: str, detail: str = "") -> Finding:
    """Return a finding that is not a sign of tampering."""
    return Finding(_known(code), place, detail or CODES[code].removeprefix("Note: "), fails=False)


def section(code: str) -> str:
    """Return the subject of a code."""
    return next(name for name, codes in SECTIONS.items() if code in codes)


def _known(code: str) -> str:
    if code not in CODES:
        raise KeyError(code)
    return code


def unique(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings without repetitions, failures first."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda one: not one.fails))
