"""The view of a principal on columns and rows: pure, from policies and the contract's facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from dataward.access.decide import Asking, ColumnFacts, Decision, TableFacts, decide
from dataward.access.nested import masked, rebuilt
from dataward.access.policies import Policies
from dataward.access.verbs import SEEING
from dataward.contract import Contract
from dataward.contract.operation import ALIASED, COARSENED, ENCRYPTED, KEPT, REMOVED
from dataward.contract.parts import Layout, Part, Path, Shape, parts_of, quoted

__all__ = [
    "Look",
    "Shown",
    "Sight",
    "column_facts",
    "narrowed",
    "open_sight",
    "projection",
    "shown",
    "sight",
    "table_facts",
]

STORED = {KEPT: "kept", COARSENED: "coarsened", ENCRYPTED: "encrypted", ALIASED: "aliased", REMOVED: "removed"}

Shown = Literal["original", "stored", "opened", "masked", "absent"]
"""Display of a column: stored originals, stored values, values decrypted with their key, masked values, or none."""

VISIBLE = {"original", "stored", "opened"}


def column_facts(contract: Contract, part: Part) -> ColumnFacts:
    """Return the facts for policies about a column, or a part of one."""
    operators = part.line.protect.parts()
    subject = contract.erasure and part.name.lower() == contract.erasure.subject.lower()
    return ColumnFacts(
        part.name,
        part.line.class_ or "",
        STORED[min(one.strength for one in operators)],
        part.line.sensitive or bool(subject),
        any(one.reversible for one in operators),
    )


def table_facts(contract: Contract, layouts: Iterable[Layout] | None = None) -> TableFacts:
    """Return the facts about a table for policies; ``layouts``: its columns, if known (else those that the contract names)."""
    found = parts_of(contract) if layouts is None else (part for one in layouts for part in one.parts)
    columns = tuple(column_facts(contract, part) for part in found)
    return TableFacts(contract.contract, str(contract.target), contract.keys.domain, columns)


@dataclass(frozen=True)
class Look:
    """Display of one column or part of a column, and the permitting policies."""

    column: ColumnFacts
    shown: Shown
    policies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sight:
    """View of a principal on a table. ``rows``: a SQL condition on the stored rows; None: all."""

    decision: Decision
    rows: str | None
    columns: tuple[Look, ...] = ()

    def named(self, *shown: Shown) -> tuple[str, ...]:
        """Return the columns with one of these displays."""
        return tuple(look.column.name for look in self.columns if look.shown in shown)


def narrowed(wide: Sight, other: Sight) -> Sight:
    """Return the intersection of two views: of each column the lesser display, and the rows that fulfil both conditions."""
    order: tuple[Shown, ...] = ("absent", "masked", "stored", "opened", "original")
    by_name = {look.column.name: look for look in other.columns}
    looks = tuple(min(look, by_name[look.column.name], key=lambda one: order.index(one.shown)) for look in wide.columns)
    conditions = [f"({rows})" for rows in (wide.rows, other.rows) if rows is not None]
    decision = wide.decision if other.decision.allowed else other.decision
    return Sight(decision, " AND ".join(conditions) or None, looks)


def sight(policies: Policies, asking: Asking) -> Sight:
    """Decide the view of a request to read a table."""
    columns = asking.table.columns
    asked = [asking] + [asking.about(column, action) for column in columns for action in SEEING.values()]
    first, *rest = decide(policies, asked)
    looks = []
    for number, column in enumerate(columns):
        answers = dict(zip(SEEING, rest[number * len(SEEING) : (number + 1) * len(SEEING)], strict=True))
        way = shown(column, {level: answer.allowed for level, answer in answers.items()}) if first.allowed else "absent"
        level = {"original": "clear", "opened": "clear", "stored": "token", "masked": "masked"}.get(way, "")
        permits = answers[level].policies if level and answers[level].allowed else ()
        looks.append(Look(column, way, permits))
    return Sight(first, first.rows, tuple(looks))


def open_sight(table: TableFacts) -> Sight:
    """Return the view of everybody without grants and policies, equal to DEFAULT, without Cedar."""
    looks = [Look(one, shown(one, {"clear": not one.sealed, "token": True, "masked": True})) for one in table.columns]
    return Sight(Decision(True, ("default",)), None, tuple(looks))


def projection(column: Layout, looks: Mapping[str, Look], view: bool = True) -> str | None:
    """Return the SQL of a column's display; None where it is absent.

    Args:
        column: the column.
        looks: the look of each part by its name.
        view: for a view, which cannot show parts of JSON: a document with hidden parts is masked. Else such documents stay, for
            :func:`dataward.privacy.opening.displayed`.
    """

    def leaf(path: Path, value: str, shape: Shape) -> str | None:
        ways = {looks[part.name].shown for part in column.at(path)}
        if ways == {"absent"}:
            return None
        if path in column.json and not ways <= VISIBLE:
            return masked(value, shape) if view else value
        return masked(value, shape) if "masked" in ways else value

    name = quoted(column.column)
    if column.whole:  # a masked list or map would show its length
        made = leaf(next(iter(column.leaves)), name, column.shape) if column.leaves else name
    else:
        made = rebuilt(name, column.shape, leaf)
    return made if made is None or made == name else f"{made} AS {name}"


def shown(column: ColumnFacts, may: Mapping[str, bool]) -> Shown:
    """Return the greatest display of a column's permitted levels.

    Values stored unprotected are clear, so that a permit of tokens shows them masked; coarsened or removed values are
    masks already.
    """
    if may["clear"]:
        return "original" if column.stored == "kept" and not column.sealed else "opened" if column.sealed else "stored"
    if column.stored == "kept":
        return "masked" if may["token"] or may["masked"] else "absent"
    if may["token"]:
        return "stored"
    if may["masked"]:
        return "stored" if column.stored in ("coarsened", "removed") and not column.sealed else "masked"
    return "absent"
