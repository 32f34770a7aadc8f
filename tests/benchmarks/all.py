"""Run the benchmarks one after another; print one table of their figures and write it to ``bench/bench.json``.

``python tests/benchmarks/all.py [NAME ...]``: these, or all. Each is a process of its own, so that none warms the next.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAMES = (
    "publish",
    "growth",
    "features",
    "scale",
    "engines",
    "protect",
    "discover",
    "treat",
    "wide",
    "refresh",
    "anomalies",
    "federated",
    "budget",
)


def main() -> int:
    names = sys.argv[1:] or NAMES
    out = Path("bench")
    out.mkdir(exist_ok=True)
    table: list[dict[str, Any]] = []
    failed = False
    for name in names:
        kept, begun = out / f"{name}.json", time.perf_counter()
        kept.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(HERE / f"{name}.py")], stdout=subprocess.PIPE, text=True
        )
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        failed |= done.returncode != 0
        if done.returncode:
            table.append({"benchmark": name, "what": "failed", "value": f"exit {done.returncode}"})
        elif kept.exists():
            found = figures(json.loads(kept.read_text()))
            table += [{"benchmark": name, "what": what, "value": value} for what, value in found]
        else:  # it has words only
            table += [{"benchmark": name, "what": line, "value": ""} for line in done.stdout.splitlines()]
    (out / "bench.json").write_text(json.dumps(table, indent=1) + "\n")
    for row in table:
        value = f"{row['value']:>12,.2f}" if isinstance(row["value"], float | int) else f"{row['value']:>12}"
        print(f"{row['benchmark']:<10} {value}  {row['what']}")
    return int(failed)


def figures(told: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every number of a document, with its path; of a spread the median."""
    if isinstance(told, dict) and "median" in told:
        yield " / ".join(path), told["median"]
    elif isinstance(told, dict):
        for key, value in told.items():
            yield from figures(value, (*path, str(key)))
    elif isinstance(told, list):
        for number, value in enumerate(told):
            yield from figures(value, (*path, str(number)))
    elif isinstance(told, int | float):
        yield " / ".join(path), told


if __name__ == "__main__":
    sys.exit(main())
