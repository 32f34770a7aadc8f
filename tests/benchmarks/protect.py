"""Operators beside an identity pass over the same column, and beside what people use: ratios of one run, side by side.

3 million distinct 16-digit texts in Parquet are read, protected and written to Parquet. ``identity`` is the same pass with
nothing done: in the JVM for ``token``, through ``mapInArrow`` for ``encrypt`` and ``fpe``.
"""

import hmac
import json
import shutil
import sys
import time
from pathlib import Path

import pandas as pd
from common import spread
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from dataward import session
from dataward.contract import Document, problems_of
from dataward.privacy.keys import LocalKeyring
from dataward.privacy.protect import protect

WORK = Path("bench")
VALUES, ROUNDS = 3_000_000, 4
RING = LocalKeyring(None, 1, {1: bytes(range(32))})
CONTRACT = "contract: b\nsource: {{path: a}}\ntarget: {{path: b}}\nkeys: {{path: k, domain: bench}}\ncolumns: {{v: {{protect: {0}}}}}\n"
KEY = RING.key("token", "bench", 1)


def ours(protection: str):
    contract, problems = problems_of(Document.parse(CONTRACT.format(protection)))
    assert not problems, problems
    return lambda frame: protect(spark, contract, RING, frame)[0](frame)


def arrow_identity(frame: DataFrame) -> DataFrame:
    return frame.mapInArrow(lambda batches: batches, "v string")


@F.pandas_udf(StringType())
def hmac_udf(values: pd.Series) -> pd.Series:
    return values.map(lambda value: hmac.digest(KEY, value.encode(), "sha256").hex()[:32])


@F.pandas_udf(StringType())
def fastfpe_udf(values: pd.Series) -> pd.Series:
    import fastfpe.ff1

    key = KEY.hex()
    return values.map(lambda value: fastfpe.ff1.encrypt(key, "", "0123456789", value))


WAYS = {
    "identity (JVM)": lambda frame: frame.select(F.col("v").alias("v")),
    "token": ours("token"),
    "pandas_udf HMAC": lambda frame: frame.select(hmac_udf("v").alias("v")),
    "identity (Arrow)": arrow_identity,
    "encrypt": ours("encrypt"),
    "fpe": ours("fpe"),
    "pandas_udf fastfpe": lambda frame: frame.select(fastfpe_udf("v").alias("v")),
}
RATIOS = [
    ("token", "identity (JVM)"),
    ("token", "pandas_udf HMAC"),
    ("encrypt", "identity (Arrow)"),
    ("fpe", "identity (Arrow)"),
    ("pandas_udf fastfpe", "fpe"),
]


def main() -> None:
    source = str(WORK / "values.parquet")
    if not Path(source).exists():
        numbers = spark.range(0, VALUES, 1, 4)
        numbers.select(
            F.lpad(((F.col("id") * 7_919_000_003) % 10**16).cast("string"), 16, "0").alias("v")
        ).write.parquet(source)
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(ROUNDS + 1):
        for name, way in WAYS.items():
            target = str(WORK / "out")
            shutil.rmtree(target, ignore_errors=True)
            begun = time.perf_counter()
            way(spark.read.parquet(source)).write.parquet(target)
            if turn:  # the first round warms up
                seconds[name].append(time.perf_counter() - begun)
        print(f"round {turn} of {ROUNDS}", file=sys.stderr)
    ratios = {f"{a} / {b}": spread([x / y for x, y in zip(seconds[a], seconds[b], strict=True)]) for a, b in RATIOS}
    print(
        json.dumps(
            {"values": VALUES, "seconds": {n: spread(s) for n, s in seconds.items()}, "ratios": ratios}, indent=1
        )
    )


if __name__ == "__main__":
    spark = session.get()
    main()
    session.close(spark)
    spark.stop()
