"""What a publish costs as its table grows: appends at several versions and table sizes, and the Spark jobs of each.

``python tests/benchmarks/growth.py [--versions 1,10,100] [--rows 10000]``. Appends of the same rows, engine spark, warm: at each of
these versions of one target, and to a target that had ten times the rows. Times are ratios to the first. Written to
``bench/growth.json`` too.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from common import publishing

from dataward.keys import create_keyring
from dataward.spark import session

CONTRACT = """contract: {name}
source: {{format: delta, path: {root}/{source}}}
target: {{path: {root}/{name}, mode: append}}
keys: {{path: {root}/keys, domain: t}}
engine: spark
default: keep
{extra}
columns: {{mail: {{class: email, protect: token}}}}
rules: |
  Rules = [
    RowCount > 0, IsUnique "id", IsComplete "id", ColumnValues "amount" >= 0{more}
  ]
"""
BESIDE = "quarantine: {{path: {root}/{name}_quarantine}}\nhistory: {{}}"
REPEATS = 3


def source(spark: Any, root: Path, name: str, rows: int) -> None:
    columns = ("id", "concat('p', id, '@example.org') mail", "cast(id % 7 as string) region", "id % 1000 / 10 amount")
    nulls = "if(id % 100 = 0, null, 'x') note"
    frame = spark.range(rows).selectExpr(*columns, nulls)
    frame.coalesce(max(1, rows // 250_000)).write.format("delta").save(str(root / name))


class Table:
    """A contract and its target, and what its publishes took."""

    def __init__(self, spark: Any, root: Path, name: str, of: str, beside: bool = False) -> None:
        self.spark, self.root, self.name = spark, root, name
        self.extra = BESIDE.format(root=root, name=name) if beside else ""
        self.more = ', IsComplete "note"' if beside else ""
        self.version = 0
        self.reads(of)

    def reads(self, of: str) -> None:
        """Take rows from another source from now on."""
        text = CONTRACT.format(root=self.root, name=self.name, source=of, extra=self.extra, more=self.more)
        self.file = self.root / f"{self.name}.yaml"
        self.file.write_text(text)

    def publish(self) -> tuple[float, int]:
        """Seconds and Spark jobs of one more publish."""
        seconds, jobs, _ = publishing(self.spark, self.file)
        self.version += 1
        return seconds, jobs

    def measured(self) -> dict[str, float]:
        """Median of a few more publishes."""
        runs = [self.publish() for _ in range(REPEATS)]
        return {
            "seconds": round(statistics.median(s for s, _ in runs), 3),
            "jobs": statistics.median(j for _, j in runs),
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--versions", default="1,10,100")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--out", default="bench")
    arguments = parser.parse_args()
    spark = session.get(**{"spark.driver.memory": "4g"})
    with tempfile.TemporaryDirectory() as place:
        told = grown(spark, Path(place), sorted(map(int, arguments.versions.split(","))), arguments.rows)
    out = Path(arguments.out)
    out.mkdir(exist_ok=True)
    (out / "growth.json").write_text(json.dumps(told, indent=2) + "\n")
    first = next(iter(told.values()))["seconds"]
    for name, one in told.items():
        print(f"{name:<45} {one['seconds']:7.2f} s  {one['seconds'] / first:5.2f}x  {one['jobs']:4.0f} jobs")


def grown(spark: Any, root: Path, versions: list[int], rows: int) -> dict[str, dict[str, float]]:
    create_keyring(root / "keys")
    source(spark, root, "few", 10)
    source(spark, root, "rows", rows)
    source(spark, root, "many", 100 * rows)
    warm = Table(spark, root, "warm", "rows")
    for _ in range(3):
        warm.publish()
    told = {}
    table = Table(spark, root, "versions", "few")
    for version in versions:
        table.reads("few")
        while table.version < version:
            table.publish()
        table.reads("rows")
        told[f"append of {rows:,} rows at version {version}"] = table.measured()
    large = Table(spark, root, "large", "many")
    large.publish()
    large.reads("rows")
    told[f"append of {rows:,} rows to {100 * rows:,}"] = large.measured()
    beside = Table(spark, root, "beside", "rows", beside=True)
    beside.publish()
    told["the same with quarantine and history"] = beside.measured()
    return told


if __name__ == "__main__":
    main()
