"""A fake HashiCorp Vault: transit, KV version 2, and two ways to log in."""

from __future__ import annotations

import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.keyservices.wire import Error, b64, unb64


def answer(services: Any, method: str, path: str, body: dict[str, Any], headers: Any) -> Any:  # noqa: C901
    services.namespaces.append(headers.get("X-Vault-Namespace"))
    if path.startswith("auth/"):
        services.count("login")
        if body.get("secret_id", body.get("jwt")) != "canary-login":
            raise Error(400, {"errors": ["invalid role or secret ID canary-login"]})
        return {"auth": {"client_token": services.token}}
    if headers.get("X-Vault-Token") != services.token:
        raise Error(403, {"errors": ["permission denied"]})
    mount, operation, *rest = path.split("/")
    name = "/".join(rest)
    services.count(f"{mount}/{operation}")
    if operation == "data":
        return kept(services, method, f"{mount}/{name}", body)
    name, *algorithm = name.split("/")
    if name not in services.transit:
        raise Error(404 if operation == "keys" else 400, {"errors": ["encryption key not found"]})
    key = services.transit[name]
    if operation == "keys":
        return {
            "data": {
                "type": key["type"],
                "keys": {str(n): described(one) for n, one in enumerate(key["versions"], 1)},
            }
        }
    if operation == "encrypt":
        nonce, bound = os.urandom(12), unb64(body["associated_data"])
        services.secrets.append(unb64(body["plaintext"]))
        wrapped = nonce + key["versions"][-1].encrypt(nonce, unb64(body["plaintext"]), bound)
        return {
            "data": {
                "ciphertext": f"vault:v{len(key['versions'])}:{b64(wrapped)}",
                "key_version": len(key["versions"]),
            }
        }
    if operation == "decrypt":
        _, version, text = body["ciphertext"].split(":")
        wrapped = unb64(text)
        try:
            opened = key["versions"][int(version[1:]) - 1].decrypt(
                wrapped[:12], wrapped[12:], unb64(body["associated_data"])
            )
        except InvalidTag:
            raise Error(400, {"errors": ["cipher: message authentication failed"]}) from None
        return {"data": {"plaintext": b64(opened)}}
    private, data = key["versions"][body["key_version"] - 1], unb64(body["input"])
    if isinstance(private, ed25519.Ed25519PrivateKey):
        made = private.sign(data)
    else:
        assert (body["prehashed"], body["marshaling_algorithm"], algorithm) == (True, "asn1", ["sha2-256"])
        made = private.sign(data, ec.ECDSA(Prehashed(SHA256())))
    return {"data": {"signature": f"vault:v{body['key_version']}:{b64(made)}"}}


def described(key: Any) -> Any:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return {"public_key": b64(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {"public_key": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()}
    return 1500000000


def kept(services: Any, method: str, path: str, body: dict[str, Any]) -> Any:
    versions = services.kv.setdefault(path, [])
    if method == "GET":
        if not versions:
            raise Error(404, {"errors": []})
        if versions[-1] is None:
            raise Error(
                404, {"data": {"data": None, "metadata": {"version": len(versions), "deletion_time": "2026-11-26"}}}
            )
        return {"data": {"data": versions[-1], "metadata": {"version": len(versions)}}}
    with services.lock:
        if body["options"]["cas"] != len(versions):
            raise Error(400, {"errors": ["check-and-set parameter did not match the current version"]})
        versions.append(body["data"])
    return {"data": {"version": len(versions)}}
