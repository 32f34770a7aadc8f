"""Declarations of a Delta table's owner, and how rows of another schema fit them. Pure but for :func:`declared`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dataward.contract import Location
from dataward.spark.sql import column, identifier
from dataward.tables import delta
from dataward.tables.log import Newest

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructField, StructType

__all__ = [
    "Breach",
    "Declared",
    "Fit",
    "breaches",
    "conformed",
    "declarations",
    "declared",
    "fit",
    "read_back",
    "unmergeable",
]

GENERATED, IDENTITY, EXPLICIT = (
    "delta.generationExpression",
    "delta.identity.start",
    "delta.identity.allowExplicitInsert",
)
DEFAULT, TEXT_TYPE, COMMENT = "CURRENT_DEFAULT", "__CHAR_VARCHAR_TYPE_STRING", "comment"
CHECK = "delta.constraints."
INTEGERS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
"""Types of whole numbers by Spark's simple names, narrow to wide, with the decimal digits of their largest values."""
EXACT = {"string", "date", "boolean", *INTEGERS}
"""Types (Spark's simple names) whose values have exactly one text; partitions are named by it."""


@dataclass(frozen=True)
class Declared:
    """Columns with their declarations, partition columns, CHECK constraints (name: SQL), clustering columns."""

    schema: StructType
    partition_by: tuple[str, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)
    clustered: bool = False

    @property
    def names(self) -> frozenset[str]:
        """Names of its columns, in lower case."""
        return frozenset(name.lower() for name in self.schema.names)

    @property
    def binding(self) -> bool:
        """Whether a new schema would lose a declaration that only ALTER TABLE can restore."""
        return bool(self.checks) or self.clustered or any(map(_binding, self.schema.fields))


@dataclass(frozen=True)
class Fit:
    """Comparison of a run's columns with those of the table.

    ``adds`` and ``drops`` are columns (paths) that the table gets and loses, ``retypes`` describes columns with a new type,
    ``nulls`` are columns that the run lacks and that become null, ``casts`` the types to write columns as.
    ``lacks`` are fields inside columns that the run lacks and that an update of the whole column would lose.
    ``problems``: (column, problem, remedy); each refuses the run. ``generated``: whether the table generates columns.
    """

    adds: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    retypes: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    casts: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[tuple[str, str, str], ...] = ()
    generated: bool = False

    @property
    def changes(self) -> list[str]:
        """Changes of the table's schema, in words."""
        listed = [f"adds {name}" for name in self.adds] + [f"drops {name}" for name in self.drops]
        listed += [f"changes {words}" for words in self.retypes]
        return listed + [f"leaves {name} null, as the contract has no such column" for name in self.nulls]

    @property
    def rewrites(self) -> bool:
        """Whether the schema is replaced, because columns are dropped or change type."""
        return bool(self.drops or self.retypes)


@dataclass(frozen=True)
class Breach:
    """A declaration that rows can violate: ``sql`` is true of a violating row, ``words`` follow the number of such rows."""

    sql: str
    words: str


def declared(spark: SparkSession, place: Location) -> Declared | None:
    """Return the declarations of a table; None where there is no table. Without access to its log, only those that DESCRIBE shows."""
    found = delta.newest(spark, place)
    return None if found is None else declarations(found)


def declarations(present: Newest) -> Declared:
    """Return the declarations of a table's newest version."""
    checks = {key.removeprefix(CHECK): sql for key, sql in present.properties.items() if key.startswith(CHECK)}
    return Declared(present.schema, present.partition_by, checks, bool(present.clustered_by))


