"""moto's server behind a proxy that counts calls and can throttle, refuse or break off."""

from __future__ import annotations

import functools
import http.client
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from moto.server import ThreadedMotoServer

LOGIN = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Aws:
    """``calls`` by KMS action (``Decrypt``); ``fault`` gives an AWS error code, or None, for an action; ``forbids`` whether
    a request (method, target, headers, body) is answered by AccessDenied."""

    endpoint = ""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.fault: Any = lambda action: None
        self.forbids: Any = lambda *request: False
        self.random = random.Random(7)

    def throttle(self, share: float) -> None:
        self.fault = lambda action: "ThrottlingException" if self.random.random() < share else None

    def client(self, service: str) -> Any:
        import boto3

        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1",
                            aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip


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
def aws() -> Iterator[Aws]:
    """A fresh AWS; the environment of this process names it while the block runs."""
    target, told = moto(), Aws()
    forgotten(target)

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            action = self.headers.get("X-Amz-Target", "").rpartition(".")[2] or f"s3:{self.command}"
            told.calls[action] += 1
            fault = told.fault(action)
            if fault == "broken off":
                self.close_connection = True
                return
            if fault:
                self._answer(400, {"Content-Type": "application/x-amz-json-1.1"}, b'{"__type": "%s"}' % fault.encode())
                return
            if told.forbids(self.command, self.path, dict(self.headers), body):
                xml = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
                denied = b'{"__type": "AccessDeniedException"}' if "X-Amz-Target" in self.headers else xml
                self._answer(
                    403, {"Content-Type": "application/x-amz-json-1.1" if denied is not xml else "text/xml"}, denied
                )
                return
            connection = http.client.HTTPConnection(target)
            connection.request(self.command, self.path, body, dict(self.headers))
            found = connection.getresponse()
            self._answer(found.status, dict(found.getheaders()), found.read())

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
    Thread(target=front.serve_forever, args=(0.01,), daemon=True).start()
    told.endpoint = f"http://127.0.0.1:{front.server_port}"
    before = dict(os.environ)
    os.environ.update(LOGIN, AWS_ENDPOINT_URL=told.endpoint)
    try:
        yield told
    finally:
        os.environ.clear()
        os.environ.update(before)
        front.shutdown()
