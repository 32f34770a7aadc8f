"""One new partition of a hundred: mode refresh beside a run over everything, in seconds and Spark task-seconds.

``python tests/benchmarks/refresh.py [ROWS]``: rows of each partition (50,000).
"""

import sys
import tempfile
from pathlib import Path

from wide import measured

from dataward.keys import create_keyring
from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.spark import session

CONTRACT = """contract: events
source: {{path: {root}/source}}
target: {{path: {root}/{target}, {mode}, partition_by: [day]}}
quarantine: {{path: {root}/quarantine}}
keys: {{path: {root}/keys, domain: events}}
engine: spark
discovery: off
columns: {{email: {{protect: token}}}}
default: keep
rules: |
  Rules = [
    RowCount > 1000, IsPrimaryKey "id", IsComplete "email", ColumnValues "amount" between -1 and 1001,
    Mean "amount" between 400 and 600, StandardDeviation "amount" < 400, ColumnLength "email" > 5{unique}
  ]
"""


def made(spark, first: int, days: int, rows: int):
    """Rows of some days."""
    return spark.sql(
        f"select id, concat('user', id % 1000003, '@example.org') email, rand(1) * 1000 amount, repeat(uuid(), 2) note, "
        f"date_add(date'2026-01-01', cast(floor(id / {rows}) as int)) day "
        f"from range({first * rows}, {(first + days) * rows}, 1, {max(days // 5, 1)})"
    )


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    spark = session.get(**{"spark.master": "local[2]", "spark.driver.memory": "6g", "spark.ui.enabled": "false"})
    for name, unique in (("a unique number", ""), ("and a unique text", ', IsUnique "note"')):
        with tempfile.TemporaryDirectory() as root:
            print(f"100 x {rows:,} rows, {name}: {compared(spark, Path(root), rows, unique)}")


def compared(spark, root: Path, rows: int, unique: str) -> str:
    create_keyring(root / "keys")
    made(spark, 0, 99, rows).write.format("delta").partitionBy("day").save(str(root / "source"))
    for mode in ("refresh", "overwrite"):
        text = CONTRACT.format(root=root, target=mode, mode=f"mode: {mode}", unique=unique)
        (root / f"{mode}.yaml").write_text(text)
    told = {"first": run(spark, root, "refresh")}
    run(spark, root, "overwrite")
    made(spark, 99, 1, rows).write.format("delta").mode("append").save(str(root / "source"))
    told["one new of 100"], told["everything"] = (run(spark, root, mode) for mode in ("refresh", "overwrite"))
    ratio = told["everything"][1] / told["one new of 100"][1]
    line = "; ".join(f"{what} {wall:.1f} s, {tasks:.1f} task-seconds" for what, (wall, tasks) in told.items())
    states = sum(file.stat().st_size for file in (root / "refresh_states").rglob("*.parquet"))
    return f"{line}; {ratio:.1f} times fewer. States {states / 1e6:.0f} MB"


def run(spark, root: Path, mode: str) -> tuple[float, float]:
    def published() -> None:
        result = publish(spark, plan(root / f"{mode}.yaml"), report_folder=str(root / "reports"))
        assert result.status == "published", result.reasons

    return measured(spark, published)


if __name__ == "__main__":
    main()
