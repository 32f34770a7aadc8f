"""Run by test_s3.py in a process of its own: file rules on s3a:// and s3:// paths against moto's server, as JSON on stdout."""

import json
import sys
from datetime import datetime

from dataward import jars, session
from dataward.quality.judge import judge
from dataward.quality.suite import suite
from tests.jars import hadoop_aws

endpoint = sys.argv[1]
s3 = {
    "spark.jars": ",".join(map(str, [*jars.ensure(), *hadoop_aws()])),
    "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
    "spark.hadoop.fs.s3a.endpoint": endpoint,
    "spark.hadoop.fs.s3a.access.key": "test",
    "spark.hadoop.fs.s3a.secret.key": "test",
    "spark.hadoop.fs.s3a.path.style.access": "true",
    "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
    "spark.master": "local[2]",
}
spark = session.get(**s3)
rules = """
    FileSize "s3a://lake/in/" > 2 B, FileSize "s3://lake/in/" between 0 B and 1 KB with threshold > 0.9, FileUniqueness "s3a://lake/in/" = 1,
    FileFreshness "s3a://lake/in/" > "2020-01-01", FileFreshness "s3a://lake/in/" between now() and (now() - 2 hours),
    FileMatch "s3a://lake/in/a.csv" "s3a://lake/in/b.csv", FileMatch "s3a://lake/in/" in ["d41d8cd98f00b204e9800998ecf8427e"] with hashAlgorithm = "MD5",
    FileSize "s3a://lake/in/" > 1 B with uriRegex = "c[.]csv$" with recentFiles = 3, FileSize > 1 B, FileSize "s3a://lake/nothing/" > 1 B
"""
made, errors = suite(f"Rules = [ {rules} ]")
assert not errors, vars(errors[0])
frame = spark.read.option("header", "true").csv("s3a://lake/in/")
verdicts = judge(spark, frame, made, datetime.utcnow().replace(microsecond=0), "spark").verdicts
print(json.dumps([[verdict.rule, verdict.measured, verdict.outcome, verdict.message] for verdict in verdicts]))
