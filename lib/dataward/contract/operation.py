"""What an operator is: the facts that policies, keys, rotation and reports read, and what becomes of a value that it refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, WithJsonSchema, model_serializer, model_validator

from dataward.contract.base import Model

if TYPE_CHECKING:
    from dataward.contract.protections import Protection

__all__ = ["ALIASED", "COARSENED", "ENCRYPTED", "KEPT", "REMOVED", "Fallible", "Invalid", "Operation", "as_written"]

KEPT, COARSENED, ENCRYPTED, ALIASED, REMOVED = range(5)
"""Strengths: nothing is taken away; a part; everything but for who has the key; everything but equality, for good; everything."""


class Operation(Model):
    """One operator: its parameters, and its facts as class attributes that every other module reads.

    Attributes:
        strength: how much it takes away, one of the constants above; every operator must state it.
        reversible: whoever has the key gets the original back.
        injective: equal values stay equal and different ones different, so that tables join on them.
        guessable: equal values become equal ones, so that counting may tell which is which.
        random: a value becomes another one each time, so that a run which is repeated writes other rows.
        findable: the protected form of a value can be computed again from the value and the key.
        keyed: it takes a key.
        shows_version: a protected value says by which version of the key it was made.
        keeps: it leaves the value as it is.
        drops: it takes the column away.
        by_class: equal values of two classes may become different ones, as each class has its own canonical spelling.
        shreds: a person's values can be made unreadable by destroying that person's key.
        form: pattern of a protected value that is nothing but such a text; its first group is the version.
        entered: its originals or keys lie in a Delta table of their own, which says their versions.
        readable: it protects, and a part of the value stays readable all the same.
        nests: it can stand inside JSON and as another operator's fallback.
        reads_row: it reads other columns of the row, which JSON inside of one column does not have.
        shows_more: parameters by which a larger number shows more of the value.
        shows_less: parameters by which a larger number shows less of it.
        hides_more: parameters that list what is taken away beyond the usual.
    """

    if TYPE_CHECKING:
        op: str  # each operator names its own

    strength: ClassVar[int]
    reversible: ClassVar[bool] = False
    injective: ClassVar[bool] = False
    guessable: ClassVar[bool] = False
    random: ClassVar[bool] = False
    findable: ClassVar[bool] = False
    keyed: ClassVar[bool] = False
    shows_version: ClassVar[bool] = False
    keeps: ClassVar[bool] = False
    drops: ClassVar[bool] = False
    by_class: ClassVar[bool] = False
    shreds: ClassVar[bool] = False
    form: ClassVar[re.Pattern[str] | None] = None
    entered: ClassVar[bool] = False
    readable: ClassVar[bool] = False
    nests: ClassVar[bool] = True
    reads_row: ClassVar[bool] = False
    shows_more: ClassVar[tuple[str, ...]] = ()
    shows_less: ClassVar[tuple[str, ...]] = ()
    hides_more: ClassVar[tuple[str, ...]] = ()

    @property
    def shadowed(self) -> bool:
        """Whether a rotation's window puts a column of the outgoing version beside it: its values join by a key."""
        return self.findable and self.keyed

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse an operator that does not state its strength: a policy could not rank it."""
        super().__pydantic_init_subclass__(**kwargs)
        if "op" in cls.model_fields and not hasattr(cls, "strength"):
            raise TypeError(f"operator {cls.__name__} states no strength")

    @property
    def changes(self) -> bool:
        """Whether the column's values are replaced by others."""
        return not (self.keeps or self.drops)

    @property
    def silent(self) -> bool:
        """Whether nothing says by which version of the key a protected value was made."""
        return self.keyed and not self.shows_version and not self.entered

    def refuses(self, class_: str | None) -> bool:
        """Return whether some valid texts of a class cannot be protected."""
        return False

    def parts(self) -> tuple[Operation, ...]:
        """Return every operator that may be applied to a value: this one, or those inside of it."""
        return (self,)

    @model_serializer(mode="wrap")
    def _named(self, dump: SerializerFunctionWrapHandler) -> Any:
        """Add the operator's name, also where defaults are left out."""
        made = dump(self)
        return {"op": self.op, **made} if hasattr(self, "op") else made


class Invalid(Model):
    """What becomes of a value that the operator cannot protect: it is never passed through."""

    action: Literal["error", "null", "fallback"]
    fallback: Protection | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        """Convert ``error``, ``null`` and ``{fallback: OPERATOR}``."""
        if value in ("error", "null", None):
            return {"action": value or "null"}
        if isinstance(value, dict) and set(value) == {"fallback"}:
            return {"action": "fallback", **value}
        if isinstance(value, dict) and "action" in value:
            return value
        raise ValueError("write error, null or {fallback: OPERATOR}")

    @model_validator(mode="after")
    def _protects(self) -> Invalid:
        if self.fallback is not None and (not self.fallback.nests or self.fallback.strength == KEPT):
            raise ValueError(f"a fallback protects the value: {self.fallback.op} does not")
        return self

    @model_serializer
    def _written(self) -> Any:
        if self.fallback is None:
            return self.action
        return {"fallback": self.fallback.model_dump(exclude_defaults=True, by_alias=True)}


class Fallible(Operation):
    """An operator that cannot protect every value."""

    invalid: Annotated[Invalid, WithJsonSchema({"anyOf": [{"enum": ["error", "null", None]}, {"type": "object"}]})] = (
        Field(
            default=Invalid.model_construct(action="error"),
            description="a value that cannot be protected: error (the run fails), null, or {fallback: OPERATOR}",
        )
    )

    def refuses(self, class_: str | None) -> bool:
        """Return whether values of a class can be invalid."""
        return True

    def stops(self, class_: str | None) -> bool:
        """Return whether a value that neither the operator nor its fallback can protect stops the run."""
        fallback = self.invalid.fallback
        if not self.refuses(class_):
            return False
        return fallback.stops(class_) if isinstance(fallback, Fallible) else self.invalid.action == "error"

    def parts(self) -> tuple[Operation, ...]:
        """Return this operator and its fallback."""
        fallback = self.invalid.fallback
        return (self, *(fallback.parts() if fallback else ()))


def as_written(value: Any) -> Any:
    """Convert ``token`` and ``{mask: {keep_last: 4}}`` to the form that the models take."""
    if value is None:
        return {"op": "null"}  # YAML reads a bare null as nothing
    if isinstance(value, str):
        return {"op": value}
    if isinstance(value, dict) and len(value) == 1:
        ((op, parameters),) = value.items()
        if parameters is None:
            return {"op": op}
        if isinstance(parameters, dict):
            return {"op": op, **parameters}
    if isinstance(value, Model):
        return value
    raise ValueError("write one operator, such as 'token' or '{mask: {keep_last: 4}}'")
