"""Generate enforcement of policies elsewhere: SQL views, Unity Catalog masks and row filters, Lake Formation cell filters.

A policy that a platform cannot express shows less there, never more, and is reported in a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dataward.access.decide import Asking, Principal
from dataward.access.explain import alone
from dataward.access.nested import MASK, rebuilt
from dataward.access.policies import Policies
from dataward.access.sight import VISIBLE, Look, projection, shown, sight
from dataward.access.verbs import SEEING
from dataward.contract.parts import Layout, Path, Shape, quoted

__all__ = ["Generated", "cell_filters", "masks_and_filters", "sql_view"]


@dataclass(frozen=True)
class Generated:
    """Statements (SQL) or requests (JSON), and notes about policies that they do not express."""

    statements: tuple[Any, ...]
    notes: tuple[str, ...] = ()


def sql_view(policies: Policies, asking: Asking, name: str, source: str, layouts: Sequence[Layout]) -> Generated:
    """Generate a view for the principal of a request.

    Args:
        policies: the policies.
        asking: the request to read: its principal has the groups of the view's readers.
        name: name of the view.
        source: SQL name of the table.
        layouts: the columns.
    """
    seen = sight(policies, asking)
    looks = {look.column.name: look for look in seen.columns}
    columns = [sql for column in layouts if (sql := projection(column, looks))]
    if not seen.decision.allowed or not columns:
        return Generated((), (f"{_words(asking.principal)} may not read {asking.table.name}: {seen.decision.why}",))
    where = f"\nWHERE {seen.rows}" if seen.rows else ""
    text = f"CREATE OR REPLACE VIEW {name} AS\nSELECT " + ",\n  ".join(columns) + f"\nFROM {source}{where}"
    notes = [f"{one} is stored encrypted: a view cannot open it" for one in seen.named("opened")]
    notes += [
        f"{path}: a view cannot hide parts of JSON: it is masked as a whole" for path in _hidden_json(layouts, looks)
    ]
    return Generated((text,), tuple(notes))


def _hidden_json(layouts: Sequence[Layout], looks: Mapping[str, Look]) -> Iterator[str]:
    """Yield the names of JSON with visible and hidden parts."""
    for column in layouts:
        for path in column.json:
            ways = {looks[part.name].shown for part in column.at(path)}
            if ways & VISIBLE and not ways <= VISIBLE:
                yield column.leaves[path].name


def _words(principal: Principal) -> str:
    return f"group {', '.join(principal.groups)}" if principal.groups else principal.name


def cell_filters(
    policies: Policies, asking: Asking, catalog: str, database: str, table: str, layouts: Sequence[Layout]
) -> Generated:
    """Generate Lake Formation data cells filters, one for each group of the policies, and the grants of SELECT on them.

    Lake Formation shows a column or hides it, so masked columns, and columns with hidden parts, are left out. A forbid removes only
    columns of its own group; for members of several groups the filters are united, which a note reports.
    """
    made: list[dict[str, Any]] = []
    notes: list[str] = []
    for group in policies.named("Group"):
        seen = sight(policies, replace(asking, principal=Principal("member of " + group, groups=(group,))))
        ways = {look.column.name: look.shown for look in seen.columns}
        columns = [one.column.lower() for one in layouts if all(ways[part.name] in VISIBLE for part in one.parts)]
        if not seen.decision.allowed or not columns:
            continue
        if left := seen.named("masked"):
            notes.append(f"{group}: masked columns are left out: {', '.join(left)}")
        parts = [one.column for one in layouts if {ways[part.name] for part in one.parts} & VISIBLE]
        if left := tuple(name for name in parts if name.lower() not in columns):
            notes.append(f"{group}: columns with hidden parts are left out: {', '.join(left)}")
        if left := seen.named("opened"):
            notes.append(f"{group}: shown as stored, a filter cannot open them: {', '.join(left)}")
        rows: dict[str, Any] = {"AllRowsWildcard": {}} if seen.rows is None else {"FilterExpression": seen.rows}
        if seen.rows and (trouble := _partiql(seen.rows)):
            notes.append(f"{group}: left out, Lake Formation's filters have no {trouble}: {seen.rows}")
            continue
        name = f"{asking.table.name}_{re.sub(r'[^A-Za-z0-9_]', '_', group)}"[:255]
        where = {"TableCatalogId": catalog, "DatabaseName": database, "TableName": table, "Name": name}
        made.append({"CreateDataCellsFilter": {"TableData": {**where, "RowFilter": rows, "ColumnNames": columns}}})
        if group.startswith("arn:"):
            made.append({"GrantPermissions": {"Principal": {"DataLakePrincipalIdentifier": group}, "Permissions": ["SELECT"],
                                              "Resource": {"DataCellsFilter": where}}})  # fmt: skip
        else:
            notes.append(f"{group}: grant SELECT on filter {name} to the role or group that stands for it")
    forbids = [policies.name(name) for name, part in policies.parts.items() if part["effect"] == "forbid"]
    if forbids and made:
        notes.append(f"for members of several groups filters add up, and these forbids are lost: {', '.join(forbids)}")
    return Generated(tuple(made), tuple(notes))


def _partiql(text: str) -> str:
    """Return the part of a condition that a filter expression of Lake Formation does not support; empty if it supports all."""
    from sqlglot import exp, parse_one

    allowed = (exp.And, exp.Or, exp.Not, exp.Paren, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between, exp.Like,
               exp.Is, exp.Null, exp.Literal, exp.Boolean, exp.Column, exp.Identifier, exp.Neg)  # fmt: skip
    other = next((node for node in parse_one(text, read="spark").walk() if not isinstance(node, allowed)), None)
    return "" if other is None else type(other).__name__.upper()


@dataclass(frozen=True)
class _Catalog:
    """Inputs of masks: the policies, the request, the table's name and its columns."""

    policies: Policies
    asking: Asking
    table: str
    layouts: Sequence[Layout]


