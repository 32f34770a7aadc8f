"""Engine ``spark`` beside engine ``deequ``, PyDeequ written by hand, cuallee and a bare scan, in turn, warm, in one session.

TPC-H orders and lineitem, and 2 million generated rows of 7 columns. Ratios between runs side by side, of wall time and
of task-seconds (time that tasks ran, summed over cores). Written to ``bench/engines.json`` too.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from common import spread, tpch

from dataward.quality.judge import Options, judge
from dataward.quality.suite import suite
from dataward.spark import session

NOW = datetime(2026, 11, 22, 12)
SEVEN = [f"c{n}" for n in range(7)]
COMPLETE_AND_UNIQUE = [f'{kind} "{name}"' for name in SEVEN for kind in ("IsComplete", "IsUnique")]
TWENTY = [
    'IsComplete "l_orderkey"', 'IsComplete "l_partkey"', 'IsComplete "l_suppkey"', 'IsComplete "l_quantity"', 'Completeness "l_comment" > 0.9',
    'ColumnValues "l_quantity" between 0 and 51', 'ColumnValues "l_extendedprice" > 0', 'ColumnValues "l_discount" <= 0.1',
    'ColumnValues "l_tax" < 0.09', 'ColumnValues "l_returnflag" in ["A", "N", "R"]', 'ColumnValues "l_linestatus" in ["O", "F"]',
    'ColumnValues "l_linenumber" between 0 and 8', 'ColumnLength "l_comment" < 45', 'ColumnValues "l_shipmode" != "ROCKET"',
    'Mean "l_quantity" between 20 and 30', 'Sum "l_quantity" > 0', 'StandardDeviation "l_discount" < 1', "RowCount > 1000",
    'ColumnValues "l_shipdate" > "1990-01-01"', 'ColumnValues "l_receiptdate" < "2000-01-01"',
]  # fmt: skip

# Ten kinds of check, each on a column of its own, with other bounds every time.
MANY = [
    rule.format(n=n)
    for n in range(100)
    for rule in (
        'ColumnValues "l_quantity" between -{n} and 51', 'ColumnValues "l_extendedprice" > {n}', 'ColumnValues "l_discount" <= 0.{n}',
        'ColumnValues "l_linenumber" < {n}', 'ColumnValues "l_shipmode" != "x{n}"', 'ColumnValues "l_returnflag" in ["A", "N", "x{n}"]',
        'ColumnValues "l_orderkey" > {n}', 'ColumnValues "l_partkey" not in [{n}]', 'ColumnValues "l_suppkey" >= {n}',
        'ColumnValues "l_tax" < {n}.5',
    )
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", default="1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", default="bench")
    arguments = parser.parse_args()
    work = Path(arguments.out).resolve()
    # Spark forgets all but a thousand stages, and with them their task-seconds.
    spark = session.get(**{"spark.driver.memory": "4g", "spark.ui.retainedStages": "100000"})
    told: dict[str, Any] = {"rounds": arguments.rounds}
    with session.isolated(spark) as own:
        generated = own.read.parquet(str(generate(own, work)))
        tables = {name: own.read.parquet(str(tpch(work, name, arguments.scale))) for name in ("orders", "lineitem")}
        # Rows that are generated as they are read, as when a table is the end of a pipeline; and the same from Parquet.
        for place, frame in (("generated", generator(own)), ("from Parquet", generated)):
            told[f"7 IsComplete + 7 IsUnique, 2M x 7, {place}"] = compare(own, arguments.rounds, {
                "spark": lambda frame=frame: ours(own, frame, COMPLETE_AND_UNIQUE, "spark"),
                "deequ": lambda frame=frame: ours(own, frame, COMPLETE_AND_UNIQUE, "deequ"),
                "by hand": lambda frame=frame: by_hand(own, frame),
                "cuallee": lambda frame=frame: cuallee(frame),
                "scan": lambda frame=frame: scan(frame, SEVEN),
            })  # fmt: skip
        keys = ['IsUnique "o_orderkey"', 'IsPrimaryKey "o_orderkey"', 'Uniqueness "o_custkey" > 0', 'IsComplete "o_clerk"',
                'DistinctValuesCount "o_clerk" > 9', 'Entropy "o_orderstatus" > 0', 'UniqueValueRatio "o_custkey" >= 0']  # fmt: skip
        told["7 rules on keys, orders"] = compare(own, arguments.rounds, {
            "spark": lambda: ours(own, tables["orders"], keys, "spark"),
            "deequ": lambda: ours(own, tables["orders"], keys, "deequ"),
            "scan": lambda: scan(tables["orders"], ["o_orderkey", "o_custkey", "o_clerk", "o_orderstatus"]),
        })  # fmt: skip
        told["20 rules without uniqueness, lineitem"] = compare(own, arguments.rounds, {
            "spark": lambda: ours(own, tables["lineitem"], TWENTY, "spark"),
            "deequ": lambda: ours(own, tables["lineitem"], TWENTY, "deequ"),
            "scan": lambda: scan(tables["lineitem"], columns_of(TWENTY)),
        })  # fmt: skip
        told["1,000 row rules, lineitem"] = compare(own, arguments.rounds, {
            "10 rules": lambda: ours(own, tables["lineitem"], MANY[:10], "spark"),
            "1000 rules": lambda: ours(own, tables["lineitem"], MANY, "spark"),
            "scan": lambda: scan(tables["lineitem"], columns_of(MANY)),
        })  # fmt: skip
    work.mkdir(exist_ok=True)
    (work / "engines.json").write_text(json.dumps(told, indent=2) + "\n")
    print(f"written to {work / 'engines.json'}")


def compare(spark: Any, rounds: int, runs: dict[str, Callable[[], None]]) -> dict[str, Any]:
    """Every round runs all; each gives ratios to the first."""
    first = next(iter(runs))
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(-2, rounds + 1):  # three rounds to warm up: until then the JVM compiles what it runs often
        for name, run in runs.items():
            before, begun = task_seconds(spark), time.perf_counter()
            run()
            spent = time.perf_counter() - begun
            tasks = task_seconds(spark) - before
            if number > 0:
                seen[name].append((spent, tasks))
            print(f"round {number} {name:<11} {spent:6.2f} s, {tasks:6.2f} task-seconds", file=sys.stderr, flush=True)
    out: dict[str, Any] = {}
    for place, what in enumerate(("seconds", "task-seconds")):
        out[what] = {name: spread([both[place] for both in pairs]) for name, pairs in seen.items()}
        out[f"{what}, as multiples of '{first}'"] = {
            name: spread([a[place] / b[place] for a, b in zip(pairs, seen[first], strict=True)])
            for name, pairs in seen.items() if name != first
        }  # fmt: skip
    if "scan" in runs:
        out["seconds, as multiples of 'scan'"] = {
            name: spread([a[0] / b[0] for a, b in zip(pairs, seen["scan"], strict=True)])
            for name, pairs in seen.items()
        }
    print(json.dumps(out, indent=1).replace('",\n', '", '))
    return out


def task_seconds(spark: Any) -> float:
    """Run time of all tasks so far, as Spark's own status store counts it."""
    context = spark.sparkContext
    context._jsc.sc().listenerBus().waitUntilEmpty()
    doubles = context._gateway.new_array(context._jvm.double, 0)
    stages = context._jsc.sc().statusStore().stageList(None, False, False, doubles, None)
    return sum(stages.apply(n).executorRunTime() for n in range(stages.size())) / 1000


