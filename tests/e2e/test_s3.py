"""File rules on S3, over real HTTP to moto's server."""

import json

import boto3
from moto.server import ThreadedMotoServer


def test_file_rules_on_s3(workplace):
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
        done = workplace.script("s3.py", endpoint)
    finally:
        server.stop()
    assert done.code == 0, done.err[-3000:]
    verdicts = json.loads(done.out.splitlines()[-1])
    third = 1 / 3
    expected = [(1, "PASSED"), (2 * third, "FAILED"), (2 * third, "FAILED"), (1, "PASSED"), (1, "PASSED"), (1, "PASSED"), (0, "FAILED"),
                (1, "PASSED"), (1, "PASSED"), (None, "ERRORED")]  # fmt: skip
    told = [(verdict[1] if verdict[1] is None else round(verdict[1], 6), verdict[2]) for verdict in verdicts]
    assert told == [(number if number is None else round(number, 6), outcome) for number, outcome in expected], verdicts
    assert "nothing at this path" in verdicts[-1][3]
