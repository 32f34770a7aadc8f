"""From a YAML document to a contract, or to the list of everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dataward.contract.access import Approval
from dataward.contract.approvals import statement, trouble
from dataward.contract.discovery import CustomDetector, DetectorFile
from dataward.contract.document import Document
from dataward.contract.models import Contract
from dataward.contract.policy import Policy
from dataward.contract.protections import OPERATORS
from dataward.errors import ContractError, Problem, UsageError, did_you_mean

__all__ = ["detectors", "from_caller", "load", "policy_of", "problems_of", "read_model"]

Made = TypeVar("Made", bound=BaseModel)

MOST = 100
"""Mistakes that are reported one by one."""
LISTED = 12
"""Known keys that are named where an unknown one resembles none."""

_MAPPING = "a mapping of keys to values is expected here"


def load(path: str | Path) -> Contract:
    """Read a contract; its DQDL is not parsed here (see :func:`dataward.pipeline.plan.plan`).

    Raises:
        ContractError: with every mistake in the file.
    """
    document = Document.read(path)
    contract, problems = problems_of(document)
    if contract is None or problems:
        raise ContractError(problems)
    return contract


def problems_of(document: Document) -> tuple[Contract | None, list[Problem]]:
    """Return the contract, or None where it is invalid, and every problem found."""
    problems = list(document.problems)
    if not isinstance(document.data, dict):
        what = "the file is empty" if document.data is None else "a contract is a mapping of keys to values"
        remedy = "start with 'contract: NAME', then source, target, keys, rules and columns"
        return None, [*problems, Problem(document.file, 1, "", what, remedy)]
    data, of_policy = _with_policy(document)
    data, of_detectors = _with_detectors(data, document)
    if of_policy or of_detectors:
        return None, [*problems, *of_policy, *of_detectors]
    try:
        contract = Contract.model_validate(data)
    except ValidationError as error:
        return None, [*problems, *_told(error, document, Contract)]
    return contract, [*problems, *_too_little(contract, document)]


def _with_policy(contract: Document) -> tuple[dict[str, Any], list[Problem]]:
    """Replace the policy's path by its content, and add its protections to entries that give only a class."""
    data: dict[str, Any] = contract.data
    path = data.get("policy")
    if not isinstance(path, str):
        return data, []
    try:
        document = Document.read(path)
    except ContractError as error:
        (why, *_) = error.problems
        what = f"policy {path} cannot be read: {why.what}"
        return data, [Problem(contract.file, contract.line_of(("policy",)), "policy", what, "check its path and text")]
    try:
        policy = _validated(document, Policy)
    except ContractError as error:
        return data, list(error.problems)
    lines = data.get("columns")
    if isinstance(lines, dict):
        lines = {name: _protected(line, document.data["classes"]) for name, line in lines.items()}
    return {**data, "policy": policy, **({"columns": lines} if lines is not None else {})}, []


def _with_detectors(data: dict[str, Any], contract: Document) -> tuple[dict[str, Any], list[Problem]]:
    """Replace the path of the detectors' file by its content."""
    discovery = data.get("discovery")
    if not isinstance(discovery, dict) or not isinstance(path := discovery.get("detectors"), str):
        return data, []
    try:
        found = detectors(path)
    except ContractError as error:
        return data, list(error.problems)
    return {**data, "discovery": {**discovery, "detectors": found}}, []


def detectors(path: str | Path) -> dict[str, CustomDetector]:
    """Read a file of custom detectors.

    Raises:
        ContractError: with every mistake in the file.
    """
    return _validated(Document.read(path), DetectorFile).detectors


def policy_of(path: str | Path) -> Policy:
    """Read a policy.

    Raises:
        ContractError: with every mistake in the file.
    """
    return _validated(Document.read(path), Policy)


def read_model(path: str | Path, model: type[Made]) -> Made:
    """Read a YAML file into a model.

    Raises:
        ContractError: with every mistake in the file.
    """
    return _validated(Document.read(path), model)


