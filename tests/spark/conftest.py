"""One local session for the whole folder, and a lake of its own for every test."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from py4j.java_gateway import JavaPackage, JVMView
from pyspark.sql import DataFrame, SparkSession

from dataward.contract import Location
from dataward.integrity import ledger
from dataward.keys import create_keyring
from dataward.pipeline import publish as publishing
from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.spark import jars, session
from dataward.verbs.verify import verify
from tests.installed import SPARK4
from tests.jars import hadoop_aws, more
from tests.jvm import LONG

CHECKPOINTS = f"org.apache.spark.sql.execution.streaming{'.checkpointing' if SPARK4 else ''}"

PUBLISHES = 200
"""Limit of runs of the pipeline in this folder, without `long` tests: a decision is tested on plain data, not by a publish."""

# Py4J asks the JVM for a name every time, which looks for a class `org` in each of some 300 jars before it takes it for a package.
JVMView.__getattr__ = functools.cache(JVMView.__getattr__)
JavaPackage.__getattr__ = functools.cache(JavaPackage.__getattr__)


@pytest.fixture(scope="session")
def spark(tmp_path_factory) -> SparkSession:
    os.environ["TZ"] = "UTC"
    small = {
        "spark.sql.shuffle.partitions": "1",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.default.parallelism": "1",
        "spark.databricks.delta.allFilesInCrc.enabled": "false",  # else each commit lists all files of its table again
        # A write starts processes (chmod, readlink) where the disk is local: fewer by these two.
        "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
        "spark.sql.streaming.checkpointFileManagerClass": f"{CHECKPOINTS}.FileSystemBasedCheckpointFileManager",
    }
    # Hundreds of small plans: to compile them, and to plan again after each stage, takes longer than they ever run. The e2e
    # tests and the demo do both.
    small |= {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
    small |= {"spark.sql.adaptive.enabled": "false"}
    warehouse = str(tmp_path_factory.mktemp("warehouse"))
    oracle = [] if SPARK4 else [more()[1]]  # Deequ's own DQDL evaluator
    classpath = ",".join(map(str, [*jars.ensure(), *oracle]))
    with pytest.MonkeyPatch.context() as patch:  # processes that tests start have options of their own
        patch.setenv("JDK_JAVA_OPTIONS", LONG)
        made = session.get(
            **{
                "spark.master": "local[2]",
                "spark.jars": classpath,
                "spark.sql.warehouse.dir": warehouse,
                "spark.driver.memory": "4g",
                **small,
            }
        )
    loader = made.sparkContext._jvm.java.lang.Thread.currentThread().getContextClassLoader()
    # Not among `spark.jars`, which copies its 280 MB for the executor; and now, as Hadoop remembers what class it did not find.
    for jar in () if SPARK4 else hadoop_aws():
        loader.addURL(made.sparkContext._jvm.java.net.URL(jar.as_uri()))
    if (
        SPARK4
    ):  # as the sessions in which Dataward works: some tests judge in this one; test_ansi.py has the settings of users
        for key, value in {**session.ISOLATED, **session.AS_BEFORE}.items():
            made.conf.set(key, value)
    yield made
    made.stop()


@pytest.fixture(scope="session", autouse=True)
def _counted_publishes(request):
    """Count the runs of the pipeline that pass preflight; more than the limit are an error."""
    repair, count = publishing._repair, 0

    @functools.wraps(repair)
    def counting(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        return repair(*arguments)

    publishing._repair = counting
    yield
    publishing._repair = repair
    print(f"\n{count} publishes in tests/spark")
    assert count <= PUBLISHES or request.config.option.markexpr != "not long", f"{count} publishes in tests/spark"


class Lake:
    """A folder with a keyring; writes sources and contracts, publishes and reads."""

    def __init__(self, spark: SparkSession, root: Path) -> None:
        self.spark, self.root = spark, root
        create_keyring(root / "keys")

    def source(self, rows: list[tuple], schema: str, name: str = "source") -> str:
        """A table of these rows, or its next version. The same first version is written once for all tests, and copied."""
        path, told = self.root / name, hashlib.sha256(repr((rows, schema)).encode()).hexdigest()
        kept = self.root.parent / f"source-{told[:16]}"
        place = path if path.exists() else kept
        if place is path or not kept.exists():
            frame = self.spark.createDataFrame(rows, schema).coalesce(1)
            frame.write.format("delta").mode("overwrite").save(str(place))
        if place is kept:
            shutil.copytree(kept, path)
        return str(path)

    def contract(self, rules: str = "", columns: str = "{}", source: str | None = None, target: str = "mode: overwrite",
                 default: str = "keep", extra: str = "quarantine: {{path: {root}/quarantine}}", discovery: str = "off",
                 treat: str = "{}") -> Path:  # fmt: skip
        text = (
            "contract: t\n"
            f"source: {source or '{format: delta, path: ' + str(self.root / 'source') + '}'}\n"
            f"target: {{path: {self.root}/target, {target}}}\n"
            f"keys: {{path: {self.root}/keys, domain: t}}\n"
            f"columns: {columns}\ndefault: {default}\ndiscovery: {discovery}\ntreat: {treat.strip()}\n"
            + extra.format(root=self.root)
            + "\n"
        )
        if rules:
            text += "rules: |\n  Rules = [\n    " + rules.replace("\n", "\n    ") + "\n  ]\n"
        file = self.root / "contract.yaml"
        file.write_text(text)
        return file

    def publish(self, run_id: str | None = None, **contract: Any) -> Any:
        if contract or not (self.root / "contract.yaml").exists():
            self.contract(**contract)
        return publish(self.spark, plan(self.root / "contract.yaml"), run_id, str(self.root / "reports"))

    def verify(self, version: int | None = None) -> Any:
        return verify(self.spark, plan(self.root / "contract.yaml"), version)

    def read(self, name: str = "target") -> DataFrame:
        return self.spark.read.format("delta").load(str(self.root / name))

    def rows(self, name: str = "target", *columns: str) -> list[tuple]:
        frame = self.read(name)
        return sorted((tuple(row) for row in frame.select(*(columns or frame.columns)).collect()), key=repr)

    def forget(self) -> None:
        """Delta keeps the state of every table for an hour: of a thousand tables it fills the heap; a new process would know none."""
        self.spark.sparkContext._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()

    def entries(self, name: str = "target_ledger") -> list[ledger.Entry]:
        place = Location(path=str(self.root / name))
        return ledger.entries(place) if ledger.exists(place) else []

    def versions(self, name: str = "target") -> int:
        return len(list((self.root / name / "_delta_log").glob("*.json")))


@pytest.fixture
def lake(spark, tmp_path) -> Lake:
    made = Lake(spark, tmp_path)
    yield made
    made.forget()


@pytest.fixture(scope="module")
def made_once(spark, tmp_path_factory) -> Callable[[Callable[[Lake], object]], Lake]:
    """A lake that a function has filled, filled once for a module; every test finds its folder as it was then."""
    filled: dict[str, Lake] = {}

    def give(fill: Callable[[Lake], object]) -> Lake:
        if fill.__name__ not in filled:
            lake = filled[fill.__name__] = Lake(spark, tmp_path_factory.mktemp("filled"))
            fill(lake)
            shutil.copytree(lake.root, f"{lake.root}-as-filled")
        lake = filled[fill.__name__]
        shutil.rmtree(lake.root)
        shutil.copytree(f"{lake.root}-as-filled", lake.root)
        lake.forget()
        return lake

    return give


@pytest.fixture
def jobs_of(spark):
    """Counts the Spark jobs that a block starts."""

    @contextlib.contextmanager
    def counting():
        scheduler = spark.sparkContext._jsc.sc().dagScheduler()
        before = scheduler.numTotalJobs()
        told = {}
        yield told
        told["jobs"] = scheduler.numTotalJobs() - before

    return counting
