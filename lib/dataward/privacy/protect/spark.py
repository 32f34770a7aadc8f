"""Protect a Spark frame: one ``mapInArrow`` where Arrow is needed, JVM columns otherwise; no plan shows a key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dataward.contract import Contract
from dataward.contract.reserved import INTERNAL
from dataward.errors import ProtectionError, RunError
from dataward.privacy.protect import tree
from dataward.privacy.protect.canonical import VERSION
from dataward.privacy.protect.compiled import Compiled, keyed
from dataward.privacy.protect.entries import Entered
from dataward.privacy.protect.leaf import Leaf
from dataward.privacy.protect.operator import Operator, Rows
from dataward.privacy.protect.plan import ColumnPlan, with_statistics
from dataward.privacy.protect.shred import ShredOperator, through_shred
from dataward.privacy.protect.token import Keyed
from dataward.privacy.protect.vault import VaultOperator, through_vault
from dataward.spark.arrow import arrow_schema, arrow_type, spark_type
from dataward.spark.sql import column
from dataward.spark.workers import mapped, without_delay
from dataward.tables.reason import from_worker, marked, reason

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

__all__ = [
    "Protected",
    "arrow_schema",
    "attempt",
    "described",
    "on_workers",
    "output_fields",
    "protect",
    "statistics_columns",
    "through_arrow",
]

ONE_SPELLING = frozenset({"string", "byte", "short", "integer", "long", "date", "decimal"})
"""Types whose equal values have equal texts (0.0 and -0.0 are equal, but have two texts)."""

SUBJECT = "__subject"
"""Column of the row's original data subject."""

WIDE = 4
"""Number of columns per joined column from which on Arrow for all columns costs more than a join."""

Stage = Literal["kept", "jvm", "arrow", "table", "dropped"]


@dataclass(frozen=True)
class Protected:
    """Protection of one column, or of one path of it, for reports and seals."""

    column: str
    class_: str | None
    protection: str
    stage: Stage
    domain: str | None = None
    key_version: int | None = None


def attempt(plan: ColumnPlan, frame: DataFrame, columns: Iterable[str]) -> None:
    """Protect columns of a sample of rows, of the size that discovery uses, without writing; runs one Spark job.

    Raises:
        ProtectionError: a value cannot be protected, and the contract has no fallback for it.
    """
    trees = dict(plan.operators().columns)
    nodes = {name: trees[name] for name in columns}
    read = {name for node in nodes.values() for leaf in tree.leaves(node) for name in leaf.reads}
    names = [name for name in frame.columns if name in nodes or name in read]
    # Named by number: mapInArrow does not accept names with a dot or a backtick.
    sample = frame.select(*(column(name).alias(f"c{number}") for number, name in enumerate(names)))
    try:
        sample.limit(plan.contract.discovery.rows).mapInArrow(
            without_delay(_attempting(names, nodes)), "nothing int"
        ).collect()
    except Exception as error:
        if message := from_worker(error):
            raise ProtectionError(message) from None
        raise RunError(f"the protections cannot be tried: {reason(error)}") from None


