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
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from dataward.contract import Keys
from tests.keyservices import azure, google, vault
from tests.keyservices.wire import TOKEN, Error

KINDS = ("vault", "azure", "azure_hsm", "google")


@dataclass
class Services:
    """Attributes:
    calls: counts by operation, e.g. ``transit/decrypt``, ``unwrapkey``, ``decrypt``, ``login``.
    fault: gives for an operation None, an ``Error``, or "broken off".
    answer: changes an answer before it is sent.
    token: what Vault accepts now; namespaces: what each of its calls named.
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
    token: str = TOKEN
    namespaces: list[str | None] = field(default_factory=list)

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
                    found = google.answer(services, path.removeprefix("v1/"), body, self.headers)
                elif path.startswith("v1/"):
                    found = vault.answer(services, self.command, path.removeprefix("v1/"), body, self.headers)
                else:
                    found = azure.answer(services, self.command, path, body, self.headers, query)
                called = next((name for name, n in services.calls.items() if before.get(name) != n), "")
                self._send(200, services.answer(called, found), {})
            except Error as error:
                self._send(error.status, error.document, error.headers)
            except ConnectionAbortedError:
                self.close_connection = True

        def _send(self, status: int, document: Any, headers: dict[str, str]) -> None:
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
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


def keys(cloud, kind, path, **more):
    """A keyring whose secrets a fresh key of a service wraps."""
    if kind == "vault":
        cloud.transit_key("k") if "k" not in cloud.transit else None
        named = {"provider": "vault", "key": "transit/k"}
    elif kind == "google":
        named = {"provider": "gcp_kms", "key": cloud.gcp_key("k") if not cloud.gcp else next(iter(cloud.gcp))}
    else:
        made = (
            cloud.azure_key("k", "RSA" if kind == "azure" else "oct-HSM") if not cloud.azure else f"{cloud.url}/keys/k"
        )
        named = {"provider": "azure_key_vault", "key": made}
    return Keys(**named, path=str(path), domain="x", **more)


def silent_about_secrets(cloud, text):
    secrets = [
        form for one in cloud.secrets for form in (one.hex(), one[:32].hex(), base64.b64encode(one).decode(), repr(one))
    ]
    return not any(one in text for one in (*secrets, TOKEN, "canary"))
