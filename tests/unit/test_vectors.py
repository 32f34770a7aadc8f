"""The standards' constructions against every published vector that fits the way they are used here."""

import base64
import itertools
import os
import random

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography_vectors import open_vector_file

from dataward.privacy.protect.encrypt import written
from dataward.privacy.protect.ff1 import FF1
from dataward.privacy.protect.siv import encrypt
from dataward.privacy.protect.token import macs

BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
AES256 = "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94"
DIGITS, TWEAK = "0123456789", "39383736353433323130"
LETTERS, LETTERS_TWEAK = "0123456789abcdefghi", "3737373770717273373737"
NIST = [  # SP 800-38G, FF1 samples 1 to 9
    (AES256[:32], "", DIGITS, "2433477484"),
    (AES256[:32], TWEAK, DIGITS, "6124200773"),
    (AES256[:32], LETTERS_TWEAK, LETTERS, "a9tv40mll9kdu509eum"),
    (AES256[:48], "", DIGITS, "2830668132"),
    (AES256[:48], TWEAK, DIGITS, "2496655549"),
    (AES256[:48], LETTERS_TWEAK, LETTERS, "xbj3kv35jrawxv32ysr"),
    (AES256, "", DIGITS, "6657667009"),
    (AES256, TWEAK, DIGITS, "1001623463"),
    (AES256, LETTERS_TWEAK, LETTERS, "xs8a0azh2avyalyzuwd"),
]


def blocks(path):
    """The cases of a vector file, as dictionaries of lower-case names."""
    with open_vector_file(path, "r") as stream:
        text = stream.read()
        for block in text.split("COUNT" if "COUNT" in text else "\n\n"):
            pairs = (line.split("=", 1) for line in block.splitlines() if "=" in line and line[0] not in "#[")
            yield {name.strip().lower(): value.strip() for name, value in pairs}


@pytest.mark.parametrize(("key", "tweak", "plain", "cipher"), NIST)
@pytest.mark.parametrize("times", [1, 40])  # one by one, and vectorised
def test_ff1_gives_nists_samples(key, tweak, plain, cipher, times):
    ff1 = FF1(bytes.fromhex(key), 10 if plain == DIGITS else 36)
    numerals = np.array([[BASE36.index(c) for c in plain]] * times, np.uint8)
    made = ff1.encrypt(numerals, bytes.fromhex(tweak))
    assert ["".join(BASE36[n] for n in row) for row in made] == [cipher] * times
    assert (ff1.decrypt(made, bytes.fromhex(tweak)) == numerals).all()


def test_aes_siv():
    seen = 0
    for case in blocks("ciphers/AES/SIV/openssl.txt"):
        if "key" not in case:
            continue
        seen += 1
        aad = [bytes.fromhex(case[name]) for name in ("aad", "aad2", "aad3") if name in case]
        siv, made = AESSIV(bytes.fromhex(case["key"])), bytes.fromhex(case["tag"] + case["ciphertext"])
        assert siv.encrypt(bytes.fromhex(case["plaintext"]), aad) == made
        assert siv.decrypt(made, aad).hex() == case["plaintext"]
    assert seen == 4


@pytest.mark.parametrize("size", [32, 48, 64])
def test_the_vectorised_aes_siv_is_the_librarys(size):
    """Every length up to 300 bytes, alone and among others, and many of one length."""
    key, some = os.urandom(size), random.Random(size)
    mixed = [os.urandom(n) for n in range(300) for _ in range(9)]
    some.shuffle(mixed)
    for values in (mixed, [os.urandom(16)] * 50, [os.urandom(15) for _ in range(50)], [b""] * 9, [b"", b"x"], []):
        starts = np.concatenate([[0], np.cumsum([len(value) for value in values])]).astype(np.int64)
        made, begins = encrypt(key, np.frombuffer(b"".join(values), np.uint8), starts)
        expected = [AESSIV(key).encrypt(value, None) for value in values]
        assert [made[a:b].tobytes() for a, b in itertools.pairwise(begins)] == expected
        for version in (1, 12, 123, 12345):
            texts = [f"v{version}.{base64.urlsafe_b64encode(c).rstrip(b'=').decode()}" for c in expected]
            assert written(version, made, begins).to_pylist() == texts


def test_aes_gcm():
    seen = refused = 0
    for kind in ("Encrypt", "Decrypt"):
        for size in ("128", "192", "256"):
            with open_vector_file(f"ciphers/AES/GCM/gcm{kind}{'ExtIV' * (kind == 'Encrypt')}{size}.rsp", "r") as stream:
                text = stream.read()
            for block in text.split("Count = ")[1:]:
                case = {n.strip(): v.strip() for n, _, v in (line.partition("=") for line in block.splitlines())}
                if len(case["Tag"]) != 32 or len(case["IV"]) < 16:  # the library takes whole tags and 8 bytes or more
                    continue
                gcm, nonce, aad = (
                    AESGCM(bytes.fromhex(case["Key"])),
                    bytes.fromhex(case["IV"]),
                    bytes.fromhex(case["AAD"]),
                )
                sealed = bytes.fromhex(case["CT"] + case["Tag"])
                if "FAIL" in case:
                    with pytest.raises(InvalidTag):
                        gcm.decrypt(nonce, sealed, aad)
                    refused += 1
                    continue
                assert gcm.decrypt(nonce, sealed, aad).hex() == case["PT"]
                assert gcm.encrypt(nonce, bytes.fromhex(case["PT"]), aad) == sealed
                seen += 1
    assert (seen, refused) == (3338, 1162)


def test_hmac():
    """RFC 4231, through the copied states that tokens are made with."""
    cases = [case for case in blocks("HMAC/rfc-4231-sha256.txt") if "md" in case]
    for case in cases:
        key, message = bytes.fromhex(case["key"]), bytes.fromhex(case["msg"])
        if len(key) <= 64:  # ours are 32 bytes; a longer one would be hashed first
            assert macs(key, [message])[0].tobytes().hex()[: len(case["md"])] == case["md"]
    assert len(cases) >= 5


def test_hkdf():
    seen = 0
    for case in (*blocks("KDF/rfc-5869-HKDF-SHA256.txt"), *blocks("KDF/hkdf-generated.txt")):
        if "okm" not in case:
            continue
        made = HKDF(
            algorithm=SHA256(),
            length=len(case["okm"]) // 2,
            salt=bytes.fromhex(case.get("salt", "")) or None,
            info=bytes.fromhex(case.get("info", "")),
        ).derive(bytes.fromhex(case["ikm"]))
        seen += made.hex() == case["okm"]
    assert seen == 4
