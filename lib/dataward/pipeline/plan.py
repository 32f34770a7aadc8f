"""Read a contract file into a plan, with all checks that need no Spark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from dataward.access.policies import HELP, PolicyError, of_access
from dataward.contract import Contract, Document, Join, Source, load, problems_of
from dataward.contract.options import unknown
from dataward.errors import ContractError, Problem, did_you_mean
from dataward.integrity.canonical import sha256
from dataward.privacy.discover.classes import misspelt
from dataward.privacy.joins import mismatch
from dataward.quality.conditions import quoted
from dataward.quality.flags import Duplicate, Orphan
from dataward.quality.measuring import open_patterns, risky
from dataward.quality.rules import IsPrimaryKey, Probe, RowComposite, Rule, Statement
from dataward.quality.suite import Suite, suite

__all__ = ["Plan", "of_rule", "plan"]


@dataclass(frozen=True)
class Plan:
    """A valid contract, its suite, and the SHA-256 of its content (not of its formatting)."""

    contract: Contract
    suite: Suite
    sha256: str
    document: Document
    after: Suite = field(default_factory=Suite)
    joins: tuple[tuple[Join, Contract], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the contract."""
        return self.contract.contract


def plan(path: str | Path) -> Plan:
    """Read and check a contract file; needs no Spark.

    Raises:
        ContractError: the file has mistakes; the error lists all of them.
    """
    document = Document.read(path)
    contract, problems = problems_of(document)
    judged, mistakes = _read_rules(document, contract, "rules")
    after, more = _read_rules(document, contract, "rules_after")
    problems += [*mistakes, *more]
    joins: tuple[tuple[Join, Contract], ...] = ()
    if contract is not None:
        joins, mistakes = _read_joins(contract, document)
        problems += [*mistakes, *_unknown_classes(contract, document), *_access_problems(contract, document)]
    if contract is None or problems:
        raise ContractError(problems)
    merge_key = contract.target.on
    keys = [set(rule.columns) for rule in judged.rules if isinstance(rule, IsPrimaryKey)]
    if merge_key and set(merge_key) not in keys:
        # Two rows with the same key would make the merge ambiguous; a row without a key would be inserted by every run.
        names = " ".join(map(quoted, merge_key))
        added = IsPrimaryKey(Statement("IsPrimaryKey", merge_key, text=f"IsPrimaryKey {names}"))
        judged = replace(judged, rules=(*judged.rules, added))
    warnings = (
        *_slow_patterns(document, "rules", judged),
        *_slow_patterns(document, "rules_after", after),
        *_ignored_options(contract, document),
    )
    said = sha256(contract.model_dump(mode="json", by_alias=True))
    return Plan(contract, judged, said, document, after, joins, warnings)


def _read_rules(document: Document, contract: Contract | None, key: str) -> tuple[Suite, list[Problem]]:
    text = document.data.get(key) if isinstance(document.data, dict) else None
    if not isinstance(text, str) or not text.strip():
        return Suite(), []
    judged, mistakes = suite(text, contract.composites if contract else "row")
    first = document.text_start((key,))
    problems = [Problem(document.file, first + e.line - 1, key, e.what, e.remedy) for e in mistakes]
    if contract is not None:
        problems += _unknown_references(contract, judged, document, key)
        problems += _without_past(contract, judged, document, key)
        problems += _open_patterns(judged, document, key)
        if contract.target.mode == "refresh":
            problems += _of_all_rows(judged, document, key)
    return judged, problems


def _read_joins(contract: Contract, document: Document) -> tuple[tuple[tuple[Join, Contract], ...], list[Problem]]:
    """Return the contracts of the tables to join with, and the problems of their join columns."""
    found, problems = [], []
    for number, join in enumerate(contract.joins):
        place = ("joins", number)
        try:
            other = load(join.with_)
        except ContractError as error:
            what = f"the contract it names is wrong: {error.problems[0]}"
            problems.append(
                Problem(document.file, document.line_of(place), f"joins.{number}", what, "mend that one first")
            )
            continue
        found.append((join, other))
        if trouble := mismatch(join, contract, other):
            problems.append(Problem(document.file, document.line_of(place), f"joins.{number}", *trouble))
    return tuple(found), problems


def _unknown_classes(contract: Contract, document: Document) -> Iterator[Problem]:
    for place, name, meant in misspelt(contract):
        remedy = f"did you mean '{meant}'? Call a class of your own something less alike"
        what = f"class '{name}' is unknown"
        yield Problem(document.file, document.line_of(place), ".".join(map(str, place)), what, remedy)


