"""What one service of keys alone has: Azure's versions and states, Google's checksums, Vault's logins and KV, object stores."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataward.contract import Keys
from dataward.errors import KeyringError
from dataward.keys import create_keyring, has_keyring, open_keys, service_signer, vault
from dataward.keys.gcp import crc32c
from tests.keys import takes_writers_in_turn
from tests.keyservices import TOKEN, keys, silent_about_secrets


def test_a_disabled_azure_key_is_refused_for_old_secrets_and_new_ones(cloud, tmp_path):
    named = keys(cloud, "azure", tmp_path / "ring")
    create_keyring(named).add_domain("x")
    cloud.azure["k"]["enabled"] = False
    with pytest.raises(KeyringError, match="answered 403 Forbidden; .*that the key is enabled"):
        open_keys(named).key("token", "x", 1)
    with pytest.raises(KeyringError, match="is disabled: enable it"):
        open_keys(named).add_domain("y")


def test_secrets_wrapped_by_an_older_version_of_an_azure_key_unwrap(cloud, tmp_path):
    named = keys(cloud, "azure", tmp_path / "ring")
    ring = create_keyring(named)
    ring.add_domain("x")
    cloud.azure_key("k")
    ring.add_domain("y")
    assert open_keys(named).key("token", "x", 1) == ring.key("token", "x", 1)
    assert [
        one["versions"]["1"]["secret"].split(".")[1]
        for one in json.loads((tmp_path / "ring").read_text())["domains"].values()
    ] == ["v1", "v2"]


@pytest.mark.parametrize(("operation", "name", "value"), [
    ("encrypt", "verifiedPlaintextCrc32c", False), ("encrypt", "verifiedAdditionalAuthenticatedDataCrc32c", False),
    ("encrypt", "ciphertextCrc32c", "1"), ("decrypt", "plaintextCrc32c", "1"), ("decrypt", "plaintext", "AAAA"),
    ("publicKey", "pemCrc32c", "1"), ("asymmetricSign", "verifiedDigestCrc32c", False), ("asymmetricSign", "signatureCrc32c", "1")])  # fmt: skip
def test_bytes_that_google_or_the_way_there_damaged_are_refused(cloud, tmp_path, operation, name, value):
    named = keys(cloud, "google", tmp_path / "ring")
    signer = service_signer(f"{cloud.gcp_key('s', signs=True)}/cryptoKeyVersions/1")
    create_keyring(named).add_domain("y")
    cloud.answer = lambda called, document: {**document, name: value} if called == operation else document

    def use():
        open_keys(named).add_domain("x")
        open_keys(named).key("token", "y", 1)
        _ = signer.public
        signer.sign(b"said")

    with pytest.raises(KeyringError, match="damaged on its way"):
        use()


def test_crc32c_is_castagnolis():
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_a_keyring_in_vaults_kv_takes_writers_in_turn(cloud):
    named = Keys(provider="vault", path="vault://secret/dataward/people", domain="x")
    assert not has_keyring(named)
    takes_writers_in_turn(named)
    cloud.kv["secret/dataward/people"].append(None)
    with pytest.raises(
        KeyringError, match="version 6 of the secret was deleted; bring it back with 'vault kv undelete'"
    ):
        open_keys(named)
    with pytest.raises(KeyringError, match="was deleted"):
        create_keyring(named)


def test_a_keyring_in_vaults_kv_may_hold_wrapped_secrets(cloud):
    cloud.transit_key("k")
    named = Keys(provider="vault", path="vault://secret/ring", key="transit/k", domain="x")
    ring = create_keyring(named)
    ring.add_domain("x")
    assert silent_about_secrets(cloud, json.dumps(cloud.kv))
    assert open_keys(named).key("token", "x", 1) == ring.key("token", "x", 1)


@pytest.mark.parametrize("how", ["approle", "kubernetes", "file", "agent"])
def test_vault_takes_the_credentials_of_its_own_tools(cloud, how, monkeypatch, tmp_path):
    monkeypatch.delenv("VAULT_TOKEN")
    if how == "approle":
        monkeypatch.setenv("VAULT_ROLE_ID", "role")
        monkeypatch.setenv("VAULT_SECRET_ID", "canary-login")
    elif how == "kubernetes":
        (tmp_path / "account").write_text("canary-login\n")
        monkeypatch.setattr(vault, "ACCOUNT", tmp_path / "account")
        monkeypatch.setenv("VAULT_K8S_ROLE", "role")
    elif how == "file":
        (tmp_path / ".vault-token").write_text(TOKEN)
    named = Keys(provider="vault", path="vault://secret/ring", domain="x")
    if how == "agent":  # it would add the token; this one does not
        with pytest.raises(KeyringError, match="answered 403; the token is wrong"):
            create_keyring(named)
        return
    create_keyring(named)
    assert cloud.calls["login"] == (how != "file")
    if how == "approle":
        monkeypatch.setenv("VAULT_SECRET_ID", "canary-other")
        with pytest.raises(KeyringError, match="login at auth/approle: Vault answered 400") as caught:
            open_keys(named)
        assert "canary" not in str(caught.value)


def test_vault_needs_an_address_and_never_skips_verification(cloud, monkeypatch):
    named = Keys(provider="vault", path="vault://secret/ring", domain="x")
    monkeypatch.setenv("VAULT_SKIP_VERIFY", "true")
    with pytest.raises(KeyringError, match="name its CA in VAULT_CACERT"):
        open_keys(named)
    monkeypatch.delenv("VAULT_ADDR")
    with pytest.raises(KeyringError, match="set VAULT_ADDR"):
        open_keys(named)


def test_a_keyring_in_an_object_store_takes_writers_in_turn(monkeypatch):
    from dataward.keys.objects import CloudObject
    from tests.aws import aws

    with aws() as made:
        made.client("s3").create_bucket(Bucket="conf")
        store = CloudObject("s3://conf/people/ring")
        assert store.read() is None
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: store.change(lambda text: f"{text or ''}{n}"), range(4)))
        assert sorted(store.read()) == list("0123")
        with pytest.raises(KeyringError, match="keyring s3://nowhere/ring cannot be written"):
            CloudObject("s3://nowhere/ring").change(lambda text: "x")
