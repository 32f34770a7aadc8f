"""Run by test_serverless.py in a process of its own: verbs over a Spark Connect session with the restrictions of Databricks serverless.

    python -m tests.e2e.serverless FOLDER SPARK_REMOTE

The restrictions are those of its documentation: six settings can be set, the others can be neither set nor read, nothing is persisted,
there are no global temporary views, and files of a Delta table are not read as plain files, except its log. Stricter than documented: settings are not listed, and the server gives no second session.
Prints one JSON object like tests.e2e.connect_journey.
"""

import getpass
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e.connect_journey import Journey

SETTABLE = {
    "spark.databricks.execution.timeout",
    "spark.sql.ansi.enabled",
    "spark.sql.files.maxPartitionBytes",
    "spark.sql.legacy.timeParserPolicy",
    "spark.sql.session.timeZone",
    "spark.sql.shuffle.partitions",
}
MINE = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.legacy.timeParserPolicy": "LEGACY",
    "spark.sql.session.timeZone": "Asia/Tokyo",
    "spark.sql.shuffle.partitions": "3",
}
"""The user's settings, other than those of a run."""
SCHEMA = "id int, name string, mail string, city string, amount double"
CITIES = '["City 0", "City 1", "City 2"]'
RELEASE = """release: by_city
source: {{path: {root}/lake/people}}
unit: id
bounds: {{rows_per_unit: 2, groups_per_unit: 1}}
group_by: {{city: {cities}}}
answers: [count, {{sum: {{column: amount, between: [0, 50]}}}}, {{histogram: {{column: city, values: {cities}}}}}]
spend: {{epsilon: 1.0, delta: 1.0e-6, from: {root}/budgets}}
target: {{path: {root}/lake/by_city}}
keys: {{path: {root}/keys, domain: people, spill: plain}}
"""
SYNTHESIS = """synthesize: artificial
source: {{path: {root}/lake/people}}
unit: id
bounds: {{rows_per_unit: 2}}
columns: {{city: {{values: {cities}}}, amount: {{between: [0, 50], bins: 5}}}}
spend: {{epsilon: 1.0, delta: 1.0e-6, from: {root}/budgets}}
target: {{path: {root}/lake/artificial}}
keys: {{path: {root}/keys, domain: people, spill: plain}}
"""


def restrict() -> None:
    """Give every session of this process the restrictions."""
    from pyspark.errors import AnalysisException
    from pyspark.sql.connect.conf import RuntimeConf
    from pyspark.sql.connect.dataframe import DataFrame
    from pyspark.sql.connect.readwriter import DataFrameReader
    from pyspark.sql.connect.session import SparkSession

    def only(method: Callable[..., object]) -> Callable[..., object]:
        def run(conf: object, key: str, *more: object) -> object:
            if key not in SETTABLE and not key.startswith(
                "spark.sql.execution.pyspark."
            ):  # which PySpark 4 reads itself
                raise AnalysisException(f"[CONFIG_NOT_AVAILABLE] Configuration {key} is not available. SQLSTATE: 42K0I")
            return method(conf, key, *more)

        return run

    def refuse(*_: object, **__: object) -> None:
        raise AnalysisException(
            "[NOT_SUPPORTED_WITH_SERVERLESS] This is not supported on serverless compute. SQLSTATE: 0A000"
        )

    for name in ("get", "set", "unset"):
        setattr(RuntimeConf, name, only(getattr(RuntimeConf, name)))
    for name in ("cache", "persist", "unpersist", "checkpoint", "localCheckpoint", "createGlobalTempView"):
        setattr(DataFrame, name, refuse)
    load = DataFrameReader.load

    def loaded(self: object, path: object = None, *more: object, **options: object) -> object:
        for one in map(Path, [path] if isinstance(path, str) else path or ()):
            place = Path(str(one).removeprefix("file:"))
            inside = any((above / "_delta_log").exists() for above in (place, *place.parents))
            if self._format != "delta" and inside and "_delta_log" not in place.parts:
                raise AnalysisException("[DELTA_INVALID_FORMAT] Incompatible format detected. SQLSTATE: 22000")
        return load(self, path, *more, **options)

    DataFrameReader.load = loaded
    sql = SparkSession.sql
    SparkSession.sql = lambda self, text, *more: refuse() if text.strip().lower() == "set" else sql(self, text, *more)
    SparkSession.__init__ = refuse


def _arrive(journey: Journey, ids: range, bad: int = 0) -> None:
    """Append rows to the partitioned Delta table that a stream reads."""
    from dataward.spark import session

    rows = [
        (n, f"Name {n}", f"p{n}@example.org", f"City {n % 3}", -1.0 if k < bad else n + 0.5) for k, n in enumerate(ids)
    ]
    frame = session.get().createDataFrame(rows, SCHEMA)
    frame.write.format("delta").mode("append").partitionBy("city").save(f"{journey.root}/raw")
    frame.coalesce(1).write.mode("append").partitionBy("city").parquet(f"{journey.root}/files")


