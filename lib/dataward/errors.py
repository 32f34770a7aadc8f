"""Every error that Dataward raises on purpose, in one tree::

    DatawardError                     has an exit code; its message says what, where and how to fix it
    ├── ContractError            (2)  the contract is wrong: a tuple of problems, each with file, line and remedy
    ├── UsageError               (2)  the command was called wrongly
    ├── DataError                (1)  the data failed
    │   ├── SourceChanged             the pinned source is no longer what was judged
    │   ├── ProtectionError           a value cannot be protected, and the contract does not say what becomes of it
    │   └── AccountingError           rows in != published + quarantined + dropped
    ├── ProofError               (1)  a seal or the ledger does not hold
    ├── RunError                 (3)  the run could not be carried out
    │   ├── SessionError              Spark, Java, a jar or a setting is missing or of the wrong version
    │   ├── SourceError               the source cannot be read
    │   ├── TargetError               the target, quarantine or ledger cannot be written
    │   └── KeyringError              the keys cannot be had
    └── NotPermitted             (4)  somebody asked for what the policy does not give

The numbers are the exit codes of the command line. Beside the tree is :class:`Interrupted`, a KeyboardInterrupt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar

__all__ = [
    "AccountingError",
    "ContractError",
    "DataError",
    "DatawardError",
    "Interrupted",
    "KeyringError",
    "NotPermitted",
    "Problem",
    "ProofError",
    "ProtectionError",
    "RunError",
    "SessionError",
    "SourceChanged",
    "SourceError",
    "TargetError",
    "UsageError",
    "counted",
    "did_you_mean",
]


class DatawardError(Exception):
    """Base of all. ``str(error)`` is fit to be shown: it holds no key and no value of a protected column."""

    exit_code: ClassVar[int] = 3


@dataclass(frozen=True)
class Problem:
    """One mistake in a contract: where it stands (``line`` counts from 1), what it is, how to mend it."""

    file: str
    line: int
    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.file}:{self.line}: {place}{self.what}{remedy}"


class ContractError(DatawardError):
    """All mistakes found in a contract, in the order of their lines."""

    exit_code = 2

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(DatawardError):
    exit_code = 2


class DataError(DatawardError):
    exit_code = 1


class SourceChanged(DataError):
    pass


class AccountingError(DataError):
    pass


class ProtectionError(DataError):
    """Its message names a column and an operator, never a value."""


class ProofError(DatawardError):
    exit_code = 1


class RunError(DatawardError):
    exit_code = 3


class SessionError(RunError):
    pass


class SourceError(RunError):
    pass


class TargetError(RunError):
    pass


class KeyringError(RunError):
    pass


class NotPermitted(DatawardError):
    exit_code = 4


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run. Its message is one line: what is committed, and what finishes the run."""


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 rule, 2 rules."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def did_you_mean(word: str, candidates: Iterable[object]) -> str:
    """A remedy that names the nearest candidate, or nothing when none is near."""
    lowered = {str(candidate).lower(): str(candidate) for candidate in candidates}
    near = get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return f"did you mean '{lowered[near[0]]}'?" if near else ""
