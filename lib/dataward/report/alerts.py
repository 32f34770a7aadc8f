"""Alerts about runs, for people: names, numbers and rule kinds. Texts of rules and reasons, which contain literals, are left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from dataward.report.model import RunResult

__all__ = ["Alert", "alert_of", "failure", "slack", "text"]


@dataclass(frozen=True)
class Alert:
    """A run that somebody should look at. ``facts`` are pairs of a name and what is shown for it."""

    title: str
    severity: str
    facts: tuple[tuple[str, str], ...]


def alert_of(result: RunResult) -> Alert | None:
    """Return the alert of a run that stopped or warns; None for any other run."""
    if result.status != "stopped" and not result.warnings:
        return None
    failed = Counter(_kind(verdict) for verdict in result.verdicts if verdict["outcome"] in ("FAILED", "ERRORED"))
    rules = ", ".join(f"{kind} ({count})" if count > 1 else kind for kind, count in failed.items())
    counts = ", ".join(f"{result.rows[name]:,} {name}" for name in ("in", "published", "quarantined", "dropped"))
    facts = {
        "contract": result.contract,
        "run": result.run_id,
        "rows": counts,
        "rules failed": rules,
        "reasons": str(len(result.reasons) or ""),
        "warnings": str(len(result.warnings) or ""),
        "started": result.started,
        "report": result.report or "",
    }
    stopped = result.status == "stopped"
    what = "stopped: nothing was published" if stopped else f"{result.status} with warnings"
    shown = tuple((name, value) for name, value in facts.items() if value)
    return Alert(f"{result.contract} {what}", "error" if stopped else "warning", shown)


def failure(contract: str, run_id: str, error: BaseException) -> Alert:
    """Return the alert of a run that could not be carried out: the kind of its error, never its message."""
    facts = (("contract", contract), ("run", run_id), ("error", type(error).__name__))
    return Alert(f"{contract} could not run", "error", tuple(pair for pair in facts if pair[1]))


def text(alert: Alert) -> str:
    """Return an alert as plain text, for e-mail."""
    return "\n".join([alert.title, "", *(f"{name}: {value}" for name, value in alert.facts)]) + "\n"


def slack(alert: Alert) -> dict[str, Any]:
    """Return an alert as the body of a Slack-compatible webhook."""
    mark = {"error": ":red_circle:", "warning": ":large_orange_circle:"}[alert.severity]
    fields = [{"type": "mrkdwn", "text": f"*{name}*\n{_escaped(value)}"} for name, value in alert.facts]
    return {
        "text": _escaped(alert.title),
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": f"{mark} *{_escaped(alert.title)}*"}},
            {"type": "section", "fields": fields[:10]},
        ],
    }


def _kind(verdict: dict[str, Any]) -> str:
    """Return the kind of a rule: the first word of its text, where that is a plain word."""
    first = str(verdict.get("rule", "")).split(" ", 1)[0]
    return first if first.isalpha() else "composite rule"


def _escaped(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
