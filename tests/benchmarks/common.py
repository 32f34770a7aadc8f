"""What the benchmarks share: TPC-H tables, and the spread of a figure."""

import statistics
import subprocess
import sys
from pathlib import Path


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
