"""File rules on S3, over real HTTP to moto's server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from dataward.java import find_java

ROOT = Path(__file__).resolve().parents[2]


def test_file_rules_on_s3(tmp_path):
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host if host != '0.0.0.0' else '127.0.0.1'}:{port}"  # noqa: S104 - moto's own default
        login = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **login)
        client.create_bucket(Bucket="lake")
        for name, text in {"a.csv": "id\n1\n", "b.csv": "id\n1\n", "c.csv": "id\n" + "22\n" * 900}.items():
            client.put_object(Bucket="lake", Key=f"in/{name}", Body=text.encode())
        environment = {
            **os.environ,
            "JAVA_HOME": find_java(),
            "PYTHONPATH": str(ROOT),
            "PYSPARK_PYTHON": sys.executable,
            "TZ": "UTC",
        }
        command = [sys.executable, "-W", "ignore", str(ROOT / "tests/e2e/s3.py"), endpoint]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=300, cwd=tmp_path
        )
    finally:
        server.stop()
    assert done.returncode == 0, done.stderr[-3000:]
    verdicts = json.loads(done.stdout.splitlines()[-1])
    third = 1 / 3
    expected = [(1, "PASSED"), (2 * third, "FAILED"), (2 * third, "FAILED"), (1, "PASSED"), (1, "PASSED"), (1, "PASSED"), (0, "FAILED"),
                (1, "PASSED"), (1, "PASSED"), (None, "ERRORED")]  # fmt: skip
    told = [(verdict[1] if verdict[1] is None else round(verdict[1], 6), verdict[2]) for verdict in verdicts]
    assert told == [(number if number is None else round(number, 6), outcome) for number, outcome in expected], verdicts
    assert "nothing at this path" in verdicts[-1][3]
