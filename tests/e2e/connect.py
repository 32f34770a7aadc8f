"""Run by test_connect.py in a process of its own: every documented example over Spark Connect, as JSON on stdout."""

import importlib.util
import json
import sys
from datetime import datetime
from pathlib import Path

from pyspark.sql import SparkSession

from dataward import jars
from dataward.quality.judge import judge
from dataward.quality.suite import suite
from tests.jars import more

SPEC = importlib.util.spec_from_file_location("docs_build", Path(__file__).parents[2] / "docs" / "build.py")
docs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(docs)

folder = Path(sys.argv[1])
for name, text in docs.FILES.items():
    (folder / name).write_text(text)
classpath = ",".join(map(str, [*jars.ensure(), more()[0]]))
settings = {
    "spark.jars": classpath,
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.enabled": "false",
}
builder = SparkSession.builder.remote("local[2]")
for key, value in settings.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
assert "connect" in type(spark).__module__
frame = spark.createDataFrame(docs.ROWS, docs.SCHEMA).selectExpr(
    "n", "id", "mail", "age", "score", "cast(at as timestamp) at", "raw"
)
examples = [example for kind in docs.DOCUMENTED for example in docs.examples(kind)]
text = ",\n".join(rule for rule, _, _ in examples).replace('"files"', f'"{folder}"')
made, errors = suite(f'Rules = [ {text} ]\nAnalyzers = [ AllStatistics "age" ]')
assert not errors
references = {"reference": frame.where("n <= 4").select("n", "id", "age")}
judged = judge(spark, frame, made, datetime(2026, 11, 22, 12), "spark", references)
verdicts = [[verdict.rule, verdict.measured, verdict.outcome, verdict.message] for verdict in judged.verdicts]
print(json.dumps({"expected": examples, "verdicts": verdicts, "statistics": [s.measured for s in judged.statistics]}))
spark.stop()
