"""publish beside a plain Delta copy and beside the pipeline people write by hand, in turn, warm, in one session.

TPC-H orders (1.5M rows at scale 1): 10 rules with uniqueness, 2 tokens, a seal. The figures are ratios between runs
side by side: every round runs all three, and each round gives one ratio. Written to ``bench/publish.json`` too.
"""

import argparse
import hashlib
import hmac
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from common import spread, tpch

from dataward.keys import create_keyring
from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.spark import session

CONTRACT = """
contract: orders
source: {{format: parquet, path: {source}}}
target: {{path: {work}/sealed, mode: overwrite}}
quarantine: {{path: {work}/sealed_quarantine}}
keys: {{provider: local, path: {work}/keys, domain: orders}}
engine: spark
rules: |
  Rules = [
    RowCount > 1000,
    IsUnique "o_orderkey",
    IsComplete "o_orderkey",
    IsComplete "o_custkey",
    ColumnValues "o_orderstatus" in ["O", "F", "P"],
    ColumnValues "o_totalprice" > 0,
    ColumnValues "o_orderpriority" matches "^[1-5]-",
    ColumnLength "o_clerk" = 15,
    ColumnValues "o_orderdate" between "1991-12-31" and "1999-01-01",
    Mean "o_totalprice" between 100000 and 200000
  ]
columns:
  o_custkey: {{class: customer_id, protect: token}}
  o_clerk: {{class: person_name, protect: token}}
default: keep
"""


WARM = 1  # rounds before the first that counts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", default="1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", default="bench")
    arguments = parser.parse_args()
    work = Path(arguments.out).resolve()
    source = tpch(work, "orders", arguments.scale)
    for old in ("sealed", "sealed_quarantine", "sealed_ledger", "copy", "hand", "hand_quarantine", "reports"):
        shutil.rmtree(work / old, ignore_errors=True)
    if not (work / "keys").exists():
        create_keyring(work / "keys")
    contract = work / "orders.yaml"
    contract.write_text(CONTRACT.format(source=source, work=work))
    planned = plan(contract)
    spark = session.get(**{"spark.driver.memory": "4g"})
    rows = spark.read.parquet(str(source)).count()
    phases: list[dict[str, float]] = []

    def dataward() -> None:
        result = publish(spark, planned, report_folder=str(work / "reports"))
        assert (result.status, result.rows["published"]) == ("published", rows), result
        phases.append({phase.name: phase.seconds for phase in result.phases})

    runs = {
        "copy": lambda: copy(spark, source, work),
        "by hand": lambda: by_hand(spark, source, work),
        "dataward": dataward,
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    session.callbacks(spark)  # the pipeline by hand would start them with threads that keep the process alive
    for number in range(arguments.rounds + WARM):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            spent = time.perf_counter() - begun
            if number >= WARM:
                seconds[name].append(spent)
            note = "  (warm-up)" if number < WARM else ""
            print(f"round {number - WARM + 1:>2} {name:<9} {spent:6.2f} s{note}", file=sys.stderr, flush=True)
    ratios = {
        f"{a} / {b}": [x / y for x, y in zip(seconds[a], seconds[b], strict=True)]
        for a, b in (("by hand", "copy"), ("dataward", "copy"), ("dataward", "by hand"))
    }
    told = {
        "rows": rows,
        "rounds": arguments.rounds,
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "ratios": {name: spread(values) for name, values in ratios.items()},
        "phases": {name: spread([p[name] for p in phases[WARM:]]) for name in phases[-1]},
    }
    (work / "publish.json").write_text(json.dumps(told, indent=2) + "\n")
    print(f"\n{rows:,} rows, {arguments.rounds} rounds, warm (min / median / max)")
    for group in ("seconds", "ratios", "phases"):
        for name, value in told[group].items():  # type: ignore[attr-defined]
            print(f"  {group:<8} {name:<20} {value['min']:6.2f} {value['median']:6.2f} {value['max']:6.2f}")
    print(f"written to {work / 'publish.json'}")


def copy(spark: Any, source: Path, work: Path) -> None:
    spark.read.parquet(str(source)).write.format("delta").mode("overwrite").save(str(work / "copy"))


def by_hand(spark: Any, source: Path, work: Path) -> None:
    """What stands in many repositories: PyDeequ's suite, a row filter, HMAC in a pandas_udf, two Delta writes."""
    import pandas as pd
    from pydeequ.checks import Check, CheckLevel
    from pydeequ.verification import VerificationResult, VerificationSuite
    from pyspark.sql import functions as F

    frame = spark.read.parquet(str(source))
    check = (
        Check(spark, CheckLevel.Error, "orders")
        .isUnique("o_orderkey")
        .isComplete("o_orderkey")
        .isComplete("o_custkey")
        .isContainedIn("o_orderstatus", ["O", "F", "P"])
        .isPositive("o_totalprice")
        .satisfies("o_orderpriority rlike '^[1-5]-'", "priority")
        .satisfies("length(o_clerk) = 15", "clerk")
        .satisfies("o_orderdate > '1991-12-31' and o_orderdate < '1999-01-01'", "date")
        .hasSize(lambda size: size > 1000)
        .hasMean("o_totalprice", lambda mean: 100000 < mean < 200000)
    )
    result = VerificationSuite(spark).onData(frame).addCheck(check).run()
    statuses = VerificationResult.checkResultsAsDataFrame(spark, result).select("constraint_status").collect()
    assert all(row[0] == "Success" for row in statuses)
    key = b"k" * 32

    @F.pandas_udf("string")
    def token(values: pd.Series) -> pd.Series:
        return values.map(lambda value: hmac.new(key, str(value).encode(), hashlib.sha256).hexdigest())

    good = (
        "o_orderkey is not null and o_custkey is not null and o_orderstatus in ('O', 'F', 'P') and o_totalprice > 0 "
        "and o_orderpriority rlike '^[1-5]-' and length(o_clerk) = 15 "
        "and o_orderdate > '1991-12-31' and o_orderdate < '1999-01-01'"
    )
    judged = frame.withColumn("good", F.expr(f"coalesce({good}, false)"))
    judged = judged.withColumn("o_custkey", token("o_custkey")).withColumn("o_clerk", token("o_clerk"))
    writer = judged.where("good").drop("good").write.format("delta").mode("overwrite").option("overwriteSchema", "true")
    writer.save(str(work / "hand"))
    writer = judged.where("not good").drop("good").write.format("delta").mode("append")
    writer.save(str(work / "hand_quarantine"))


if __name__ == "__main__":
    main()
