"""Models of the contract's ``discovery`` section and of YAML files of custom detectors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from dataward.contract.base import Model, Name

__all__ = ["CustomDetector", "DetectorFile", "Discovery"]


class CustomDetector(Model):
    """A user-defined kind of sensitive data, comparable to Macie's custom data identifiers."""

    class_: Name | None = Field(default=None, alias="class", description="default: the detector's own name")
    regex: str = Field(
        min_length=1, max_length=512, description="RE2 syntax; it matches a whole value, or a part of free text"
    )
    keywords: tuple[str, ...] = Field(
        default=(), description="if given, a match counts only near one of them, in the text or in the column's name"
    )
    ignore: tuple[str, ...] = Field(default=(), description="texts that never count as a match, e.g. test numbers")
    proximity: int = Field(
        default=50, ge=1, le=300, description="characters after a keyword in which a match counts as near"
    )
    minimum_share: float = Field(
        default=0.0, ge=0, le=1, description="minimum share of a column's values that must match"
    )

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
                f"RE2 does not take this pattern ({why}); it supports no lookarounds and no backreferences, so that matching takes "
                "linear time"
            ) from None
        if compiled.fullmatch(""):
            raise ValueError("this pattern matches the empty text: make a part of it obligatory")
        return regex


class DetectorFile(Model):
    """A YAML file of custom detectors by name."""

    detectors: dict[Name, CustomDetector] = Field(min_length=1)


def _written_off(given: Any) -> Any:
    return {"gate": "off"} if given is False or given == "off" else given


class Discovery(Model):
    """Settings of the search for sensitive data that the contract does not declare, before and after protection."""

    gate: Annotated[
        Literal["refuse", "warn", "off"], BeforeValidator(lambda given: "off" if given is False else given)
    ] = Field(default="refuse", description="what a publish does where it finds some; off: no search")
    rows: int = Field(
        default=10_000,
        ge=100,
        le=10_000_000,
        description="approximate number of rows that are scanned, drawn at random",
    )
    confidence: float = Field(
        default=0.8, gt=0, lt=1, description="smallest confidence with which a column counts as sensitive"
    )
    detectors: Annotated[
        dict[Name, CustomDetector], WithJsonSchema({"type": "string", "description": "a YAML file of detectors"})
    ] = Field(default_factory=dict)


OrOff = BeforeValidator(_written_off)
"""``discovery: off`` for ``discovery: {gate: off}`` (YAML reads ``off`` as false)."""
