"""A fake Azure Key Vault, and the managed identity of an App Service."""

from __future__ import annotations

import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tests.keyservices.wire import OAEP, TOKEN, Error, unurl64, url64


def answer(  # noqa: C901
    services: Any, method: str, path: str, body: dict[str, Any], headers: Any, query: dict[str, list[str]]
) -> Any:
    if path == "identity":  # the managed identity of an App Service
        services.count("login")
        assert headers.get("X-IDENTITY-HEADER") == "canary-login"
        return {
            "access_token": TOKEN,
            "expires_on": "4102444800",
            "resource": query["resource"][0],
            "token_type": "Bearer",
        }
    if headers.get("Authorization") != f"Bearer {TOKEN}":
        raise Error(401, {"error": {"code": "Unauthorized", "message": "AKV10000"}})
    assert query == {"api-version": ["7.4"]}
    _, name, *rest = path.split("/")
    operation = rest.pop() if rest and not rest[-1].startswith("v") else "get"
    services.count(operation)
    if name not in services.azure:
        raise Error(404, {"error": {"code": "KeyNotFound", "message": f"A key with (name/id) {name} was not found"}})
    key = services.azure[name]
    version = rest[0] if rest else list(key["versions"])[-1]
    private, kid = key["versions"][version], f"{services.url}/keys/{name}/{version}"
    if operation == "get":
        public: dict[str, Any] = {"kid": kid, "kty": key["kty"]}
        if key["kty"] == "EC":
            numbers = private.public_key().public_numbers()
            public |= {
                "crv": "P-256",
                "x": url64(numbers.x.to_bytes(32, "big")),
                "y": url64(numbers.y.to_bytes(32, "big")),
            }
        return {"key": public, "attributes": {"enabled": key["enabled"]}}
    if not key["enabled"]:
        raise Error(403, {"error": {"code": "Forbidden", "innererror": {"code": "KeyDisabled"}}})
    value = unurl64(body["value"])
    if operation == "wrapkey":
        assert body["alg"] == "RSA-OAEP-256"
        services.secrets.append(value)
        return {"kid": kid, "value": url64(private.public_key().encrypt(value, OAEP))}
    if operation == "encrypt":
        iv, services.secrets = os.urandom(12), [*services.secrets, value]
        sealed = private.encrypt(iv, value, unurl64(body["aad"]))
        return {
            "kid": kid,
            "value": url64(sealed[:-16]),
            "iv": url64(iv),
            "tag": url64(sealed[-16:]),
            "aad": body["aad"],
        }
    if operation == "sign":
        assert body["alg"] == "ES256"
        r, s = decode_dss_signature(private.sign(value, ec.ECDSA(Prehashed(SHA256()))))
        return {"kid": kid, "value": url64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))}
    try:
        if operation == "unwrapkey":
            return {"kid": kid, "value": url64(private.decrypt(value, OAEP))}
        return {
            "kid": kid,
            "value": url64(private.decrypt(unurl64(body["iv"]), value + unurl64(body["tag"]), unurl64(body["aad"]))),
        }
    except (ValueError, InvalidTag):
        raise Error(400, {"error": {"code": "BadParameter", "message": "cannot be decrypted"}}) from None
