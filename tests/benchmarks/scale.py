"""How the time of a publish grows with rows, columns and rules: fitted exponents (1: in proportion), memory at the largest.

``python tests/benchmarks/scale.py [--rows 100000,300000,1000000,3000000] [--columns 5,20,80,200] [--rules 1,10,100,1000]``. One of the
three varies, the others stay at a million cells or below (an empty list leaves one out); engine spark, warm, two rounds, the quicker
counts. Written to ``bench/scale.json`` too.
"""

import argparse
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import peak_memory, peak_of_workers, publishing

from dataward.keys import create_keyring
from dataward.spark import session

CONTRACT = """contract: NAME
source: {format: parquet, path: ROOT/NAME_source}
target: {path: ROOT/NAME, mode: overwrite}
keys: {path: ROOT/keys, domain: t}
engine: spark
default: keep
discovery: off
columns: {c0: {protect: token}}
rules: |
  Rules = [
RULES
  ]
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (
        ("rows", "100000,300000,1000000,3000000"),
        ("columns", "5,20,80,200"),
        ("rules", "1,10,100,1000"),
    ):
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--driver", default="4g", help="heap of the driver's JVM, which is the executor too")
    parser.add_argument("--out", default="bench")
    given = parser.parse_args()
    spark = session.get(**{"spark.driver.memory": given.driver})
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        create_keyring(root / "keys")
        for number in (5, 20):
            run(spark, root, 20_000, number, 3)  # warm
        told["rows"] = {n: run(spark, root, n, 6, 10) for n in numbers(given.rows)}
        told["columns"] = {n: run(spark, root, 50_000, n, 10) for n in numbers(given.columns)}
        told["rules"] = {n: run(spark, root, 100_000, 6, n) for n in numbers(given.rules)}
    exponents = {what: exponent(of) for what, of in told.items() if len(of) > 1}
    memory = {f"peak memory of the {who}, MB": of(spark) for who, of in PEAKS.items()}
    told |= {"exponents": exponents, **memory}
    out = Path(given.out)
    out.mkdir(exist_ok=True)
    (out / "scale.json").write_text(json.dumps(told, indent=2) + "\n")
    for what in ("rows", "columns", "rules"):
        line = ", ".join(f"{n:,}: {seconds:.2f} s" for n, seconds in told[what].items())
        print(f"{what:<8} exponent {exponents.get(what, math.nan):5.2f}   {line}")
    for name, peak in memory.items():
        print(f"{name}: {peak:,} (a heap of {given.driver})")


PEAKS = {"driver's JVM": peak_memory, "largest Python worker": peak_of_workers}


SLOW = 5_000_000
"""Rows above which one round is enough."""


def numbers(text: str) -> list[int]:
    return sorted(map(int, filter(None, text.split(","))))


def run(spark: Any, root: Path, rows: int, columns: int, rules: int) -> float:
    """Seconds of a publish of so many rows, the quicker of two."""
    name = f"t{rows}_{columns}_{rules}"
    texts = [f"concat('value ', id % {10 ** (n % 5 + 1)}) as c{n}" for n in range(columns - 1)]
    spark.range(0, rows, 1, max(1, rows // 500_000)).selectExpr("id", *texts).write.parquet(
        str(root / f"{name}_source")
    )
    kinds = (
        'IsComplete "c{0}"',
        'ColumnLength "c{0}" < {1}',
        'Completeness "c{0}" > 0.{1}',
        'ColumnValues "id" > -{1}',
    )
    lines = [kinds[n % 4].format(n % (columns - 1), n + 20) for n in range(rules)]
    text = (
        CONTRACT.replace("ROOT", str(root))
        .replace("NAME", name)
        .replace("RULES", ",\n".join(f"    {line}" for line in lines))
    )
    (root / f"{name}.yaml").write_text(text)
    seconds = [publishing(spark, root / f"{name}.yaml")[0] for _ in range(2 if rows <= SLOW else 1)]
    print(f"{name} {seconds}", file=sys.stderr, flush=True)
    return min(seconds)


def exponent(seconds: dict[int, float]) -> float:
    """Slope of the logarithms, by least squares: the time grows as n to this power."""
    points = [(math.log(n), math.log(one)) for n, one in seconds.items()]
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return round(sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points), 3)


if __name__ == "__main__":
    main()