def fit(given: StructType, table: Declared, whole: bool, evolve: bool = False, beside: Iterable[str] = ()) -> Fit:
    """Compare a run's columns with the table's.

    ``whole``: all rows are replaced, so that the schema may follow the contract. ``evolve``: new columns are allowed.
    ``beside``: columns that a rotation adds.
    """
    there = {column.name.lower(): column for column in table.schema.fields}
    here = {column.name.lower() for column in given.fields}
    taken = {name.lower() for name in beside}
    met = [_met(column, there.get(column.name.lower())) for column in given.fields]
    adds, retypes, lacks = (
        [path for one in met for path in getattr(one, kind)] for kind in ("adds", "retypes", "lacks")
    )
    casts = {name: kind for one in met for name, kind in one.casts.items()}
    problems = [problem for one in met for problem in one.problems]
    gone = [c for c in table.schema.fields if c.name.lower() not in here and not _fills_itself(c)]
    drops, nulls = [c.name for c in gone], list[str]()
    if not whole or (table.binding and not retypes):
        drops, nulls = [], drops if whole else []
        problems += [_lacking(c.name) for c in gone if not c.nullable]
    if not whole and not evolve:
        problems += [_unknown(path) for path in adds if path.lower() not in taken]
    if retypes and (not whole or table.binding):
        problems += [_other_type(words, whole) for words in retypes]
    if drops or retypes:
        problems += [_unpartitioned(name) for name in table.partition_by if _changes(name, drops, retypes)]
    generated = any(GENERATED in known.metadata for known in table.schema.fields)
    return Fit(tuple(adds), tuple(drops), tuple(retypes), tuple(nulls), tuple(lacks), casts, tuple(problems), generated)


def _met(column: StructField, known: StructField | None) -> Fit:
    """Compare a column with the table's column of the same name."""
    if known is None:
        return Fit(adds=(column.name,))
    if IDENTITY in known.metadata and not known.metadata.get(EXPLICIT):
        what = "the target generates it (identity), and takes no values for it"
        remedy = f"do not publish it: columns: {{{column.name}: {{protect: drop}}}}"
        return Fit(problems=((column.name, what, remedy),))
    if _simple(known.dataType) == _simple(column.dataType):
        return Fit()
    if _wider(column.dataType, known.dataType):
        return Fit(casts={known.name: known.dataType.simpleString()})
    met = _Inside()
    met.compare(known.name, known.dataType, column.dataType)
    lacking = {f"{path}." for path in met.lacking}
    problems = [_lacking(path) for path in map(".".join, _required(known)) if any(map(f"{path}.".startswith, lacking))]
    return Fit(adds=tuple(met.new), retypes=tuple(met.others), lacks=tuple(met.lacking), problems=tuple(problems))


def conformed(frame: DataFrame, found: Fit, table: Declared) -> DataFrame:
    """Spell columns as the table does, cast them to its width, and fit texts to its char and varchar.

    Where the schema is replaced, the comments of remaining columns are kept.
    """
    there = {known.name.lower(): known for known in table.schema.fields}
    casts = {name.lower(): kind for name, kind in found.casts.items()}
    columns, same = [], True
    for name in frame.columns:
        low = name.lower()
        known = there.get(low)
        made = column(name).cast(casts[low]) if low in casts else column(name)
        if known is None:
            columns.append(made)
            continue
        text = _fitted(name, known)
        metadata = (
            {"metadata": {COMMENT: known.metadata[COMMENT]}} if found.rewrites and COMMENT in known.metadata else {}
        )
        same = same and low not in casts and known.name == name and text is None and not metadata
        columns.append((made if text is None else text).alias(known.name, **metadata))
    return frame if same else frame.select(*columns)


def _fitted(name: str, known: StructField) -> Column | None:
    """Return a text as char or varchar stores it, so that a merge finds its key again; None for any other column."""
    from pyspark.sql import functions as F

    kind = re.fullmatch(r"(var)?char\((\d+)\)", known.metadata.get(TEXT_TYPE, ""))
    if kind is None:
        return None
    quoted, length = identifier(name), kind.group(2)
    fits = f"char_length(rtrim({quoted})) <= {length}"  # longer texts stay, and Delta refuses them
    if kind.group(1):
        return F.expr(f"if({fits}, left({quoted}, {length}), {quoted})")
    return F.expr(f"if({fits}, rpad({quoted}, {length}, ' '), {quoted})")


