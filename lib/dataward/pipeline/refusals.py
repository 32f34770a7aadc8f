"""Refuse a plan that does not fit the schema of its source, its target or its output, before any row is read."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.contract.draft import plain_or_quoted
from dataward.errors import ContractError, Problem, TargetError, UsageError, did_you_mean
from dataward.pipeline.columns import clashing, unmapped
from dataward.pipeline.key_uses import live_versions
from dataward.pipeline.plan import Plan, of_rule
from dataward.privacy.protect import ColumnPlan, arrow_schema, key_of, misfits, output_schema, undecided, within
from dataward.privacy.protect.compiled import uses
from dataward.quality.repair.fit import misfit, normalised
from dataward.quality.rules import RowRule, Rule, WellFormed
from dataward.quality.split import with_paths
from dataward.quality.suite import Suite
from dataward.spark.compare import Incomparable
from dataward.spark.java_side import pattern_trouble
from dataward.spark.kind import is_remote
from dataward.tables import catalog, delta, log, turns
from dataward.tables.declared import declarations, fit, unmergeable
from dataward.tables.deltalog.hadoop import hashes_files, reads_commit
from dataward.tables.log import Newest
from dataward.tables.reading import UNDECODABLE
from dataward.tables.reason import reason
from dataward.tables.source import MALFORMED

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from dataward.pipeline.context import Context

__all__ = [
    "against_keys",
    "against_names",
    "against_output",
    "against_place",
    "against_schema",
    "against_target",
    "fitting",
]


def against_schema(
    spark: SparkSession, plan: Plan, frame: DataFrame, references: Mapping[str, DataFrame], now: datetime
) -> Suite:
    """Check a plan against the source's columns; returns the suite to judge, with the rules that the source adds.

    Raises:
        ContractError: a named column is missing, a column has no decision in the contract, an operator
            does not fit a column's type, or a rule's SQL does not fit the columns.
    """
    if problems := [*_clashing_names(plan, frame)]:
        raise ContractError(problems)
    if problems := [*_treatment_problems(plan, frame, references)]:
        raise ContractError(problems)
    frame = normalised(frame, plan.contract.treat)
    types = {column.name: column.dataType for column in frame.schema.fields if column.name != MALFORMED}
    schema = arrow_schema(frame.drop(MALFORMED).schema)
    problems = [*_missing_columns(plan, schema), *_undecided_columns(plan, schema), *_unfit_operators(plan, schema)]
    judged = plan.suite
    if MALFORMED in frame.columns:
        judged = replace(judged, rules=(*_record_rules(frame, next(iter(types))), *judged.rules))
    problems += _rule_problems(spark, plan, judged, frame, references, now)
    if problems:
        raise ContractError(problems)
    return judged.typed(frame)


def _record_rules(frame: DataFrame, column: str) -> Iterator[Rule]:
    """Yield the rules about csv and json records that Spark could not parse, which the frame contains."""
    yield WellFormed.of(MALFORMED, column)
    if encoding := frame.schema[MALFORMED].metadata.get("encoding"):
        yield WellFormed.decoded(MALFORMED, column, UNDECODABLE, encoding)


def _clashing_names(plan: Plan, frame: DataFrame) -> Iterator[Problem]:
    ours = plan.contract.source.format in (
        "csv",
        "json",
        "kafka",
    )  # which have a column for records that cannot be parsed
    names = [name for name in frame.columns if not (ours and name == MALFORMED)]
    schema = arrow_schema(frame.schema)
    for name, what, remedy in clashing(plan.contract, names, schema):
        yield Problem(plan.document.file, plan.document.line_of(("source",)), f"columns.{name}", what, remedy)


def _treatment_problems(plan: Plan, frame: DataFrame, references: Mapping[str, DataFrame]) -> Iterator[Problem]:
    def problem(place: tuple[str, ...], what: str, remedy: str) -> Problem:
        return Problem(plan.document.file, plan.document.line_of(place), ".".join(place), what, remedy)

    treat = plan.contract.treat
    names = [name for name in frame.columns if name != MALFORMED]
    there = {name.lower() for name in names}
    lacking = [(place, name) for place, name in treat.named() if name.lower() not in there]
    for place, name in lacking:
        yield problem(place, *_no_column(name, names))
    if lacking:
        return
    for place, what, remedy in misfit(treat, frame, references):
        yield problem(("treat", *place), what, remedy)


def fitting(
    spark: SparkSession, rules: Iterable[Rule], frame: DataFrame, references: Mapping[str, DataFrame], now: datetime
) -> Iterator[Rule]:
    """Yield the rules whose SQL fits a frame's types."""
    types = dict(frame.dtypes)
    for rule in rules:
        wide = with_paths(frame, (column for leaf in rule.leaves() for column in leaf.columns))
        if not any(_rule_trouble(spark, wide, references, leaf, types, now) for leaf in rule.leaves()):
            yield rule