def ours(spark: Any, frame: Any, rules: list[str], engine: Any) -> None:
    made, errors = suite(f"Rules = [ {', '.join(rules)} ]")
    assert not errors
    judged = judge(spark, frame, made, NOW, Options(engine))
    assert all(verdict.outcome in ("PASSED", "FAILED") for verdict in judged.verdicts), judged.verdicts


def by_hand(spark: Any, frame: Any) -> None:
    from pydeequ.checks import Check, CheckLevel
    from pydeequ.verification import VerificationResult, VerificationSuite

    check = Check(spark, CheckLevel.Error, "seven")
    for name in SEVEN:
        check = check.isComplete(name).isUnique(name)
    result = VerificationSuite(spark).onData(frame).addCheck(check).run()
    VerificationResult.checkResultsAsDataFrame(spark, result).collect()


def cuallee(frame: Any) -> None:
    from cuallee import Check, CheckLevel

    check = Check(CheckLevel.ERROR, "seven")
    for name in SEVEN:
        check.is_complete(name).is_unique(name)
    check.validate(frame).collect()


def scan(frame: Any, columns: list[str]) -> None:
    frame.select(*columns).write.format("noop").mode("overwrite").save()


def columns_of(rules: list[str]) -> list[str]:
    return sorted({rule.split('"')[1] for rule in rules if '"' in rule})


def generator(spark: Any) -> Any:
    """2 million rows: whole numbers, texts, dates and decimals, some unique, some not."""
    kinds = ["id", "concat('k', id)", "id % 1000", "cast(id % 97 as string)", "date_add(date'2000-01-01', cast(id % 9000 as int))",
             "cast(id * 1.01 as decimal(18,2))", "sha2(cast(id as string), 256)"]  # fmt: skip
    return spark.range(2_000_000).selectExpr(*[f"{sql} c{n}" for n, sql in enumerate(kinds)])


def generate(spark: Any, work: Path) -> Path:
    path = work / "generated.parquet"
    if not path.exists():
        generator(spark).repartition(2).write.parquet(str(path))
    return path


if __name__ == "__main__":
    main()
