"""A fake Google Cloud KMS, and the token of a service account."""

from __future__ import annotations

import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.keyservices.wire import TOKEN, Error, b64, crc32c, unb64


def answer(services: Any, path: str, body: dict[str, Any], headers: Any) -> Any:
    if path == "token":
        services.count("login")
        assert body["assertion"].count(".") == 2
        return {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
    if headers.get("Authorization") != f"Bearer {TOKEN}":
        raise Error(401, {"error": {"status": "UNAUTHENTICATED", "code": 401, "message": "x"}})
    name, _, operation = path.partition(":")
    if name.endswith("/publicKey"):
        name, operation = name.removesuffix("/publicKey"), "publicKey"
    services.count(operation)
    key = services.gcp.get(name.partition("/cryptoKeyVersions/")[0])
    if key is None:
        raise Error(404, {"error": {"status": "NOT_FOUND", "code": 404, "message": f"{name} not found"}})
    if operation == "publicKey":
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        return {"pem": pem, "algorithm": "EC_SIGN_P256_SHA256", "pemCrc32c": str(crc32c(pem.encode()))}
    if operation == "asymmetricSign":
        digest = unb64(body["digest"]["sha256"])
        made = key.sign(digest, ec.ECDSA(Prehashed(SHA256())))
        verified = int(body["digestCrc32c"]) == crc32c(digest)
        return {"signature": b64(made), "signatureCrc32c": str(crc32c(made)), "verifiedDigestCrc32c": verified}
    bound, data = (
        unb64(body["additionalAuthenticatedData"]),
        unb64(body["plaintext" if operation == "encrypt" else "ciphertext"]),
    )
    if int(body["additionalAuthenticatedDataCrc32c"]) != crc32c(bound):
        raise Error(400, {"error": {"status": "INVALID_ARGUMENT", "code": 400, "message": "checksum"}})
    if operation == "encrypt":
        nonce, services.secrets = os.urandom(12), [*services.secrets, data]
        sealed = nonce + key.encrypt(nonce, data, bound)
        return {"ciphertext": b64(sealed), "ciphertextCrc32c": str(crc32c(sealed)), "verifiedAdditionalAuthenticatedDataCrc32c": True,
                "verifiedPlaintextCrc32c": int(body["plaintextCrc32c"]) == crc32c(data)}  # fmt: skip
    try:
        opened = key.decrypt(data[:12], data[12:], bound)
    except InvalidTag:
        raise Error(
            400, {"error": {"status": "INVALID_ARGUMENT", "code": 400, "message": "Decryption failed"}}
        ) from None
    return {"plaintext": b64(opened), "plaintextCrc32c": str(crc32c(opened)), "usedPrimary": True}