def from_caller(model: type[Made], fields: Mapping[str, Any]) -> Made:
    """Return a model of what a caller gave, such as a place on the command line.

    Raises:
        UsageError: it does not fit; the message repeats nothing of what was given.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        said = ((".".join(map(str, one["loc"])), str(one.get("ctx", {}).get("error") or one["msg"])) for one in found)
        raise UsageError("; ".join(f"{where}: {what}" if where else what for where, what in said)) from None


def _validated(document: Document, model: type[Made]) -> Made:
    """Validate a document.

    Raises:
        ContractError: holds every problem.
    """
    try:
        made = model.model_validate(document.data)
    except ValidationError as error:
        raise ContractError([*document.problems, *_told(error, document, model)]) from None
    if document.problems:
        raise ContractError(list(document.problems))
    return made


def _protected(line: Any, classes: dict[str, Any]) -> Any:
    if isinstance(line, dict) and "protect" not in line and str(line.get("class")) in classes:
        return {**line, "protect": classes[str(line["class"])]["protect"]}
    return line


def _too_little(contract: Contract, document: Document) -> list[Problem]:
    """Return problems of lines that do less than the policy, unless an approver has signed them, and of approvals that do not hold."""
    policy, approvals = contract.policy, enumerate(contract.approvals)
    if policy is None:
        what = "without a policy there is nobody whose signature counts"
        remedy = "name a policy with approvers, or remove it"
        places = [("approvals", number) for number, _ in approvals]
        return [
            Problem(document.file, document.line_of(place), f"approvals.{place[1]}", what, remedy) for place in places
        ]
    problems, approved = [], set()
    for number, approval in approvals:
        if why := _unapproved(contract, policy, approval):
            place = ("approvals", number)
            remedy = "sign it again: dataward access approve"
            problems.append(Problem(document.file, document.line_of(place), f"approvals.{number}", why, remedy))
        approved.add(approval.column)
    return problems + [
        Problem(
            document.file,
            document.line_of(("columns", name)),
            f"columns.{name}",
            what,
            f"{remedy}, or have it approved",
        )
        if policy.approvers
        else Problem(document.file, document.line_of(("columns", name)), f"columns.{name}", what, remedy)
        for name, line in contract.columns.items()
        if name not in approved
        for what, remedy in policy.too_little(name, line)
    ]


def _unapproved(contract: Contract, policy: Policy, approval: Approval) -> str:
    """Return why an approval does not hold; empty where it does."""
    line = contract.columns.get(approval.column)
    if line is None:
        return f"the contract has no line for column '{approval.column}'"
    if approval.by not in policy.approvers:
        return f"'{approval.by}' is no approver of policy '{policy.policy}'"
    said = statement(contract.contract, str(contract.target), approval.column, line, approval)
    return trouble(said, approval, policy.approvers[approval.by])


def _told(error: ValidationError, document: Document, model: type[BaseModel]) -> list[Problem]:
    """Return every problem that validation found, with its line."""
    problems: dict[Problem, None] = {}  # each once: a union of types makes a mistake for each type
    details = error.errors(include_url=False, include_input=False)
    places = {_written_place(detail["loc"], document) for detail in details if not _of_scalar(detail, document)}
    for detail in details[:MOST]:
        loc = detail["loc"]
        if detail["type"] == "too_short" and any(other["loc"][: len(loc)] == loc != other["loc"] for other in details):
            continue  # pydantic does not count entries that are wrong themselves
        one_of = _of_scalar(detail, document)
        place = _written_place(loc[:-1] if one_of else loc, document)
        if one_of and any(other[: len(place)] == place for other in places):
            continue  # the mapping that stands here is another of the types, and wrong inside
        place += getattr(detail.get("ctx", {}).get("error"), "place", ())
        what, remedy = (
            ("a plain value is expected here", "write one text or number") if one_of else _explain(detail, model)
        )
        problems[Problem(document.file, document.line_of(place), ".".join(map(str, place)), what, remedy)] = None
    if (more := len(details) - MOST) > 0:
        problems[Problem(document.file, document.line_of(()), "", f"{more:,} more mistakes", "mend these first")] = None
    return list(problems)


def _of_scalar(detail: Any, document: Document) -> bool:
    """Return whether a plain value is one of the permitted types, and the document has something else."""
    loc = detail["loc"]
    return len(loc) > 1 and loc[-1] in _TYPES and "type" in detail["type"] and loc not in document.lines


def _written_place(loc: tuple[str | int, ...], document: Document) -> tuple[str | int, ...]:
    """Return pydantic's location without union tags, which are not in the file (``protect: mask`` has no key ``mask``)."""
    if loc and loc[-1] == "[key]":
        loc = loc[:-1]
    place: tuple[str | int, ...] = ()
    written = document.data
    for index, part in enumerate(loc):
        of_kind = isinstance(written, dict) and written.get("kind") == part
        of_type = isinstance(part, str) and _TYPE_TAG.match(part) is not None
        tag = of_kind or of_type or (index > 0 and loc[index - 1] == "protect" and part in OPERATORS)
        if tag and (*place, part) not in document.lines:
            continue
        place = (*place, part)
        try:
            written = written[part]
        except (LookupError, TypeError):
            written = None
    return place


