"""What each feature of a contract costs, beside the plainest publish of the same rows: seconds, Spark jobs, phases.

``python tests/benchmarks/features.py [--rows 300000] [--only NAME ...]``. Every round runs all contracts in turn, warm, in one session; the figures are
ratios to the plain one. Written to ``bench/features.json`` too.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import publishing

from dataward.keys import create_keyring
from dataward.spark import session

HEAD = """contract: NAME
source: {format: delta, path: ROOT/source}
target: {path: ROOT/NAME, TARGET}
keys: {path: ROOT/keys, domain: t}
engine: ENGINE
default: keep
"""
TEN = """
    RowCount > 0, IsComplete "id", IsComplete "mail", ColumnValues "amount" >= 0, ColumnValues "region" in ["0", "1", "2", "3", "4", "5", "6"],
    ColumnLength "mail" < 60, Mean "amount" between 0 and 100, Completeness "note" > 0.9, Sum "id" > 0, StandardDeviation "amount" > 0"""
OFF = "discovery: off\n"
TOKENS = "columns: {mail: {class: email, protect: token}}\n"
QUARANTINE = "quarantine: {path: ROOT/NAME_quarantine}\n"


def contracts() -> dict[str, dict[str, str]]:
    """Each with what it adds to the plain one."""
    unique = TEN + ', IsUnique "id"'
    failing = TEN + ', IsComplete "note"'
    return {
        "plain": {"more": OFF},
        "ten rules": {"more": OFF, "rules": TEN},
        "and a unique number": {"more": OFF, "rules": unique},
        "and a unique text": {"more": OFF, "rules": unique + ', IsUnique "mail"'},
        "ten rules by Deequ": {"more": OFF, "rules": TEN, "engine": "deequ"},
        "discovery gate": {"more": "discovery: {gate: warn}\n"},
        "a token": {"more": OFF + TOKENS},
        "a format-preserving column": {"more": OFF + "columns: {phone: {protect: fpe}}\n"},
        "encrypted text": {"more": OFF + "columns: {mail: {class: email, protect: encrypt}}\n"},
        "quarantine of 1%": {"more": OFF + QUARANTINE, "rules": failing},
        "history": {"more": OFF + "history: {}\n", "rules": TEN},
        "windows": {"more": OFF + "windows: {column: day, length: 1 day}\n", "rules": TEN},
        "repairs (trim, median)": {
            "more": OFF + "treat: {normalise: {note: {trim: true}}, missing: {note: {constant: none}, amount: {with: median}}}\n",
            "rules": TEN,
        },
        "rules_after": {"more": OFF + TOKENS + 'rules_after: |\n  Rules = [ ColumnLength "mail" > 10 ]\n'},
        "parity": {"more": OFF + TOKENS + "parity: true\n"},
        "risk of three columns": {"more": OFF + "quasi_identifiers: [region, day]\n"},
        "merge into the same keys": {"more": OFF, "target": "mode: merge, on: [id]"},
        "all of these together": {
            "more": "discovery: {gate: warn}\nwindows: {column: day, length: 1 day}\nhistory: {}\nparity: true\n"
            + "quasi_identifiers: [region, day]\ncolumns: {mail: {class: email, protect: token}, phone: {protect: fpe}}\n"
            + "treat: {changes: true, normalise: {region: {trim: true}}, missing: {amount: {with: median}}}\n"
            + 'rules_after: |\n  Rules = [ ColumnLength "mail" > 10 ]\n' + QUARANTINE,
            "rules": failing + ', IsUnique "id", IsUnique "mail"', "target": "mode: merge, on: [id]",
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--warm", type=int, default=1, help="rounds before the first that counts")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these contracts beside the plain one")
    parser.add_argument("--out", default="bench")
    arguments = parser.parse_args()
    spark = session.get(**{"spark.driver.memory": "4g"})
    with tempfile.TemporaryDirectory() as place:
        told = compared(spark, Path(place), arguments)
    out = Path(arguments.out)
    out.mkdir(exist_ok=True)
    (out / "features.json").write_text(json.dumps({"rows": arguments.rows, "features": told}, indent=2) + "\n")
    print(f"{arguments.rows:,} rows, 6 columns")
    for name, one in told.items():
        phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in one["phases"].items() if seconds >= 0.1)
        print(f"{name:<28} {one['seconds']:6.2f} s  {one['ratio']:5.2f}x  {one['jobs']:3d} jobs  {phases}")


def compared(spark: Any, root: Path, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    rows, warm, rounds, only = arguments.rows, arguments.warm, arguments.rounds, arguments.only
    create_keyring(root / "keys")
    made = spark.range(rows).selectExpr(
        "id", "concat('p', id, '@example.org') mail", "cast(id % 7 as string) region", "id % 1000 / 10 amount",
        "if(id % 100 = 0, null, 'x') note", "lpad(cast(id as string), 12, '0') phone",
        "date_add(date'2026-01-01', cast(id % 30 as int)) day",
    )  # fmt: skip
    made.write.format("delta").save(str(root / "source"))
    files = {}
    wanted = {name: parts for name, parts in contracts().items() if name == "plain" or not only or name in only}
    for number, (name, parts) in enumerate(wanted.items()):
        place = f"t{number}"
        settings = {"engine": "spark", "target": "mode: overwrite", **parts}
        text = HEAD + settings["more"]
        for key, value in {
            "ROOT": root,
            "NAME": place,
            "ENGINE": settings["engine"],
            "TARGET": settings["target"],
        }.items():
            text = text.replace(key, str(value))
        if rules := parts.get("rules"):
            text += f"rules: |\n  Rules = [{rules}\n  ]\n"
        (root / f"{place}.yaml").write_text(text)
        files[name] = root / f"{place}.yaml"
    runs: dict[str, list[tuple[float, int, Any]]] = {name: [] for name in files}
    for number in range(warm + rounds):
        for name, contract in files.items():
            spent, jobs, result = publishing(spark, contract)
            if number >= warm:
                runs[name].append((spent, jobs, result))
            print(f"round {number} {name:<28} {spent:6.2f} s", file=sys.stderr, flush=True)
    told = {}
    plain = statistics.median(spent for spent, _, _ in runs["plain"])
    for name, measured in runs.items():
        seconds = statistics.median(spent for spent, _, _ in measured)
        phases = {phase.name: phase.seconds for phase in measured[-1][2].phases}
        told[name] = {
            "seconds": round(seconds, 3),
            "ratio": round(seconds / plain, 2),
            "jobs": measured[-1][1],
            "phases": phases,
        }
    return told


if __name__ == "__main__":
    main()
