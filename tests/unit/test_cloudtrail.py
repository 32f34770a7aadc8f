"""The export in CloudTrail's format: the chain of digests is as documented, and the AWS CLI's own validator accepts it."""

import gzip
import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from dataward.cli import main
from dataward.contract import Location, load
from dataward.integrity import ledger
from dataward.keys import create_keyring, local_keyring
from tests.aws import aws

CONTRACT = "contract: people\nsource: {path: x}\ntarget: {path: people}\nkeys: {path: ring, domain: people}\ncolumns: {a: {protect: keep}}\n"
EXPORT = ["ledger", "cloudtrail", "--contract", "c.yaml", "--to", "s3://audit/heads", "--key", "rsa.pem", "--account", "123456789012",
          "--region", "us-east-1", "--json"]  # fmt: skip


@pytest.fixture
def exported(tmp_path, monkeypatch, capsys):
    """Three exports of a ledger to a bucket: the cloud, and what the last one printed."""
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONTRACT)
    create_keyring(Path("ring"))
    subprocess.run(["openssl", "genrsa", "-out", "rsa.pem", "2048"], check=True, capture_output=True)
    with aws() as cloud:
        cloud.client("s3").create_bucket(Bucket="audit")
        capsys.readouterr()
        for number in range(3):
            ledger.record(load("c.yaml").ledger_location, local_keyring(Path("ring")), "people", "note", b"%d" % number)
            assert main(EXPORT) == 0
            told = json.loads(capsys.readouterr().out)
            assert told["size"] == number + 1
            time.sleep(1.1)  # digests are named by the second
        assert main(EXPORT) == 0
        assert json.loads(capsys.readouterr().out)["digest"] is None
        yield cloud, told


def digests(cloud):
    client = cloud.client("s3")
    keys = sorted(one["Key"] for one in client.list_objects_v2(Bucket="audit")["Contents"] if "Digest" in one["Key"])
    return [(key, client.get_object(Bucket="audit", Key=key)) for key in keys]


def test_each_digest_names_the_one_before_and_a_rewritten_ledger_is_not_exported(exported, capsys):
    cloud, _ = exported
    found = [(key, gzip.decompress(one["Body"].read()), one["Metadata"]) for key, one in digests(cloud)]
    assert len(found) == 3
    for (key, text, said), (_, later, _) in itertools.pairwise(found):
        named = json.loads(later)
        assert (named["previousDigestS3Object"], named["previousDigestSignature"]) == (key, said["signature"])
        assert named["previousDigestHashValue"] == hashlib.sha256(text).hexdigest()
        assert named["digestStartTime"] == json.loads(text)["digestEndTime"]
        assert len(named["logFiles"]) == 1
    place = Location(path="people_ledger")
    subprocess.run(["rm", "-r", "people_ledger"], check=True)
    for _ in range(4):
        ledger.record(place, local_keyring(Path("ring")), "people", "note", b"other")
    assert main(EXPORT) == 1
    assert "history was rewritten" in json.loads(capsys.readouterr().out)["message"]


@pytest.mark.long
def test_the_aws_cli_validates_the_export_and_names_what_was_changed(exported, tmp_path):
    cloud, told = exported
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "cli"], check=True)
    subprocess.run([tmp_path / "cli/bin/pip", "install", "-q", "awscli>=1.40,<2"], check=True, timeout=600)

    class Keys(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"PublicKeyList": told["PublicKeyList"]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def validated():
        environment = {**os.environ, "AWS_ENDPOINT_URL_CLOUDTRAIL": f"http://127.0.0.1:{server.server_port}"}
        command = [tmp_path / "cli/bin/aws", "cloudtrail", "validate-logs", "--trail-arn", told["arn"], "--s3-bucket", "audit",
                   "--s3-prefix", "heads", "--start-time", "2026-01-01T00:00:00Z", "--verbose"]  # fmt: skip
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)

    done = validated()
    assert (done.returncode, "3/3 digest files valid" in done.stdout, "3/3 log files valid" in done.stdout) == (
        0,
        True,
        True,
    ), done
    key, found = digests(cloud)[1]
    text = gzip.decompress(found["Body"].read()).replace(b'"ledgerSize":2', b'"ledgerSize":3')
    cloud.client("s3").put_object(Bucket="audit", Key=key, Body=gzip.compress(text), Metadata=found["Metadata"])
    done = validated()
    assert done.returncode == 1
    assert "2/3 digest files valid" in done.stdout
    server.shutdown()
