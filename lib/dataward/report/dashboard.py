"""Render one page over all contracts: status, trends, verdicts, seals, budgets, and who accessed what.

The page is drawn from plain results: reports of runs, audit events (OCSF), proofs of ``dataward verify --json`` and budgets. It shows
names and numbers alone; nothing of an event is shown but who, verb, table, purpose and outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from dataward.report.html import draw
from dataward.report.model import RunResult

__all__ = ["Board", "dashboard"]

RUNS, RECENT, ACCESSES, SERIES, RULES = 30, 14, 40, 3, 12
BAD = ("FAILED", "ERRORED")
FULL = 0.9
ORDER = ("broken", "stopped", "warned", "healthy")


@dataclass(frozen=True)
class Board:
    """What the page is drawn from.

    Attributes:
        runs: results of runs with the page of each, relative to the dashboard (empty: none).
        events: audit events.
        proofs: results of verify: ``contract``, ``version``, ``holds``.
        budgets: ``name``, ``unit``, ``spent``, ``cap``.
    """

    runs: Sequence[tuple[RunResult, str]]
    events: Sequence[Mapping[str, Any]] = ()
    proofs: Sequence[Mapping[str, Any]] = ()
    budgets: Sequence[Mapping[str, Any]] = ()
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))


def dashboard(board: Board) -> str:
    """Render the page."""
    by_contract: dict[str, list[tuple[RunResult, str]]] = {}
    for run in sorted(board.runs, key=lambda run: run[0].started):
        by_contract.setdefault(run[0].contract, []).append(run)
    proofs = {str(proof.get("contract")): proof for proof in board.proofs}
    cards = [_card(runs, proofs.get(name)) for name, runs in sorted(by_contract.items())]
    cards.sort(key=lambda card: ORDER.index(card["state"]))
    accesses = _accesses(board.events)
    return draw(
        "dashboard.html.j2",
        now=f"{board.now:%d %B %Y, %H:%M} UTC",
        cards=cards,
        tiles=_tiles(cards, accesses),
        failing=[rule for card in cards for rule in card["failing"]],
        recent=[_row(run, page) for run, page in sorted(board.runs, key=lambda r: r[0].started, reverse=True)[:RECENT]],
        more=max(len(board.runs) - RECENT, 0),
        accesses=accesses[:ACCESSES],
        unshown=max(len(accesses) - ACCESSES, 0),
        budgets=[_budget(budget) for budget in board.budgets],
    )


def _card(runs: Sequence[tuple[RunResult, str]], proof: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a contract's card shows: its newest run, and its runs so far."""
    newest, page = runs[-1]
    outcomes = Counter(verdict["outcome"] for verdict in newest.verdicts)
    failing = [
        {"contract": newest.contract, "rule": v["rule"], "outcome": v["outcome"], "measured": v.get("measured"),
         "expected": v.get("expected", ""), "failed_rows": v.get("failed_rows"), "action": v.get("action", "")}
        for v in newest.verdicts if v["outcome"] in BAD
    ]  # fmt: skip
    withheld = any(verdict["action"] in ("quarantine", "warn") for verdict in failing)
    state = "warned" if newest.warnings or withheld else "healthy"
    if proof is not None and not proof.get("holds"):
        state = "broken"
    elif newest.status == "stopped":
        state = "stopped"
    return {
        "name": newest.contract,
        "state": state,
        "status": newest.status,
        "target": newest.target.path,
        "version": newest.target.version,
        "time": _time(newest.started),
        "page": page,
        "rows": newest.rows,
        "flow": _flow(newest.rows),
        "strip": _strip([run for run, _ in runs[-RUNS:]]),
        "runs": len(runs),
        "passed": outcomes["PASSED"],
        "failed": sum(outcomes[name] for name in BAD),
        "skipped": outcomes["SKIPPED"],
        "failing": failing[:RULES],
        "seal": _seal([run for run, _ in runs]),
        "proof": proof and {"holds": bool(proof.get("holds")), "version": proof.get("version")},
        "lines": [_line(line) for line in newest.past[:SERIES]],
        "warnings": len(newest.warnings),
        "reasons": len(newest.reasons),
    }


def _flow(rows: Mapping[str, int]) -> list[dict[str, Any]]:
    total = rows["in"] or 1
    parts = [(name, rows[name]) for name in ("published", "quarantined", "dropped")]
    parts.append(("withheld", rows["in"] - sum(count for _, count in parts)))
    return [
        {"name": name, "count": count, "share": count / total, "width": max(count / total, 0.012)}
        for name, count in parts
        if count > 0
    ]


def _strip(runs: Sequence[RunResult]) -> list[dict[str, Any]]:
    """Return a bar for each run, as high as its rows, on a scale from 0 to the largest; 24 units high."""
    most = max((run.rows["in"] for run in runs), default=0) or 1
    return [
        {"x": 8 * n, "height": max(24 * run.rows["in"] / most, 3), "status": run.status,
         "words": f"{_time(run.started)}: {run.status}, {run.rows['published']:,} of {run.rows['in']:,} rows"}
        for n, run in enumerate(runs)
    ]  # fmt: skip


