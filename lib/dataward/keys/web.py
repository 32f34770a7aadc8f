"""Requests to key services over HTTPS: bounded retries, no redirects, and messages without bodies, headers or tokens."""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from dataward.errors import KeyringError

__all__ = ["Refused", "Service", "understood"]

ATTEMPTS = 8  # of one call
PAUSE = 0.2  # seconds before the second attempt; doubled for each further one
LONGEST_PAUSE = 10.0  # seconds, also where the service asks for more (Retry-After)
SECONDS = 20  # of one attempt
LONGEST = 1 << 20  # bytes of a response
AGAIN = frozenset({408, 412, 429, 500, 502, 503, 504})
"""Statuses after which a call is tried again: throttling and outage; 412: a replica of Vault lacks the newest state."""

DENIED = frozenset({401, 403})
UNREADABLE = "gave another answer than it documents: check its address, and that no proxy answers in its place"

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

REMEDIES = {
    400: "the keyring was wrapped for another env, domain or key, or it was changed",
    401: "its credentials are wrong or have expired",
    403: "grant this identity the right to it",
    404: "check its name; a deleted key cannot be brought back",
    429: "it throttles: rerun, or ask for a higher quota",
}
"""Remedy by status, where the service gives no better one."""


class Refused(KeyringError):
    """A service answered with an error; ``status`` is its HTTP status."""

    def __init__(self, message: str, status: int, document: Mapping[str, Any]) -> None:
        """Keep status and document, which no message contains."""
        super().__init__(message)
        self.status, self.document = status, document


@dataclass(frozen=True)
class Service:
    """A key service.

    Attributes:
        name: for messages.
        url: base URL; plain HTTP is accepted on this machine only (an agent, a test).
        headers: returns the headers with the credentials, before every attempt.
        remedies: remedy by HTTP status, over :data:`REMEDIES`.
        authorities: file of the CA certificates; None: ``REQUESTS_CA_BUNDLE``, ``SSL_CERT_FILE``, or the system's.
        renewed: gets new credentials where the service denies a call, once per call; returns whether they differ.
    """

    name: str
    url: str
    headers: Callable[[], Mapping[str, str]] = field(repr=False)
    remedies: Mapping[int, str] = field(default_factory=dict, repr=False)
    authorities: str | None = None
    renewed: Callable[[], bool] = field(default=lambda: False, repr=False)

    def call(self, what: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request; return the JSON document of the answer.

        Args:
            what: the operation and the key's name, for messages.
            method: HTTP method.
            path: path and query below the service's URL.
            body: document to send.

        Raises:
            Refused: the service answered with an error, after :data:`ATTEMPTS` attempts where it throttles or is down.
            KeyringError: it could not be reached, or answered no JSON.
        """
        parts = urlsplit(self.url)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise KeyringError(
                f"{what}: {self.name} at {self.url} is plain HTTP, which shows the keys to the network: use https://"
            )
        trouble: KeyringError | None = None
        renewable = True
        for attempt in range(ATTEMPTS):
            status, document, wait = self._once(method, path, body)
            if status is not None and status < 300:
                if document is None:
                    raise KeyringError(f"{what}: {self.name} at {self.url} {UNREADABLE}")
                return document
            trouble = self._trouble(what, status, document or {})
            if status in DENIED and renewable:
                renewable = False
                if self.renewed():
                    continue
            if status is not None and status not in AGAIN:
                break
            if attempt + 1 < ATTEMPTS:
                time.sleep(min(wait or PAUSE * 2**attempt * random.uniform(0.5, 1), LONGEST_PAUSE))
        assert trouble is not None  # noqa: S101 - ATTEMPTS is positive
        raise trouble from None

    def _once(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> tuple[int | None, dict[str, Any] | None, float | None]:
        """Return status (None: not reached), document (None: no JSON), and the seconds that the service asks to wait."""
        headers = {"Content-Type": "application/json", "Accept": "application/json", **self.headers()}
        sent = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", sent, headers, method=method)  # noqa: S310 - checked by call
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                data = answer.read(LONGEST)
                if answer.length:  # bytes that were announced and did not come
                    raise http.client.IncompleteRead(data)
                return int(answer.status), _document(data), None
        except urllib.error.HTTPError as error:
            asked = error.headers.get("Retry-After", "")
            with error:
                return error.code, _document(error.read(LONGEST)), float(asked) if asked.isdigit() else None
        except (OSError, http.client.HTTPException) as error:
            cause = error.reason if isinstance(error, urllib.error.URLError) else error
            return None, {"cause": type(cause).__name__}, None

    @cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        if self.url.startswith("http://"):
            return urllib.request.build_opener(_NoRedirect)
        named = self.authorities or os.environ.get("REQUESTS_CA_BUNDLE") or None
        https = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=named))
        return urllib.request.build_opener(_NoRedirect, https)

    def _trouble(self, what: str, status: int | None, document: Mapping[str, Any]) -> KeyringError:
        if status is None:
            return KeyringError(
                f"{what}: {self.name} at {self.url} could not be reached ({document['cause']}); check its address, the network "
                "and its certificate, and rerun"
            )
        default = "it is down or overloaded: rerun" if status >= 500 else "see its documentation of this status"
        remedy = self.remedies.get(status) or REMEDIES.get(status, default)
        if status in (301, 302, 303, 307, 308):
            remedy = "redirects are not followed, as they would take the credentials elsewhere: name the address that it redirects to"
        return Refused(f"{what}: {self.name} answered {status}{_code(document)}; {remedy}", status, document)


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Read an answer; a field that is missing or of another kind is an error without the answer's content.

    Raises:
        KeyringError: the answer is not what the service documents.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError):
        raise KeyringError(f"{what}: the service {UNREADABLE}") from None


def _document(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _code(document: Mapping[str, Any]) -> str:
    """Return the short error code of a document; other texts of it could repeat the request."""
    error = document.get("error")
    code = (error.get("status") or error.get("code")) if isinstance(error, dict) else None
    return f" {code}" if isinstance(code, str) and re.fullmatch(r"[A-Za-z_]{1,40}", code) else ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow no redirect."""
