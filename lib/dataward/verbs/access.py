"""Answer questions about a contract's policies without Spark and without data, and generate views from the policies."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from dataward.access.decide import Asking, ColumnFacts, Decision, Principal, TableFacts, decide
from dataward.access.explain import Explained, explain, who_can
from dataward.access.policies import Policies, of_access
from dataward.access.sight import Sight, sight, table_facts
from dataward.access.site import settings
from dataward.access.verbs import VERBS
from dataward.access.views import Generated, cell_filters, masks_and_filters, sql_view
from dataward.contract import Approval, Column, Contract, Document, load, problems_of, read_model
from dataward.contract.access import Level
from dataward.contract.approvals import encoded, statement
from dataward.contract.base import Model, Name
from dataward.contract.parts import layout, shape_of
from dataward.contract.places import spelled
from dataward.errors import ContractError, TargetError, UsageError, did_you_mean
from dataward.pipeline.guard import guarded, permit_column, watched
from dataward.spark.session import isolated
from dataward.spark.sql import identifier
from dataward.tables import delta

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["CaseResult", "For", "Question", "approve", "explained", "run_cases", "seen", "views", "who"]

LEVELS = {"original": "clear", "opened": "clear", "stored": "token", "masked": "masked", "absent": "absent"}


@dataclass(frozen=True)
class Question:
    """One question: principal, verb, table and column, purpose, and time."""

    who: str
    verb: str
    groups: tuple[str, ...] = ()
    column: str | None = None
    purpose: str = ""
    at: datetime | None = None

    def asking(self, table: TableFacts) -> Asking:
        """Return the request about a table.

        Raises:
            UsageError: the verb is unknown, or needs a column, or the table has no such column.
        """
        if self.verb not in VERBS:
            raise UsageError(f"verb '{self.verb}' is unknown; {did_you_mean(self.verb, VERBS) or ', '.join(VERBS)}")
        on_column = VERBS[self.verb].on == "Column"
        if on_column and not self.column:
            raise UsageError(f"'{self.verb}' is decided by column: name one with --column")
        column = None
        if on_column and self.column:
            column = table.column(self.column)
            if column is None:
                remedy = did_you_mean(self.column, [one.name for one in table.columns])
                raise UsageError(
                    f"contract '{table.name}' has no line for column '{self.column}'; {remedy or 'see its columns'}"
                )
        now = self.at or datetime.now(timezone.utc)
        principal = Principal(self.who, groups=self.groups)
        return Asking(principal, self.verb, table, column, self.purpose, now=now)


def _loaded(path: str | Path) -> tuple[Contract, Policies]:
    contract = load(path)
    return contract, of_access(settings(contract).access)


def explained(path: str | Path, question: Question) -> Explained:
    """Decide a question with its reasons; for a denial, also the policies that would permit it, and their unmet conditions.

    Raises:
        ContractError: the contract is invalid.
        UsageError: the policies are invalid, or the question does not fit.
    """
    contract, policies = _loaded(path)
    return explain(policies, question.asking(table_facts(contract)))


def seen(path: str | Path, question: Question) -> Sight:
    """Return how a reader sees each column of the contract, and which rows."""
    contract, policies = _loaded(path)
    return sight(policies, replace(question, verb="read", column=None).asking(table_facts(contract)))


def who(path: str | Path, question: Question) -> list[tuple[str, str, Decision]]:
    """Decide a question for every user and group in the policies, and for anybody else."""
    contract, policies = _loaded(path)
    return who_can(policies, question.asking(table_facts(contract)))


@dataclass(frozen=True)
class For:
    """Platform, readers (``sql``: members of a group), and names of the views to generate.

    Attributes:
        platform: ``sql``, ``unity`` or ``lakeformation``.
        group: group that reads a SQL view.
        purpose: purpose that the readers state.
        name: table name in the catalog, ``[catalog.]schema.table``; default: the target's own.
        account: AWS account of the Data Catalog.
    """

    platform: Literal["sql", "unity", "lakeformation"]
    group: str = ""
    purpose: str = ""
    name: str = ""
    account: str = ""


@guarded("explain")
def views(spark: SparkSession, contract: Contract, wanted: For) -> Generated:
    """Generate statements that enforce the contract's policies on another platform; needs the table, for its columns and types.

    Raises:
        TargetError: there is no table yet.
        UsageError: a name or group is missing.
    """
    with isolated(spark) as own:
        if not delta.exists(own, contract.target):
            raise TargetError(f"{contract.target}: there is no table yet. Publish first")
        schema = delta.read(own, contract.target, delta.latest_version(own, contract.target)).schema
    layouts = [layout(contract, field.name, shape_of(field.dataType)) for field in schema.fields]
    policies = of_access(settings(contract).access)
    groups = (wanted.group,) if wanted.group else ()
    asking = Asking(
        Principal("somebody else", groups=groups), "read", table_facts(contract, layouts), None, wanted.purpose
    )
    name = spelled(wanted.name or contract.target.table or "")
    if wanted.platform == "sql":
        source = name or identifier("delta", str(contract.target.path))
        suffix = re.sub(r"[^A-Za-z0-9_]", "_", wanted.group or "everybody")
        view = spelled(f"{name.replace('`', '')}_for_{suffix}") if name else f"{contract.contract}_for_{suffix}"
        return sql_view(policies, asking, view, source, layouts)
    if not name:
        raise UsageError(f"{contract.target} is a path: name its table in the catalog with --name")
    if wanted.platform == "unity":
        return masks_and_filters(policies, asking, name, layouts)
    database, _, table = name.replace("`", "").rpartition(".")
    if not database or not re.fullmatch("[0-9]{12}", wanted.account):
        raise UsageError(
            "Lake Formation needs --name DATABASE.TABLE and --account with the 12 digits of the catalog's account"
        )
    return cell_filters(policies, asking, wanted.account, database.rpartition(".")[2], table, layouts)


def approve(path: str | Path, approval: Approval, private_key: str | Path) -> Approval:
    """Sign an approval of a contract's column with its present protection; nothing is written.

    Args:
        path: the contract, which may be invalid otherwise: only the entry of the column matters.
        approval: column, approver, last day and reason; its signature is replaced.
        private_key: file with the approver's Ed25519 private key (PEM, without a password).

    Raises:
        ContractError: the contract's models do not accept it.
        UsageError: the column or the key is missing.
        NotPermitted: the contract's policies do not permit the caller to approve this column.
    """
    contract, problems = problems_of(Document.read(path))
    if contract is None:
        raise ContractError(problems)
    line = contract.columns.get(approval.column)
    if line is None:
        remedy = did_you_mean(approval.column, contract.columns)
        raise UsageError(
            f"contract '{contract.contract}' has no line for column '{approval.column}'; {remedy or 'see columns'}"
        )
    with watched("approve", contract=contract):
        permit_column(contract, "approve", approval.column)
        return _signed(contract, line, approval, private_key)


def _signed(contract: Contract, line: Column, approval: Approval, private_key: str | Path) -> Approval:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(Path(private_key).read_bytes(), None)
    except OSError as error:
        raise UsageError(f"{private_key}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise UsageError(f"{private_key}: no private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{private_key}: not an Ed25519 key; make one with: openssl genpkey -algorithm ed25519")
    said = statement(contract.contract, str(contract.target), approval.column, line, approval)
    return approval.model_copy(update={"signature": base64.b64encode(key.sign(encoded(said))).decode()})


class _Case(Model):
    """One case: a question and the expected answer."""

    who: str = Field(min_length=1)
    groups: tuple[str, ...] = ()
    verb: Name
    column: str | None = None
    class_: str | None = Field(default=None, alias="class", description="of a column that the contract does not name")
    purpose: str = ""
    at: datetime | None = None
    expect: Literal["allow", "deny"] | None = None
    see: dict[str, Level] = Field(default_factory=dict, description="for the verb read: level by column")
    rows: str | None = Field(default=None, description="for the verb read: the condition on its rows")
    why: str = Field(default="", description="for whoever reads the file")

    @model_validator(mode="after")
    def _expects(self) -> _Case:
        if self.expect is None and not self.see and self.rows is None:
            raise ValueError("a case needs 'expect: allow' or 'expect: deny', or for the verb read 'see' or 'rows'")
        if (self.see or self.rows) and self.verb != "read":
            raise ValueError("'see' and 'rows' go with the verb read")
        return self


class _Cases(Model):
    contract: str = Field(min_length=1, description="the contract's file, relative to this one")
    cases: tuple[_Case, ...] = Field(min_length=1)


@dataclass(frozen=True)
class CaseResult:
    """The outcome of one case. ``number`` counts from 1."""

    number: int
    asked: str
    expected: str
    found: str
    why: str

    @property
    def holds(self) -> bool:
        """Whether the answer is the expected one."""
        return self.expected == self.found


def run_cases(path: str | Path) -> list[CaseResult]:
    """Decide every case of a file.

    Raises:
        ContractError: the file or its contract is invalid.
        UsageError: a case does not fit the contract.
    """
    given = read_model(path, _Cases)
    contract, policies = _loaded(Path(path).parent / given.contract)
    table = table_facts(contract)
    plain = [(number, case) for number, case in enumerate(given.cases, 1) if case.expect]
    decisions = decide(policies, [_asking(case, table) for _, case in plain])
    made = [
        CaseResult(number, _words(case), case.expect or "", "allow" if decision.allowed else "deny", decision.why)
        for (number, case), decision in zip(plain, decisions, strict=True)
    ]
    for number, case in enumerate(given.cases, 1):
        if case.see or case.rows is not None:
            made += _sight_results(number, case, sight(policies, _asking(case, table)))
    return sorted(made, key=lambda result: result.number)


def _asking(case: _Case, table: TableFacts) -> Asking:
    question = Question(case.who, case.verb, case.groups, case.column, case.purpose, _utc(case.at))
    if case.class_ is None:
        return question.asking(table)
    name = case.column or case.class_
    column = ColumnFacts(name, case.class_, "encrypted", sensitive=True, sealed=True)
    return replace(question, column=name).asking(replace(table, columns=(column,)))


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=timezone.utc) if at and at.tzinfo is None else at


def _sight_results(number: int, case: _Case, found: Sight) -> list[CaseResult]:
    levels = {look.column.name: LEVELS[look.shown] for look in found.columns}
    made = [
        CaseResult(
            number, f"{_words(case)}, column {name}", level, levels.get(name, "no such column"), found.decision.why
        )
        for name, level in case.see.items()
    ]
    if case.rows is not None:
        made.append(CaseResult(number, f"{_words(case)}, rows", case.rows, found.rows or "true", found.decision.why))
    return made


def _words(case: _Case) -> str:
    groups = f" ({', '.join(case.groups)})" if case.groups else ""
    column = f" {case.column or case.class_}" if case.column or case.class_ else ""
    return f"{case.who}{groups} {case.verb}{column}" + (f" for {case.purpose}" if case.purpose else "")
