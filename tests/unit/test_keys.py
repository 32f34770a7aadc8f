"""Keys: derivation by the standard, a keyring that others cannot read, errors that show no secret."""

import os
import stat

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dataward.errors import KeyringError
from dataward.privacy.keys import LocalKeyring, create_keyring


def test_key_is_hkdf_of_the_version_secret():
    ring = LocalKeyring(None, 1, {1: bytes(range(32))})
    expected = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"dataward/1/token/people/1").derive(
        bytes(range(32))
    )
    assert ring.key("token", "people", 1) == expected


def test_purposes_domains_and_versions_have_keys_of_their_own():
    ring = LocalKeyring(None, 2, {1: b"a" * 32, 2: b"b" * 32})
    made = {ring.key(p, d, v) for p in ("token", "digest", "seal") for d in ("x", "y") for v in (1, 2)}
    assert len(made) == 12


def test_created_keyring_is_private_and_never_overwritten(tmp_path):
    path = tmp_path / "conf" / "keys"
    ring = create_keyring(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert LocalKeyring.open(path).key("token", "x", 1) == ring.key("token", "x", 1)
    before = path.read_bytes()
    with pytest.raises(KeyringError, match="never overwritten"):
        create_keyring(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o644])
def test_loose_permissions_are_refused(tmp_path, mode):
    create_keyring(tmp_path / "keys")
    os.chmod(tmp_path / "keys", mode)
    with pytest.raises(KeyringError, match="chmod 600"):
        LocalKeyring.open(tmp_path / "keys")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"current": 2, "versions": {"1": {"secret": "%s"}}}' % ("ab" * 32),
                                  '{"current": 1, "versions": {"1": {"secret": "abab"}}}', '{"versions": {"1": "zz"}}'])  # fmt: skip
def test_damaged_keyring(tmp_path, text):
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyringError, match="damaged") as caught:
        LocalKeyring.open(path)
    assert "abab" not in str(caught.value)


def test_missing_keyring_and_version_say_what_to_do(tmp_path):
    with pytest.raises(KeyringError, match="dataward keys create"):
        LocalKeyring.open(tmp_path / "keys")
    ring = create_keyring(tmp_path / "keys")
    with pytest.raises(KeyringError, match="has no version 7"):
        ring.key("token", "x", 7)


def test_repr_shows_no_secret():
    secret = bytes(range(32))
    shown = repr(LocalKeyring(None, 1, {1: secret}))
    assert secret.hex() not in shown
    assert repr(secret) not in shown
