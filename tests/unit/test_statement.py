"""Statements: the formats are the published ones, and nobody else's signature passes."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from dataward.errors import KeyringError
from dataward.integrity.dsse import Ed25519Signer, Envelope, encoded, key_id, pem, read_public_keys, sign
from dataward.integrity.statement import PAYLOAD_TYPE, Statement, Subject, predicate_type, test_results
from tests.unit.test_ledger import seal

SIGNER = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
KEYS = {key_id(SIGNER.public): SIGNER.public}
STATEMENT = Statement(
    (Subject("people/manifest.json", "ab" * 32),), predicate_type("seal"), seal(0).model_dump(mode="json")
)


def test_the_encoding_is_the_protocols_own_example():
    assert (
        encoded("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_securesystemslib_accepts_the_envelope():
    from securesystemslib.dsse import Envelope as Theirs
    from securesystemslib.signer import SSlibKey

    envelope = STATEMENT.signed(SIGNER)
    theirs = Theirs.from_dict(json.loads(envelope.text()))
    key = SSlibKey(key_id(SIGNER.public), "ed25519", "ed25519", {"public": SIGNER.public.public_bytes_raw().hex()})
    assert list(theirs.verify([key], 1)) == [key_id(SIGNER.public)]
    assert json.loads(theirs.payload)["subject"][0]["digest"]["sha256"] == "ab" * 32


def test_a_statement_comes_back_as_it_was_signed():
    envelope = Envelope.parse(STATEMENT.signed(SIGNER).text())
    assert envelope.signed_by(KEYS) == key_id(SIGNER.public)
    assert Statement.parse(envelope) == STATEMENT


def test_ecdsa_p256_signs_as_well():
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    private = generate_private_key(SECP256R1())

    class Kms:
        public = private.public_key()

        def sign(self, message):
            return private.sign(message, ECDSA(SHA256()))

    envelope = Envelope.parse(sign(PAYLOAD_TYPE, b"{}", Kms()).text())
    keys = read_public_keys([pem(Kms.public).encode()])
    assert envelope.signed_by(keys) == key_id(Kms.public)
    assert envelope.signed_by(KEYS) is None


@pytest.mark.parametrize("change", [
    lambda e: Envelope(e.payload_type, e.payload.replace(b"people", b"peoplE"), e.signatures),
    lambda e: Envelope("text/plain", e.payload, e.signatures),
    lambda e: Envelope(e.payload_type, e.payload, ((e.signatures[0][0], bytes(64)),)),
    lambda e: Envelope(e.payload_type, e.payload, (("0" * 64, e.signatures[0][1]),)),
    lambda e: Envelope(e.payload_type, e.payload, ()),
])  # fmt: skip
def test_what_was_changed_is_signed_by_nobody(change):
    assert change(STATEMENT.signed(SIGNER)).signed_by(KEYS) is None


@given(st.binary(max_size=300))
def test_bytes_in_the_place_of_an_envelope_or_statement_are_refused(data):
    for text in (data, Envelope(PAYLOAD_TYPE, data, ()).text()):
        try:
            Statement.parse(Envelope.parse(text))
        except ValueError:
            pass
        else:
            raise AssertionError(data)


def test_public_keys_of_other_kinds_are_refused():
    from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1

    with pytest.raises(KeyringError, match="neither Ed25519 nor"):
        read_public_keys([pem(generate_private_key(SECP384R1()).public_key()).encode()])
    with pytest.raises(KeyringError, match="no public key in PEM"):
        read_public_keys([b"-----BEGIN PRIVATE KEY-----"])
    with pytest.raises(KeyringError, match="damaged"):
        read_public_keys(
            [b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(b"x" * 20) + b"\n-----END PUBLIC KEY-----"]
        )


def test_verdicts_are_a_test_result():
    verdicts = [{"rule": "A", "outcome": "PASSED"}, {"rule": "B", "outcome": "FAILED", "severity": "warning"},
                {"rule": "C", "outcome": "SKIPPED"}]  # fmt: skip
    told = test_results(seal(0).model_copy(update={"verdicts": verdicts}), STATEMENT.subject)
    assert told.predicate["result"] == "WARNED"
    assert (told.predicate["passedTests"], told.predicate["warnedTests"]) == (["A"], ["B", "C"])
    failing = seal(0).model_copy(update={"verdicts": [{"rule": "D", "outcome": "ERRORED"}]})
    assert test_results(failing, STATEMENT.subject).predicate["failedTests"] == ["D"]


test_results.__test__ = False
