"""What else the ledger holds beside seals: who asked for originals, who was erased."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from dataward.integrity.seal import Record, Seal

__all__ = ["AnyRecord", "Ask", "Discard", "Erased", "Erasure", "parsed"]


class Ask(Record):
    """Somebody asked for the originals of protected values, and was given them or not. It holds no value.

    ``rows`` is how many were asked for; ``where_sha256`` is the SHA-256 of the condition that chose them.
    """

    kind: Literal["ask"] = "ask"
    columns: list[str]
    classes: list[str]
    purpose: str
    ticket: str
    where_sha256: str
    rows: int
    granted: bool
    reason: str = ""


class Erasure(Record):
    """A person was erased from a table, or why not. ``subject`` is a keyed hash; nothing in it is a value.

    ``rows`` by place; ``searched`` is what the proof read, ``residues`` the files in which it found something (and what),
    ``redacted`` the entries of this ledger whose seals had to be taken out.
    """

    kind: Literal["erasure"] = "erasure"
    subject: str
    ticket: str
    method: Literal["delete", "shred", "refused"]
    reason: str = ""
    rows: dict[str, int] = Field(default_factory=dict)
    searched: dict[str, int] = Field(default_factory=dict)
    residues: list[list[str]] = Field(default_factory=list)
    redacted: list[int] = Field(default_factory=list)


class Discard(Record):
    """Rows of a run were taken out of the quarantine for good: ``of_run``, ``rule`` what they failed (None: any)."""

    kind: Literal["discard"] = "discard"
    of_run: str
    rule: str | None
    reason: str
    rows: int


class Erased(Record):
    """What stands in the place of a seal that held a value of an erased person: the seal's hash, so that the chain still holds."""

    kind: Literal["erased"] = "erased"
    seal_sha256: str


AnyRecord = Annotated[Seal | Ask | Discard | Erasure | Erased, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[Seal | Ask | Discard | Erasure | Erased] = TypeAdapter(AnyRecord)


def parsed(text: str) -> Seal | Ask | Discard | Erasure | Erased:
    """A record of any kind.

    Raises:
        ValueError: it is none.
    """
    return _ADAPTER.validate_json(text)