def masks_and_filters(policies: Policies, asking: Asking, table: str, layouts: Sequence[Layout]) -> Generated:
    """Generate Unity Catalog column masks and a row filter: functions of group membership, and the ALTER TABLE that attaches them.

    A column, or a part of one, that is absent for a reader is null.
    """
    notes: list[str] = []
    about = _Catalog(policies, asking, table, layouts)
    statements = list(_row_filter(about, notes))
    for column in layouts:
        statements += _column_mask(about, column, notes)
    return Generated(tuple(statements), tuple(dict.fromkeys(notes)))


def _row_filter(about: _Catalog, notes: list[str]) -> Iterator[str]:
    from sqlglot import exp, parse_one

    policies, asking = about.policies, about.asking
    permits = [(cond, policies.annotations[name].get("rows")) for name, cond in _permits(policies, asking, notes)]
    forbids = [cond for _, cond in _conditions(policies, asking, "forbid", notes)]
    parts = [cond if rows is None else f"({cond}) AND ({rows})" for cond, rows in permits]
    expression = _and_not(_any(parts), forbids)
    known = {one.column.lower(): one for one in about.layouts}
    used = {
        str(node.name).lower()
        for _, rows in permits
        if rows
        for node in parse_one(rows, read="spark").find_all(exp.Column)
    }
    columns = [one for name, one in known.items() if name in used]
    parameters = ", ".join(f"{quoted(one.column)} {_type(one.shape)}" for one in columns)
    function = f"{about.table}_rows"
    yield f"CREATE OR REPLACE FUNCTION {function}({parameters}) RETURN {expression}"
    yield f"ALTER TABLE {about.table} SET ROW FILTER {function} ON ({', '.join(quoted(one.column) for one in columns)})"


