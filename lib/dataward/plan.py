"""From a contract file to a plan: everything that can be checked before any data is read, and then against a schema."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract, Document, problems_of
from dataward.errors import ContractError, Problem, did_you_mean
from dataward.integrity.canonical import sha256
from dataward.quality import dqdl
from dataward.quality.rules import IsPrimaryKey, RowRule, Rule, Statement, WellFormed
from dataward.tables.reason import reason
from dataward.tables.source import MALFORMED

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Plan", "against_schema", "plan"]


@dataclass(frozen=True)
class Plan:
    """A contract that holds together, its rules, and the SHA-256 of what it says (not of how it is written)."""

    contract: Contract
    rules: tuple[Rule, ...]
    sha256: str
    document: Document

    @property
    def name(self) -> str:
        return self.contract.contract


def plan(path: str | Path) -> Plan:
    """Read and check a contract file; needs no Spark.

    Raises:
        ContractError: with every mistake in the file.
    """
    document = Document.read(path)
    contract, problems = problems_of(document)
    text = document.data.get("rules") if isinstance(document.data, dict) else None
    rules: list[Rule] = []
    if isinstance(text, str) and text.strip():
        rules, mistakes = dqdl.parse(text)
        first = document.text_start(("rules",))
        problems += [Problem(document.file, first + e.line - 1, "rules", e.what, e.remedy) for e in mistakes]
    if contract is None or problems:
        raise ContractError(problems)
    merge_key = contract.target.on
    if merge_key and not any(isinstance(rule, IsPrimaryKey) and set(rule.columns) == set(merge_key) for rule in rules):
        # Two rows with one key, or a row without, would make the merge ambiguous or insert forever.
        names = " ".join(f'"{name}"' for name in merge_key)
        rules.append(IsPrimaryKey(Statement("IsPrimaryKey", merge_key, text=f"IsPrimaryKey {names}")))
    return Plan(contract, tuple(rules), sha256(contract.model_dump(mode="json", by_alias=True)), document)


def against_schema(spark: SparkSession, plan: Plan, frame: DataFrame, now: datetime) -> tuple[Rule, ...]:
    """Check a plan against the source's columns; gives the rules to judge, with those that the source itself adds.

    Raises:
        ContractError: a column is named that is not there, a column is there that nobody decided about, an operator
            does not fit a column's type, or a rule's SQL does not fit the columns.
    """
    contract, document = plan.contract, plan.document
    types = {field.name: field.dataType for field in frame.schema.fields if field.name != MALFORMED}
    there = {name.lower() for name in types}
    problems: list[Problem] = []

    def problem(place: tuple[str | int, ...], where: str, what: str, remedy: str, line: int | None = None) -> None:
        problems.append(Problem(document.file, line or document.line_of(place), where, what, remedy))

    def missing(place: tuple[str | int, ...], name: str, where: str, line: int | None = None) -> None:
        remedy = did_you_mean(name, types) or f"the source has {', '.join(types)}"
        problem(place, where, f"the source has no column '{name}'", remedy, line)

    for name in contract.columns:
        if name.lower() not in there:
            missing(("columns", name), name, f"columns.{name}")
    for key, names in (("on", contract.target.on), ("partition_by", contract.target.partition_by)):
        for name in names:
            if name.lower() not in there:
                missing(("target", key), name, f"target.{key}")
    named = {name.lower() for name in contract.columns}
    unnamed = [name for name in types if name.lower() not in named]
    if contract.default == "refuse" and unnamed:
        lines = "; ".join(f"{name}: {{protect: ...}}" for name in unnamed[:5])
        what = f"{len(unnamed)} column(s) of the source have no line: {', '.join(unnamed)}"
        problem(("columns",), "columns", what, f"decide about each ({lines}), or set 'default'")
    for name, kind in types.items():
        line = contract.column(name)
        nested = kind.typeName() in ("struct", "array", "map")
        if line.protect.op in ("token", "mask") and nested:
            what = f"{line.protect.op} cannot protect a {kind.typeName()}"
            problem(("columns", name), f"columns.{name}", what, "use redact or drop, or flatten the source")
    if problems:
        raise ContractError(problems)

    rules = plan.rules
    if MALFORMED in frame.columns:
        rules = (WellFormed.of(MALFORMED, next(iter(types))), *rules)
    for rule, mistake in _sql_mistakes(spark, frame, rules, there, now):
        line = document.text_start(("rules",)) + rule.statement.line - 1
        problem((), "rules", f"{rule.text}: {mistake[0]}", mistake[1], line)
    if problems:
        raise ContractError(problems)
    return rules


def _sql_mistakes(
    spark: SparkSession, frame: DataFrame, rules: tuple[Rule, ...], there: set[str], now: datetime
) -> list[tuple[Rule, tuple[str, str]]]:
    """Rules whose columns are not there, whose SQL Spark cannot resolve, or whose pattern does not compile."""
    found: list[tuple[Rule, tuple[str, str]]] = []
    for rule in _leaves(rules):
        absent = [name for name in rule.columns if name.lower() not in there and name != MALFORMED]
        if absent:
            remedy = did_you_mean(absent[0], frame.columns) or f"the source has {', '.join(sorted(there))}"
            found.append((rule, (f"the source has no column '{absent[0]}'", remedy)))
            continue
        said = rule.statement
        sql = [said.where] if said.where else []
        if isinstance(rule, RowRule) and not rule.keys():
            sql.append(rule.predicate(now))
        for text in sql:
            try:
                frame.selectExpr(f"cast(({text}) as boolean)")
            except Exception as error:
                found.append((rule, (f"its SQL does not fit the source ({reason(error)})", "check names and types")))
                break
        if said.condition is not None and said.condition.operator == "matches" and not found:
            pattern = str(said.condition.operands[0])
            if trouble := _pattern_trouble(spark, pattern):
                found.append((rule, (f"the pattern does not compile: {trouble}", "see java.util.regex.Pattern")))
    return found


def _leaves(rules: tuple[Rule, ...]) -> list[Rule]:
    parts = [(rule, getattr(rule, "parts", ())) for rule in rules]
    return [leaf for rule, inner in parts for leaf in (_leaves(inner) if inner else [rule])]


def _pattern_trouble(spark: SparkSession, pattern: str) -> str:
    jvm: Any = spark.sparkContext._jvm
    try:
        jvm.java.util.regex.Pattern.compile(pattern)
    except Exception as error:
        java = getattr(error, "java_exception", None)
        return str(java.getDescription()) if java is not None else "not a pattern"
    return ""
