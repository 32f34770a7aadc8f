"""Where tables are: what is published, what readers see, where rows go that fail, and what runs measured."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from dataward.contract import outside
from dataward.contract.base import Misfit, Model, Scalar
from dataward.contract.options import misspelt

__all__ = [
    "History",
    "Location",
    "Quarantine",
    "Sealed",
    "Source",
    "Target",
    "bucket_and_key",
    "identity",
    "spelled",
    "split_path",
]


SCHEMES = {"s3a": "s3", "s3n": "s3"}
"""Schemes that are other spellings of one."""


OWN_CATALOG = re.compile(r"^spark_catalog\.(?=[^.]+\.[^.]+$)", re.IGNORECASE)
"""What a name of two parts may have before it: the session's own catalog."""

PART = re.compile(r"`([\w-]+)`|([\w-]+)")
"""Part of a table's name in the catalog, quoted or plain."""

PLAIN = re.compile(r"\w*[A-Za-z_]\w*", re.ASCII)
"""Part that SQL reads without quotes."""

QUOTES = "``"

IN_DATABASE = re.compile(r'(?:\w+|"[^"\x00-\x1f]+")(?:\.(?:\w+|"[^"\x00-\x1f]+")){0,2}', re.ASCII)
"""Name of a table in a database, its parts plain or in double quotes."""


def spelled(name: str) -> str:
    """Return a name of the catalog as SQL needs it: a part with a hyphen, a letter beyond ASCII or digits alone in backticks."""
    found = [PART.fullmatch(part) for part in name.split(".")]
    if not all(found):
        return name  # which is refused by whoever needs a name of the catalog
    parts = [part[1] or part[2] for part in found if part]
    return ".".join(part if PLAIN.fullmatch(part) else part.join(QUOTES) for part in parts)


def split_path(path: str) -> tuple[str, str]:
    """Return scheme (empty: none, or file) and the rest of a path, without slashes at its end."""
    scheme, colon, rest = path.partition("://")
    if not colon:
        scheme, rest = ("file", path[5:]) if path.startswith("file:") else ("", path)
    scheme = SCHEMES.get(scheme.lower(), scheme.lower())
    return "" if scheme == "file" else scheme, rest.rstrip("/") or rest[:1]


def identity(place: str) -> str:
    """Return one text for all spellings of a place: s3a:// and s3://, a trailing slash, file:, spark_catalog before a name."""
    scheme, rest = split_path(OWN_CATALOG.sub("", place))
    return f"{scheme}://{posixpath.normpath(rest)}" if scheme else posixpath.normpath(rest)


def bucket_and_key(path: str) -> tuple[str, str] | None:
    """Return bucket and key (without slashes at its ends) of a path in S3, however its scheme is spelled; None for any other path."""
    scheme, rest = split_path(path)
    bucket, _, key = rest.partition("/")
    return (bucket, key.strip("/")) if scheme == "s3" and bucket else None


class Location(Model):
    """Where a table is: a path (any file system that Spark reads) or a name in the catalog; exactly one of them."""

    path: str | None = Field(
        default=None, min_length=1, description="directory or file; relative to where the job runs"
    )
    table: str | None = Field(default=None, min_length=1, description="name in the catalog, e.g. lake.people")

    @field_validator("table")
    @classmethod
    def _spelled(cls, name: str | None) -> str | None:
        return name and spelled(name)

    @property
    def _nameless(self) -> bool:
        """Whether it has neither a path nor a name."""
        return False

    @model_validator(mode="after")
    def _one_place(self) -> Location:
        if self._nameless:
            return self
        if (self.path is None) == (self.table is None):
            raise ValueError("give exactly one of 'path' and 'table'")
        # Spark writes paths into plans, logs and error messages.
        if self.path is not None and "@" in ((bucket_and_key(self.path) or ("",))[0]):
            raise ValueError(
                "'path' holds credentials before '@': remove them; they come from the provider's own chain"
            )
        # A name becomes part of SQL text: only what an identifier may hold gets that far.
        if self.table is not None and not (
            self.table.count(".") < 3 and all(map(PART.fullmatch, self.table.split(".")))
        ):
            raise ValueError(
                "'table' is a name such as people, lake.people or main.lake.people, of letters, digits, underscores and hyphens"
            )
        return self

    def beside(self, suffix: str) -> Location:
        """Return the location whose name is this one's with ``_suffix`` appended."""
        if self.path is not None:
            return Location(path=f"{self.path.rstrip('/')}_{suffix}")
        return Location(table=f"{self.plain_name}_{suffix}")

    @property
    def plain_name(self) -> str:
        """Name in the catalog without quotes; empty for a path."""
        return (self.table or "").replace("`", "")

    def same(self, other: Location) -> bool:
        """Return whether two locations are the same table, however spelled."""
        return self._parts == other._parts

    def holds(self, other: Location) -> bool:
        """Return whether another table's folder is inside of this one's."""
        mine, theirs = self._parts, other._parts
        return self.path is not None and other.path is not None and mine == theirs[: len(mine)] and mine != theirs

    @property
    def _parts(self) -> tuple[str, ...]:
        if self.path is None:
            return ("", *OWN_CATALOG.sub("", self.table or "").lower().split("."))
        scheme, rest = split_path(self.path)
        return (scheme or "path", *posixpath.normpath(rest).split("/"))

    def __str__(self) -> str:
        """Return the path or the name of the table."""
        return self.path or self.table or ""


