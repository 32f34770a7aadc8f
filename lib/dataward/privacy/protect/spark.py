"""Protect a Spark frame: what Arrow is needed for in one ``mapInArrow``, all else as columns of the JVM, keys in no plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dataward.contract import Contract
from dataward.contract.reserved import INTERNAL
from dataward.errors import ProtectionError, RunError
from dataward.keys import KeyProvider
from dataward.privacy.protect import tree
from dataward.privacy.protect.canonical import VERSION
from dataward.privacy.protect.compiled import Compiled, compiled, key_of, keyed
from dataward.privacy.protect.entries import Entered
from dataward.privacy.protect.leaf import Leaf
from dataward.privacy.protect.operator import Operator, Rows
from dataward.privacy.protect.shred import ShredOperator, through_shred
from dataward.privacy.protect.token import Keyed
from dataward.privacy.protect.vault import VaultOperator, through_vault
from dataward.spark.sql import column
from dataward.spark.workers import mapped, settled
from dataward.tables.reason import from_jvm, from_worker, reason

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructType

__all__ = [
    "Protected",
    "arrow_schema",
    "attempt",
    "on_workers",
    "output_fields",
    "protect",
    "statistics_columns",
    "stopping",
    "through_arrow",
]

ONE_SPELLING = frozenset({"string", "byte", "short", "integer", "long", "date", "decimal"})
"""Types of which equal values have one text (0.0 and -0.0 are equal and have two)."""

WITHOUT_STATISTICS = frozenset({"array", "map", "struct", "boolean", "binary", "void"})

SUBJECT = "__subject"
"""Column: whose row it is, as the source says it."""

WIDE = 4
"""Columns for each that is protected, from which on it costs more to take all through Arrow than to join one."""

Stage = Literal["kept", "jvm", "arrow", "table", "dropped"]


@dataclass(frozen=True)
class Protected:
    """What was done to one column or what lies at one path of it, for reports and seals."""

    column: str
    class_: str | None
    protection: str
    stage: Stage
    domain: str | None = None
    key_version: int | None = None


def stopping(contract: Contract, keys: KeyProvider, frame: DataFrame) -> tuple[str, ...]:
    """The columns in which a value of the right type can stop the run."""
    columns = compiled(contract, key_of(keys), arrow_schema(frame.schema)).columns
    return tuple(name for name, node in columns if any(leaf.may_stop for leaf in tree.leaves(node)))


def attempt(contract: Contract, keys: KeyProvider, frame: DataFrame, columns: Iterable[str]) -> None:
    """Protect columns of as many rows as the gate looks at, and write nothing: one job.

    Raises:
        ProtectionError: a value cannot be protected, and the contract does not say what becomes of it.
    """
    made = dict(compiled(contract, key_of(keys), arrow_schema(frame.schema)).columns)
    nodes = {name: made[name] for name in columns}
    read = {name for node in nodes.values() for leaf in tree.leaves(node) for name in leaf.reads}
    names = [name for name in frame.columns if name in nodes or name in read]
    # By number: mapInArrow takes no column whose name holds a dot or a backtick.
    some = frame.select(*(column(name).alias(f"c{number}") for number, name in enumerate(names)))
    try:
        some.limit(contract.discovery.rows).mapInArrow(settled(_attempting(names, nodes)), "nothing int").collect()
    except Exception as error:
        if said := from_worker(error):
            raise ProtectionError(said) from None
        raise RunError(f"the protections cannot be tried: {reason(error)}") from None


def _attempting(
    names: list[str], nodes: dict[str, tree.Node]
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """What protects on the workers and gives nothing back."""

    def run(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            rows = Rows(pa.RecordBatch.from_arrays(batch.columns, names))
            for name, node in nodes.items():
                tree.apply(node, rows.column(name), rows)
        yield from ()

    return run


def protect(
    spark: SparkSession, contract: Contract, keys: KeyProvider, frame: DataFrame, few: Iterable[str] = ()
) -> tuple[Protecting, tuple[Protected, ...]]:
    """A function that protects frames with this frame's columns (others pass through), and what it does to each.

    The function's ``strict`` says whether a value that cannot be protected, and for which the contract names nothing
    else, stops the run (the target) or becomes null (the quarantine).

    Of the columns that are said to hold ``few`` values each value is protected once, where its operator is deterministic and
    needs Arrow, and the results are joined to the rows.
    """
    schema = arrow_schema(frame.schema)
    exact, lenient = (compiled(contract, key_of(keys), schema, strict) for strict in (True, False))
    subject = contract.erasure.subject if contract.erasure else None
    work = _Work(spark, exact, lenient, frame, frozenset(few), subject)
    told = [
        one for name, node in work.made.columns for leaf in tree.leaves(node) for one in _told(leaf, work.stages[name])
    ]
    return work.apply, tuple(told)


def output_fields(contract: Contract, keys: KeyProvider, schema: StructType) -> list[tuple[str, DataType]]:
    """Name and type of the columns that protection makes of columns; no row is looked at, and no table."""
    nodes = dict(compiled(contract, key_of(keys), arrow_schema(schema)).columns)
    made = [(field.name, _output(nodes[field.name], field.dataType)) for field in schema.fields]
    return [(name, kind) for name, kind in made if kind is not None]


def _output(node: tree.Node, kind: DataType) -> DataType | None:
    from pyspark.sql.pandas.types import from_arrow_type, to_arrow_type

    if tree.kept(node):
        return kind
    made = tree.output(node, to_arrow_type(kind))
    return None if made is None else from_arrow_type(made, prefer_timestamp_ntz=True)


class Protecting(Protocol):
    def __call__(self, given: DataFrame, strict: bool = True) -> DataFrame: ...


class _Work:
    """What is done where to the columns of one frame."""

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
        if others or len(self.stages) < WIDE * len(self.once):  # Arrow is quicker than a shuffle and a join for each
            self.once = []
        self.in_arrow = [name for name, stage in self.stages.items() if stage == "arrow" and name not in self.once]

    def same_for_same(self, name: str) -> bool:
        """Whether what becomes of a value can be made once and joined to the rows that hold it; the JVM is quicker without."""
        in_arrow = self.stages[name] == "arrow"
        return in_arrow and self.kinds[name] in ONE_SPELLING and self.leaves[name].operator.deterministic

    def apply(self, given: DataFrame, strict: bool = True) -> DataFrame:
        ready = given
        if self.shred and self.subject:
            ready = ready.withColumn(SUBJECT, column(self.subject))
        if self.in_arrow:  # before shred: operators read other columns as they came
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
        """The frame beside what becomes of a column's few values, made once per value."""
        from pyspark.sql import functions as F

        value, made = f"{INTERNAL}value{number}", f"{INTERNAL}made{number}"
        values = self.frame.select(column(name).alias(value)).distinct()
        # Values of rows that are diverted are among them: what cannot be protected is null, see `column`.
        twice = values.select(value, column(value).alias(made))
        both = through_arrow(twice, {made: dict(self.lenient.columns)[name]})
        return ready.join(F.broadcast(both), column(name) == column(value), "left")

    def column(self, name: str, strict: bool) -> Any:
        from pyspark.sql import functions as F

        if name not in self.once:
            if self.stages.get(name) != "jvm":
                return column(name)
            return self.leaves[name].operator.column(column(name), self.kinds[name]).alias(name)
        made, leaf = column(f"{INTERNAL}made{self.once.index(name)}"), self.leaves[name]
        if strict and leaf.strict:
            unfit = column(name).isNotNull() & made.isNull()
            made = F.when(unfit, F.raise_error(from_jvm(leaf.refusal()))).otherwise(made)
        return made.alias(name)


