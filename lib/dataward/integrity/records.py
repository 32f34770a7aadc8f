"""What else the ledger holds beside seals: who asked for originals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from dataward.integrity.seal import Record, Seal

__all__ = ["AnyRecord", "Ask", "parsed"]


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


AnyRecord = Annotated[Seal | Ask, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[Seal | Ask] = TypeAdapter(AnyRecord)


def parsed(text: str) -> Seal | Ask:
    """A record of any kind.

    Raises:
        ValueError: it is none.
    """
    return _ADAPTER.validate_json(text)
