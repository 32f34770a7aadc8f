"""Keys wrapped by HashiCorp Vault, Azure Key Vault and Google Cloud KMS, against fake services over HTTP (tests/keyservices)."""

import json
import logging
import socket

import pytest

from dataward.contract import Keys
from dataward.errors import KeyringError
from dataward.integrity.dsse import key_id, sign
from dataward.keys import create_keyring, open_keys, service_signer, web
from tests.keyservices import KINDS, TOKEN, Error, environment, keys, services, silent_about_secrets

UNWRAPS = {"vault": "transit/decrypt", "azure": "unwrapkey", "azure_hsm": "decrypt", "google": "decrypt"}
WRAPS = {"vault": "transit/encrypt", "azure": "wrapkey", "azure_hsm": "encrypt", "google": "encrypt"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_version_is_unwrapped_once_and_only_its_wrapped_form_is_kept(cloud, kind, tmp_path):
    named = keys(cloud, kind, tmp_path / "ring")
    ring = create_keyring(named)
    ring.add_domain("x")
    ring.add_domain("y")
    made = ring.key("token", "x", 1)
    assert cloud.calls[UNWRAPS[kind]] == 0  # a fresh key is known already
    cloud.calls.clear()
    again = open_keys(named)
    for _ in range(3):
        for purpose in ("token", "seal", "digest"):
            again.key(purpose, "x", 1)
            again.key(purpose, "y", 1)
    assert again.key("token", "x", 1) == made
    assert {name: n for name, n in cloud.calls.items() if name != "login"} == {UNWRAPS[kind]: 2}
    assert silent_about_secrets(cloud, (tmp_path / "ring").read_text() + repr(again) + repr(again._wrapping))
    assert again.rotate("x") == 2
    assert again.key("token", "x", 2) != made == open_keys(named).key("token", "x", 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", ["env", "domain", "version"])
def test_a_wrapped_secret_is_bound_to_env_domain_and_version(cloud, kind, tmp_path, wrong):
    ring = create_keyring(keys(cloud, kind, tmp_path / "ring"))
    ring.add_domain("x")
    text = (tmp_path / "ring").read_text()
    moved = {
        "env": text,
        "domain": text.replace('"x"', '"y"'),
        "version": text.replace('"1"', '"2"').replace('"current": 1', '"current": 2'),
    }
    (tmp_path / "ring").write_text(moved[wrong])
    named = keys(cloud, kind, tmp_path / "ring", env="prod" if wrong == "env" else "default")
    with pytest.raises(KeyringError, match="wrapped for another"):
        open_keys(named).key("token", "y" if wrong == "domain" else "x", 2 if wrong == "version" else 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fault", "said", "attempts"), [
    (Error(503, {"errors": [TOKEN]}), "answered 503; .*rerun", 8),
    (Error(500, {"error": {"code": TOKEN, "message": TOKEN}}), "answered 500; it is down or overloaded: rerun", 8),
    (Error(429, {}, {"Retry-After": "3600"}), "answered 429; it throttles: rerun, or ask for a higher quota", 8),
    (Error(403, {"error": {"code": "Forbidden", "message": TOKEN}}), "answered 403 Forbidden; (give|grant|the token)", 1),
    (Error(307, {}, {"Location": "http://127.0.0.1:9/"}), "answered 307; redirects are not followed", 1),
    ("broken off", r"could not be reached \(RemoteDisconnected\)", 8)])  # fmt: skip
def test_outage_throttling_and_denial_are_named_after_bounded_retries(
    cloud, kind, tmp_path, fault, said, attempts, caplog
):
    caplog.set_level(logging.DEBUG)
    named = keys(cloud, kind, tmp_path / "ring")
    create_keyring(named).add_domain("x")
    ring = open_keys(named)
    cloud.calls.clear()
    cloud.fault = lambda operation: fault if operation == UNWRAPS[kind] else None
    with pytest.raises(KeyringError, match=f"of domain 'x' version 1 with .*{said}") as caught:
        ring.key("token", "x", 1)
    assert cloud.calls[UNWRAPS[kind]] == attempts
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert silent_about_secrets(cloud, f"{caught.value}{caught.value.args}{caplog.text}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_throttled_call_is_tried_again_and_waits_as_long_as_is_asked_up_to_a_bound(
    cloud, kind, tmp_path, monkeypatch
):
    waited = []
    monkeypatch.setattr(web, "LONGEST_PAUSE", 10.0)
    monkeypatch.setattr(web.time, "sleep", waited.append)
    named = keys(cloud, kind, tmp_path / "ring")
    create_keyring(named).add_domain("x")
    answers = iter([Error(429, {}, {"Retry-After": "3"}), Error(429, {}, {"Retry-After": "3600"}), Error(503), None])
    cloud.fault = lambda operation: next(answers) if operation == UNWRAPS[kind] else None
    assert open_keys(named).key("token", "x", 1)
    assert waited[:2] == [3.0, 10.0]
    assert 0 < waited[2] < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_that_refuses_connections_is_named_with_its_address(cloud, kind, tmp_path, monkeypatch):
    named = keys(cloud, kind, tmp_path / "ring")
    create_keyring(named).add_domain("x")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("VAULT_ADDR", nowhere)
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", nowhere)
    if kind.startswith("azure"):
        named = named.model_copy(update={"key": f"{nowhere}/keys/k"})
    with pytest.raises(KeyringError, match=rf"at {nowhere}.* could not be reached \(ConnectionRefusedError\)"):
        open_keys(named).key("token", "x", 1)


@pytest.mark.parametrize(("kind", "said"), [
    ("vault", "permission denied|the token is wrong"), ("azure", "there is no token for"), ("google", "no usable credentials")])  # fmt: skip
def test_wrong_credentials_are_an_error_that_names_where_they_come_from(cloud, kind, tmp_path, monkeypatch, said):
    named = keys(cloud, kind, tmp_path / "ring")
    create_keyring(named).add_domain("x")
    monkeypatch.setenv("VAULT_TOKEN", "canary-wrong")
    cloud.fault = lambda operation: Error(400, {"error": "invalid_grant", "x": TOKEN}) if operation == "login" else None
    with pytest.raises(KeyringError, match=said) as caught:
        open_keys(named).key("token", "x", 1)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_plain_http_to_another_machine_is_refused_before_anything_is_sent(cloud, kind, tmp_path, monkeypatch):
    named = keys(cloud, kind, tmp_path / "ring")
    create_keyring(named).add_domain("x")
    monkeypatch.setenv("VAULT_ADDR", "http://vault.example:8200")
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS", "http://kms.example")
    if kind.startswith("azure"):
        named = named.model_copy(update={"key": "http://vault.example/keys/k"})
    with pytest.raises(KeyringError, match="is plain HTTP, which shows the keys to the network: use https://"):
        open_keys(named).key("token", "x", 1)


@pytest.mark.parametrize(("kind", "wrong", "said"), [
    ("vault", {"key": "transit/other"}, "transit key transit/other: Vault answered 404; check the mount and the name"),
    ("azure", {"key": "URL/keys/other"}, "answered 404 KeyNotFound; check the vault's and the key's name"),
    ("google", {"key": "projects/p/locations/eu/keyRings/r/cryptoKeys/other"}, "answered 404 NOT_FOUND; check the key's name")])  # fmt: skip
def test_a_key_that_is_not_there_is_never_made_in_passing(cloud, kind, tmp_path, wrong, said):
    named = keys(cloud, kind, tmp_path / "ring")
    named = named.model_copy(update={name: value.replace("URL", cloud.url) for name, value in wrong.items()})
    with pytest.raises(KeyringError, match=said):
        create_keyring(named).add_domain("x")
    assert cloud.calls[WRAPS[kind]] == (kind == "google")
    assert not open_keys(named).domains


def test_keys_that_cannot_wrap_with_a_context_are_refused(cloud, tmp_path):
    cloud.transit_key("r", "rsa-2048")
    named = Keys(provider="vault", key="transit/r", path=str(tmp_path / "a"), domain="x")
    with pytest.raises(KeyringError, match="of type rsa-2048: create one of type aes256-gcm96"):
        create_keyring(named).add_domain("x")
    named = Keys(provider="azure_key_vault", key=cloud.azure_key("e", "EC"), path=str(tmp_path / "b"), domain="x")
    with pytest.raises(KeyringError, match="of type EC, which does not wrap"):
        create_keyring(named).add_domain("x")


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_wrapped_secret_never_opens(cloud, kind, tmp_path):
    named = keys(cloud, kind, tmp_path / "ring")
    create_keyring(named).add_domain("x")
    written = json.loads((tmp_path / "ring").read_text())
    entry = written["domains"]["x"]["versions"]["1"]
    middle = len(entry["secret"]) - 12
    entry["secret"] = (
        entry["secret"][:middle] + ("A" if entry["secret"][middle] != "A" else "B") + entry["secret"][middle + 1 :]
    )
    (tmp_path / "ring").write_text(json.dumps(written))
    with pytest.raises(KeyringError, match="or it was changed|it was changed, or"):
        open_keys(named).key("token", "x", 1)
    entry |= {"secret": "not a wrapped secret"}
    (tmp_path / "ring").write_text(json.dumps(written))
    cloud.calls.clear()
    with pytest.raises(KeyringError, match="is damaged: restore it"):
        open_keys(named).key("token", "x", 1)
    assert not cloud.calls


@pytest.mark.parametrize("kind", ["vault ecdsa-p256", "vault ed25519", "azure", "google"])
def test_statements_are_signed_in_the_service_and_verified_by_its_public_key(cloud, kind):
    service, _, algorithm = kind.partition(" ")
    if service == "vault":
        cloud.transit_key("s", algorithm)
        named = "vault:transit/s"
    else:
        named = (
            f"{cloud.azure_key('s', 'EC')}/v1"
            if service == "azure"
            else f"{cloud.gcp_key('s', signs=True)}/cryptoKeyVersions/1"
        )
    signer = service_signer(named)
    envelope = sign("text/plain", b"said", signer)
    known = {key_id(key): key for key in service_signer(named).publics}
    assert envelope.signed_by(known) == key_id(signer.public)
    if service == "vault":  # a newer version signs, and what the older one signed is still verified
        cloud.transit_key("s", algorithm)
        newer = service_signer(named)
        known = {key_id(key): key for key in newer.publics}
        assert len(known) == 2
        assert envelope.signed_by(known) == key_id(signer.public)
        assert sign("text/plain", b"said", newer).signed_by(known) == key_id(newer.public) != key_id(signer.public)


@pytest.mark.parametrize(("kind", "said"), [
    ("vault", "of type aes256-gcm96: create one of type ecdsa-p256"), ("azure", "does not sign by ES256")])  # fmt: skip
def test_a_key_that_does_not_sign_is_refused(cloud, kind, said):
    cloud.transit_key("k")
    named = "vault:transit/k" if kind == "vault" else f"{cloud.azure_key('k')}/v1"
    with pytest.raises(KeyringError, match=said):
        _ = service_signer(named).public


def test_without_its_package_a_provider_names_the_extra(monkeypatch, tmp_path):
    import sys

    for module in ("dataward.keys.azure", "dataward.keys.gcp", "dataward.keys.aws"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    for module in ("azure.identity", "google.auth", "boto3"):
        monkeypatch.setitem(sys.modules, module, None)
    for provider, key, extra in (("azure_key_vault", "https://v.vault.azure.net/keys/k", "azure"), ("aws_kms", "alias/k", "aws"),
                                 ("gcp_kms", "projects/p/locations/l/keyRings/r/cryptoKeys/k", "gcp")):  # fmt: skip
        with pytest.raises(KeyringError, match=rf"keys.provider {provider} needs .*pip install 'dataward\[{extra}\]'"):
            open_keys(Keys(provider=provider, key=key, path=str(tmp_path / "r"), domain="x"))


@pytest.mark.parametrize("kind", KINDS)
def test_over_tls_only_the_named_authority_is_trusted(cloud, kind, monkeypatch, tmp_path):
    with services(tls=tmp_path / "ca.pem") as made:
        for name, value in environment(made.url, tmp_path).items():
            if name in ("VAULT_ADDR", "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"):
                monkeypatch.setenv(name, value)
        environment(cloud.url, tmp_path)
        named = keys(made, kind, tmp_path / "ring")
        ring = create_keyring(named)
        with pytest.raises(KeyringError, match=r"could not be reached \(SSLCertVerificationError\); .*its certificate"):
            ring.add_domain("x")
        monkeypatch.setenv("VAULT_CACERT" if kind == "vault" else "REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        ring = open_keys(named)
        ring.add_domain("x")
        assert open_keys(named).key("token", "x", 1) == ring.key("token", "x", 1)


@pytest.mark.parametrize(("given", "said"), [
    ({"provider": "vault", "path": "ring"}, "provider vault needs 'key'"),
    ({"provider": "vault", "path": "ring", "key": "k"}, "'key' is MOUNT/NAME of a transit key"),
    ({"provider": "gcp_kms", "path": "ring", "key": "projects/p"}, "'key' is projects/P/locations"),
    ({"provider": "azure_key_vault", "path": "ring", "key": "k"}, "'key' is https://VAULT"),
    ({"provider": "local", "path": "vault://secret/ring"}, "goes with provider vault"),
    ({"provider": "local", "path": "gs://b/ring"}, "goes with a provider whose 'key' wraps it"),
    ({"provider": "gcp_kms", "path": "ftp://b/ring", "key": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}, "not ftp://b/ring"),
    ({"provider": "local", "path": "ring", "sign": "https://v.vault.azure.net/keys/k"}, "NAME/VERSION"),
    ({"provider": "local", "path": "ring", "sign": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}, "cryptoKeyVersions/N")])  # fmt: skip
def test_contracts_name_keys_as_their_service_spells_them(given, said):
    with pytest.raises(ValueError, match=said):
        Keys(**given, domain="x")