class Sealed(Model):
    """How the seal of a source is verified before a row is read."""

    ledger: str | None = Field(
        default=None,
        min_length=1,
        description="path of its ledger; default: the source's place with '_ledger' appended",
    )
    public_keys: tuple[str, ...] = Field(
        default=(),
        description="PEM files of whoever sealed it ('dataward keys public'); default: the contract's keyring",
    )


def _as_sealed(given: Sealed | bool) -> Sealed | bool:
    """Convert ``true`` to the defaults."""
    return Sealed() if given is True else given


class Source(Location):
    """What is published. Delta and Iceberg are pinned by version, files by a manifest of path, size and modification time."""

    format: Literal["delta", "parquet", "orc", "avro", "csv", "json", "view", "iceberg", "jdbc", "kafka", "frame"] = (
        Field(
            default="delta",
            description="how the source is stored; view: a view of the catalog, read as Spark reads it; jdbc: a table of a database; "
            "kafka: for --stream; frame: the DataFrame that a notebook passes to dataward.publish(contract, source=df)",
        )
    )
    version: int | None = Field(
        default=None,
        ge=0,
        description="Delta version, or ID of Iceberg's snapshot, to read; default: the newest",
    )
    options: dict[str, Scalar] = Field(default_factory=dict, description="options of Spark's reader")
    options_from: dict[str, Annotated[str, Field(pattern=outside.REFERENCE)]] = Field(
        default_factory=dict,
        description="options whose values are secrets: the name of an environment variable, or file:PATH, e.g. {password: PGPASSWORD}",
    )
    watermark: str | None = Field(
        default=None,
        pattern=r"^[\w $#@-]+$",
        description="jdbc: a column that grows with every new or changed row; rows up to its maximum are read. Default: one "
        "repeatable-read snapshot (PostgreSQL)",
    )
    sealed: Annotated[Sealed | bool, AfterValidator(_as_sealed)] = Field(
        default=False, description="delta: read only a version whose seal holds, and that nobody changed since"
    )
    schema_: str | None = Field(
        default=None, alias="schema", description="DDL, e.g. 'id BIGINT, name STRING'; csv, json, and JSON in Kafka"
    )

    @model_validator(mode="after")
    def _fits_format(self) -> Source:
        if self.version is not None and self.format not in ("delta", "iceberg"):
            raise ValueError(f"'version' goes with format delta, not {self.format}")
        if self.sealed and self.format != "delta":
            raise ValueError(f"'sealed' goes with format delta, not {self.format}: other files have no seal")
        if self.schema_ is not None and self.format not in ("csv", "json", "kafka"):
            raise ValueError(f"'schema' goes with csv and json; {self.format} carries its own")
        if any(key.lower() == "mode" for key in self.options):
            raise ValueError("option 'mode' is set by Dataward: malformed records go to the quarantine, never lost")
        if near := misspelt(self.format, self.options):
            name, meant = near
            raise Misfit(
                f"Spark's {self.format} reader has no option '{name}': did you mean '{meant}'?", "options", name
            )
        if self.format == "view" and self.table is None:
            raise ValueError("format view needs 'table': the view's name in the catalog")
        self._fits_outside()
        if self.encoding.startswith(("UTF-16", "UTF-32")) and not self.multi_line and self.format == "csv":
            raise ValueError(f"option 'multiLine: false' does not go with {self.encoding}: leave it out")
        if self.encoding in ("UTF-16", "UTF-32") and not self.multi_line and self.format == "json":
            raise ValueError(f"lines of JSON in {self.encoding} cannot be split: write UTF-16LE, UTF-16BE and so on")
        return self

    def _fits_outside(self) -> None:
        """Raise ValueError where fields do not go with a source outside of file systems."""
        wrong = ("path", "table", "options", "options_from") if self.format == "frame" else ("path",)
        if self.is_outside and (given := [name for name in wrong if getattr(self, name)]):
            raise ValueError(f"'{given[0]}' does not go with format {self.format}")
        if self.format == "kafka" and self.table:
            raise ValueError("'table' does not go with format kafka: name the topic by options: {subscribe: TOPIC}")
        if self.format == "jdbc" and self.table is None:
            raise ValueError(
                "format jdbc needs 'table': the table's or view's name in the database, e.g. public.people"
            )
        if self.format == "jdbc" and not IN_DATABASE.fullmatch(str(self.table)):
            raise ValueError(
                "with format jdbc 'table' is a name such as public.people, its parts in double quotes where they have other characters "
                'than letters, digits and underscores, or upper case that the database tells apart: \'"My Schema"."People"\'. Make a '
                "view in the database of a query, and name the view"
            )
        if self.watermark is not None and self.format != "jdbc":
            raise ValueError(f"'watermark' goes with format jdbc, not {self.format}")
        if problem := outside.trouble(self.format, self.options, self.options_from):
            raise ValueError(problem)

    @property
    def _nameless(self) -> bool:
        return self.is_outside  # what they need is checked with their other fields

    @property
    def is_outside(self) -> bool:
        """Whether the rows come from no file system and no catalog of Spark."""
        return self.format in outside.OUTSIDE

    @property
    def _parts(self) -> tuple[str, ...]:
        return (self.format, str(self)) if self.is_outside else super()._parts

    def __str__(self) -> str:
        """Return the path or the name of the table, or where else the rows come from."""
        if self.is_outside:
            return outside.place_of(self.format, self.table, self.options)
        return super().__str__()

    @property
    def reader_options(self) -> dict[str, Scalar]:
        """The contract's options of Spark's reader over Dataward's: CSV as RFC 4180 has it."""
        given = {key.lower(): value for key, value in self.options.items()}
        ours: dict[str, Scalar] = {}
        if self.format == "csv":
            quote = given.get("quote", '"')
            ours = {"multiline": True, "quote": quote, "unescapedquotehandling": "RAISE_ERROR"}
            ours |= {"escape": quote} if quote else {}
        elif self.format == "json" and ("encoding" in given or "charset" in given) and not given.get("multiline"):
            ours = {"linesep": "\n"}  # Spark asks for it where the encoding is given
        return {**ours, **given}

    def switched_on(self, option: str) -> bool:
        """Return whether an option of Spark's reader is true."""
        return str(self.reader_options.get(option.lower(), False)).lower() == "true"

    @property
    def multi_line(self) -> bool:
        """Whether records may span several lines."""
        return self.switched_on("multiLine")

    @property
    def encoding(self) -> str:
        """Encoding of the files, in upper case."""
        options = self.reader_options
        named = str(options.get("encoding") or options.get("charset") or "UTF-8").upper()
        return "UTF-8" if named == "UTF8" else named


