"""File rules on S3, over real HTTP to moto's server."""

from datetime import datetime

import boto3
import pytest

from dataward.quality.judge import Options, judge
from dataward.quality.suite import suite
from tests.aws import forgotten, moto
from tests.installed import SPARK4

pytestmark = pytest.mark.skipif(
    SPARK4, reason="hadoop-aws for Spark 4 brings a bundle of 686 MB: S3 is tried on Spark 3.5"
)

RULES = """
    FileSize "s3a://lake/in/" > 2 B, FileSize "s3://lake/in/" between 0 B and 1 KB with threshold > 0.9, FileUniqueness "s3a://lake/in/" = 1,
    FileFreshness "s3a://lake/in/" > "2020-01-01", FileFreshness "s3a://lake/in/" between now() and (now() - 2 hours),
    FileMatch "s3a://lake/in/a.csv" "s3a://lake/in/b.csv", FileMatch "s3a://lake/in/" in ["d41d8cd98f00b204e9800998ecf8427e"] with hashAlgorithm = "MD5",
    FileSize "s3a://lake/in/" > 1 B with uriRegex = "c[.]csv$" with recentFiles = 3, FileSize > 1 B, FileSize "s3a://lake/nothing/" > 1 B
"""


@pytest.fixture
def lake_on_s3(spark):
    """A bucket with three files, and a session that reaches it."""
    settings = {
        "fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "fs.s3a.endpoint": f"http://{moto()}",
        "fs.s3a.access.key": "test",
        "fs.s3a.secret.key": "test",
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": "false",
    }
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    for name, value in settings.items():
        hadoop.set(name, value)
    forgotten(moto())
    login = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("s3", endpoint_url=settings["fs.s3a.endpoint"], region_name="us-east-1", **login)
    client.create_bucket(Bucket="lake")
    for name, text in {"a.csv": "id\n1\n", "b.csv": "id\n1\n", "c.csv": "id\n" + "22\n" * 900}.items():
        client.put_object(Bucket="lake", Key=f"in/{name}", Body=text.encode())
    yield spark
    for name in settings:
        hadoop.unset(name)


def test_file_rules_on_s3(lake_on_s3):
    made, errors = suite(f"Rules = [ {RULES} ]")
    assert not errors, vars(errors[0])
    frame = lake_on_s3.read.option("header", "true").csv("s3a://lake/in/")
    verdicts = judge(lake_on_s3, frame, made, datetime.utcnow().replace(microsecond=0), Options("spark")).verdicts
    third = pytest.approx(2 / 3)
    expected = [(1, "PASSED"), (third, "FAILED"), (third, "FAILED"), (1, "PASSED"), (1, "PASSED"), (1, "PASSED"), (0, "FAILED"),
                (1, "PASSED"), (1, "PASSED"), (None, "ERRORED")]  # fmt: skip
    assert [(verdict.measured, verdict.outcome) for verdict in verdicts] == expected, verdicts
    assert "nothing at this path" in verdicts[-1].message
