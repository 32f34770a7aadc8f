"""The person of an erasure: the tables of a contract, and every value of the person in them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dataward.contract import Contract, Location
from dataward.errors import SourceError, TargetError, UsageError, counted
from dataward.keys import Keyring, open_keys
from dataward.pipeline.content import Sealing, commit_mac
from dataward.pipeline.key_uses import live_versions
from dataward.pipeline.plan import Plan
from dataward.pipeline.seal import same_keys
from dataward.privacy.erased import Memory
from dataward.privacy.needles import Needle, at_home
from dataward.privacy.protect.entries import tables_of
from dataward.privacy.residue import common
from dataward.privacy.subject import of_values, protected_ids, raw_values, texts_of, values_of
from dataward.spark.arrow import arrow_type
from dataward.tables import delta, maintenance
from dataward.tables.source import MALFORMED, pin

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from dataward.contract.settings import Erasure
    from dataward.privacy.protect.entries import Table

__all__ = ["Asked", "Opened", "Person", "look", "of_this_person", "opened"]


@dataclass(frozen=True)
class Asked:
    """The person to erase and the ticket; ``values`` are further values of the person, ``also`` further folders to search.

    ``prove``: only search, and change nothing.
    """

    subject: str
    ticket: str
    values: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    reports: str = "reports"
    prove: bool = False

    def __repr__(self) -> str:
        """Return a text without identifiers."""
        return f"Asked(ticket={self.ticket!r})"


@dataclass(frozen=True, repr=False)
class Opened:
    """The tables of one contract, opened for an erasure.

    Attributes:
        spark: the session.
        plan: the contract.
        asked: the person and the ticket.
        erasure: the contract's settings of erasures.
        keys: the keyring.
        run_id: ID of this erasure.
        places: tables with rows about people that exist.
        vaults: vaults and keys of subjects, with the columns whose values they contain.
        source: rows of the source; None where it cannot be read, for the reason ``unread``.
        kind: Arrow type of the subject in the source.
        ids: the subject as the tables store it.
    """

    spark: SparkSession
    plan: Plan
    asked: Asked
    erasure: Erasure
    keys: Keyring
    run_id: str
    places: tuple[Location, ...]
    vaults: Mapping[Table, list[str]]
    source: DataFrame | None
    unread: str
    kind: pa.DataType
    ids: list[str]

    @property
    def contract(self) -> Contract:
        """The contract."""
        return self.plan.contract

    @property
    def memory(self) -> Memory:
        """The table of erased subjects."""
        return Memory(self.spark, self.contract, self.keys)

    @property
    def shredded(self) -> list[str]:
        """The columns whose values are encrypted under keys of their subjects."""
        return [name for name, line in self.contract.columns.items() if line.protect.shreds]

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of the erasure's commits, with the MAC that proves to a later run that they are ours."""
        metadata = {"run_id": self.run_id, "contract": self.contract.contract, "contract_sha256": self.plan.sha256}
        secret = self.sealing(0).secret
        return {**metadata, "mac": commit_mac(secret, self.contract, self.run_id, metadata)}

    def sealing(self, version: int) -> Sealing:
        """Return the inputs for sealing a version of the target."""
        domain = self.contract.keys.domain
        return Sealing(self.spark, self.contract, self.keys, domain, self.keys.current(domain), version)

    def newest(self, place: Location) -> DataFrame:
        """Read the newest version of a table."""
        return delta.read(self.spark, place, delta.latest_version(self.spark, place))

    def mine(self, frame: DataFrame) -> DataFrame:
        """Return the person's rows."""
        return of_values(frame, self.erasure.subject, self.ids)

    def of_others(self, place: Location) -> DataFrame:
        """Return everybody else's rows of a table."""
        return of_values(self.newest(place), self.erasure.subject, self.ids, "leftanti")

    @property
    def names_subject(self) -> bool:
        """Whether the source has the subject's column."""
        there = {name.lower() for name in self.source.columns} if self.source is not None else set()
        return self.erasure.subject.lower() in there


@dataclass(frozen=True, repr=False)
class Person:
    """The person's data in the tables of one contract.

    Attributes:
        tables: the tables.
        needles: values to search.
        protected: protected values by column.
        source_rows: number of the person's rows in the source.
        shared: number of values that other people have as well; they are not searched.
    """

    tables: Opened
    needles: tuple[Needle, ...]
    protected: Mapping[str, set[str]]
    source_rows: int = 0
    shared: int = 0

    def __str__(self) -> str:
        """Return the numbers of values for the progress."""
        return f"{counted(len(self.needles), 'value')} to look for, {self.shared} more that other people have as well"


