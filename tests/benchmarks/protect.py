"""Operators beside an identity pass over the same column, and beside what people use: ratios of one run, side by side.

3 million 16-digit texts are read, protected and written, in a session such as ``publish`` works in: from Delta to Delta once all of
them different, once each of 100,000 thirty times (a customer's number in a table of orders), and all different from Parquet to
Parquet. ``identity`` is the same pass with nothing done: in the JVM for ``token``, through ``mapInArrow`` for ``encrypt`` and
``fpe``. Written to ``bench/protect.json`` too.
"""

import hmac
import json
import shutil
import sys
import time
from datetime import date
from pathlib import Path

import pandas as pd
from common import spread
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType
from tests.keys import Ring

from dataward.contract import Document, problems_of
from dataward.inference import Protector
from dataward.privacy.protect import protect
from dataward.spark import session

WORK = Path("bench")
VALUES, ROUNDS = 3_000_000, 4
RING = Ring(1, {1: bytes(range(32))})
CONTRACT = "contract: b\nsource: {{path: a}}\ntarget: {{path: b}}\nkeys: {{path: k, domain: bench}}\ncolumns: {{v: {{protect: {0}}}}}\n"
KEY = RING.key("token", "bench", 1)


def ours(protection: str):
    contract, problems = problems_of(Document.parse(CONTRACT.format(protection)))
    assert not problems, problems
    return lambda frame, few: protect(frame.sparkSession, contract, RING, frame, few)[0](frame)


def arrow_identity(frame: DataFrame, few: list[str]) -> DataFrame:
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
    "identity (JVM)": lambda frame, few: frame.select(F.col("v").alias("v")),
    "token": ours("token"),
    "pandas_udf HMAC": lambda frame, few: frame.select(hmac_udf("v").alias("v")),
    "identity (Arrow)": arrow_identity,
    "encrypt": ours("encrypt"),
    "fpe": ours("fpe"),
    "pandas_udf fastfpe": lambda frame, few: frame.select(fastfpe_udf("v").alias("v")),
}
RATIOS = [
    ("token", "identity (JVM)"),
    ("token", "pandas_udf HMAC"),
    ("encrypt", "identity (Arrow)"),
    ("fpe", "identity (Arrow)"),
    ("pandas_udf fastfpe", "fpe"),
]


def main() -> None:
    told = {"values": VALUES, "rounds": ROUNDS}
    for different, form in ((VALUES, "delta"), (100_000, "delta"), (VALUES, "parquet")):
        source = WORK / f"values-{different}-{form}"
        if not source.exists():
            number = (F.col("id") % different * 7_919_000_003 % 10**16).cast("string")
            frame = spark.range(0, VALUES, 1, 4).select(F.lpad(number, 16, "0").alias("v"))
            frame.write.format(form).save(str(source))
        told[f"{different:,} different, {form}"] = measured(str(source), form, [] if different == VALUES else ["v"])
    told["one record without Spark, milliseconds"] = one_record()
    print(json.dumps(told, indent=1))
    (WORK / "protect.json").write_text(json.dumps(told, indent=1))


def one_record() -> dict[str, float]:
    """A record of eight columns, as a model server sees it."""
    columns = (
        "name: {class: person_name, protect: token}, mail: {class: email, protect: encrypt}, card: {protect: {fpe: {format: card}}}, "
        "born: {protect: {date_shift: {by: name}}}, zip: {protect: {generalize: {prefix: 3}}}, note: {protect: redact}, "
        "age: {protect: {generalize: {width: 10}}}, state: {protect: keep}"
    )
    text = CONTRACT.format("token").replace("v: {protect: token}", columns)
    guard = Protector(problems_of(Document.parse(text))[0], RING)
    record = {
        "name": "Ada Lovelace", "mail": "ada@example.org", "card": "4111 1111 1111 1111", "born": date(1980, 2, 29), "zip": "90210",
        "note": "hello", "age": 37, "state": "nsw",
    }  # fmt: skip
    times = []
    for turn in range(500):
        begun = time.perf_counter()
        guard(record)
        if turn >= 100:
            times.append(1000 * (time.perf_counter() - begun))
    return spread(times)


def measured(source: str, form: str, few: list[str]) -> dict[str, dict[str, dict[str, float]]]:
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(ROUNDS + 1):
        for name, way in WAYS.items():
            target = str(WORK / "out")
            shutil.rmtree(target, ignore_errors=True)
            begun = time.perf_counter()
            made = way(spark.read.format(form).load(source), few)
            made.write.format(form).option("delta.dataSkippingNumIndexedCols", "0").save(target)
            if turn:  # the first round warms up
                seconds[name].append(time.perf_counter() - begun)
        print(f"round {turn} of {ROUNDS}", file=sys.stderr)
    ratios = {f"{a} / {b}": spread([x / y for x, y in zip(seconds[a], seconds[b], strict=True)]) for a, b in RATIOS}
    return {"seconds": {name: spread(times) for name, times in seconds.items()}, "ratios": ratios}


if __name__ == "__main__":
    with session.isolated(session.get()) as spark:
        main()