def against_place(spark: SparkSession, plan: Plan) -> Newest | None:
    """Check that the target is a Delta table, or new; returns its newest version, None where it is new.

    Raises:
        ContractError: it is a view, a table of another format, or a folder of files.
        TargetError: a commit of an earlier run was overwritten on S3, the table has a feature that this Delta does not know, or its log
            cannot be reached.
    """
    target = plan.contract.target
    if other := catalog.instead_of_delta(spark, target):
        line = plan.document.line_of(("target",))
        what = f"there {'are' if other.startswith('files') else 'is'} {other} at {target}, no Delta table"
        remedy = "name another place, or remove what is there"
        raise ContractError([Problem(plan.document.file, line, "target", what, remedy)])
    turns.check(spark, target)
    try:
        found = delta.newest(spark, target)
        trouble = _unreached(spark, target, found)
    except Exception as error:
        raise TargetError(f"{target}: {reason(error)}. Nothing was read; publish to another table") from None
    if trouble:
        raise TargetError(f"{target}: {trouble}")
    return found


def _unreached(spark: SparkSession, target: Location, found: Newest | None) -> str:
    """Return why the files to which a seal binds are not reached; empty where they are."""
    root = found.folder if found else target.path
    if root is not None and not hashes_files(spark, root):
        return (
            f"a seal has the hashes of a table's files; this platform reads no single file, and this process does not reach {root}. "
            "Nothing was read; give this process access, or use classic compute"
        )
    if found is None:
        return ""
    if is_remote(spark):  # which cannot ask Delta to copy a catalog's commits to the log
        reached = not found.by_catalog and reads_commit(spark, target, found.version)
    else:
        reached = log.commit_info(spark, found.folder, found.version) is not None
    if reached:
        return ""
    return (
        f"its log has no file of version {found.version} ({found.folder}/_delta_log), as where a catalog manages the commits itself, and "
        "this session cannot have it copied there, or where its storage has no paths. A seal binds to that file. Nothing was read; use "
        "a classic session, or publish to a table whose log is reached by its path"
    )


def against_target(
    spark: SparkSession, plan: Plan, present: Newest | None, columns: ColumnPlan, whole: bool
) -> list[str]:
    """Check a plan against the table that it will write to; returns the changes of the table's schema, in words.

    ``present``: its newest version, None where there is none; ``columns``: the decisions about the source's; ``whole``: all rows
    are replaced.

    Raises:
        ContractError: the contract protects a column that orders the table's files: the order would show in
            file names and statistics, and a protected column is no use for skipping files; or a column does not fit the table.
    """
    target = plan.contract.target
    if present is None:
        return []
    problems = [*_append_only(plan, present)]
    table = declarations(present)
    for name, why in delta.laid_out_by(spark, target, present, partial(_looked, plan.sha256)).items():
        head, *inside = (name,) if columns.named(name) else name.split(".")
        operator = plan.contract.line(head, tuple(inside)).protect if columns.named(head) else None
        if operator is not None and not operator.keeps:
            what = f"'{name}' is a {why} of {target}, and protected by {operator.op}"
            line = plan.document.line_of(("columns", name))
            problems.append(
                Problem(plan.document.file, line, f"columns.{name}", what, "lay the table out by other columns")
            )
    output, beside = output_schema(columns)
    found = fit(output, table, whole, target.evolve, beside)
    lacking = found.lacks if target.mode == "merge" else ()
    what, remedy = (
        "the target has this field and the contract's column has not: a merge would set it to null",
        "publish it too",
    )
    required = unmergeable(output, table) if target.mode == "merge" else ()
    for name, what, remedy in (*found.problems, *((name, what, remedy) for name in lacking), *required):
        line = plan.document.line_of(("target",))
        problems.append(Problem(plan.document.file, line, "target", f"{target}: column '{name}': {what}", remedy))
    if problems:
        raise ContractError(problems)
    return found.changes


