"""Actions of Delta's log as frozen data; malformed content always raises Damaged."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from dataward.tables.deltalog.metadata import metadata_of

__all__ = ["Added", "Damaged", "Fed", "Info", "Key", "Marked", "Removed", "Vector", "action", "plain", "read_json"]

Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
RFC1924 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"
UUID_LENGTH = 20  # characters, in base 85


class Damaged(Exception):
    """A file of the log violates Delta's protocol; the message contains none of its content."""


Key = tuple[str, str]
"""Path of a data file, and the identity of its deletion vector (empty: none)."""


REMEMBERED = 2**15
"""Texts of files whose canonical form is kept."""


@dataclass(frozen=True)
class Vector:
    """Descriptor of a deletion vector: kind u (file named by a UUID), p (file named by its path) or i (inline)."""

    kind: str
    value: str
    offset: int | None
    size: int
    cardinality: int

    @property
    def identity(self) -> str:
        """Identity in Delta's protocol."""
        return f"{self.kind}{self.value}" + (f"@{self.offset}" if self.offset is not None else "")

    @property
    def path(self) -> str | None:
        """Path of the file with the vector; None where it is inline.

        Raises:
            Damaged: the name is not a UUID in base 85.
        """
        if self.kind == "i":
            return None
        if self.kind == "p":
            return located(self.value)
        prefix, encoded = self.value[:-UUID_LENGTH], self.value[-UUID_LENGTH:]
        try:
            name = uuid.UUID(bytes=base64.b85decode(encoded.translate(str.maketrans(Z85, RFC1924))))
        except ValueError:
            raise Damaged("a deletion vector's name is not in base 85") from None
        return f"{prefix}/deletion_vector_{name}.bin" if prefix else f"deletion_vector_{name}.bin"


@dataclass(frozen=True)
class Added:
    """A data file of a version. ``partition`` and ``statistics`` are canonical JSON; statistics are empty where there are none.

    ``data_change`` comes from the commit; checkpoints do not keep it, so it is not compared.
    """

    path: str
    size: int
    partition: str = "{}"
    statistics: str = ""
    vector: Vector | None = None
    data_change: bool = field(default=True, compare=False)

    @property
    def key(self) -> Key:
        """Identity within a version."""
        return self.path, self.vector.identity if self.vector else ""


@dataclass(frozen=True)
class Removed:
    """A data file that was removed from a version."""

    path: str
    vector: str = ""
    data_change: bool = True

    @property
    def key(self) -> Key:
        """Identity within a version."""
        return self.path, self.vector


@dataclass(frozen=True)
class Fed:
    """A file of the change data feed."""

    path: str
    size: int


@dataclass(frozen=True)
class Marked:
    """What a writer remembers in the log by a name: the last batch of an application (``txn``), or metadata of a domain.

    ``value``: canonical JSON; empty where a domain was removed.
    """

    kind: str
    name: str
    value: str


@dataclass(frozen=True)
class Info:
    """Facts about a commit from its commitInfo."""

    operation: str
    run_id: str | None = None
    dataward: bool = False
    timestamp: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)


@lru_cache(REMEMBERED)
def located(path: str) -> str:
    """Return a path of the log as a path inside the table's folder, or as an absolute path or URL."""
    scheme, colon, _ = path.partition(":")
    if colon and "/" not in scheme:
        return unquote(urlsplit(path).path) if scheme == "file" else unquote(path)
    return unquote(path)


def read_json(data: bytes | str) -> Any:
    """Parse JSON; raises Damaged."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Damaged("it is not JSON") from None


def plain(value: Any) -> str:
    """Return canonical JSON of plain data.

    Raises:
        Damaged: the data has no canonical JSON (a number that is not finite, or too deep).
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=str)
    except (ValueError, RecursionError):
        raise Damaged("it holds data without a JSON form") from None


def action(kind: str, data: dict[str, Any]) -> Added | Removed | Fed | Marked | Info | None:
    """Return a file action or a commit's info; None for other actions.

    Raises:
        Damaged: the action lacks a field, or a field has another type.
    """
    try:
        if kind == "add":
            return _added(data)
        if kind == "remove":
            vector = _vector(data.get("deletionVector"))
            path = located(_text(data["path"]))
            return Removed(path, vector.identity if vector else "", bool(data.get("dataChange", True)))
        if kind == "cdc":
            return Fed(located(_text(data["path"])), int(data["size"]))
        if kind == "txn":
            return Marked(kind, _text(data["appId"]), plain(int(data["version"])))
        if kind == "domainMetadata":
            value = "" if data.get("removed") else plain(_text(data.get("configuration") or ""))
            return Marked(kind, _text(data["domain"]), value)
        return _info(data) if kind == "commitInfo" else None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise Damaged(f"an action '{kind}' is malformed") from None


def _added(data: dict[str, Any]) -> Added:
    values = pairs(data.get("partitionValues") or {})
    return Added(
        located(_text(data["path"])),
        int(data["size"]),
        _partition(tuple((_text(name), value if value is None else str(value)) for name, value in values)),
        statistics(data.get("stats")),
        _vector(data.get("deletionVector")),
        bool(data.get("dataChange", True)),
    )


def statistics(text: Any) -> str:
    """Return statistics as canonical JSON; empty where there are none."""
    return _canonical(text) if text else ""


# Every checkpoint lists the same files again.
@lru_cache(REMEMBERED)
def _canonical(text: str) -> str:
    return plain(read_json(text))


@lru_cache(REMEMBERED)
def _partition(values: tuple[tuple[str, str | None], ...]) -> str:
    return plain(dict(values))


def pairs(values: Any) -> Iterable[tuple[Any, Any]]:
    """Return the entries of a map, which Arrow represents as a list of pairs."""
    return values.items() if isinstance(values, dict) else values


def _vector(data: Any) -> Vector | None:
    if not data:
        return None
    offset = data.get("offset")
    kind = _text(data["storageType"])
    if kind not in ("u", "i", "p"):
        raise ValueError(kind)
    return Vector(
        kind,
        _text(data["pathOrInlineDv"]),
        None if offset is None else int(offset),
        int(data["sizeInBytes"]),
        int(data["cardinality"]),
    )


def _info(data: dict[str, Any]) -> Info:
    parsed = metadata_of(data)
    ours = isinstance(parsed, dict) and "dataward" in parsed
    parameters = data.get("operationParameters")
    return Info(
        _text(data.get("operation") or "?"),
        str(parsed["run_id"]) if ours and "run_id" in parsed else None,
        ours,
        int(data.get("timestamp") or 0),
        parameters if isinstance(parameters, dict) else {},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
