"""Render one page over all contracts: status, trends, verdicts, seals, budgets, and who accessed what.

It shows names and numbers alone; of an event: principal, verb, table, purpose and outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from dataward.report.board import Board, Budget, Call, Event, Loss, Number, Proof, Rows, Run, Seal, Series
from dataward.report.html import draw

__all__ = ["dashboard"]

RUNS, RECENT, ACCESSES, SERIES, RULES = 30, 14, 40, 3, 12
BAD = ("FAILED", "ERRORED")
FULL = 0.9
ORDER = ("broken", "stopped", "warned", "healthy")
OUTCOMES = ("denied", "success", "failure", "interrupted")


def dashboard(board: Board) -> str:
    """Render the page."""
    runs = sorted(board.runs, key=lambda run: run[0].started)
    by_contract: dict[str, list[tuple[Run, str]]] = {}
    for run in runs:
        by_contract.setdefault(run[0].contract, []).append(run)
    proofs = {proof.contract: proof for proof in board.proofs}
    cards = [_card(runs, proofs.get(name)) for name, runs in sorted(by_contract.items())]
    cards.sort(key=lambda card: ORDER.index(card["state"]))
    accesses = _accesses(board.events)
    return draw(
        "dashboard.html.j2",
        now=f"{board.now.astimezone(timezone.utc):%d %B %Y, %H:%M} UTC",
        cards=cards,
        tiles=_tiles(cards, accesses),
        failing=[rule for card in cards for rule in card["failing"]],
        recent=[_row(run, page) for run, page in runs[: -RECENT - 1 : -1]],
        more=max(len(runs) - RECENT, 0),
        accesses=accesses[:ACCESSES],
        unshown=max(len(accesses) - ACCESSES, 0),
        budgets=[_budget(budget) for budget in board.budgets],
    )


def _card(runs: Sequence[tuple[Run, str]], proof: Proof | None) -> dict[str, Any]:
    """Return what a contract's card shows: its newest run, and its runs so far."""
    newest, page = runs[-1]
    outcomes = Counter(verdict.outcome for verdict in newest.verdicts)
    failing = [{"contract": newest.contract, **dict(verdict)} for verdict in newest.verdicts if verdict.outcome in BAD]
    withheld = any(verdict["action"] in ("quarantine", "warn") for verdict in failing)
    state = "warned" if newest.warnings or withheld else "healthy"
    if proof is not None and not proof.holds:
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
        "failed": outcomes["FAILED"] + outcomes["ERRORED"],
        "skipped": outcomes["SKIPPED"],
        "failing": failing[:RULES],
        "seal": next((_seal(run.seal) for run, _ in reversed(runs) if run.seal), None),
        "proof": proof,
        "lines": [_line(line) for line in newest.past[:SERIES]],
        "warnings": len(newest.warnings),
        "reasons": len(newest.reasons),
    }


def _flow(rows: Rows) -> list[dict[str, Any]]:
    total = rows.read or 1
    parts = {"published": rows.published, "quarantined": rows.quarantined, "dropped": rows.dropped}
    parts["withheld"] = rows.read - sum(parts.values())
    return [
        {"name": name, "count": count, "share": count / total, "width": max(count / total, 0.012)}
        for name, count in parts.items()
        if count > 0
    ]


def _strip(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return a bar for each run, as high as its rows, on a scale from 0 to the largest; 24 units high."""
    most = max((run.rows.read for run in runs), default=0) or 1
    return [
        {"x": 8 * n, "height": max(24 * run.rows.read / most, 3), "status": run.status,
         "words": f"{_time(run.started)}: {run.status}, {run.rows.published:,} of {run.rows.read:,} rows"}
        for n, run in enumerate(runs)
    ]  # fmt: skip


def _seal(seal: Seal) -> dict[str, Any]:
    return {
        "version": seal.version,
        "digest": seal.content.digest[:12] if seal.content else "",
        "time": _time(seal.time),
        "key": f"{seal.key.domain} v{seal.key.version}" if seal.key else "",
    }


def _line(line: Series) -> dict[str, Any]:
    """Return a series as points of an SVG of 120 x 28, with the band in which its last value was expected."""
    values, last = line.values, line.values[-1]
    ends = [] if line.low is None or line.high is None else [line.low, line.high]
    low, high = min(*values, *ends, last), max(*values, *ends, last)

    def height(value: float) -> float:
        return 25 - 22 * (value - low) / (high - low or 1.0)

    horizontal = [3 + 114 * n / max(len(values) - 1, 1) for n in range(len(values))]
    points = " ".join(f"{x:.1f},{height(value):.1f}" for x, value in zip(horizontal, values, strict=True))
    inside = not ends or ends[0] <= last <= ends[1]
    return {"name": line.series, "points": points, "x": horizontal[-1], "y": height(last), "last": last, "inside": inside,
            "band": sorted(map(height, ends))}  # fmt: skip


def _row(run: Run, page: str) -> dict[str, Any]:
    failed = sum(verdict.outcome in BAD for verdict in run.verdicts)
    return {"time": _time(run.started), "contract": run.contract, "status": run.status, "rows": run.rows, "seconds": run.seconds,
            "rules": f"{len(run.verdicts) - failed}/{len(run.verdicts)}" if run.verdicts else "-", "page": page,
            "run_id": run.run_id}  # fmt: skip


def _accesses(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return one line for each principal, verb, table, purpose and outcome: how often, and when last."""
    found: dict[tuple[str, ...], list[int]] = {}
    for event in events:
        call = (event.unmapped and event.unmapped.dataward) or Call()
        user, about = event.actor and event.actor.user, event.table or event.entity
        said = (user.name if user else "", call.verb, about.name if about else "", call.purpose, call.status)
        found.setdefault(said, []).append(event.time)
    names = ("who", "verb", "table", "purpose", "status")
    lines = [
        {**dict(zip(names, said, strict=True)), "count": len(times), "last": max(times),
         "time": _time(datetime.fromtimestamp(max(times) / 1000, timezone.utc))}
        for said, times in found.items()
    ]  # fmt: skip
    return sorted(lines, key=lambda line: (line["status"] != "denied", -line["last"]))


def _budget(budget: Budget) -> dict[str, Any]:
    spent, cap = _epsilon(budget.spent), _epsilon(budget.cap)
    account = [text for text in (budget.dataset, budget.unit) if text]
    name, unit = (budget.name, budget.unit) if budget.name else (", ".join(account), "epsilon")
    share = min(spent / cap, 1.0) if cap else 1.0
    return {"name": name, "unit": unit, "spent": spent, "cap": cap, "share": share, "full": share >= FULL}


def _epsilon(amount: Number | Loss) -> float:
    return amount.epsilon if isinstance(amount, Loss) else amount


def _tiles(cards: Sequence[Mapping[str, Any]], accesses: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    states = Counter(card["state"] for card in cards)
    stopped = sum(card["status"] == "stopped" for card in cards)
    sealed = sum(1 for card in cards if card["seal"])
    rows = sum(card["rows"].published for card in cards)
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


def _tile(label: str, value: int, note: str, tone: str) -> dict[str, Any]:
    return {"label": label, "value": value, "note": note, "tone": tone if value else ""}


def _time(time: datetime) -> str:
    return f"{time.astimezone(timezone.utc):%d %b %H:%M}"
