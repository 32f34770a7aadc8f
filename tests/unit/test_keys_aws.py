"""Keys wrapped by KMS and kept in a file or in S3, against moto's server over HTTP; Databricks against its REST paths."""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from dataward.contract import Keys
from dataward.errors import KeyringError
from dataward.keys import create_keyring, open_keys
from dataward.keys.aws import KmsSigner, caller
from tests.aws import aws
from tests.keys import takes_writers_in_turn


@pytest.fixture
def cloud(monkeypatch):
    with aws() as made:
        yield made


@pytest.fixture
def key(cloud):
    return cloud.client("kms").create_key()["KeyMetadata"]["KeyId"]


def keys(key, path, **more):
    return Keys(provider="aws_kms", key=key, path=str(path), domain="x", **more)


def test_each_version_is_unwrapped_once_and_only_its_wrapped_form_is_kept(cloud, key, tmp_path):
    named = keys(key, tmp_path / "k")
    ring = create_keyring(named)
    ring.add_domain("x")
    ring.add_domain("y")
    made = ring.key("token", "x", 1)
    assert cloud.calls["Decrypt"] == 0  # a fresh key is known already
    cloud.calls.clear()
    again = open_keys(named)
    for _ in range(3):
        for purpose in ("token", "seal", "digest"):
            again.key(purpose, "x", 1)
            again.key(purpose, "y", 1)
    assert again.key("token", "x", 1) == made
    assert dict(cloud.calls) == {"DescribeKey": 1, "Decrypt": 2}
    entry = json.loads((tmp_path / "k").read_text())["domains"]["x"]["versions"]["1"]
    context = {"env": "default", "domain": "x", "purpose": "derivation", "version": "1"}
    opened = cloud.client("kms").decrypt(CiphertextBlob=base64.b64decode(entry["secret"]), EncryptionContext=context)
    assert opened["Plaintext"].hex() not in (tmp_path / "k").read_text()
    assert again.rotate("x") == 2
    assert again.key("token", "x", 2) != made == again.key("token", "x", 1)


def test_a_domain_is_never_made_by_asking_for_it(cloud, key, tmp_path):
    ring = create_keyring(keys(key, tmp_path / "k"))
    with pytest.raises(KeyringError, match="no domain 'x'.*keys create"):
        ring.current("x")


@pytest.mark.parametrize("wrong", [{"env": "prod"}, {"domain": "y"}])
def test_the_encryption_context_binds_env_and_domain(cloud, key, tmp_path, wrong):
    ring = create_keyring(keys(key, tmp_path / "k"))
    ring.add_domain("x")
    text = (tmp_path / "k").read_text()
    if "domain" in wrong:  # the wrapped key of one domain under another's name
        (tmp_path / "k").write_text(text.replace('"x"', '"y"'))
    named = Keys(provider="aws_kms", key=key, path=str(tmp_path / "k"), domain="x", env=wrong.get("env", "default"))
    with pytest.raises(KeyringError, match="InvalidCiphertextException.*another env, domain or key"):
        open_keys(named).key("token", wrong.get("domain", "x"), 1)


def test_a_key_that_is_disabled_or_to_be_deleted_is_refused_although_moto_decrypts(cloud, key, tmp_path):
    named, kms = keys(key, tmp_path / "k"), cloud.client("kms")
    create_keyring(named).add_domain("x")
    kms.disable_key(KeyId=key)
    with pytest.raises(KeyringError, match="state Disabled: enable it"):
        open_keys(named).key("token", "x", 1)
    kms.enable_key(KeyId=key)
    assert open_keys(named).key("token", "x", 1)
    kms.schedule_key_deletion(KeyId=key)
    with pytest.raises(KeyringError, match="state PendingDeletion.*cannot be brought back"):
        open_keys(named).key("token", "x", 1)