def _append_only(plan: Plan, present: Newest) -> Iterator[Problem]:
    target = plan.contract.target
    if present.properties.get("delta.appendOnly", "").lower() == "true" and target.mode != "append":
        what = f"{target} is append-only (delta.appendOnly), and mode {target.mode} removes rows"
        remedy = "use mode append, or let the table's owner unset the property"
        yield Problem(plan.document.file, plan.document.line_of(("target", "mode")), "target.mode", what, remedy)


def _looked(contract_sha256: str, commit: delta.Commit) -> int | None:
    """Return the newest version whose layout a run of this same contract has checked; None for any other commit."""
    found = commit.metadata
    return found.get("target_version") if found.get("contract_sha256") == contract_sha256 else None


def against_names(spark: SparkSession, plan: Plan, frame: DataFrame) -> None:
    """Check that existing tables which receive rows of this source can hold columns of these names.

    Raises:
        TargetError: a table cannot.
    """
    contract = plan.contract
    names = unmapped(contract, arrow_schema(frame.drop(MALFORMED).schema))
    for place in contract.row_tables if names else ():
        if (found := delta.newest(spark, place)) and not found.maps_columns:
            raise TargetError(
                f"{place}: it was created without Delta's column mapping, which names such as '{names[0]}' need (any of "
                f"' ,;{{}}()=', tab or line break in it). Nothing was read; run ALTER TABLE {delta.identifier(spark, place)} SET "
                "TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'delta.minReaderVersion' = '2', "
                "'delta.minWriterVersion' = '5'), or rename the columns in the source"
            )


def against_keys(ctx: Context, frame: DataFrame) -> None:
    """Check that no place mixes values of different key versions that do not name their version.

    Raises:
        UsageError: values would mix.
    """
    spark, contract, keys = ctx.spark, ctx.contract, ctx.keys
    fields = arrow_schema(frame.drop(MALFORMED).schema)
    places = [(where, operator) for field in fields for where, operator in uses(contract, key_of(keys), field)]
    silent = {where: operator for where, operator in places if operator.parameters.silent}
    rotated = {name: key.version for name, one in silent.items() if (key := one.key) is not None and key.version > 1}
    if contract.target.mode == "overwrite" or not rotated or ctx.target is None:
        return
    live = live_versions(spark, contract, contract.target, ctx.target.version)
    for name, version in rotated.items():
        parameters, key = silent[name].parameters, silent[name].key
        told_beside = parameters.shadowed and name in frame.columns and key is not None and keys.window(key.domain)
        if live.get(name, set()) - {version} and not told_beside:
            raise UsageError(
                f"column '{name}': {contract.target} holds values of {parameters.op} by another version of the key than the "
                f"current one ({version}), and they do not say which. Bring the table over first (dataward rotate), or publish "
                "all of it again (mode overwrite)"
            )


def against_output(
    spark: SparkSession, plan: Plan, frame: DataFrame, references: Mapping[str, DataFrame], now: datetime
) -> Suite:
    """Return the suite for the protected rows.

    Raises:
        ContractError: a rule does not fit the protected columns.
    """
    if problems := _rule_problems(spark, plan, plan.after, frame, references, now):
        raise ContractError(problems)
    return plan.after.typed(frame)


def _rule_problems(
    spark: SparkSession,
    plan: Plan,
    judged: Suite,
    frame: DataFrame,
    references: Mapping[str, DataFrame],
    now: datetime,
) -> list[Problem]:
    key = "rules_after" if judged is plan.after else "rules"
    problems = []
    types = {column.name: column.dataType for column in frame.schema.fields if column.name != MALFORMED}
    leaves = [leaf for rule in judged.rules for leaf in rule.leaves()]
    wide = with_paths(frame, (column for rule in leaves for column in rule.columns))
    for rule in leaves:
        if trouble := _rule_trouble(spark, wide, references, rule, types, now):
            problems.append(of_rule(plan.document, key, rule, *trouble))
    there = {name.lower() for name in types}
    for analyzer in judged.analyzers:
        for name in analyzer.parameters:
            if name.lower() not in there:
                what, remedy = _no_column(name, types)
                line = plan.document.text_start((key,)) + analyzer.line - 1
                problems.append(Problem(plan.document.file, line, key, f"{analyzer}: {what}", remedy))
    return problems


