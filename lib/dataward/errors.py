"""Errors that Dataward raises on purpose.

They form one tree::

    DatawardError                     has an exit code; its message says what, where and how to fix it
    ├── ContractError            (2)  the contract is invalid; holds problems with file, line and remedy
    ├── UsageError               (2)  the command was called wrongly
    ├── DataError                (1)  the data failed the contract
    │   ├── SourceChanged             the pinned source changed during the run
    │   ├── ProtectionError           a value cannot be protected, and the contract has no fallback
    │   ├── Overdrawn                 a privacy budget does not cover what a release costs
    │   └── AccountingError           rows in != published + quarantined + dropped
    ├── ProofError               (1)  a seal or the ledger does not verify
    ├── RunError                 (3)  the run could not be carried out
    │   ├── SessionError              Spark, Java, a jar or a setting is missing or of the wrong version
    │   │   └── SettingRefused        the platform refuses a setting of the session (Databricks serverless)
    │   ├── SourceError               the source cannot be read
    │   ├── TargetError               the target, quarantine or ledger cannot be written
    │   │   └── Overtaken             another writer committed at the same time; names the run
    │   ├── KeyringError              the keys cannot be read or used
    │   └── SiteRefused               a party of federated training refuses a message; names the site at fault, if any
    └── NotPermitted             (4)  the policy does not permit the request

The numbers are the exit codes of the command line. :class:`Interrupted`, a KeyboardInterrupt, is not part of the tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

__all__ = [
    "AccountingError",
    "ContractError",
    "DataError",
    "DatawardError",
    "Interrupted",
    "KeyringError",
    "NotPermitted",
    "Overdrawn",
    "Overtaken",
    "Problem",
    "ProofError",
    "ProtectionError",
    "RunError",
    "SessionError",
    "SettingRefused",
    "SiteRefused",
    "SourceChanged",
    "SourceError",
    "TargetError",
    "UsageError",
    "counted",
    "did_you_mean",
    "named_run",
]


class DatawardError(Exception):
    """Base class. ``str(error)`` may be shown: it holds no key and no value of a protected column."""

    exit_code: ClassVar[int] = 3


@dataclass(frozen=True)
class Problem:
    """One mistake in a contract: its place (``line`` counts from 1; 0: the file as a whole), what is wrong, and the remedy."""

    file: str
    line: int
    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return the message of the problem."""
        place = f"{self.where}: " if self.where else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        line = f":{self.line}" if self.line else ""
        return f"{self.file}{line}: {place}{self.what}{remedy}"


class ContractError(DatawardError):
    """The contract is invalid; holds all mistakes in the order of their lines."""

    exit_code = 2

    def __init__(self, problems: list[Problem]) -> None:
        """Sort the problems and join their messages."""
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(DatawardError):
    """The command was called with invalid arguments."""

    exit_code = 2


class DataError(DatawardError):
    """The data failed the contract."""

    exit_code = 1


class SourceChanged(DataError):
    """The pinned source changed during the run."""


class AccountingError(DataError):
    """The numbers of published, quarantined and dropped rows do not add up to the rows in."""


class Overdrawn(DataError):
    """A privacy budget does not cover what a release costs; nothing was drawn, charged or written."""


class ProtectionError(DataError):
    """A value cannot be protected; the message names a column and an operator, never a value."""


class ProofError(DatawardError):
    """A seal or the ledger does not verify.

    Attributes:
        findings: what a verification found before it had to stop, with codes (docs/verify.md); empty for other checks.
    """

    exit_code = 1

    def __init__(self, message: str, findings: Iterable[Any] = ()) -> None:
        """Keep the findings beside the message."""
        self.findings = tuple(findings)
        super().__init__(message)


class RunError(DatawardError):
    """The run could not be carried out."""

    exit_code = 3


class SessionError(RunError):
    """Spark, Java, a jar or a setting is missing or has the wrong version."""


class SettingRefused(SessionError):
    """A platform refuses a setting of the session (Databricks serverless)."""


class SourceError(RunError):
    """The source cannot be read."""


class TargetError(RunError):
    """The target, quarantine or ledger cannot be written."""


class Overtaken(TargetError):
    """Another writer committed at the same time, and this write was refused; a rerun of run ``run_id`` repeats it."""

    def __init__(self, message: str, run_id: str) -> None:
        """Keep the run beside the message."""
        self.run_id = run_id
        super().__init__(message)


class KeyringError(RunError):
    """The keys cannot be read or used."""


class SiteRefused(RunError):
    """A party of federated training refuses a message; ``site`` is the site at fault, or empty."""

    def __init__(self, message: str, site: str = "") -> None:
        """Keep the name of the site."""
        self.site = site
        super().__init__(message)


class NotPermitted(DatawardError):
    """The policy does not permit the request."""

    exit_code = 4


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run; the message says what is committed and how to finish the run."""


def named_run(run_id: str) -> str:
    """Return a run ID that folder names and SQL can hold.

    Raises:
        UsageError: it has other characters, or too many.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", run_id):
        raise UsageError(f"run id '{run_id}': use up to 100 letters, digits, dots, dashes and underscores")
    return run_id


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: 1 rule, 2 rules."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def did_you_mean(word: str, candidates: Iterable[object]) -> str:
    """Return a remedy that names the most similar candidate; empty where none is similar."""
    lowered = {str(candidate).lower(): str(candidate) for candidate in candidates}
    near = get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    return f"did you mean '{lowered[near[0]]}'?" if near else ""
