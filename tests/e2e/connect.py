"""Run by test_connect.py in a process of its own: every documented example over Spark Connect, as JSON on stdout."""

import json
import sys
from datetime import datetime
from pathlib import Path

from pyspark.sql import SparkSession

from dataward.quality.judge import Options, judge
from dataward.quality.suite import suite
from dataward.spark import jars
from tests.jars import more
from tests.rule_docs import EXAMPLES, reference, ruleset, table

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
frame = table(spark)
made, errors = suite(ruleset(Path(sys.argv[1])) + '\nAnalyzers = [ AllStatistics "age" ]')
assert not errors
judged = judge(spark, frame, made, datetime(2026, 11, 22, 12), Options("spark", {"reference": reference(frame)}))
verdicts = [[verdict.rule, verdict.measured, verdict.outcome, verdict.message] for verdict in judged.verdicts]
print(json.dumps({"expected": EXAMPLES, "verdicts": verdicts, "statistics": [s.measured for s in judged.statistics]}))
spark.stop()