def _column_mask(about: _Catalog, column: Layout, notes: list[str]) -> Iterator[str]:
    shows = {part.name: _shows(about, part.name, notes) for part in column.parts}

    def leaf(path: Path, value: str, shape: Shape) -> str:
        parts = [shows[part.name] for part in column.at(path)]
        whole = _all([one.value for one in parts])
        if whole == "TRUE":
            return value
        hidden = _any([one.masked for one in parts] + ([one.value for one in parts] if len(parts) > 1 else []))
        text = f"CASE WHEN {value} IS NOT NULL THEN '{MASK}' END" if shape.sql == "string" else "NULL"
        cases = [(whole, value), (hidden, text)]
        whens = " ".join(f"WHEN {cond} THEN {result}" for cond, result in cases if cond != "FALSE" and result != "NULL")
        return f"CASE {whens} ELSE NULL END" if whens else f"CAST(NULL AS {_type(shape)})"

    def seen(path: Path, clear: bool) -> str:
        below = [shows[part.name] for one in column.leaves if one[: len(path)] == path for part in column.at(one)]
        return (
            _all([one.value for one in below])
            if clear
            else _any([sql for one in below for sql in (one.value, one.masked)])
        )

    if column.whole:
        body = leaf(next(iter(column.leaves)), "value", column.shape) if column.leaves else "value"
    else:
        body = rebuilt("value", column.shape, leaf, seen=seen) or "value"
    if body == "value":
        return
    kind = _type(column.shape)
    function = f"{about.table}_{re.sub(r'[^A-Za-z0-9_]', '_', column.column)}_mask"
    yield f"CREATE OR REPLACE FUNCTION {function}(value {kind}) RETURN {body}"
    yield f"ALTER TABLE {about.table} ALTER COLUMN {quoted(column.column)} SET MASK {function}"


@dataclass(frozen=True)
class _Shows:
    """SQL of who sees the value of a part, and who sees it masked."""

    value: str
    masked: str


def _shows(about: _Catalog, name: str, notes: list[str]) -> _Shows:
    policies, column = about.policies, about.asking.table.column(name)
    assert column is not None  # noqa: S101 - it is one of the table's
    levels = {}
    for level, action in SEEING.items():
        asked = about.asking.about(column, action)
        permits = _any([cond for _, cond in _permits(policies, asked, notes)])
        levels[level] = _and_not(permits, [cond for _, cond in _conditions(policies, asked, "forbid", notes)])
    ways: dict[str, list[str]] = {"value": [], "masked": []}
    for level in SEEING:  # the greatest level first
        way = shown(column, {one: one == level for one in SEEING})
        if way == "absent" or levels[level] == "FALSE":
            continue
        if way == "opened":
            notes.append(f"{name} is shown as stored: a mask cannot open it")
        ways["masked" if way == "masked" else "value"].append(levels[level])
    return _Shows(_any(ways["value"]), _any(ways["masked"]))


def _type(shape: Shape) -> str:
    """Return the type in SQL, with the names of fields as they are."""
    return shape.sql if shape.nested else shape.sql.upper()


def _all(conditions: Sequence[str]) -> str:
    found = "TRUE"
    for one in dict.fromkeys(conditions):
        found = _both(found, one)
    return found


def _any(conditions: Sequence[str]) -> str:
    conditions = list(dict.fromkeys(one for one in conditions if one != "FALSE"))
    if not conditions or "TRUE" in conditions:
        return "TRUE" if conditions else "FALSE"
    return conditions[0] if len(conditions) == 1 else " OR ".join(f"({one})" for one in conditions)


def _and_not(permitted: str, forbidden: Sequence[str]) -> str:
    never = _any(forbidden)
    if never == "TRUE" or permitted == "FALSE":
        return "FALSE"
    if never == "FALSE":
        return permitted
    return f"NOT ({never})" if permitted == "TRUE" else f"({permitted}) AND NOT ({never})"


def _permits(policies: Policies, asking: Asking, notes: list[str]) -> Iterator[tuple[str, str]]:
    yield from _conditions(policies, asking, "permit", notes)


