"""Send messages between coordinator and sites: within one process, or over HTTP with mutual TLS."""

from __future__ import annotations

import http.client
import json
import ssl
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dataward.errors import DatawardError, SiteRefused
from dataward.federated.certificates import certificate
from dataward.federated.coordinator import Unreachable
from dataward.federated.site import Site

__all__ = ["LARGEST", "Https", "InProcess", "tls"]

LARGEST = 2**30
"""Most bytes of a message to read."""


class InProcess:
    """Sites in the coordinator's own process, for tests and simulations; messages are encoded like over HTTP."""

    def __init__(self, sites: Mapping[str, Site]) -> None:
        """Keep the sites by name."""
        self._sites = sites

    def call(self, site: str, stage: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer of a site: :class:`dataward.federated.coordinator.Transport`."""
        try:
            answer: Mapping[str, Any] = json.loads(
                json.dumps(self._sites[site].answer(stage, json.loads(json.dumps(message))))
            )
        except SiteRefused:
            raise
        except DatawardError as error:
            raise SiteRefused(str(error)) from None
        return answer


def tls(server: bool, key: Ed25519PrivateKey, trusted: bytes) -> ssl.SSLContext:
    """Return settings for TLS 1.3 with certificates of both sides.

    Args:
        server: whether this side listens.
        key: this side's key.
        trusted: the only certificate (PEM) that the peer may prove to own.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the peer is identified by its key, at any address
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=trusted.decode("ascii"))
    # `ssl` reads keys only from files; the file is private and removed immediately.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pair.pem"
        path.touch(0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate(key))
        context.load_cert_chain(path)
    return context


class Https:
    """Sites at addresses; one connection per site stays open."""

    def __init__(
        self, urls: Mapping[str, str], certificates: Mapping[str, bytes], key: Ed25519PrivateKey, timeout: float
    ) -> None:
        """Prepare connections.

        Args:
            urls: address by site.
            certificates: certificate (PEM) by site.
            key: the coordinator's key.
            timeout: seconds for one answer.
        """
        self._urls, self._certificates, self._timeout = urls, certificates, timeout
        self._contexts = {name: tls(False, key, pem) for name, pem in certificates.items()}
        self._open: dict[str, http.client.HTTPSConnection] = {}
        self._lock = threading.Lock()

    def call(self, site: str, stage: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer of a site: :class:`dataward.federated.coordinator.Transport`."""
        body = json.dumps(message).encode()
        try:
            status, data = self._exchange(site, stage, body)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"it does not answer at {self._urls[site]} ({type(error).__name__})") from None
        try:
            answer = json.loads(data)
        except ValueError:
            raise SiteRefused("its answer is no JSON", site) from None
        if not isinstance(answer, dict):
            raise SiteRefused("its answer is no JSON object", site)
        if status != 200:
            raise SiteRefused(
                str(answer.get("refused", f"it answers with status {status}"))[:300], str(answer.get("site", ""))
            )
        return answer

    def _exchange(self, site: str, stage: str, body: bytes) -> tuple[int, bytes]:
        with self._lock:
            connection = self._open.pop(site, None)
        # A connection that the site has closed in the meantime is replaced once, before anything was sent on it.
        if connection is not None:
            try:
                return self._sent(site, connection, stage, body)
            except (ConnectionError, http.client.RemoteDisconnected, ssl.SSLError):
                connection.close()
        return self._sent(site, self._connected(site), stage, body)

    def _connected(self, site: str) -> http.client.HTTPSConnection:
        address = urlsplit(self._urls[site])
        connection = http.client.HTTPSConnection(
            address.hostname or "", address.port or 443, timeout=self._timeout, context=self._contexts[site]
        )
        connection.connect()
        # A peer that only issued a certificate with the trusted key is not the trusted peer itself.
        sock = connection.sock
        peer = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        trusted = x509.load_pem_x509_certificate(self._certificates[site]).public_key()
        if peer is None or x509.load_der_x509_certificate(peer).public_key() != trusted:
            connection.close()
            raise ConnectionError("another key")
        return connection

    def _sent(self, site: str, connection: http.client.HTTPSConnection, stage: str, body: bytes) -> tuple[int, bytes]:
        try:
            connection.request("POST", f"/v1/{stage}", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read(LARGEST)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._open[site] = connection
        return response.status, data

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for connection in self._open.values():
                connection.close()
            self._open.clear()