def opened(spark: SparkSession, plan: Plan, asked: Asked) -> Opened:
    """Open the tables of a contract.

    Raises:
        UsageError: the contract names no subject column, or the subject cannot be one.
        TargetError: there is no table yet.
    """
    from pyspark.sql.types import StringType

    contract = plan.contract
    if contract.erasure is None:
        raise UsageError(
            f"contract '{contract.contract}' does not say whom a row is about: add erasure: {{subject: COLUMN}}"
        )
    if not delta.exists(spark, contract.target):
        raise TargetError(f"{contract.target}: there is no table yet. Publish first")
    keys = open_keys(contract.keys)
    same_keys(spark, contract, keys)
    source, unread = _raw(spark, contract)
    types = {} if source is None else {field.name: field.dataType for field in source.schema.fields}
    kind = arrow_type(types.get(contract.erasure.subject, StringType()))
    return Opened(
        spark=spark,
        plan=plan,
        asked=asked,
        erasure=contract.erasure,
        keys=keys,
        run_id=f"erase-{uuid.uuid4().hex[:12]}",
        places=tuple(place for place in contract.row_tables if delta.exists(spark, place)),
        vaults=tables_of(spark, contract),
        source=source,
        unread=unread,
        kind=kind,
        ids=protected_ids(contract, keys, asked.subject, kind),
    )


def _raw(spark: SparkSession, contract: Contract) -> tuple[DataFrame | None, str]:
    """Return the rows of the source, or why they cannot be read; a source that is gone does not prevent an erasure."""
    try:
        return pin(spark, contract.source).frame.drop(MALFORMED), ""
    except SourceError as error:
        return None, str(error)


def look(tables: Opened) -> Person:
    """Collect every value of the person: in all existing data files, in the source, and in decrypted values."""
    contract, subject, asked = tables.contract, tables.erasure.subject, tables.asked
    protected: dict[str, set[str]] = {subject: set(tables.ids)}
    raw: dict[str, set[str]] = {subject: {asked.subject}, "given": set(asked.values)}
    live = live_versions(tables.spark, contract, contract.target, delta.latest_version(tables.spark, contract.target))
    for place in tables.places:
        values = values_of(contract, tables.mine(_as_they_lie(tables, place)))
        _add(protected, texts_of(values))
        _add(raw, raw_values(tables.spark, contract, tables.keys, values, live))
    source_rows = 0
    if tables.source is not None and tables.names_subject:
        rows = of_values(tables.source, subject, [asked.subject])
        source_rows = int(rows.count())
        _add(raw, texts_of(values_of(contract, rows)))
    found = _needles("raw", raw, subject)
    if not tables.shredded:  # shredding leaves protected values where they are, as nobody can read them
        raws = {needle.value for needle in found}
        found += _needles("protected", {name: values - raws for name, values in protected.items()}, subject)
    return Person(tables, tuple(found), protected, source_rows)


def _needles(form: str, values: Mapping[str, set[str]], subject: str) -> list[Needle]:
    nobody_elses = ("given", subject.lower())
    homes = {name: "" if at_home(name) in nobody_elses else at_home(name) for name in values}
    return [Needle(f"{name} ({form})", one, homes[name]) for name in sorted(values) for one in sorted(values[name])]


def _as_they_lie(tables: Opened, place: Location) -> DataFrame:
    """Return the rows of all data files below a table, including files that no version references any more."""
    root = maintenance.files(tables.spark, delta.location(tables.spark, place))
    data = [file.path for file in root if file.path.endswith(".parquet") and "/_delta_log/" not in file.path]
    newest = tables.newest(place)
    try:
        reader = tables.spark.read.option("mergeSchema", "true").schema(newest.schema)
        return reader.parquet(*data) if data else newest
    except Exception:
        return newest  # files whose types differ: the newest version


def of_this_person(people: Sequence[Person]) -> list[Person]:
    """Leave out the values that other people have at the same place of any of the tables."""
    needles = [needle for person in people for needle in person.needles]
    everybody_else = [frame for person in people for frame in _others(person.tables)]
    values = {needles[number].value for others in everybody_else for number in common(others, needles)}
    return [_without(person, values) for person in people]


def _others(tables: Opened) -> list[DataFrame]:
    """Return the present rows of everybody else."""
    found = [tables.of_others(place) for place in tables.places]
    if tables.source is not None and tables.names_subject:
        found.append(of_values(tables.source, tables.erasure.subject, [tables.asked.subject], "leftanti"))
    return found


def _without(person: Person, values: set[str]) -> Person:
    kept = tuple(needle for needle in person.needles if needle.value not in values or not needle.home)
    both = {needle.value for needle in person.needles} - {needle.value for needle in kept}
    return replace(person, needles=kept, shared=len(both))


def _add(whole: dict[str, set[str]], more: Mapping[str, set[str]]) -> None:
    for name, values in more.items():
        whole.setdefault(name, set()).update(values)