def _explain(detail: Any, model: type[BaseModel]) -> tuple[str, str]:
    """Return problem and remedy of a validation error in the terms of the contract."""
    kind, context = detail["type"], detail.get("ctx", {})
    name = str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "extra_forbidden":
        known = _keys_beside(detail["loc"], model)
        others = f"remove it, or use {_listed(known)}" if 0 < len(known) <= LISTED else "remove it"
        return f"unknown key '{name}'", did_you_mean(name, known) or others
    if kind == "missing":
        add = "add it, or name a 'policy' that protects the class" if name == "protect" else "add it"
        return f"'{name}' is missing", add
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _untagged(context)
    if kind == "literal_error":
        return "not one of the values this key takes", f"use {context.get('expected', '')}"
    if kind == "value_error":
        return str(context["error"]), "see docs/contract.md"
    if kind == "string_pattern_mismatch":
        return "this text has a form that is not allowed", f"it must match {context.get('pattern')}"
    for kinds, what, remedy in _WORDS:
        if kind in kinds:
            return what.format_map(context), remedy.format_map(context)
    return "this value does not fit here", "see docs/contract.md"


def _untagged(context: dict[str, Any]) -> tuple[str, str]:
    """Return problem and remedy where none of several models is meant: operators, and what has a ``kind``."""
    tag, of_kind = context.get("tag"), "kind" in context["discriminator"]
    if tag is None:
        if of_kind:
            return "'kind' is missing", "add it"
        return "an operator is expected here", "write e.g. token, or {mask: {keep_last: 4}}"
    if of_kind:
        return f"unknown kind '{tag}'", f"use one of {context['expected_tags']}"
    return f"unknown operator '{tag}'", did_you_mean(tag, OPERATORS) or f"use one of {', '.join(OPERATORS)}"


_TYPES = ("str", "int", "float", "bool")
_TYPE_TAG = re.compile(r"[a-z-]+\[|[A-Z][A-Za-z]*$|(str|int|float|bool)$")
"""What pydantic's location calls the types of a union without tags: ``tuple[...]``, ``Location``, ``bool``."""
_WORDS = (
    (("model_type", "dict_type", "model_attributes_type"), _MAPPING, "write {{key: value}} or indented lines"),
    (("string_type", "string_unicode"), "text is expected here", "put the value in quotes"),
    (("tuple_type", "list_type"), "a list is expected here", "write [a, b]"),
    (
        ("int_type", "int_parsing", "int_from_float", "int_parsing_size"),
        "a whole number is expected here",
        "write e.g. 10",
    ),
    (("float_type", "float_parsing", "finite_number"), "a number is expected here", "write e.g. 0.5"),
    (("bool_type", "bool_parsing"), "true or false is expected here", "write true or false, without quotes"),
    (("greater_than",), "it must be greater than {gt}", "write a larger number"),
    (("greater_than_equal",), "it must be greater than or equal to {ge}", "write a larger number"),
    (("less_than",), "it must be less than {lt}", "write a smaller number"),
    (("less_than_equal",), "it must be less than or equal to {le}", "write a smaller number"),
    (("multiple_of",), "it must be a multiple of {multiple_of}", "write another number"),
    (("date_type", "date_parsing", "date_from_datetime_parsing"), "a date is expected here", "write e.g. 2027-03-31"),
    (("too_short",), "it needs at least {min_length} entries, not {actual_length}", "add what is missing"),
    (("too_long",), "it takes at most {max_length} entries, not {actual_length}", "remove some"),
    (("string_too_short",), "the text needs at least {min_length} character(s)", "write it out"),
    (("string_too_long",), "the text is longer than {max_length} character(s)", "write a shorter one"),
)
"""Kinds of pydantic's mistakes, in our words; `{...}` are limits from the model, never what was written."""


def _keys_beside(loc: tuple[str | int, ...], model: type[BaseModel]) -> list[str]:
    """Return the known keys at the place of an unknown one, of every model that is permitted there."""
    holders = [model]
    for part in loc[:-1]:
        for holder in holders:
            holder.model_rebuild()  # its fields may name a model that was defined after it
        tagged = [holder for holder in holders if any(_tag(item) == part for item in holder.model_fields.items())]
        fields = [
            field for holder in holders for name, field in holder.model_fields.items() if part in (name, field.alias)
        ]
        holders = tagged or [kind for field in fields for kind in _models_in(field.annotation)] or holders
    return [
        field.alias or name
        for holder in holders
        for name, field in holder.model_fields.items()
        if not (name == "op" and _tag((name, field)))
    ]


def _tag(field: tuple[str, FieldInfo]) -> str | None:
    """Return the tag of a model in a union, where this field holds it."""
    name, info = field
    return str(info.default) if name in ("op", "kind") else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation names, also inside of lists, mappings and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _listed(names: list[str]) -> str:
    *rest, last = (f"'{name}'" for name in dict.fromkeys(names))
    return f"{', '.join(rest)} or {last}" if rest else last