def _stream(journey: Journey, reports: tuple[str, ...]) -> None:
    """Stream a Delta table and a partitioned folder; a batch is killed between its commit and its seal."""
    from dataward.tables import commits

    def contract(name: str, source: str, mode: str) -> tuple[str, ...]:
        path = Path(journey.contract(name, name, "none", mode))
        first, _, *rest = path.read_text().splitlines()
        path.write_text("\n".join([first, f"source: {{{source}}}", *rest]) + "\n")
        return "publish", "--contract", str(path), "--stream", f"{journey.root}/{name}_batches", *reports

    delta = contract("flow", f"path: {journey.root}/raw", "mode: append")
    files = contract("files", f"format: parquet, path: {journey.root}/files", "mode: merge, on: [id]")
    _arrive(journey, range(1, 6), bad=1)
    journey.run("stream", *delta)
    _arrive(journey, range(6, 10), bad=1)
    commit = commits.commit_target

    def dies(*given: object, **more: object) -> None:
        commit(*given, **more)
        raise KeyboardInterrupt

    commits.commit_target = dies
    journey.run("stream killed", *delta)
    commits.commit_target = commit
    journey.run("stream resumed", *delta)
    journey.run("stream end", *delta)
    journey.run("stream rows", "verify", "--contract", f"{journey.root}/flow.yaml", "--rows")
    journey.run("stream diverted", "quarantine", "list", "--contract", f"{journey.root}/flow.yaml")
    journey.run("files", *files)


def serverless(root: Path) -> dict[str, object]:
    """Do every step."""
    from dataward.keys import create_keyring
    from dataward.spark import session

    root.mkdir(parents=True, exist_ok=True)
    os.chdir(root)
    create_keyring(root / "keys")
    spark = session.get()
    for key, value in MINE.items():
        spark.conf.set(key, value)
    trip = Journey(root)
    restrict()
    trip.data("first", range(1, 41), bad=2)
    trip.data("second", range(31, 61))
    reports = ("--report", str(root / "reports"))
    begun = trip.contract("begun", "people", "first", "mode: overwrite")
    access = f"access: {{reidentify: [{{principals: [{getpass.getuser()}], classes: [email], purposes: [case], rows_per_day: 5}}]}}\n"
    Path(begun).write_text(Path(begun).read_text() + access + "quasi_identifiers: {city: []}\n")
    merged = trip.contract("merged", "people", "second", "mode: merge, on: [id]")
    trip.run("overwrite", "publish", "--contract", begun, "--run-id", "r1", *reports)
    trip.run("merge", "publish", "--contract", merged, "--run-id", "r2", *reports)
    trip.run("merge again", "publish", "--contract", merged, "--run-id", "r2", *reports)
    trip.run("rows", "verify", "--contract", merged, "--rows")
    trip.release(begun, "r1", "r3", *reports)
    by_name = trip.contract("named", "named", "first", "mode: overwrite")
    Path(by_name).write_text(
        Path(by_name).read_text().replace(f"path: {root}/lake/named,", f"table: default.named_{root.name},")
    )
    trip.run("named", "publish", "--contract", by_name, *reports)
    trip.run("named rows", "verify", "--contract", by_name, "--rows")
    _stream(trip, reports)
    of_mine = ("--columns", "id,mail", "--where", "id < 6", "--purpose", "case", "--ticket", "T-1")
    trip.run("reidentify", "reidentify", "--contract", begun, *of_mine, "--out", str(root / "originals.csv"))
    trip.run("anonymize", "anonymize", "--contract", begun, "--k", "3", "--out", f"{root}/lake/anonymous")
    trip.run("suggest", "suggest", f"{root}/lake/people")
    trip.run("reconcile", "reconcile", "--contract", begun, "--dry-run")
    trip.run("lineage", "lineage", begun, merged)
    trip.run("preflight", "preflight", begun, "--no-storage")
    people = ("--table", f"{root}/lake/people", "--unit", "id")
    trip.run("budget", "budget", "set", f"{root}/budgets", *people, "--epsilon", "3", "--delta", "1e-5")
    for step, text in (("answer", RELEASE), ("synthesize", SYNTHESIS)):
        (root / f"{step}.yaml").write_text(text.format(root=root, cities=CITIES))
    trip.run("answer", "release", f"{root}/answer.yaml", "--run-id", "q1")
    trip.run("synthesize", "synthesize", f"{root}/synthesize.yaml", "--run-id", "s1")
    trip.run("rotate", "rotate", "people", "--contract", merged)
    trip.run("rotated rows", "verify", "--contract", merged, "--rows")
    (root / "who").write_text("35")
    trip.run("erase", "erase", "--contract", merged, "--subject", f"@{root / 'who'}", "--ticket", "T-1", *reports)
    trip.run("restore", "restore", "--contract", merged, "--to", "1")
    keys = Path(trip.contract("keys", "keys", "first", "mode: overwrite"))
    (root / "data/first.json").write_text('{"id": 1}\n')
    lines = keys.read_text().splitlines()
    keys.write_text("\n".join([lines[0], f"source: {{format: json, path: {root}/data/first.json}}", *lines[2:]]) + "\n")
    trip.run("json", "publish", "--contract", str(keys), *reports)
    return trip.steps


if __name__ == "__main__":
    os.environ["SPARK_REMOTE"] = sys.argv[2]
    print(json.dumps(serverless(Path(sys.argv[1]).resolve()), default=str))
