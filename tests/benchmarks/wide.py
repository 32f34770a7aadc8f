"""The profile of a wide table, and of six columns of TPC-H lineitem (6 million rows) beside PyDeequ's ColumnProfiler, in Spark task-seconds.

``python tests/benchmarks/wide.py [ROWS]``: 200 columns (100 of numbers, 60 of texts, 40 of dates) and ROWS rows (a million).
"""

import sys
import time
from pathlib import Path

from common import tpch
from engines import task_seconds

from dataward.contract import Source
from dataward.spark import session
from dataward.verbs.profile import profile

WIDE = Path("bench/wide")
SIX = ("l_orderkey", "l_quantity", "l_extendedprice", "l_shipmode", "l_returnflag", "l_comment")


def wide(spark, rows: int) -> str:
    """Made once."""
    place = f"{WIDE}_{rows}"
    if not Path(place, "_SUCCESS").exists():
        numbers = [f"round(randn({n}) * {10 ** (n % 5)}, {n % 4}) as n{n}" for n in range(100)]
        texts = [f"concat('text ', int(rand({n}) * {10 ** (1 + n % 6)})) as t{n}" for n in range(60)]
        dates = [f"date_add(date'2020-01-01', int(rand({n}) * 2000)) as d{n}" for n in range(40)]
        frame = spark.range(0, rows, 1, 8).selectExpr("id", *numbers, *texts, *dates).drop("d39")
        frame.write.mode("overwrite").parquet(place)
    return place


def measured(spark, run) -> tuple[float, float]:
    """(wall seconds, task-seconds) of everything that a function starts."""
    before, begun = task_seconds(spark), time.perf_counter()
    run()
    return time.perf_counter() - begun, task_seconds(spark) - before


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    spark = session.get(**{"spark.master": "local[2]", "spark.driver.memory": "4g", "spark.ui.enabled": "false"})
    place = wide(spark, rows)
    source = Source.model_validate({"path": place, "format": "parquet"})
    spent, tasks = measured(spark, lambda: profile(spark, source))
    print(f"{rows:,} rows, 200 columns: {spent:.0f} s, {tasks:.0f} task-seconds")
    small = "bench/six"
    if not Path(small, "_SUCCESS").exists():
        lineitem = spark.read.parquet(str(tpch(Path("bench").resolve(), "lineitem", "1")))
        lineitem.select(*SIX).write.mode("overwrite").parquet(small)
    six = Source.model_validate({"path": small, "format": "parquet"})
    profile(spark, six)  # warm
    ours = measured(spark, lambda: profile(spark, six))

    def theirs() -> None:
        from pydeequ.profiles import ColumnProfilerRunner

        ColumnProfilerRunner(spark).onData(spark.read.parquet(small)).run()

    deequ = measured(spark, theirs)
    print(f"6 columns of 6 million rows: dataward {ours[0]:.1f} s, {ours[1]:.1f} task-seconds; PyDeequ's ColumnProfiler {deequ[0]:.1f} s, "
          f"{deequ[1]:.1f} task-seconds; ratio {deequ[1] / ours[1]:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
