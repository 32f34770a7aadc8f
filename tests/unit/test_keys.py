"""Keys: derivation by the standard, a keyring that others cannot read, versions, errors that show no secret."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dataward.cli import main
from dataward.contract import Keys, Location
from dataward.errors import KeyringError
from dataward.integrity.ledger import open_log
from dataward.keys import create_keyring, derive, local_keyring
from dataward.verbs.verify import trusted

SECRET = bytes(range(32))


def test_key_is_hkdf_of_the_version_secret():
    info = b"dataward/1/token/people/1"
    expected = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(SECRET)
    assert derive(SECRET, "token", "people", 1) == expected


def test_purposes_domains_and_versions_have_keys_of_their_own(tmp_path):
    ring = create_keyring(tmp_path / "keys")
    for domain in ("x", "y"):
        assert ring.current(domain) == 1
        assert ring.rotate(domain) == 2
    made = {ring.key(p, d, v) for p in ("token", "digest", "seal") for d in ("x", "y") for v in (1, 2)}
    assert len(made) == 12
    assert {len(ring.key(purpose, "x", 1)) for purpose in ("encrypt", "vault")} == {64}


def test_created_keyring_is_private_and_never_overwritten(tmp_path):
    path = tmp_path / "conf" / "keys"
    ring = create_keyring(path)
    assert ring.current("x") == 1  # makes the domain's key
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert local_keyring(path).key("token", "x", 1) == ring.key("token", "x", 1)
    before = path.read_bytes()
    with pytest.raises(KeyringError, match="never overwritten"):
        create_keyring(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o644])
def test_loose_permissions_are_refused(tmp_path, mode):
    create_keyring(tmp_path / "keys")
    os.chmod(tmp_path / "keys", mode)
    with pytest.raises(KeyringError, match="chmod 600"):
        local_keyring(tmp_path / "keys")


DOMAIN = '{"format": 2, "domains": {"x": {"current": %d, "versions": {"1": {"created": "", "fingerprint": "", "secret": "%s"}}}}}'


@pytest.mark.parametrize("text", ["", "{}", "{}x", "[]", DOMAIN % (2, "ab" * 32), DOMAIN % (1, "abab"), DOMAIN % (1, "secret!"), '{"format": 1}'])  # fmt: skip
def test_damaged_keyring(tmp_path, text):
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyringError, match="damaged") as caught:
        local_keyring(path).key("token", "x", 1)
    assert "abab" not in str(caught.value)
    assert "secret!" not in str(caught.value)


def test_a_keyring_without_a_key_cannot_verify_and_makes_no_seal_wrong(tmp_path):
    create_keyring(tmp_path / "keys")
    with pytest.raises(KeyringError, match=r"has no key: restore it from your backup\. Who has no keyring") as caught:
        trusted(open_log(Location(path=str(tmp_path))), Keys(path=str(tmp_path / "keys"), domain="x"), ())
    assert caught.value.exit_code == 3


def test_missing_keyring_domain_and_version_say_what_to_do(tmp_path):
    with pytest.raises(KeyringError, match="dataward keys create"):
        local_keyring(tmp_path / "keys")
    ring = create_keyring(tmp_path / "keys")
    with pytest.raises(KeyringError, match="no domain 'x'.*keys create"):
        ring.key("token", "x", 1)
    ring.add_domain("x")
    with pytest.raises(KeyringError, match="has no version 7"):
        ring.key("token", "x", 7)


def test_repr_shows_no_secret(tmp_path):
    ring = create_keyring(tmp_path / "keys")
    ring.add_domain("x")
    secret = json.loads((tmp_path / "keys").read_text())["domains"]["x"]["versions"]["1"]["secret"]
    assert secret not in repr(ring) + repr(ring.versions("x")) + repr(vars(ring)["_document"])


def test_a_window_is_opened_once_and_closed(tmp_path):
    ring = create_keyring(tmp_path / "keys")
    ring.add_domain("x")
    assert ring.window("x") is None
    assert [ring.rotate("x"), ring.rotate("x"), local_keyring(tmp_path / "keys").rotate("x")] == [2, 2, 2]
    assert ring.window("x") == 1
    ring.close_window("x")
    assert ring.window("x") is None
    assert ring.rotate("x") == 3


def test_a_disabled_version_opens_nothing_until_it_is_enabled(tmp_path):
    ring = create_keyring(tmp_path / "keys")
    assert ring.current("x") == 1
    before = ring.key("token", "x", 1)
    ring.set_enabled("x", 1, False)
    with pytest.raises(KeyringError, match="disabled"):
        ring.key("token", "x", 1)
    with pytest.raises(KeyringError, match="new writes use it.*dataward rotate x"):
        ring.current("x")
    ring.set_enabled("x", 1, True)
    assert ring.key("token", "x", 1) == before


def test_writers_that_meet_lose_no_key(tmp_path):
    create_keyring(tmp_path / "keys")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: local_keyring(tmp_path / "keys").add_domain(f"d{n}"), range(24)))
    ring = local_keyring(tmp_path / "keys")
    assert len(ring.domains) == 24
    assert not any(ring.trouble(domain, 1) for domain in ring.domains)


def test_a_writer_that_dies_leaves_the_keyring_as_it_was(tmp_path, monkeypatch):
    ring = create_keyring(tmp_path / "keys")
    ring.add_domain("x")
    before = (tmp_path / "keys").read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(KeyringError, match="cannot be written: No space left"):
        ring.rotate("x")
    assert (tmp_path / "keys").read_bytes() == before


def told(capsys, *argv):
    code = main(["keys", *argv, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_keys_verbs(tmp_path, capsys):
    path = str(tmp_path / "k")
    assert told(capsys, "create", path, "--domain", "x")[1]["new"] == ["x"]
    assert told(capsys, "create", path, "--domain", "y", "--domain", "x")[1] == {
        "path": path, "created": False, "domains": ["x", "y"], "new": ["y"]}  # fmt: skip
    code, listed = told(capsys, "list", path)
    assert code == 0
    assert [(v["version"], v["current"], v["enabled"]) for v in listed["domains"]["x"]] == [(1, True, True)]
    secret = json.loads((tmp_path / "k").read_text())["domains"]["x"]["versions"]["1"]["secret"]
    assert secret not in json.dumps(listed)
    assert told(capsys, "disable", path, "x", "1")[0] == 0
    assert told(capsys, "list", path)[1]["domains"]["x"][0]["enabled"] is False
    assert told(capsys, "enable", path, "x", "1")[0] == 0
    assert told(capsys, "disable", path, "x", "9")[0] == 3
    assert told(capsys, "verify", path) == (0, {"holds": True, "checks": [
        {"domain": domain, "version": 1, "holds": True, "detail": ""} for domain in ("x", "y")]})  # fmt: skip
    (tmp_path / "k").write_text((tmp_path / "k").read_text().replace(secret, "00" * 32))
    code, checked = told(capsys, "verify", path)
    assert code == 1
    assert "another secret" in checked["checks"][0]["detail"]


def test_keys_of_a_contract(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(
        "contract: c\nsource: {path: a}\ntarget: {path: b}\nkeys: {path: k, domain: x}\n"
        "columns: {e: {protect: token, domain: y}, f: {protect: token}}\n"
    )
    assert told(capsys, "create", "c.yaml")[1]["new"] == ["x", "y"]
    assert told(capsys, "create", "c.yaml")[1]["new"] == []
    assert main(["keys", "list", "c.yaml"]) == 0
    assert "enabled, current" in capsys.readouterr().out


def test_who_disables_the_version_of_new_writes_is_warned(tmp_path, capsys):
    ring = create_keyring(tmp_path / "keys")
    ring.add_domain("default")
    ring.rotate("default")
    path = str(tmp_path / "keys")
    for version, warned in ((1, False), (2, True)):
        assert main(["keys", "disable", path, "default", str(version)]) == 0
        assert ("no run can write until it is enabled" in capsys.readouterr().out) == warned
