"""Post JSON to a webhook over HTTPS, with retries; its URL is a secret and no message contains it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from dataward.errors import RunError, UsageError

__all__ = ["post"]

TRIES, SECONDS, LOCAL = 3, 10, ("localhost", "127.0.0.1", "::1")


def post(url: str, body: dict[str, Any], pause: float = 1.0) -> None:
    """Post a document, three times at most; a refusal (4xx other than 429) is not tried again.

    Raises:
        UsageError: the URL is not HTTPS (plain HTTP is allowed for this machine only).
        RunError: the webhook did not accept it.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOCAL):
        raise UsageError("the webhook's URL must begin with https://")
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310 - checked above
    trouble = ""
    for attempt in range(TRIES):
        try:
            with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310
                return
        except urllib.error.HTTPError as error:
            trouble = f"it answered {error.code}"
            if error.code < 500 and error.code != 429:
                break
        except OSError as error:
            trouble = f"it could not be reached ({type(error).__name__})"
        if attempt + 1 < TRIES:
            time.sleep(pause * 2**attempt)
    raise RunError(f"webhook at {parts.hostname}: {trouble}")
