"""A site's HTTP server: TLS 1.3 with client certificates, one thread per connection, only ``POST /v1/STAGE``.

The coordinator is answered at every stage of a training or survey, the receiver of an accepted intersection at its stage.
"""

from __future__ import annotations

import json
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dataward.errors import DatawardError, SiteRefused, TargetError
from dataward.federated.intersect import STAGE
from dataward.federated.site import Site
from dataward.federated.transport import LARGEST, tls

__all__ = ["Server"]

IDLE = 600.0
"""Seconds after which an idle connection is closed."""


class Server(ThreadingHTTPServer):
    """Serves one site to one coordinator."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], site: Site, key: Ed25519PrivateKey, coordinator: bytes | None) -> None:
        """Bind the address and listen.

        Args:
            address: host and port.
            site: the answering site.
            key: the site's key.
            coordinator: the coordinator's certificate (PEM); None: only receivers of intersections are answered.

        Raises:
            TargetError: the address is not available.
        """
        self.site = site
        parties = [one.party for one in site.senders.values()]
        pems = [coordinator, *(one.certificates[one.plan.receiver] for one in parties)]
        known = [pem for pem in dict.fromkeys(pems) if pem]
        self._context = tls(True, key, b"".join(known))
        self._trusted = [x509.load_pem_x509_certificate(pem).public_key() for pem in known]
        self.coordinator = x509.load_pem_x509_certificate(coordinator).public_key() if coordinator else None
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            raise TargetError(f"{address[0]}:{address[1]} cannot be listened at ({error.strerror})") from None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Complete the TLS handshake in the connection's own thread, so that a silent client blocks nobody."""
        request.settimeout(IDLE)
        try:
            secured = self._context.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError):
            return  # no certificate, or one of nobody who is answered
        with secured:
            if peer_of(secured) in self._trusted:
                _Handler(secured, client_address, self)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection (the TLS layer owns its socket)."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a traceback could contain data."""


def peer_of(secured: ssl.SSLSocket) -> Any:
    """Return the public key that the peer of a connection proved to own; None without a certificate."""
    der = secured.getpeercert(binary_form=True)
    return None if der is None else x509.load_der_x509_certificate(der).public_key()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        try:
            size = int(self.headers.get("Content-Length", ""))
            if not 0 <= size <= LARGEST:
                raise ValueError
            message = json.loads(self.rfile.read(size))
            if not isinstance(message, dict):
                raise ValueError
        except ValueError:
            self.close_connection = True
            self._send(400, {"refused": "the request is no JSON object with a length"})
            return
        stage = self.path.removeprefix("/v1/")
        try:
            self._send(200, self._answer(stage, message))
        except SiteRefused as error:
            self._send(409, {"refused": str(error), "site": error.site})
        except DatawardError as error:
            self._send(409, {"refused": str(error)})
        except Exception as error:
            self._send(
                500,
                {"refused": f"the site failed ({type(error).__name__}); its own log says no more, as it may hold data"},
            )

    def _answer(self, stage: str, message: dict[str, Any]) -> dict[str, Any]:
        peer = peer_of(self.request)
        if stage == STAGE and isinstance(peer, Ed25519PublicKey):
            return self.server.site.intersect(message, peer)
        if peer is None or peer != self.server.coordinator:
            raise SiteRefused("only the coordinator is answered at this stage")
        return self.server.site.answer(stage, message)

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Write no log: the verb prints progress."""
