"""moto's server behind a proxy that counts calls and can throttle, refuse or break off."""

from __future__ import annotations

import functools
import http.client
import os
import random
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from moto.server import ThreadedMotoServer

PEM = serialization.Encoding.PEM

LOGIN = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
XML_FAULT = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>refused</Message></Error></ErrorResponse>"
)


class Aws:
    """``calls`` by action of KMS and STS (``Decrypt``); ``fault`` gives an AWS error code, or None, for an action; ``forbids`` whether
    a request (method, target, headers, body) is answered by AccessDenied."""

    endpoint = ""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.fault: Any = lambda action: None
        self.forbids: Any = lambda *request: False
        self.random = random.Random(7)
        self.one_by_one = Lock()

    def throttle(self, share: float) -> None:
        self.fault = lambda action: "ThrottlingException" if self.random.random() < share else None

    def client(self, service: str) -> Any:
        import boto3

        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1",
                            aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip


def _certified(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate for 127.0.0.1, signed by a CA whose certificate is written to ``ca.pem``."""
    now, day = datetime.now(timezone.utc), timedelta(days=1)
    ca, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def signed(subject: str, key: Any, extension: Any) -> bytes:
        made = x509.CertificateBuilder(
            _name("Test CA"), _name(subject), key.public_key(), x509.random_serial_number(), now - day, now + day
        )
        return made.add_extension(extension, critical=True).sign(ca, hashes.SHA256()).public_bytes(PEM)

    (folder / "ca.pem").write_bytes(signed("Test CA", ca, x509.BasicConstraints(ca=True, path_length=0)))
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    secret = own.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(signed("127.0.0.1", own, here) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def _body(request: BaseHTTPRequestHandler) -> bytes:
    """The body of a request; boto3 sends it in chunks over TLS."""
    if request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return request.rfile.read(int(request.headers.get("Content-Length", 0)))
    parts = []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        parts.append(request.rfile.read(size))
        request.rfile.readline()
    while request.rfile.readline().strip():  # trailers
        pass
    return b"".join(parts)


def _asked(path: str, body: bytes) -> str:
    """The action of a request whose body is a query, as of STS; empty for others."""
    return dict(parse_qsl(body.decode("latin-1"))).get("Action", "") if path == "/" and b"Action=" in body else ""


def _endpoint(front: ThreadingHTTPServer, secure: Path | None) -> str:
    """The address of a server, which gets TLS where a folder for its certificate is given."""
    if secure is None:
        return f"http://127.0.0.1:{front.server_port}"
    # The handshake belongs to the thread of its connection.
    front.socket = _certified(secure).wrap_socket(front.socket, server_side=True, do_handshake_on_connect=False)
    os.environ["AWS_CA_BUNDLE"] = str(secure / "ca.pem")
    return f"https://127.0.0.1:{front.server_port}"


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


@functools.cache
def moto() -> str:
    """Where moto's server answers, as host:port; it ends with the process."""
    server = ThreadedMotoServer(port=0)
    server.start()
    return f"127.0.0.1:{server.get_host_and_port()[1]}"


def forgotten(target: str) -> None:
    """Let moto forget what was made in it."""
    connection = http.client.HTTPConnection(target)
    connection.request("POST", "/moto-api/reset")
    connection.getresponse().read()


@contextmanager
def aws(secure: Path | None = None) -> Iterator[Aws]:
    """A fresh AWS; the environment of this process names it while the block runs.

    ``secure``: a folder for the certificate of a test CA; the endpoint then has TLS, and ``AWS_CA_BUNDLE`` names the CA.
    """
    target, told = moto(), Aws()
    forgotten(target)

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = _body(self)
            asked = _asked(self.path, body)
            action = asked or self.headers.get("X-Amz-Target", "").rpartition(".")[2] or f"s3:{self.command}"
            told.calls[action] += 1
            fault = told.fault(action)
            if fault == "broken off":
                self.close_connection = True
                return
            if fault:
                kind, form = ("text/xml", XML_FAULT) if asked else ("application/x-amz-json-1.1", b'{"__type": "%s"}')
                self._answer(400, {"Content-Type": kind}, form % fault.encode())
                return
            if told.forbids(self.command, self.path, dict(self.headers), body):
                xml = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
                denied = b'{"__type": "AccessDeniedException"}' if "X-Amz-Target" in self.headers else xml
                self._answer(
                    403, {"Content-Type": "application/x-amz-json-1.1" if denied is not xml else "text/xml"}, denied
                )
                return
            conditional = "If-Match" in self.headers or "If-None-Match" in self.headers
            with told.one_by_one if conditional else nullcontext():  # moto looks and writes in two steps
                connection = http.client.HTTPConnection(target)
                given = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
                connection.request(self.command, self.path, body, given)
                found = connection.getresponse()
                status, headers, data = found.status, dict(found.getheaders()), found.read()
            self._answer(status, headers, data)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                    self.send_header(name, value)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass

        def log_message(self, *_: object) -> None:
            pass

    front = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    before = dict(os.environ)
    told.endpoint = _endpoint(front, secure)
    Thread(target=front.serve_forever, args=(0.01,), daemon=True).start()
    os.environ.update(LOGIN, AWS_ENDPOINT_URL=told.endpoint)
    try:
        yield told
    finally:
        os.environ.clear()
        os.environ.update(before)
        front.shutdown()
