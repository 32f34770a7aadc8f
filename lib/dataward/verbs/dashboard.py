"""Collect reports, events, proofs and budgets from files and write the dashboard; needs no Spark."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dataward.errors import TargetError, UsageError
from dataward.pipeline.guard import watched
from dataward.report import RunResult
from dataward.report.dashboard import Board, dashboard

__all__ = ["Asked", "Drawn", "draw_dashboard"]

Documents = Mapping[str, dict[str, Any]]
NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Asked:
    """``folder`` of reports; files (or folders) of audit events; files of proofs and budgets; the page's path."""

    folder: str
    events: tuple[str, ...] = ()
    proofs: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    out: str = ""


@dataclass(frozen=True)
class Drawn:
    """Path of the page, its contents, and the files that could not be read."""

    page: str
    contracts: int
    runs: int
    events: int
    unread: tuple[str, ...]


def draw_dashboard(asked: Asked) -> Drawn:
    """Write the page, by default as ``index.html`` of the folder.

    Raises:
        UsageError: the folder or a named file does not exist.
        TargetError: the page cannot be written.
    """
    with watched("dashboard", source=asked.folder):
        return _drawn(asked)


def _drawn(asked: Asked) -> Drawn:
    folder = Path(asked.folder)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give the folder of reports, e.g. reports")
    page = Path(asked.out) if asked.out else folder / "index.html"
    unread: list[str] = []
    runs = dict(_runs(folder, page.parent, unread))
    events = dict(event for name in asked.events for event in _events(Path(name), unread))
    proofs = {name: _document(Path(name)) for name in asked.proofs}
    unread += [
        name for name, proof in proofs.items() if "holds" not in proof
    ]  # such as the error of a verify that proved nothing
    budgets = {name: _list(_document(Path(name))) for name in asked.budgets}
    text = _text(runs, events, proofs, budgets)
    if text is None:  # valid JSON of another shape, which holds up none of the others
        unread += (lost := _damaged([*runs], lambda names: _text({name: runs[name] for name in names})))
        runs = {name: run for name, run in runs.items() if name not in lost}
        unread += (lost := _damaged([*events], lambda names: _text({}, {name: events[name] for name in names})))
        events = {name: event for name, event in events.items() if name not in lost}
        if wrong := [*_damaged([*proofs], lambda names: _text({}, {}, {name: proofs[name] for name in names}))]:
            raise UsageError(f"{wrong[0]}: not what 'dataward verify --json' prints")
        if wrong := [*_damaged([*budgets], lambda names: _text({}, {}, {}, {name: budgets[name] for name in names}))]:
            raise UsageError(f"{wrong[0]}: not what 'dataward budget show --json' prints")
        text = _page(runs, events, proofs, budgets)
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TargetError(f"{page}: {error.strerror}. Choose another file with --out") from None
    return Drawn(str(page), len({run.contract for run, _ in runs.values()}), len(runs), len(events), tuple(unread))


def _page(
    runs: Mapping[str, tuple[RunResult, str]],
    events: Documents = NONE,
    proofs: Documents = NONE,
    budgets: Mapping[str, list[dict[str, Any]]] = NONE,
) -> str:
    listed = [budget for each in budgets.values() for budget in each]
    return dashboard(Board([*runs.values()], [*events.values()], [*proofs.values()], listed))


def _text(*given: Mapping[str, Any]) -> str | None:
    """Return the page; None where what was read has another shape than what Dataward writes."""
    try:
        return _page(*given)
    except Exception:
        return None


def _damaged(names: list[str], text: Callable[[list[str]], str | None]) -> list[str]:
    """Return the names without which a page can be drawn, by halves."""
    if not names or text(names) is not None:
        return []
    half = len(names) // 2
    return names if half == 0 else [*_damaged(names[:half], text), *_damaged(names[half:], text)]


def _runs(folder: Path, home: Path, unread: list[str]) -> Iterator[tuple[str, tuple[RunResult, str]]]:
    for file in sorted(folder.rglob("report.json")):
        try:
            run = RunResult.model_validate_json(file.read_bytes())
        except (OSError, ValueError):
            unread.append(str(file))
            continue
        html = file.with_suffix(".html")
        yield str(file), (run, relpath(html, home) if html.exists() else "")


def _events(path: Path, unread: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder of events")
    for file in sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]:
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            try:
                event = json.loads(line) if line.strip() else None
            except ValueError:
                event = f"{file}:{number}"
            if isinstance(event, dict):
                yield f"{file}:{number}", event
            elif event is not None:
                unread.append(f"{file}:{number}")


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{path}: not JSON") from None
    return document if isinstance(document, dict) else {"budgets": document}


def _list(document: dict[str, Any]) -> list[dict[str, Any]]:
    lists = [value for value in document.values() if isinstance(value, list)]
    return [entry for entry in (lists[0] if lists else [document]) if isinstance(entry, dict)]
