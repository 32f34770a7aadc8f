"""Answers of key services that are not what they document, tokens that expire, and namespaces."""

import google.auth
import pytest

from dataward.errors import KeyringError
from dataward.integrity.dsse import sign
from dataward.keys import azure, create_keyring, open_keys, service_signer, vault
from tests.keyservices import KINDS, TOKEN, Error, keys, silent_about_secrets

UNWRAPS = {"vault": "transit/decrypt", "azure": "unwrapkey", "azure_hsm": "decrypt", "google": "decrypt"}


def damaged(document):
    """A document with each of its fields left out, or of another kind."""
    for name, value in document.items():
        yield {key: one for key, one in document.items() if key != name}
        yield from ({**document, name: wrong} for wrong in (7, "@"))
        if isinstance(value, dict):
            yield from ({**document, name: inner} for inner in damaged(value))


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_a_service_answers_is_used_or_an_error_that_holds_no_secret(cloud, kind, tmp_path, monkeypatch):
    login, identity = (
        google.auth.default(scopes=["x"]),
        azure.DefaultAzureCredential(),
    )  # once: they take most of the time
    monkeypatch.setattr(google.auth, "default", lambda scopes: login)
    monkeypatch.setattr(azure, "DefaultAzureCredential", lambda: identity)
    named, seen = keys(cloud, kind, tmp_path / "ring"), []
    if kind == "vault":
        cloud.transit_key("s", "ecdsa-p256")
        signs = "vault:transit/s"
    elif kind == "google":
        signs = f"{cloud.gcp_key('s', signs=True)}/cryptoKeyVersions/1"
    else:
        signs = f"{cloud.azure_key('s', 'EC')}/v1"
    create_keyring(named).add_domain("x")
    made = open_keys(named).key("token", "x", 1)
    unchanged = (tmp_path / "ring").read_text()

    def use():
        (tmp_path / "ring").write_text(unchanged)
        signer = service_signer(signs)
        sign("text/plain", b"said", signer)
        open_keys(named).add_domain("y")
        assert open_keys(named).key("token", "x", 1) == made

    cloud.answer = lambda called, document: seen.append((called, document)) or document
    use()
    tried = [(name, wrong) for name, right in seen if name != "login" for wrong in damaged(right)]
    for name, wrong in tried:
        cloud.answer = lambda called, right, name=name, wrong=wrong: wrong if called == name else right
        try:
            use()
        except KeyringError as error:
            assert silent_about_secrets(cloud, str(error))
    assert len(tried) > 20


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("body", "headers", "said", "attempts"), [
    (b"<html>Please log in</html>", {"Content-Type": "text/html"}, "gave another answer than it documents: .*no proxy", 1),
    (b'[{"data": 1}]', {}, "gave another answer than it documents", 1),
    (b'{"data": {"plain', {"Content-Length": "400", "Connection": "close"}, r"could not be reached \(IncompleteRead\)", 8)])  # fmt: skip
def test_an_answer_of_something_else_or_a_part_of_one_is_no_key(cloud, kind, tmp_path, body, headers, said, attempts):
    named = keys(cloud, kind, tmp_path / "ring")
    create_keyring(named).add_domain("x")
    ring = open_keys(named)
    cloud.calls.clear()
    cloud.fault = lambda operation: Error(200, body, headers) if operation == UNWRAPS[kind] else None
    with pytest.raises(KeyringError, match=said):
        ring.key("token", "x", 1)
    assert cloud.calls[UNWRAPS[kind]] == attempts


@pytest.mark.parametrize("by", ["role", "file", "environment"])
def test_a_token_of_vault_that_expires_is_renewed_once_where_it_can_be(cloud, by, tmp_path, monkeypatch):
    named = keys(cloud, "vault", tmp_path / "ring")
    create_keyring(named).add_domain("x")
    if by != "environment":
        monkeypatch.delenv("VAULT_TOKEN")
    if by == "role":
        monkeypatch.setenv("VAULT_ROLE_ID", "role")
        monkeypatch.setenv("VAULT_SECRET_ID", "canary-login")
    (tmp_path / ".vault-token").write_text(TOKEN)
    ring = open_keys(named)
    ring.add_domain("z")  # the service has its token now
    cloud.token = f"{TOKEN}-newer"
    (tmp_path / ".vault-token").write_text(cloud.token)
    cloud.calls.clear()
    if by == "environment":
        with pytest.raises(KeyringError, match="answered 403; the token is wrong or has expired"):
            ring.key("token", "x", 1)
    else:
        assert ring.key("token", "x", 1)
        ring.add_domain("w")
    assert cloud.calls["login"] == (by == "role")


def test_vaults_namespace_is_sent_with_every_call_and_login(cloud, tmp_path, monkeypatch):
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("VAULT_K8S_ROLE", "role")
    monkeypatch.setattr(vault, "ACCOUNT", tmp_path / "account")
    (tmp_path / "account").write_text("canary-login\n")
    monkeypatch.setenv("VAULT_NAMESPACE", "teams/people")
    create_keyring(keys(cloud, "vault", tmp_path / "ring")).add_domain("x")
    assert set(cloud.namespaces) == {"teams/people"}
    assert len(cloud.namespaces) == 3  # login, the key's type, and the wrapping
