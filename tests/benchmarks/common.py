"""What the benchmarks share: TPC-H tables, and the spread of a figure."""

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def spread(values: list[float]) -> dict[str, float]:
    return {name: round(of(values), 3) for name, of in (("min", min), ("median", statistics.median), ("max", max))}


def tpch(work: Path, table: str, scale: str) -> Path:
    """A table as one Parquet file, generated once."""
    path = work / f"{table}-{scale}.parquet"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        tool = Path(sys.executable).parent / "tpchgen-cli"
        subprocess.run([tool, "parquet", "-s", scale, f"--tables={table}", f"--output-dir={work}"], check=True)
        (work / f"{table}.parquet").rename(path)
    return path


def publishing(spark: Any, contract: Path) -> tuple[float, int, Any]:
    """Publish a contract; its seconds, Spark jobs and result."""
    from dataward.pipeline.plan import plan
    from dataward.pipeline.publish import publish

    planned, scheduler = plan(contract), spark.sparkContext._jsc.sc().dagScheduler()
    before, begun = scheduler.numTotalJobs(), time.perf_counter()
    result = publish(spark, planned, report_folder=str(contract.parent / "reports"))
    spent = time.perf_counter() - begun
    assert result.status == "published", (contract, result.reasons)
    return spent, scheduler.numTotalJobs() - before, result


def peak_memory(spark: Any) -> int:
    """The most that the driver's JVM held of memory so far, in MB (Linux)."""
    return _peak(spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid())


def peak_of_workers(spark: Any) -> int:
    """The same of the largest of its Python workers that are alive; 0 without any."""
    below = list(spark.sparkContext._jvm.java.lang.ProcessHandle.current().descendants().iterator())
    return max((_peak(process.pid()) for process in below if process.isAlive()), default=0)


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024