def _attempting(
    names: list[str], nodes: dict[str, tree.Node]
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` that protects and returns no rows."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            rows = Rows(pa.RecordBatch.from_arrays(batch.columns, names))
            for name, node in nodes.items():
                tree.apply(node, rows.column(name), rows)
        yield from ()

    return run


def protect(
    spark: SparkSession, plan: ColumnPlan, frame: DataFrame, few: Iterable[str] = ()
) -> tuple[Protecting, tuple[Protected, ...]]:
    """Return a function that protects frames with this frame's columns, and the protection of each column.

    Further columns of a frame pass through. The function's ``strict`` decides whether an invalid value without a fallback stops the
    run (for the target) or becomes null (for the quarantine).

    Args:
        spark: the session.
        plan: what is decided about the columns.
        frame: the frame: all columns of the plan, or some.
        few: columns with few distinct values; each value is protected once and joined to the rows, where its operator is
            deterministic and needs Arrow.
    """
    exact, lenient = (plan.for_columns(frame.schema, strict) for strict in (True, False))
    subject = plan.subject
    work = _Work(spark, exact, lenient, frame, frozenset(few), subject)
    protections = [
        protection
        for name, node in work.made.columns
        for leaf in tree.leaves(node)
        for protection in _protections_of(leaf, work.stages[name])
    ]
    return work.apply, tuple(protections)


def output_fields(plan: ColumnPlan) -> list[tuple[str, DataType]]:
    """Return name and type of the columns of the output, without reading rows or tables."""
    nodes, schema = dict(plan.operators().columns), plan.schema
    fields = [(field.name, _output(nodes[field.name], field.dataType)) for field in schema.fields]
    return [(name, kind) for name, kind in fields if kind is not None]


def _output(node: tree.Node, kind: DataType) -> DataType | None:
    if tree.kept(node):
        return kind
    made = tree.output(node, arrow_type(kind))
    return None if made is None else spark_type(made)


class Protecting(Protocol):
    """Function that protects a frame."""

    def __call__(self, given: DataFrame, strict: bool = True) -> DataFrame: ...


class _Work:
    """Plan of the stages that protect the columns of one frame."""

    def __init__(
        self,
        spark: SparkSession,
        made: Compiled,
        lenient: Compiled,
        frame: DataFrame,
        few: frozenset[str],
        subject: str | None,
    ) -> None:
        self.spark, self.made, self.lenient, self.frame, self.subject = spark, made, lenient, frame, subject
        self.kinds = {field.name: field.dataType.typeName() for field in frame.schema.fields}
        self.leaves = {name: node for name, node in made.columns if isinstance(node, Leaf)}
        of_subjects = {name: leaf.operator for name, leaf in self.leaves.items()}
        self.shred = {name: operator for name, operator in of_subjects.items() if isinstance(operator, ShredOperator)}
        self.stages = {name: _stage(node, self.kinds[name], name) for name, node in made.columns}
        self.once = [name for name in self.leaves if name in few and self.same_for_same(name)]
        others = [name for name, stage in self.stages.items() if stage == "arrow" and name not in self.once]
        if others or len(self.stages) < WIDE * len(self.once):  # Arrow is faster than a shuffle and a join for each
            self.once = []
        self.in_arrow = [name for name, stage in self.stages.items() if stage == "arrow" and name not in self.once]

    def same_for_same(self, name: str) -> bool:
        """Return whether each distinct value can be protected once and joined to its rows; JVM columns are faster without."""
        in_arrow = self.stages[name] == "arrow"
        return in_arrow and self.kinds[name] in ONE_SPELLING and self.leaves[name].operator.deterministic

    def apply(self, given: DataFrame, strict: bool = True) -> DataFrame:
        ready = given
        if self.shred and self.subject:
            ready = ready.withColumn(SUBJECT, column(self.subject))
        if self.in_arrow:  # before shred, because operators read the original columns
            nodes = dict((self.made if strict else self.lenient).columns)
            ready = through_arrow(ready, {name: nodes[name] for name in self.in_arrow})
        if self.shred and self.subject:
            ready = through_shred(self.spark, ready, SUBJECT, self.shred, strict)
        for name, leaf in self.leaves.items():
            if isinstance(leaf.operator, VaultOperator):
                ready = through_vault(self.spark, ready, given, name, leaf.operator)
        left = [name for name in given.columns if self.stages.get(name) != "dropped"]
        for number, name in enumerate(self.once):
            ready = self.joined(ready, number, name)
        return ready.select(*(self.column(name, strict) for name in left))

    def joined(self, ready: DataFrame, number: int, name: str) -> DataFrame:
        """Join the protected distinct values of a column to the rows."""
        from pyspark.sql import functions as F

        value, made = f"{INTERNAL}value{number}", f"{INTERNAL}made{number}"
        values = self.frame.select(column(name).alias(value)).distinct()
        # They include values of diverted rows, so invalid ones become null here; see `column`.
        twice = values.select(value, column(value).alias(made))
        protected_values = through_arrow(twice, {made: dict(self.lenient.columns)[name]})
        return ready.join(F.broadcast(protected_values), column(name) == column(value), "left")

    def column(self, name: str, strict: bool) -> Any:
        from pyspark.sql import functions as F

        if name not in self.once:
            if self.stages.get(name) != "jvm":
                return column(name)
            return self.leaves[name].operator.column(column(name), self.kinds[name]).alias(name)
        made, leaf = column(f"{INTERNAL}made{self.once.index(name)}"), self.leaves[name]
        if strict and leaf.strict:
            unfit = column(name).isNotNull() & made.isNull()
            made = F.when(unfit, F.raise_error(marked(leaf.refusal()))).otherwise(made)
        return made.alias(name)


def _stage(node: tree.Node, kind: str, name: str) -> Stage:
    """Return the stage that protects a column."""
    if tree.kept(node):
        return "kept"
    if not tree.left(node):
        return "dropped"
    if not isinstance(node, Leaf):
        return "arrow"
    if isinstance(node.operator, Entered):
        return "table"
    return "arrow" if node.operator.column(column(name), kind) is None else "jvm"


def through_arrow(frame: DataFrame, nodes: dict[str, tree.Node]) -> DataFrame:
    """Protect some columns of a frame on the workers."""
    from pyspark.sql.types import StructField, StructType

    fields = []
    for field in frame.schema.fields:
        kind = field.dataType
        if field.name in nodes:
            made = tree.output(nodes[field.name], arrow_type(kind))
            kind = spark_type(made)
        fields.append(StructField(field.name, kind))
    return mapped(frame, on_workers(nodes), StructType(fields))


def on_workers(nodes: dict[str, tree.Node]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """Return a function for ``mapInArrow`` that protects columns; it holds the keys, and plans show its name only."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            rows = Rows(batch)
            columns = [
                tree.apply(nodes[name], values, rows) if name in nodes else values
                for name, values in zip(batch.schema.names, batch.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)

    return run


def described(made: Compiled) -> list[Protected]:
    """Return the protections of compiled columns as seals name them, without Spark; their stage is not decided."""
    leaves = (leaf for _, node in made.columns for leaf in tree.leaves(node))
    return [protection for leaf in leaves for protection in _protections_of(leaf, "arrow")]


def _protections_of(leaf: Leaf, stage: Stage) -> Iterator[Protected]:
    """Yield the protection of a leaf, and those with further keys: of paths in JSON, and of fallbacks."""
    yield _protected(leaf.where, leaf.operator, stage)
    for where, operator in keyed(leaf):
        if operator is not leaf.operator:
            yield _protected(where, operator, stage)


def _protected(where: str, operator: Operator, stage: Stage) -> Protected:
    parameters = operator.parameters.model_dump(exclude_defaults=True, by_alias=True)
    if isinstance(operator, Keyed) and operator.spelled:
        parameters["canonical"] = f"{operator.spelled} {VERSION}"
    text = ", ".join([parameters.pop("op"), *(f"{key} {value!r}" for key, value in parameters.items())])
    key = operator.key
    domain, version = (key.domain, key.version) if key else (None, None)
    return Protected(where, operator.class_, text, stage, domain, version)


def statistics_columns(contract: Contract, frame: DataFrame) -> list[str]:
    """Return the columns of a protected table whose minima and maxima Delta may store in its log, without sensitive ones."""
    sensitive = [name for name in frame.columns if contract.sensitive(name)]
    return with_statistics(frame.schema, (*sensitive, *contract.target.partition_by))
