"""Publishing under keys of KMS (moto's server over HTTP) that is slow, away, or takes rights back in the middle of a job."""

import pytest

from dataward.contract import Keys
from dataward.errors import KeyringError
from dataward.integrity import ledger
from dataward.keys import create_keyring
from dataward.pipeline import publish as module
from dataward.pipeline import seal as sealing
from tests.aws import aws

pytestmark = pytest.mark.long


@pytest.fixture
def cloud(lake, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    with aws() as made:
        key = made.client("kms").create_key()["KeyMetadata"]["KeyId"]
        ring = create_keyring(Keys(provider="aws_kms", key=key, path=f"{lake.root}/keyring", domain="t"))
        for domain in ("t", "other"):
            ring.add_domain(domain)
        lake.source([(n, f"ada{n}@x.org", f"{n}") for n in range(20)], "id bigint, e string, o string")
        text = lake.contract(columns="{e: {protect: token}, o: {protect: {encrypt: {}}, domain: other}}").read_text()
        wrapped = f"keys: {{provider: aws_kms, key: {key}, path: {lake.root}/keyring, domain: t}}"
        (lake.root / "contract.yaml").write_text(text.replace(f"keys: {{path: {lake.root}/keys, domain: t}}", wrapped))
        made.calls.clear()
        yield made


def test_one_decrypt_per_key_and_run(lake, cloud):
    assert lake.publish().status == "published"
    # Domains t and other; sealing and digest need no more. The seal names the caller.
    assert dict(cloud.calls) == {"GetCallerIdentity": 1, "DescribeKey": 1, "Decrypt": 2}
    assert lake.verify().holds


@pytest.mark.parametrize(("fault", "after"), [
    ("broken off", 0), ("ThrottlingException", 1), ("AccessDeniedException", 1), ("KMSInvalidStateException", 0)])  # fmt: skip
def test_a_kms_that_refuses_stops_the_run_before_anything_is_written(lake, cloud, fault, after):
    answered = []

    def refuse(action):
        if action != "Decrypt":
            return None
        answered.append(action)
        return fault if len(answered) > after else None

    cloud.fault = refuse
    with pytest.raises(KeyringError):
        lake.publish("r1")
    assert not (lake.root / "target").exists()
    assert not (lake.root / "quarantine").exists()
    cloud.fault = lambda action: None
    assert lake.publish("r1").status == "published"
    assert lake.verify().holds


def test_ninety_percent_throttled_the_run_completes_or_writes_nothing(lake, cloud, monkeypatch):
    cloud.throttle(0.9)
    monkeypatch.delenv("AWS_MAX_ATTEMPTS")
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    refused = 0
    for _ in range(40):
        try:
            result = lake.publish("r1")
            break
        except KeyringError as error:
            assert "throttled: rerun" in str(error)
            assert not (lake.root / "target").exists()
            refused += 1
    assert result.status == "published"
    assert refused


@pytest.mark.parametrize("at", ["commit_target", "content_of", "ledger"])
def test_rights_taken_back_while_the_job_runs_leave_no_half_version(lake, cloud, monkeypatch, at):
    """From a point on every call is denied; what the run needs it has unwrapped before it wrote anything."""
    holder = {"commit_target": module.commits, "content_of": sealing, "ledger": ledger}[at]
    name = {"ledger": "append"}.get(at, at)
    real = getattr(holder, name)

    def revoked(*given, **more):
        cloud.fault = lambda action: "AccessDeniedException"
        return real(*given, **more)

    monkeypatch.setattr(holder, name, revoked)
    assert lake.publish("r1").status == "published"
    proof = lake.verify()
    assert not proof.holds
    assert "cannot be checked: kms DescribeKey" in proof.checks[0].detail
    cloud.fault = lambda action: None
    assert lake.verify().holds
