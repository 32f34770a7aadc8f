"""How the time of a publish grows with rows, columns and rules: fitted exponents (1: in proportion), memory at the largest.

``python tests/benchmarks/scale.py [--rows 100000,300000,1000000,3000000] [--columns 5,20,80,200] [--rules 1,10,100,1000]``. One of the
three varies, the others stay at a million cells or below; engine spark, warm, two rounds, the quicker counts. Written to
``bench/scale.json`` too.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

from common import peak_memory, publishing

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
    parser.add_argument("--out", default="bench")
    given = parser.parse_args()
    spark = session.get(**{"spark.driver.memory": "4g"})
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        create_keyring(root / "keys")
        for number in (5, 20):
            run(spark, root, 20_000, number, 3)  # warm
        told["rows"] = {n: run(spark, root, n, 6, 10) for n in numbers(given.rows)}
        told["columns"] = {n: run(spark, root, 50_000, n, 10) for n in numbers(given.columns)}
        told["rules"] = {n: run(spark, root, 100_000, 6, n) for n in numbers(given.rules)}
    exponents = {what: exponent(of) for what, of in told.items()}
    told |= {"exponents": exponents, "peak memory of the driver's JVM, MB": peak_memory(spark)}
    out = Path(given.out)
    out.mkdir(exist_ok=True)
    (out / "scale.json").write_text(json.dumps(told, indent=2) + "\n")
    for what in exponents:
        line = ", ".join(f"{n:,}: {seconds:.2f} s" for n, seconds in told[what].items())
        print(f"{what:<8} exponent {exponents[what]:5.2f}   {line}")
    print(f"peak memory of the driver's JVM: {told['peak memory of the driver' + chr(39) + 's JVM, MB']:,} MB")


def numbers(text: str) -> list[int]:
    return sorted(map(int, text.split(",")))


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
    return min(publishing(spark, root / f"{name}.yaml")[0] for _ in range(2))


def exponent(seconds: dict[int, float]) -> float:
    """Slope of the logarithms, by least squares: the time grows as n to this power."""
    points = [(math.log(n), math.log(one)) for n, one in seconds.items()]
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    return round(sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points), 3)


if __name__ == "__main__":
    main()
