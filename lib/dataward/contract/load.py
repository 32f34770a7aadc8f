"""From a YAML document to a contract, or to the list of everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from dataward.contract.document import Document
from dataward.contract.models import Contract
from dataward.contract.protections import OPERATORS, Column
from dataward.errors import ContractError, Problem, did_you_mean

__all__ = ["load", "problems_of"]


def load(path: str | Path) -> Contract:
    """Read a contract; its DQDL is not parsed here (see :func:`dataward.plan.plan`).

    Raises:
        ContractError: with every mistake in the file.
    """
    document = Document.read(path)
    contract, problems = problems_of(document)
    if contract is None or problems:
        raise ContractError(problems)
    return contract


def problems_of(document: Document) -> tuple[Contract | None, list[Problem]]:
    """The contract, if the models accept it, and every mistake found on the way."""
    problems = list(document.problems)
    if not isinstance(document.data, dict):
        what = "the file is empty" if document.data is None else "a contract is a mapping of keys to values"
        remedy = "start with 'contract: NAME', then source, target, keys, rules and columns"
        return None, [*problems, Problem(document.file, 1, "", what, remedy)]
    try:
        return Contract.model_validate(document.data), problems
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            place = _written_place(detail["loc"], document)
            what, remedy = _explain(detail)
            line = document.line_of(place)
            problems.append(Problem(document.file, line, ".".join(map(str, place)), what, remedy))
        return None, problems


def _written_place(loc: tuple[str | int, ...], document: Document) -> tuple[str | int, ...]:
    """Pydantic's location without the tags that are not in the file (``protect: mask`` has no key ``mask``)."""
    if loc and loc[-1] == "[key]":
        loc = loc[:-1]
    place: tuple[str | int, ...] = ()
    for index, part in enumerate(loc):
        tag = index > 0 and loc[index - 1] == "protect" and part in OPERATORS
        if tag and (*place, part) not in document.lines:
            continue
        place = (*place, part)
    return place


def _explain(detail: Any) -> tuple[str, str]:
    """What is wrong and how to mend it, in the words of the contract rather than of the validator."""
    kind, context = detail["type"], detail.get("ctx", {})
    name = str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "extra_forbidden":
        return f"unknown key '{name}'", did_you_mean(name, _keys_beside(detail["loc"])) or "remove it"
    if kind == "missing":
        return f"'{name}' is missing", "add it"
    if kind == "union_tag_invalid":
        tag = context.get("tag", "")
        return f"unknown operator '{tag}'", did_you_mean(tag, OPERATORS) or f"use one of {', '.join(OPERATORS)}"
    if kind == "literal_error":
        return "not one of the values this key takes", f"use {context.get('expected', '')}"
    if kind == "value_error":
        return str(context["error"]), "see docs/contract.md"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return "a mapping of keys to values is expected here", "write {key: value} or indented lines"
    if kind == "string_type":
        return "text is expected here", "put the value in quotes"
    if kind == "string_pattern_mismatch":
        return "this name has a form that is not allowed", f"it must match {context.get('pattern')}"
    if kind == "tuple_type":
        return "a list is expected here", "write [a, b]"
    return str(detail["msg"]), "see docs/contract.md"


def _keys_beside(loc: tuple[str | int, ...]) -> list[str]:
    """The keys that are known at the place of an unknown one; every known key where the place says too little."""
    holder: Any = Contract
    for part in loc[:-1]:
        if part in OPERATORS:
            holder = OPERATORS[str(part)]
        elif part == "columns":
            holder = Column
        elif isinstance(holder, type) and issubclass(holder, BaseModel):
            field = holder.model_fields.get(str(part))
            kinds = [field.annotation, *getattr(field.annotation, "__args__", ())] if field else []
            holder = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), holder)
    return [field.alias or name for name, field in holder.model_fields.items() if name != "op"]