def read_back(
    given: StructType, table: Declared | None, found: Fit | None, partition_by: Iterable[str]
) -> StructType | None:
    """Return the schema by which rows with these columns are read back; None if it differs from the one written.

    It differs where the table changes values (char, varchar, partitions of types without an exact text), adds values, or has
    other fields inside a column.
    """
    from pyspark.sql.types import StructType

    made = given
    if table is not None and found is not None and not found.rewrites:
        here = {column.name.lower(): column for column in given.fields}
        there = {column.name.lower() for column in table.schema.fields}
        for column in table.schema.fields:
            mine = here.get(column.name.lower())
            if (
                _fills_itself(column)
                if mine is None
                else mine.dataType.simpleString() != column.dataType.simpleString()
            ):
                return None
        new = [column for column in given.fields if column.name.lower() not in there]
        made = StructType([*table.schema.fields, *new])
    types = {column.name.lower(): _simple(column.dataType) for column in made.fields}
    if TEXT_TYPE in made.json() or any(types[name.lower()] not in EXACT for name in partition_by):
        return None
    return made


def breaches(table: Declared, names: Iterable[str]) -> list[Breach]:
    """Return the declarations that rows with these columns may violate.

    These are NOT NULL, lengths, CHECKs, generated columns, and ``''`` in a partition column.
    """
    here = {name.lower() for name in names}
    found = []
    for known in table.schema.fields:
        if known.name.lower() not in here:
            continue
        name = identifier(known.name)
        for path in _required(known):
            words = f"have no '{'.'.join(path)}', which the target declares NOT NULL"
            found.append(Breach(f"{identifier(*path)} is null", words))
        text = re.fullmatch(r"(?:var)?char\((\d+)\)", known.metadata.get(TEXT_TYPE, ""))
        if text:
            words = f"have a '{known.name}' longer than the {text.group(0)} that the target declares"
            found.append(Breach(f"char_length(rtrim({name})) > {text.group(1)}", words))
        if made := known.metadata.get(GENERATED):
            words = f"have a '{known.name}' that is not what the target generates it by: {made}"
            found.append(Breach(f"not ({name} <=> cast(({made}) as {known.dataType.simpleString()}))", words))
    for name, sql in table.checks.items():
        found.append(Breach(f"not coalesce(({sql}), false)", f"break the constraint {name} of the target: {sql}"))
    return found


def _simple(kind: DataType) -> str:
    return kind.simpleString().lower()


def _wider(narrow: DataType, wide: DataType) -> bool:
    """Return whether each value of a type equals exactly one value of the other."""
    from pyspark.sql.types import DecimalType

    small, large = _simple(narrow), _simple(wide)
    if small in INTEGERS and large in INTEGERS:
        return INTEGERS[small] <= INTEGERS[large]
    if isinstance(wide, DecimalType):
        whole = wide.precision - wide.scale
        if isinstance(narrow, DecimalType):
            return whole >= narrow.precision - narrow.scale and wide.scale >= narrow.scale
        return small in INTEGERS and whole >= INTEGERS[small]
    return (small, large) in {("float", "double"), ("tinyint", "double"), ("smallint", "double"), ("int", "double")}