class Target(Location):
    """What readers see. ``merge`` updates rows by key, ``replace`` swaps one partition, ``refresh`` those whose source changed."""

    mode: Literal["append", "overwrite", "merge", "replace", "refresh"] = Field(
        default="overwrite", description="how this run's rows meet the rows already there"
    )
    on: tuple[str, ...] = Field(default=(), description="key columns of a merge")
    partition: dict[str, Scalar] = Field(default_factory=dict, description="the partition that 'replace' swaps")
    partition_by: tuple[str, ...] = Field(default=(), description="columns that partition the table when it is created")
    evolve: bool = Field(
        default=False,
        description="add the source's new columns to the table (append, merge, replace, refresh); without it they are refused",
    )
    profile: bool = Field(
        default=False, description="with mode refresh: keep what 'dataward profile --contract' tells of the source"
    )

    @model_validator(mode="after")
    def _fits_mode(self) -> Target:
        if bool(self.on) != (self.mode == "merge"):
            raise ValueError("mode merge needs 'on' (its key columns), and only merge takes it")
        if bool(self.partition) != (self.mode == "replace"):
            raise ValueError("mode replace needs 'partition' (column: value), and only replace takes it")
        if empty := [name for name, value in self.partition.items() if value == ""]:
            raise ValueError(f"'partition' names '' for {empty[0]}, which Delta stores as null: give a value")
        if self.mode == "refresh" and not self.partition_by:
            raise ValueError("mode refresh needs 'partition_by': the partitions of the source that are swapped")
        if self.evolve and self.mode == "overwrite":
            raise ValueError("mode overwrite takes the contract's columns as they are: remove 'evolve'")
        if self.profile and self.mode != "refresh":
            raise ValueError("'profile' goes with mode refresh; of other tables 'dataward profile SOURCE' tells")
        return self


class Quarantine(Model):
    """Where rows that fail a row rule go, protected like the target. ``drop: true`` counts them and lets them go."""

    path: str | None = Field(default=None, min_length=1)
    table: str | None = Field(default=None, min_length=1)
    drop: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Quarantine:
        if (self.path is not None) + (self.table is not None) + self.drop != 1:
            raise ValueError("give exactly one of 'path', 'table' and 'drop: true'")
        _ = self.location  # raises ValueError for a place that no table can have
        return self

    @property
    def location(self) -> Location | None:
        """Location of the table; None: there is none of its own."""
        return None if self.drop else Location(path=self.path, table=self.table)


class History(Model):
    """Where the measured numbers and verdicts of every run are kept, and how long."""

    path: str | None = Field(
        default=None, min_length=1, description="default: the target's place with '_history' appended"
    )
    table: str | None = Field(default=None, min_length=1)
    keep: int = Field(default=400, ge=31, le=36_500, description="days; older runs are removed")

    @model_validator(mode="after")
    def _one_place(self) -> History:
        if self.path is not None and self.table is not None:
            raise ValueError("give at most one of 'path' and 'table'")
        _ = self.location  # raises ValueError for a place that no table can have
        return self

    @property
    def location(self) -> Location | None:
        """Location of the table; None: there is none of its own."""
        return Location(path=self.path, table=self.table) if self.path or self.table else None