def _access_problems(contract: Contract, document: Document) -> Iterator[Problem]:
    """Yield mistakes in policies and grants; Cedar is imported only for contracts that have them."""
    if not contract.access.governed:
        return
    try:
        of_access(contract.access)
    except PolicyError as error:
        for found in error.mistakes:
            place = found.place
            yield Problem(document.file, document.line_of(place), ".".join(map(str, place)), found.what, HELP)


def _unknown_references(contract: Contract, judged: Suite, document: Document, key: str) -> Iterator[Problem]:
    for rule in judged.rules:
        # SQL names views, and Spark ignores the case of their names.
        known = [*contract.references, *({name.lower() for name in contract.references} if _asks_sql(rule) else ())]
        for alias in rule.aliases:
            if (alias.lower() if _asks_sql(rule) else alias) not in known:
                remedy = did_you_mean(alias, contract.references) or f"add references: {{{alias}: {{path: ...}}}}"
                yield of_rule(document, key, rule, f"the contract has no reference '{alias}'", remedy)


def _asks_sql(rule: Rule) -> bool:
    return isinstance(rule, Probe) and rule.reads == "query"


def _slow_patterns(document: Document, key: str, judged: Suite) -> Iterator[str]:
    for rule in judged.rules:
        for pattern in risky(rule):
            what = f"the pattern '{pattern[:80]}' can take exponentially long on some values"
            remedy = "let no loop stand in a loop over the same characters, or set limits: {seconds: N}"
            yield str(of_rule(document, key, rule, what, remedy))


def _open_patterns(judged: Suite, document: Document, key: str) -> Iterator[Problem]:
    for rule in judged.rules:
        for pattern, why in open_patterns(rule):
            yield of_rule(
                document,
                key,
                rule,
                f"the pattern '{pattern[:80]}' cannot be read: {why}",
                "close it, or write \\( and \\[",
            )


def _ignored_options(contract: Contract, document: Document) -> Iterator[str]:
    """Yield options of csv and json readers that Spark ignores without a word."""
    sources: list[tuple[tuple[str, ...], Source]] = [(("source",), contract.source)]
    sources += [(("references", alias), source) for alias, source in contract.references.items()]
    for at, source in sources:
        for name in unknown(source.format, source.options):
            place = (*at, "options", name)
            what = f"Spark's {source.format} reader has no option of this name and ignores it"
            yield str(Problem(document.file, document.line_of(place), ".".join(place), what, "check its name"))


def _without_past(contract: Contract, judged: Suite, document: Document, key: str) -> Iterator[Problem]:
    for rule in judged.rules:
        what, remedy = "", ""
        if rule.asks_past and key == "rules_after":
            what, remedy = "looks at the past, which is kept of 'rules' alone", "move it to 'rules'"
        elif rule.asks_past and contract.history is None:
            what, remedy = "looks at the past, and the contract keeps none", "add history: {}"
        if what:
            yield of_rule(document, key, rule, f"it {what}", remedy)


def _of_all_rows(judged: Suite, document: Document, key: str) -> Iterator[Problem]:
    """Yield problems of rules that mode refresh cannot evaluate from the states of partitions."""
    for rule in judged.rules:
        if why := next(filter(None, map(_needs_all, (rule, *rule.leaves()))), ""):
            yield of_rule(document, key, rule, why, "leave it out, or use another mode than refresh")


def of_rule(document: Document, key: str, rule: Rule, what: str, remedy: str) -> Problem:
    """Return a mistake in a rule, with the rule's line in the contract."""
    line = document.text_start((key,)) + rule.statement.line - 1
    return Problem(document.file, line, key, f"{rule.text}: {what}", remedy)


def _needs_all(rule: Rule) -> str:
    if isinstance(rule, Probe) and rule.reads not in ("schema", "files"):
        return "it reads all rows, and mode refresh those of changed partitions alone"
    if isinstance(rule, RowComposite) and any(isinstance(flag, Duplicate) for flag in rule.flags()):
        return (
            "uniqueness inside of a rule by row needs all rows (write it as a rule of its own, or composites: column)"
        )
    if not all(isinstance(flag, Duplicate | Orphan) for flag in rule.flags()):
        return "it compares rows of all partitions"
    plain = rule.typed({})
    if plain.metrics(datetime(2000, 1, 1)) != plain.metrics(datetime(2001, 2, 3)):
        return "it depends on the time of the run: what a partition came to before is no use"
    return ""