@dataclass
class _Inside:
    """Paths of fields that the table lacks (``new``) and that the run lacks, and fields of another type."""

    new: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def compare(self, path: str, known: DataType, given: DataType) -> None:
        from pyspark.sql.types import ArrayType, MapType, StructType

        if isinstance(known, StructType) and isinstance(given, StructType):
            there = {one.name.lower(): one for one in known.fields}
            here = {one.name.lower() for one in given.fields}
            for one in given.fields:
                below = f"{path}.{one.name}"
                if one.name.lower() in there:
                    self.compare(below, there[one.name.lower()].dataType, one.dataType)
                else:
                    self.new.append(below)
            self.lacking += [f"{path}.{one.name}" for one in known.fields if one.name.lower() not in here]
        elif isinstance(known, ArrayType) and isinstance(given, ArrayType):
            self.compare(f"{path}.element", known.elementType, given.elementType)
        elif isinstance(known, MapType) and isinstance(given, MapType):
            self.compare(f"{path}.key", known.keyType, given.keyType)
            self.compare(f"{path}.value", known.valueType, given.valueType)
        elif _simple(known) != _simple(given):
            self.others.append(f"{path} from {_simple(known)} to {_simple(given)}")


def _fills_itself(column: StructField) -> bool:
    return any(key in column.metadata for key in (GENERATED, IDENTITY, DEFAULT))


def _binding(column: StructField) -> bool:
    kept = {COMMENT, "delta.columnMapping.id", "delta.columnMapping.physicalName"}
    return bool(set(column.metadata) - kept) or any(not one.nullable for one in _fields(column))


def _fields(column: StructField) -> Iterator[StructField]:
    for _, one in _within(column):
        yield one


def _within(column: StructField) -> Iterator[tuple[tuple[str, ...], StructField]]:
    """Yield a column and the fields of its structs, each with its path."""
    from pyspark.sql.types import StructType

    yield (column.name,), column
    if isinstance(column.dataType, StructType):
        for one in column.dataType.fields:
            yield from (((column.name, *path), inner) for path, inner in _within(one))


def _required(column: StructField) -> list[tuple[str, ...]]:
    """Return the paths of a column and of its fields that are declared NOT NULL."""
    return [path for path, one in _within(column) if not one.nullable]


def _lacking(path: str) -> tuple[str, str, str]:
    what = "the target declares it NOT NULL, and the contract publishes no such column"
    inside = "publish it" if "." in path else "publish it, or give it a default (ALTER TABLE)"
    return path, what, inside


def unmergeable(given: StructType, table: Declared) -> list[tuple[str, str, str]]:
    """Return the problems of fields that the table declares NOT NULL inside of a struct: Delta's MERGE casts no column to them."""
    here = {".".join(path).lower() for one in given.fields for path, inner in _within(one) if inner.nullable}
    inside = [path for known in table.schema.fields for path in _required(known) if len(path) > 1]
    what = "the target declares it NOT NULL inside of a struct, and Delta's MERGE cannot write a column that may be null there"
    remedy = "use another mode, or let the table's owner take it back: ALTER TABLE ... ALTER COLUMN {} DROP NOT NULL"
    found = [(".".join(path), identifier(*path)) for path in inside]
    return [(path, what, remedy.format(quoted)) for path, quoted in found if path.lower() in here]


def _unknown(path: str) -> tuple[str, str, str]:
    drop = f", or leave it out: columns: {{{path}: {{protect: drop}}}}"
    return path, "the target has no such column", f"take it with target: {{evolve: true}}{drop}"


def _changes(name: str, drops: Iterable[str], retypes: Iterable[str]) -> bool:
    return name in drops or any(words.startswith(f"{name} from ") for words in retypes)


def _unpartitioned(name: str) -> tuple[str, str, str]:
    what = "the target is partitioned by it, and the contract has no such column of this type"
    return name, what, "publish the column as it was, or publish to another target"


def _other_type(words: str, whole: bool) -> tuple[str, str, str]:
    path, kinds = words.split(" from ", 1)
    old, new = kinds.rsplit(" to ", 1)
    remedy = (
        "publish it as the target's type (csv and json: source.schema; else a view that casts, source: {format: view}), let the "
        "table's owner change the column, or publish to another target"
    )
    if whole:
        remedy += "; or drop what is declared of the table (ALTER TABLE), as a new type cannot keep it"
    return path, f"it is {new}, and {old} in the target", remedy