def _missing_columns(plan: Plan, schema: pa.Schema) -> Iterator[Problem]:
    contract, there = plan.contract, {name.lower() for name in schema.names}
    inside = {path.lower() for column in schema for path in within(column)}
    named: list[tuple[tuple[str | int, ...], str]] = [(("columns", name), name) for name in contract.columns]
    named += [(("target", "on"), name) for name in contract.target.on]
    named += [(("quasi_identifiers",), name) for name in contract.quasi_identifiers]
    named += [(("joins", number), join.column) for number, join in enumerate(contract.joins)]
    named += [(("windows", "column"), contract.windows.column)] if contract.windows else []
    named += [(("target", "partition_by"), name) for name in contract.target.partition_by]
    for place, name in named:
        if name.lower() not in (inside if place[0] == "columns" else there):
            what, remedy = _no_column(name, schema.names)
            yield Problem(plan.document.file, plan.document.line_of(place), ".".join(map(str, place)), what, remedy)


def _no_column(name: str, types: Iterable[str]) -> tuple[str, str]:
    for other in types:
        if unicodedata.normalize("NFC", other).lower() == unicodedata.normalize("NFC", name).lower():
            escaped = "".join(c if c.isascii() else f"\\U{ord(c):08X}" for c in other)
            remedy = f'write it as the source does: "{escaped}"'
            return f"the source spells '{name}' with other code points", remedy
    return f"the source has no column '{name}'", did_you_mean(name, types) or (
        f"the source has {', '.join(types)}. Correct the name, or remove the entry"
    )


def _undecided_columns(plan: Plan, schema: pa.Schema) -> Iterator[Problem]:
    open_ones = [path for column in schema for path in undecided(plan.contract, column)]
    if open_ones:
        lines = "; ".join(f"{plain_or_quoted(name)}: {{protect: ...}}" for name in open_ones[:5])
        what = f"{len(open_ones)} column(s) of the source have no line: {', '.join(open_ones)}"
        remedy = f"decide about each ({lines}), or set 'default'"
        yield Problem(plan.document.file, plan.document.line_of(("columns",)), "columns", what, remedy)


def _unfit_operators(plan: Plan, schema: pa.Schema) -> Iterator[Problem]:
    for column in schema:
        if trouble := misfits(plan.contract, column, schema):
            line = plan.document.line_of(("columns", column.name))
            yield replace(trouble, file=plan.document.file, line=line, where=f"columns.{column.name}")


def _rule_trouble(
    spark: SparkSession,
    frame: DataFrame,
    references: Mapping[str, DataFrame],
    rule: Rule,
    types: dict[str, Any],
    now: datetime,
) -> tuple[str, str] | None:
    """Return a missing column, SQL that Spark cannot resolve, or an invalid pattern, with a remedy."""
    there = {name.lower() for name in frame.columns}
    for name in rule.columns:
        if name.lower() not in there:
            return _no_column(name, types)
    for alias, names in rule.reference_columns().items():
        known = references[alias].columns
        for name in (one for one in names if one.lower() not in map(str.lower, known)):
            remedy = did_you_mean(name, known) or f"it has {', '.join(known)}"
            return f"reference '{alias}' has no column '{name}'", remedy
    try:
        for flag in rule.flags():
            flag.fit(frame, references)
        return _sql_trouble(spark, frame, rule.typed(dict(frame.dtypes)), now)
    except Incomparable as error:
        return error.what, error.remedy


def _sql_trouble(spark: SparkSession, frame: DataFrame, rule: Rule, now: datetime) -> tuple[str, str] | None:
    said = rule.statement
    sql = [said.where] if said.where else []
    if isinstance(rule, RowRule) and not rule.flags():
        sql.append(rule.predicate(now))
    for text in sql:
        try:
            frame.selectExpr(f"cast(({text}) as boolean)")
        except Exception as error:
            return f"its SQL does not fit the source ({reason(error)})", "check names and types"
    patterns = said.condition.operands if said.condition is not None and said.condition.operator == "matches" else ()
    for pattern in patterns:
        if trouble := pattern_trouble(spark, str(pattern)):
            return f"the pattern does not compile: {trouble}", "see java.util.regex.Pattern"
    return None
