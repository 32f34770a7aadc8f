"""Operators, one model each with its parameters and facts, and the line of a column. ``dataward.privacy.protect`` implements them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from dataward.contract.base import Model, Name
from dataward.contract.operation import (
    KEPT,
    Fallible,
    Invalid,
    Operation,
    as_written,
)
from dataward.contract.operators import (
    SHORT_CLASSES,
    DateShift,
    Drop,
    Encrypt,
    EncryptRandom,
    Fpe,
    Generalize,
    Keep,
    Mask,
    Null,
    Perturb,
    Pick,
    Redact,
    RedactText,
    Shred,
    Token,
    Vault,
)

__all__ = [
    "OPERATORS",
    "Column",
    "DateShift",
    "Drop",
    "Encrypt",
    "EncryptRandom",
    "Invalid",
    "Fpe",
    "Generalize",
    "Json",
    "Keep",
    "Mask",
    "Null",
    "Perturb",
    "Pick",
    "Protection",
    "Redact",
    "RedactText",
    "Shred",
    "Token",
    "Vault",
    "having",
    "written_form",
]


class Json(Fallible):
    """JSON in a string: what lies at the named paths is protected, and the rest of it as ``rest`` says."""

    op: Literal["json"] = "json"
    strength: ClassVar[int] = KEPT  # of itself; its parts decide
    readable: ClassVar[bool] = True
    nests: ClassVar[bool] = False
    fields: dict[str, Column] = Field(
        min_length=1, description="dotted path: class and protection; arrays are gone through"
    )
    rest: Protection = Field(description="what is done to every other value, e.g. keep or redact")

    @model_validator(mode="after")
    def _fits(self) -> Json:
        for name, protection in [*((path, line.protect) for path, line in self.fields.items()), ("rest", self.rest)]:
            if not protection.nests or protection.reads_row:
                raise ValueError(f"{protection.op} does not work inside JSON ('{name}')")
        return self

    def parts(self) -> tuple[Operation, ...]:
        """Return the operators of its fields and of the rest."""
        return tuple(
            part for one in (self.rest, *(line.protect for line in self.fields.values())) for part in one.parts()
        )

    def at(self, path: str) -> Operation:
        """Return the operator of a path: its field's, or that of the rest."""
        return self.fields[path].protect if path in self.fields else self.rest


OPERATORS: dict[str, type[Operation]] = {
    kind.model_fields["op"].default: kind
    for kind in (
        Token, Encrypt, EncryptRandom, Fpe, Mask, Redact, RedactText, Null, DateShift, Generalize, Perturb, Vault, Shred, Pick, Json,
        Drop, Keep,
    )
}  # fmt: skip


def having(fact: str) -> tuple[str, ...]:
    """Return the names of the operators with a fact, for messages."""
    return tuple(name for name, kind in OPERATORS.items() if getattr(kind, fact))


def written_form() -> dict[str, Any]:
    """Return the JSON Schema of ``protect`` as people write it, so that an editor completes it."""
    forms: list[dict[str, Any]] = [{"enum": [*OPERATORS, None]}]
    for name, model in OPERATORS.items():
        inside = model.model_json_schema(by_alias=True)
        properties = {key: value for key, value in inside["properties"].items() if key != "op"}
        if name == "json":
            properties["fields"] = {"type": "object", "additionalProperties": {"$ref": "#/$defs/Column"}}
        parameters = {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
        parameters["required"] = [key for key in inside.get("required", []) if key != "op"]
        forms.append(
            {"type": "object", "properties": {name: parameters}, "required": [name], "additionalProperties": False}
        )
    return {"anyOf": forms}


Protection = Annotated[
    Token
    | Encrypt
    | EncryptRandom
    | Fpe
    | Mask
    | Redact
    | RedactText
    | Null
    | DateShift
    | Generalize
    | Perturb
    | Vault
    | Shred
    | Pick
    | Json
    | Drop
    | Keep,
    Field(discriminator="op"),
    BeforeValidator(as_written),
    WithJsonSchema({"type": ["string", "object", "null"]}, mode="validation"),
]


class Column(Model):
    """What one column (or what lies at one path) holds and what is done to it."""

    class_: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = Field(
        default=None, alias="class", description="the kind of sensitive data, e.g. email, national_id, person_name"
    )
    protect: Protection
    domain: Name | None = Field(default=None, description="key domain, where it is not the contract's own")

    @model_validator(mode="after")
    def _large_enough(self) -> Column:
        if isinstance(self.protect, Fpe) and self.class_ in SHORT_CLASSES:
            self.protect.refuse_small(SHORT_CLASSES[self.class_])
        return self

    @property
    def sensitive(self) -> bool:
        """Whether raw or protected values of this column are kept out of Delta's statistics."""
        return self.class_ is not None or not self.protect.keeps


Invalid.model_rebuild()  # it names operators, which only this module knows; every other model is built when it is first used
