"""What a publish costs as its table grows: appends at several versions and table sizes, and the Spark jobs of each.

``python tests/benchmarks/growth.py [--versions 1,10,100] [--rows 10000]``. Appends of the same rows, engine spark, warm, in turn: to targets
at each of these versions, and to one that has a hundred times the rows. Times are ratios to the first of the same round. Written to
``bench/growth.json`` too.
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
WARM, ROUNDS = 1, 5


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
    for name, one in told.items():
        print(f"{name:<45} {one['seconds']:7.2f} s  {one['ratio']:5.2f}x  {one['jobs']:4.0f} jobs")


def grown(spark: Any, root: Path, versions: list[int], rows: int) -> dict[str, dict[str, float]]:
    """Bring every table to its version, then append to all in turn: a machine whose speed drifts does so for each alike."""
    create_keyring(root / "keys")
    source(spark, root, "few", 10)
    source(spark, root, "rows", rows)
    source(spark, root, "many", 100 * rows)
    tables = {}
    for version in versions:
        table = tables[f"append of {rows:,} rows at version {version}"] = Table(spark, root, f"v{version}", "few")
        while table.version < version:
            table.publish()
    tables[f"append of {rows:,} rows to {100 * rows:,}"] = large = Table(spark, root, "large", "many")
    large.publish()
    tables["the same with quarantine and history"] = Table(spark, root, "beside", "rows", beside=True)
    runs: dict[str, list[tuple[float, int]]] = {name: [] for name in tables}
    for number in range(WARM + ROUNDS):
        for name, table in tables.items():
            table.reads("rows")
            done = table.publish()
            print(f"round {number} {name:<45} {done[0]:6.2f} s", file=sys.stderr, flush=True)
            if number >= WARM:
                runs[name].append(done)
    first = next(iter(runs.values()))
    return {
        name: {
            "seconds": round(statistics.median(seconds for seconds, _ in done), 3),
            "ratio": round(statistics.median(a / b for (a, _), (b, _) in zip(done, first, strict=True)), 3),
            "jobs": statistics.median(jobs for _, jobs in done),
        }
        for name, done in runs.items()
    }


if __name__ == "__main__":
    main()
