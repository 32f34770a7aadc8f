"""Fake HashiCorp Vault, Azure Key Vault and Google Cloud KMS over HTTP, by their documented wire formats.

They encrypt for real (AES-GCM with associated data, RSA-OAEP-256), check credentials, and can throttle, deny, fail or break off.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

TOKEN = "canary-token-5f1d"  # noqa: S105 - of a fake service
"""What every service accepts as a token; it must appear in no message."""

OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unurl64(text: str) -> bytes:
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def crc32c(data: bytes) -> int:
    """By a table, as an implementation of its own."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for one in data:
        crc = crc >> 8 ^ table[(crc ^ one) & 255]
    return crc ^ 0xFFFFFFFF


class Error(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, document: Any = None, headers: dict[str, str] | None = None) -> None:
        self.status, self.document, self.headers = status, document or {}, headers or {}


@dataclass
class Services:
    """Attributes:
    calls: counts by operation, e.g. ``transit/decrypt``, ``unwrapkey``, ``decrypt``, ``login``.
    fault: gives for an operation None, an ``Error``, or "broken off".
    answer: changes an answer before it is sent.
    """

    url: str = ""
    calls: Counter[str] = field(default_factory=Counter)
    fault: Any = lambda operation: None
    answer: Any = lambda operation, document: document
    transit: dict[str, Any] = field(default_factory=dict)
    kv: dict[str, list[Any]] = field(default_factory=dict)
    azure: dict[str, Any] = field(default_factory=dict)
    gcp: dict[str, Any] = field(default_factory=dict)
    secrets: list[bytes] = field(default_factory=list)
    lock: Any = field(default_factory=Lock)

    def transit_key(self, name: str, kind: str = "aes256-gcm96") -> None:
        made = {"aes256-gcm96": lambda: AESGCM(os.urandom(32)), "ed25519": ed25519.Ed25519PrivateKey.generate,
                "ecdsa-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
                "rsa-2048": lambda: rsa.generate_private_key(65537, 2048)}[kind]()  # fmt: skip
        self.transit.setdefault(name, {"type": kind, "versions": []})["versions"].append(made)

    def azure_key(self, name: str, kty: str = "RSA") -> str:
        made = {"RSA": lambda: rsa.generate_private_key(65537, 2048), "EC": lambda: ec.generate_private_key(ec.SECP256R1()),
                "oct-HSM": lambda: AESGCM(os.urandom(32))}[kty]()  # fmt: skip
        versions = self.azure.setdefault(name, {"kty": kty, "versions": {}, "enabled": True})["versions"]
        versions[f"v{len(versions) + 1}"] = made
        return f"{self.url}/keys/{name}"

    def gcp_key(self, name: str, signs: bool = False) -> str:
        full = f"projects/p/locations/eu/keyRings/r/cryptoKeys/{name}"
        self.gcp[full] = ec.generate_private_key(ec.SECP256R1()) if signs else AESGCM(os.urandom(32))
        return full

    # Vault

    def vault(self, method: str, path: str, body: dict[str, Any], headers: Any) -> Any:  # noqa: C901
        if path.startswith("auth/"):
            self.count("login")
            if body.get("secret_id", body.get("jwt")) != "canary-login":
                raise Error(400, {"errors": ["invalid role or secret ID canary-login"]})
            return {"auth": {"client_token": TOKEN}}
        if headers.get("X-Vault-Token") != TOKEN:
            raise Error(403, {"errors": ["permission denied"]})
        mount, operation, *rest = path.split("/")
        name = "/".join(rest)
        self.count(f"{mount}/{operation}")
        if operation == "data":
            return self.kept(method, f"{mount}/{name}", body)
        name, *algorithm = name.split("/")
        if name not in self.transit:
            raise Error(404 if operation == "keys" else 400, {"errors": ["encryption key not found"]})
        key = self.transit[name]
        if operation == "keys":
            return {
                "data": {
                    "type": key["type"],
                    "keys": {str(n): self.described(one) for n, one in enumerate(key["versions"], 1)},
                }
            }
        if operation == "encrypt":
            nonce, bound = os.urandom(12), unb64(body["associated_data"])
            self.secrets.append(unb64(body["plaintext"]))
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

    def described(self, key: Any) -> Any:
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return {"public_key": b64(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))}
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return {
                "public_key": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
            }
        return 1500000000

    def kept(self, method: str, path: str, body: dict[str, Any]) -> Any:
        versions = self.kv.setdefault(path, [])
        if method == "GET":
            if not versions:
                raise Error(404, {"errors": []})
            if versions[-1] is None:
                raise Error(
                    404, {"data": {"data": None, "metadata": {"version": len(versions), "deletion_time": "2026-11-26"}}}
                )
            return {"data": {"data": versions[-1], "metadata": {"version": len(versions)}}}
        with self.lock:
            if body["options"]["cas"] != len(versions):
                raise Error(400, {"errors": ["check-and-set parameter did not match the current version"]})
            versions.append(body["data"])
        return {"data": {"version": len(versions)}}

    # Azure Key Vault

    def key_vault(  # noqa: C901
        self, method: str, path: str, body: dict[str, Any], headers: Any, query: dict[str, list[str]]
    ) -> Any:
        if path == "identity":  # the managed identity of an App Service
            self.count("login")
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
        self.count(operation)
        if name not in self.azure:
            raise Error(
                404, {"error": {"code": "KeyNotFound", "message": f"A key with (name/id) {name} was not found"}}
            )
        key = self.azure[name]
        version = rest[0] if rest else list(key["versions"])[-1]
        private, kid = key["versions"][version], f"{self.url}/keys/{name}/{version}"
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
            self.secrets.append(value)
            return {"kid": kid, "value": url64(private.public_key().encrypt(value, OAEP))}
        if operation == "encrypt":
            iv, self.secrets = os.urandom(12), [*self.secrets, value]
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
                "value": url64(
                    private.decrypt(unurl64(body["iv"]), value + unurl64(body["tag"]), unurl64(body["aad"]))
                ),
            }
        except (ValueError, InvalidTag):
            raise Error(400, {"error": {"code": "BadParameter", "message": "cannot be decrypted"}}) from None

    # Google Cloud KMS

    def cloud_kms(self, path: str, body: dict[str, Any], headers: Any) -> Any:
        if path == "token":
            self.count("login")
            assert body["assertion"].count(".") == 2
            return {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Error(401, {"error": {"status": "UNAUTHENTICATED", "code": 401, "message": "x"}})
        name, _, operation = path.partition(":")
        if name.endswith("/publicKey"):
            name, operation = name.removesuffix("/publicKey"), "publicKey"
        self.count(operation)
        key = self.gcp.get(name.partition("/cryptoKeyVersions/")[0])
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
            nonce, self.secrets = os.urandom(12), [*self.secrets, data]
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

    def count(self, operation: str) -> None:
        self.calls[operation] += 1
        fault = self.fault(operation)
        if isinstance(fault, Error):
            raise fault
        if fault:
            raise ConnectionAbortedError(fault)


def _handler(services: Services) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            path, query = unquote(parts.path).lstrip("/"), parse_qs(parts.query)
            form = self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
            body = {key: one[0] for key, one in parse_qs(data.decode()).items()} if form else json.loads(data or b"{}")
            before = dict(services.calls)
            try:
                if path.startswith("v1/projects/") or path == "token":
                    found = services.cloud_kms(path.removeprefix("v1/"), body, self.headers)
                elif path.startswith("v1/"):
                    found = services.vault(self.command, path.removeprefix("v1/"), body, self.headers)
                else:
                    found = services.key_vault(self.command, path, body, self.headers, query)
                called = next((name for name, n in services.calls.items() if before.get(name) != n), "")
                self._send(200, services.answer(called, found), {})
            except Error as error:
                self._send(error.status, error.document, error.headers)
            except ConnectionAbortedError:
                self.close_connection = True

        def _send(self, status: int, document: Any, headers: dict[str, str]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = _any

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def services(tls: Path | None = None) -> Iterator[Services]:
    """The three services at one address; ``tls``: where to write the certificate of their own authority."""
    made = Services()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    made.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    if tls:
        server.socket = _certified(tls).wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # a client that refuses the certificate
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


def _certified(place: Path) -> ssl.SSLContext:
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")]),
    )
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    place.write_bytes(certificate.public_bytes(Encoding.PEM))
    private = place.with_suffix(".key")
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place, private)
    return context


@functools.cache
def _service_account() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def environment(url: str, folder: Path) -> dict[str, str]:
    """What the environment holds where the services are at a URL."""
    account = {
        "type": "service_account",
        "client_email": "a@p.iam.gserviceaccount.com",
        "token_uri": f"{url}/token",
        "private_key": _service_account(),
    }
    login = folder / "account.json"
    login.write_text(json.dumps(account))
    return {
        "VAULT_ADDR": url,
        "VAULT_TOKEN": TOKEN,
        "IDENTITY_ENDPOINT": f"{url}/identity",
        "IDENTITY_HEADER": "canary-login",
        "GOOGLE_APPLICATION_CREDENTIALS": str(login),
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS": url,
    }