def arrow_schema(schema: StructType) -> pa.Schema:
    """Return the Arrow schema of a Spark schema."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(schema)


def _stage(node: tree.Node, kind: str, name: str) -> Stage:
    """Where a column is protected."""
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
    """The frame with some columns protected by the workers."""
    from pyspark.sql.pandas.types import from_arrow_type, to_arrow_type
    from pyspark.sql.types import StructField, StructType

    fields = []
    for field in frame.schema.fields:
        kind = field.dataType
        if field.name in nodes:
            made = tree.output(nodes[field.name], to_arrow_type(kind))
            kind = from_arrow_type(made, prefer_timestamp_ntz=True)
        fields.append(StructField(field.name, kind))
    return mapped(frame, on_workers(nodes), StructType(fields))


def on_workers(nodes: dict[str, tree.Node]) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    """What runs on the workers; it holds the keys, and Spark shows no more of it than its name."""

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


def _told(leaf: Leaf, stage: Stage) -> Iterator[Protected]:
    """What is done at a leaf, and each key that is used inside of it: at paths of JSON, and by fallbacks."""
    yield _protected(leaf.where, leaf.operator, stage)
    for where, operator in keyed(leaf):
        if operator is not leaf.operator:
            yield _protected(where, operator, stage)


def _protected(where: str, operator: Operator, stage: Stage) -> Protected:
    given = operator.parameters.model_dump(exclude_defaults=True, by_alias=True)
    if isinstance(operator, Keyed) and operator.spelled:
        given["canonical"] = f"{operator.spelled} {VERSION}"
    told = ", ".join([given.pop("op"), *(f"{key} {value!r}" for key, value in given.items())])
    key = operator.key
    domain, version = (key.domain, key.version) if key else (None, None)
    return Protected(where, operator.class_, told, stage, domain, version)


def statistics_columns(contract: Contract, frame: DataFrame) -> list[str]:
    """The columns of a protected frame whose minima and maxima Delta may keep in its log: none that is sensitive.

    Delta keeps none of nested, boolean and binary columns, and of partition columns it keeps the values themselves.
    """
    plain = [field.name for field in frame.schema.fields if field.dataType.typeName() not in WITHOUT_STATISTICS]
    partitions = {name.lower() for name in contract.target.partition_by}
    return [name for name in plain if not contract.sensitive(name) and name.lower() not in partitions]