def _conditions(policies: Policies, asking: Asking, effect: str, notes: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the policies of an effect that apply to a request, each with the SQL of its principals.

    Conditions on the request alone are evaluated now. A condition that mixes request and principal, or depends on the time,
    cannot be expressed: a permit with it is left out, a forbid holds without it.
    """
    for name, part in policies.parts.items():
        if part["effect"] != effect:
            continue
        anybody = {**part, "principal": {"op": "All"}, "conditions": []}
        if not alone(anybody, asking):
            continue
        found: str | None = _scope(part["principal"])
        for condition in part["conditions"]:
            for negated, body in _clauses(condition):
                sql = _clause(policies, asking, part, body, negated)
                if sql is None:
                    words = "it is left out" if effect == "permit" else "it holds always"
                    notes.append(f"{policies.name(name)} has a condition that cannot be expressed: {words}")
                    found = None if effect == "permit" else found
                elif found is not None:
                    found = _both(found, sql)
        if found is not None and found != "FALSE":
            yield name, found


def _clauses(condition: dict[str, Any]) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Yield the conjuncts of a condition, each with its negation flag."""
    if condition["kind"] != "when":
        yield True, condition["body"]
        return
    stack = [condition["body"]]
    while stack:
        body = stack.pop()
        if both := body.get("&&"):
            stack += [both["right"], both["left"]]
        else:
            yield False, body


def _clause(
    policies: Policies, asking: Asking, part: dict[str, Any], body: dict[str, Any], negated: bool
) -> str | None:
    if _mentions(body, "principal"):
        sql = _members(body)
        return None if sql is None else f"NOT ({sql})" if negated else sql
    if _mentions_time(body):
        return None
    kind = "unless" if negated else "when"
    bare = {**part, "principal": {"op": "All"}, "conditions": [{"kind": kind, "body": body}]}
    return "TRUE" if alone(bare, asking) else "FALSE"


def _both(first: str, second: str) -> str:
    if "FALSE" in (first, second):
        return "FALSE"
    if first == "TRUE" or second == "TRUE":
        return second if first == "TRUE" else first
    return f"({first}) AND ({second})"


def _mentions(body: Any, variable: str) -> bool:
    if isinstance(body, dict):
        return body.get("Var") == variable or any(_mentions(one, variable) for one in body.values())
    return isinstance(body, list) and any(_mentions(one, variable) for one in body)


def _mentions_time(body: Any) -> bool:
    if isinstance(body, dict):
        inner = body.get(".")
        if (
            isinstance(inner, dict)
            and inner.get("left") == {"Var": "context"}
            and inner.get("attr") in ("now", "hour", "weekday")
        ):
            return True
        return any(_mentions_time(one) for one in body.values())
    return isinstance(body, list) and any(_mentions_time(one) for one in body)


def _scope(principal: dict[str, Any]) -> str | None:
    if principal["op"] == "All":
        return "TRUE"
    return _member(principal.get("entity") or {}) if principal["op"] in ("==", "in") else None


def _member(entity: Mapping[str, Any]) -> str | None:
    kind, name = str(entity.get("type", "")).rpartition("::")[2], entity.get("id")
    if not isinstance(name, str):
        return None
    text = name.replace("\\", "\\\\").replace("'", "\\'")
    return {"Group": f"is_account_group_member('{text}')", "User": f"current_user() = '{text}'"}.get(kind)


_JOINED: dict[str, Callable[[str, str], str]] = {
    "||": lambda a, b: f"({a}) OR ({b})",
    "&&": lambda a, b: f"({a}) AND ({b})",
}


def _members(body: dict[str, Any]) -> str | None:
    """Translate a condition on the principal alone into SQL; None where it is more than membership."""
    ((op, given),) = body.items()
    if op in _JOINED:
        left, right = _members(given["left"]), _members(given["right"])
        return _JOINED[op](left, right) if left is not None and right is not None else None
    if op == "!":
        inner = _members(given["arg"])
        return f"NOT ({inner})" if inner is not None else None
    if op in ("==", "in") and given["left"] == {"Var": "principal"}:
        entity = given["right"].get("Value", {})
        return _member(entity.get("__entity", {})) if isinstance(entity, dict) else None
    return None