def _seal(runs: Sequence[RunResult]) -> dict[str, Any] | None:
    """Return the newest seal of a contract."""
    for run in reversed(runs):
        if run.seal:
            key = run.seal.get("key") or {}
            content = run.seal.get("content") or {}
            digest = content.get("digest", "") if isinstance(content, dict) else ""
            return {"version": run.seal.get("version"), "digest": str(digest)[:12], "time": _time(str(run.seal.get("time", run.started))),
                    "key": f"{key.get('domain', '')} v{key.get('version', '')}" if key else ""}  # fmt: skip
    return None


def _line(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a series as points of an SVG of 120 x 28, with the band in which its last value was expected."""
    values = [float(value) for value in line["values"]]
    ends = [float(end) for end in (line.get("low"), line.get("high")) if end is not None]
    low, span = min([*values, *ends]), (max([*values, *ends]) - min([*values, *ends])) or 1.0

    def height(value: float) -> float:
        return 25 - 22 * (value - low) / span

    horizontal = [3 + 114 * n / max(len(values) - 1, 1) for n in range(len(values))]
    points = " ".join(f"{x:.1f},{height(value):.1f}" for x, value in zip(horizontal, values, strict=True))
    inside = len(ends) < 2 or ends[0] <= values[-1] <= ends[1]
    return {"name": line.get("series") or line.get("rule") or line.get("name", ""), "points": points, "x": horizontal[-1],
            "y": height(values[-1]), "last": values[-1], "inside": inside,
            "band": sorted(map(height, ends)) if len(ends) == 2 else None}  # fmt: skip


def _row(run: RunResult, page: str) -> dict[str, Any]:
    failed = sum(verdict["outcome"] in BAD for verdict in run.verdicts)
    return {"time": _time(run.started), "contract": run.contract, "status": run.status, "rows": run.rows, "seconds": run.seconds,
            "rules": f"{len(run.verdicts) - failed}/{len(run.verdicts)}" if run.verdicts else "-", "page": page,
            "run_id": run.run_id}  # fmt: skip


def _accesses(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one line for each principal, verb, table, purpose and outcome: how often, and when last."""
    found: dict[tuple[str, ...], list[int]] = {}
    for event in events:
        known = (event.get("unmapped") or {}).get("dataward") or {}
        user = ((event.get("actor") or {}).get("user") or {}).get("name", "")
        about = event.get("table") or event.get("entity") or {}
        said = (user, known.get("verb", ""), about.get("name", ""), known.get("purpose", ""), known.get("status", ""))
        found.setdefault(tuple(map(str, said)), []).append(int(event.get("time", 0)))
    names = ("who", "verb", "table", "purpose", "status")
    lines = [
        {**dict(zip(names, said, strict=True)), "count": len(times), "last": max(times),
         "time": f"{datetime.fromtimestamp(max(times) / 1000, timezone.utc):%d %b %H:%M}"}
        for said, times in found.items()
    ]  # fmt: skip
    return sorted(lines, key=lambda line: (line["status"] != "denied", -line["last"]))


def _budget(budget: Mapping[str, Any]) -> dict[str, Any]:
    """Read an account as ``dataward budget show --json`` prints it, or a plain name, unit, spent and cap."""
    spent, cap = (_epsilon(budget.get(name, 0)) for name in ("spent", "cap"))
    account = [str(budget[name]) for name in ("dataset", "unit") if budget.get(name)]
    named = "name" in budget
    name, unit = (budget["name"], budget.get("unit", "")) if named else (", ".join(account), "epsilon")
    share = min(spent / cap, 1.0) if cap else 1.0
    return {"name": name, "unit": unit, "spent": spent, "cap": cap, "share": share, "full": share >= FULL}


def _epsilon(amount: Any) -> float:
    return float(amount.get("epsilon", 0) if isinstance(amount, Mapping) else amount)


def _tiles(cards: Sequence[Mapping[str, Any]], accesses: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    states = Counter(card["state"] for card in cards)
    stopped = sum(card["status"] == "stopped" for card in cards)
    sealed = sum(1 for card in cards if card["seal"])
    rows = sum(card["rows"]["published"] for card in cards)
    times, denied = (sum(line["count"] for line in accesses if line["status"] in of) for of in (OUTCOMES, OUTCOMES[:1]))
    broken = states["broken"]
    proofs = f"{broken} proof{'s' if broken > 1 else ''} broken" if broken else f"of {len(cards)}"
    return [
        _tile("contracts", len(cards), f"{states['healthy']} healthy", ""),
        _tile("stopped", stopped, "nothing was published", "bad"),
        _tile("with warnings", states["warned"], "published, worth a look", "warn"),
        _tile("rows published", rows, "by the newest runs", ""),
        _tile("sealed", sealed, proofs, "bad" if broken else "good"),
        _tile("denied", denied, f"of {times:,} accesses", "bad"),
    ]


OUTCOMES = ("denied", "success", "failure", "interrupted")


def _tile(label: str, value: int, note: str, tone: str) -> dict[str, Any]:
    return {"label": label, "value": value, "note": note, "tone": tone if value else ""}


def _time(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text):%d %b %H:%M}"
    except ValueError:
        return text[:16]