@pytest.mark.parametrize(("fault", "said"), [
    ("AccessDeniedException", "grant this role kms:Decrypt"), ("NotFoundException", "a deleted key cannot be brought back"),
    ("KMSInvalidStateException", "cancel its deletion"), ("ThrottlingException", "throttled: rerun"),
    ("broken off", "could not be reached"), ("SomethingElse", "SomethingElse")])  # fmt: skip
def test_what_aws_refuses_is_said_with_what_to_do(cloud, key, tmp_path, monkeypatch, fault, said):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    named = keys(key, tmp_path / "k")
    create_keyring(named).add_domain("x")
    cloud.fault = lambda action: fault if action == "Decrypt" else None
    with pytest.raises(KeyringError, match=said):
        open_keys(named).key("token", "x", 1)


def test_throttled_calls_are_tried_again(cloud, key, tmp_path):
    named = keys(key, tmp_path / "k")
    create_keyring(named).add_domain("x")
    answers = iter(["ThrottlingException", "ThrottlingException", None])
    cloud.fault = lambda action: next(answers) if action == "Decrypt" else None
    assert open_keys(named).key("token", "x", 1)
    assert cloud.calls["Decrypt"] == 3


def test_a_keyring_in_s3_takes_writers_in_turn(cloud, key):
    cloud.client("s3").create_bucket(Bucket="conf")
    named = keys(key, "s3://conf/people/keys.json")
    with pytest.raises(KeyringError, match="no keyring s3://conf/people/keys.json"):
        open_keys(named)
    takes_writers_in_turn(named)
    with pytest.raises(KeyringError, match="NoSuchBucket; create the bucket"):
        open_keys(keys(key, "s3://nowhere/k"))


def test_the_caller_is_who_sts_says(cloud):
    assert caller().startswith("arn:aws:")


@pytest.fixture
def databricks(monkeypatch):
    kept = {}

    class Rest(BaseHTTPRequestHandler):
        def _answer(self, status, document):
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if not self.path.startswith("/api/2.0/secrets/get"):
                self._answer(404, {"error_code": "ENDPOINT_NOT_FOUND", "message": ""})
            elif "scope=closed" in self.path:
                self._answer(403, {"error_code": "PERMISSION_DENIED", "message": "no READ"})
            elif "name" in kept:
                self._answer(200, {"key": "name", "value": base64.b64encode(kept["name"].encode()).decode()})
            else:
                self._answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such secret"})

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kept[asked["key"]] = asked["string_value"]
            self._answer(200, {})

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Rest)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("DATABRICKS_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("DATABRICKS_TOKEN", "test")
    monkeypatch.setenv("DATABRICKS_AUTH_TYPE", "pat")
    yield kept
    server.shutdown()


def test_a_databricks_secret_holds_a_keyring(databricks):
    named = Keys(provider="databricks", path="scope/name", domain="x")
    with pytest.raises(KeyringError, match="no keyring databricks secret scope/name"):
        open_keys(named)
    create_keyring(named).add_domain("x")
    assert open_keys(named).key("token", "x", 1) == open_keys(named).key("token", "x", 1)
    with pytest.raises(KeyringError, match="never overwritten"):
        create_keyring(named)
    with pytest.raises(KeyringError, match="PERMISSION_DENIED; check the scope's access list"):
        open_keys(Keys(provider="databricks", path="closed/name", domain="x"))


def test_a_kms_key_signs_statements_and_its_public_half_verifies_them(cloud, key):
    from dataward.integrity.dsse import encoded, key_id, sign, verifies

    made = cloud.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    signer = KmsSigner(made)
    envelope = sign("text/plain", b"said", signer)
    digest = hashlib.sha256(encoded("text/plain", b"said")).digest()
    # moto signs the digest that it is given as if it were the message; AWS does not.
    assert verifies(signer.public, envelope.signatures[0][1], digest)
    assert envelope.signatures[0][0] == key_id(signer.public)
    assert cloud.calls["GetPublicKey"] == 1
    with pytest.raises(KeyringError, match="GetPublicKey|ECDSA_SHA_256"):
        _ = KmsSigner(key).public
