"""Collect reports, events, proofs and budgets from files and write the dashboard; needs no Spark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from os.path import relpath
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from dataward.errors import TargetError, UsageError
from dataward.pipeline.guard import watched
from dataward.report.board import Board, Budget, Event, Proof, Run
from dataward.report.dashboard import dashboard
from dataward.tables.replacing import replace_file

__all__ = ["Asked", "Drawn", "draw_dashboard"]

BUDGETS = TypeAdapter(list[Budget])


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
    runs = list(_runs(folder, page.parent, unread))
    events = [event for name in asked.events for event in _events(Path(name), unread)]
    proofs = [proof for name in asked.proofs for proof in _proof(Path(name), unread)]
    budgets = [budget for name in asked.budgets for budget in _budgets(Path(name))]
    text = dashboard(Board(runs=runs, events=events, proofs=proofs, budgets=budgets))
    try:
        replace_file(page, text.encode())
    except OSError as error:
        raise TargetError(f"{page}: {error.strerror}. Choose another file with --out") from None
    return Drawn(str(page), len({run.contract for run, _ in runs}), len(runs), len(events), tuple(unread))


def _runs(folder: Path, home: Path, unread: list[str]) -> Iterator[tuple[Run, str]]:
    for file in sorted(folder.rglob("report.json")):
        try:
            run = Run.model_validate_json(file.read_bytes())
        except (OSError, ValueError):
            unread.append(str(file))
            continue
        html = file.with_suffix(".html")
        yield run, quote(relpath(html, home)) if html.exists() else ""


def _events(path: Path, unread: list[str]) -> Iterator[Event]:
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder of events")
    for file in sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    if line.strip():
                        yield Event.model_validate_json(line)
                except ValueError:
                    unread.append(f"{file}:{number}")


def _proof(path: Path, unread: list[str]) -> Iterator[Proof]:
    document = _document(path)
    if not isinstance(document, dict) or "holds" not in document:  # such as the error of a verify that proved nothing
        unread.append(str(path))
        return
    try:
        yield Proof.model_validate(document)
    except ValidationError:
        raise UsageError(f"{path}: not what 'dataward verify --json' prints") from None


def _budgets(path: Path) -> list[Budget]:
    document = _document(path)
    if isinstance(document, dict):  # one account, or a list of accounts under a name
        document = next((value for value in document.values() if isinstance(value, list)), [document])
    try:
        return BUDGETS.validate_python(document)
    except ValidationError:
        raise UsageError(f"{path}: not what 'dataward budget show --json' prints") from None


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{path}: not JSON") from None
