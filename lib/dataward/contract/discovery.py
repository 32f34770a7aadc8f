"""What discovery does for a table, and detectors of a house's own, from a YAML file of their own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from dataward.contract.base import Model, Name

__all__ = ["CustomDetector", "DetectorFile", "Discovery"]


class CustomDetector(Model):
    """One kind of data that only this house knows, as Macie's custom data identifiers."""

    class_: Name | None = Field(default=None, alias="class", description="default: the detector's own name")
    regex: str = Field(
        min_length=1, max_length=512, description="RE2 syntax; a whole value meets it, or a part of text"
    )
    keywords: tuple[str, ...] = Field(
        default=(), description="with them, it counts only near one of them, in text or in the column's name"
    )
    ignore: tuple[str, ...] = Field(default=(), description="texts that are never it, e.g. test numbers")
    proximity: int = Field(default=50, ge=1, le=300, description="characters after a keyword that are near it")
    minimum_share: float = Field(default=0.0, ge=0, le=1, description="of a column's values, below which it is not it")

    @field_validator("regex", mode="after")
    @classmethod
    def _runs(cls, regex: str) -> str:
        import re2

        options = re2.Options()
        options.log_errors = False
        try:
            compiled = re2.compile(regex, options)
        except re2.error as error:
            why = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
            raise ValueError(
                f"RE2 does not take this pattern ({why}); it knows no lookarounds and no backreferences, so that no text can "
                "make it run away"
            ) from None
        if compiled.fullmatch(""):
            raise ValueError("this pattern is met by nothing at all: make a part of it obligatory")
        return regex


class DetectorFile(Model):
    detectors: dict[Name, CustomDetector] = Field(min_length=1)


def _written_off(given: Any) -> Any:
    return {"gate": "off"} if given is False or given == "off" else given


class Discovery(Model):
    """How a publish looks for sensitive data that the contract does not speak of, before and after protection."""

    gate: Annotated[
        Literal["refuse", "warn", "off"], BeforeValidator(lambda given: "off" if given is False else given)
    ] = Field(default="refuse", description="what happens where some is found; off: nobody looks")
    rows: int = Field(
        default=10_000, ge=100, le=10_000_000, description="about how many rows are looked at, drawn at random"
    )
    confidence: float = Field(default=0.8, gt=0, lt=1, description="from which on a column counts as sensitive")
    detectors: Annotated[
        dict[Name, CustomDetector], WithJsonSchema({"type": "string", "description": "a YAML file of detectors"})
    ] = Field(default_factory=dict)


OrOff = BeforeValidator(_written_off)
"""``discovery: off`` for ``discovery: {gate: off}`` (YAML reads ``off`` as false)."""
