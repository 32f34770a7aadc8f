"""Releases beside Tumult Analytics and PipelineDP: the same counts and sums, by error and time; and 10M rows in one run.

    python tests/benchmarks/release.py [--tumult VENV/bin/python] [--pipelinedp VENV/bin/python] [--trials 30] [--large]

The two others conflict with what Dataward pins, so that each runs in a virtual environment of its own (`make bench-dp`):
`tmlt.analytics==0.21.*` with `pyspark>=3.5,<3.6`, and `pipeline-dp==0.3.1` on its local backend. Pure epsilon 1, half for counts, half for
sums; at most 10 rows of a person; values from 0 to 100; 300 public keys. The error is the root mean square over keys and trials
against the exact answers of the unbounded table.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROWS, PEOPLE, KEYS, BOUND = 200_000, 40_000, 300, 10


def data(folder: Path) -> dict:
    """Write the table as Parquet and CSV; returns its exact answers."""
    import pandas as pd

    chance = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "person": [f"p{n}" for n in np.arange(ROWS) % PEOPLE],
            "key": [f"k{n}" for n in chance.integers(0, KEYS, ROWS)],
            "value": chance.integers(0, 101, ROWS),
        }
    )
    frame.to_parquet(folder / "table.parquet")
    frame.to_csv(folder / "table.csv", index=False)
    grouped = frame.groupby("key")["value"].agg(["count", "sum"])
    return {key: (int(row["count"]), int(row["sum"])) for key, row in grouped.iterrows()}


def ours(folder: Path, trials: int) -> list:
    from dataward.release.aggregate import exact_of
    from dataward.release.answers import drawn
    from dataward.release.plan import compiled
    from dataward.release.query import Query
    from dataward.spark import session

    asked = Query.model_validate(
        {
            "release": "bench", "source": {"path": "table"}, "unit": "person", "bounds": {"rows_per_unit": BOUND},
            "group_by": {"key": [f"k{n}" for n in range(KEYS)]}, "answers": ["count", {"sum": {"column": "value", "between": [0, 100]}}],
            "spend": {"epsilon": 1.0, "from": "budgets", "mechanism": "laplace"}, "target": {"path": "answer"},
        }
    )  # fmt: skip
    spark = session.get()
    with session.isolated(spark) as own:
        frame = own.read.parquet(str(folder / "table.parquet"))
        plan = compiled(asked, {field.name: field.dataType.simpleString() for field in frame.schema.fields})
        found, timed = [], min(trials, 10)  # then noise is drawn on the same aggregates, of which no row was left out
        for number in range(trials + 1):
            began = time.perf_counter()
            if number <= timed:
                exact = exact_of(frame, plan, number.to_bytes(32, "big"))
            answer = drawn(plan, exact)
            seconds = time.perf_counter() - began if number <= timed else None
            counts, sums = answer.columns["count"][0], answer.columns["sum_value"][0]
            rows = {group[0]: (int(counts[n]), float(sums[n])) for n, group in enumerate(answer.groups)}
            found.append((seconds, rows))
    return found[1:]  # the first warms the JVM


def tumult(folder: Path, trials: int) -> list:
    from pyspark.sql import SparkSession
    from tmlt.analytics import AddRowsWithID, KeySet, MaxRowsPerID, PureDPBudget, QueryBuilder, Session

    spark = SparkSession.builder.master("local[2]").config("spark.sql.shuffle.partitions", "4").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    frame = spark.read.parquet(str(folder / "table.parquet"))
    keys = KeySet.from_dict({"key": [f"k{n}" for n in range(KEYS)]})
    found = []
    for _ in range(trials + 1):
        asking = Session.from_dataframe(PureDPBudget(1), "t", frame, protected_change=AddRowsWithID("person"))
        began = time.perf_counter()
        bounded = QueryBuilder("t").enforce(MaxRowsPerID(BOUND)).groupby(keys)
        counts = asking.evaluate(bounded.count(), PureDPBudget(0.5)).collect()
        sums = asking.evaluate(bounded.sum("value", 0, 100, "total"), PureDPBudget(0.5)).collect()
        seconds = time.perf_counter() - began
        totals = {row["key"]: row["total"] for row in sums}
        found.append((seconds, {row["key"]: (row["count"], totals[row["key"]]) for row in counts}))
    return found[1:]


class Row(NamedTuple):
    person: str
    key: str
    value: int


def pipelinedp(folder: Path, trials: int) -> list:
    import pipeline_dp

    with (folder / "table.csv").open() as stream:
        rows = [Row(person, key, int(value)) for person, key, value in list(csv.reader(stream))[1:]]
    found = []  # seconds of CPU: it is one thread, and takes at least as long
    for _ in range(trials):
        began = time.process_time()
        accountant = pipeline_dp.NaiveBudgetAccountant(total_epsilon=1, total_delta=1e-15)
        engine = pipeline_dp.DPEngine(accountant, pipeline_dp.LocalBackend())
        parameters = pipeline_dp.AggregateParams(
            metrics=[pipeline_dp.Metrics.COUNT, pipeline_dp.Metrics.SUM], noise_kind=pipeline_dp.NoiseKind.LAPLACE,
            max_partitions_contributed=BOUND, max_contributions_per_partition=1, min_value=0, max_value=100,
        )  # fmt: skip
        extract = pipeline_dp.DataExtractors(
            privacy_id_extractor=lambda row: row.person,
            partition_extractor=lambda row: row.key,
            value_extractor=lambda row: row.value,
        )
        answer = engine.aggregate(rows, parameters, extract, public_partitions=[f"k{n}" for n in range(KEYS)])
        accountant.compute_budgets()
        told = {key: (one.count, one.sum) for key, one in answer}
        found.append((time.process_time() - began, told))
    return found


def errors(truth: dict, found: list) -> tuple[float, float, float]:
    """Root mean square errors of counts and sums, and the median seconds of a trial."""
    counts = [row[0] - truth[key][0] for _, rows in found for key, row in rows.items()]
    sums = [row[1] - truth[key][1] for _, rows in found for key, row in rows.items()]
    return (
        float(np.sqrt(np.mean(np.square(counts)))),
        float(np.sqrt(np.mean(np.square(sums)))),
        float(np.median([s for s, _ in found if s is not None])),
    )


def large() -> None:
    """Count and sum 10M rows in 100,000 groups of unknown keys: one whole release, charged, written and sealed.

    Epsilon 8, so that most groups (of some 100 people, who are in 10 groups each) reach the threshold and are written.
    """
    import resource

    from common import peak_memory

    from dataward.keys import create_keyring
    from dataward.release.query import Query
    from dataward.spark import session
    from dataward.verbs.budget import Amount, set_cap
    from dataward.verbs.release import release

    with tempfile.TemporaryDirectory() as folder:
        asked = Query.model_validate(
            {
                "release": "bench", "source": {"path": f"{folder}/table", "sealed": False}, "unit": "person",
                "bounds": {"rows_per_unit": 10, "groups_per_unit": 10}, "group_by": {"key": "unknown"},
                "answers": ["count", {"sum": {"column": "value", "between": [0, 100]}}],
                "spend": {"epsilon": 8.0, "delta": 1e-6, "from": f"{folder}/budgets"}, "target": {"path": f"{folder}/answer"},
                "keys": {"path": f"{folder}/keys", "domain": "bench"},
            }
        )  # fmt: skip
        spark = session.get()
        create_keyring(asked.keys)
        spark.range(10_000_000).selectExpr(
            "concat('p', id % 1000000) person",
            "concat('k', pmod(hash(id), 100000)) key",
            "cast(pmod(hash(id, 1), 101) as int) value",
        ).write.format("delta").save(f"{folder}/table")
        set_cap(spark, f"{folder}/budgets", f"{folder}/table", "person", Amount(8.0, 1e-6))
        before, began = peak_memory(spark), time.perf_counter()
        release(spark, asked, say=lambda text: print(f"  {time.perf_counter() - began:6.1f} s  {text}", flush=True))
        seconds = time.perf_counter() - began
        rows = spark.read.format("delta").load(f"{folder}/answer").count()
        print(
            f"10M rows, 100,000 groups ({rows:,} released): {seconds:.0f} s; JVM at most {peak_memory(spark):,} MB "
            f"({before:,} before), Python {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tumult")
    parser.add_argument("--pipelinedp")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--child", nargs=3, metavar=("NAME", "FOLDER", "OUT"))
    given = parser.parse_args()
    if given.child:
        name, folder, out = given.child
        found = {"ours": ours, "tumult": tumult, "pipelinedp": pipelinedp}[name](Path(folder), given.trials)
        Path(out).write_text(json.dumps(found, default=float))
        return
    if given.large:
        large()
        return
    with tempfile.TemporaryDirectory() as folder:
        truth, figures = data(Path(folder)), {}
        for name, python in (("ours", sys.executable), ("tumult", given.tumult), ("pipelinedp", given.pipelinedp)):
            if python is None:
                continue
            out = Path(folder, f"{name}.json")
            command = [
                python,
                "-W",
                "ignore",
                __file__,
                "--trials",
                str(given.trials),
                "--child",
                name,
                folder,
                str(out),
            ]
            own = {**os.environ, "PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": python}
            subprocess.run(command, check=True, env=own)
            count, total, seconds = figures[name] = errors(truth, json.loads(out.read_text()))
            print(
                f"{name:<11} RMSE of counts {count:8.2f}, of sums {total:10.1f}, {seconds:6.2f} s a trial ({given.trials} trials)"
            )
        for name, figure in figures.items():
            if name != "ours":
                count, total, seconds = (mine / its for mine, its in zip(figures["ours"], figure, strict=True))
                print(f"ours / {name}: RMSE of counts {count:.3f}, of sums {total:.3f}, time {seconds:.2f}", flush=True)
    Path("bench").mkdir(exist_ok=True)
    Path("bench/release.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
