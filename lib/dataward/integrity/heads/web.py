"""One bounded HTTP POST, for time stamps and witnesses."""

from __future__ import annotations

import urllib.error
import urllib.request

from dataward.errors import TargetError

__all__ = ["post"]

LONGEST = 1024 * 1024
SECONDS = 20


def post(url: str, body: bytes, kind: str) -> tuple[int, bytes]:
    """Post a body, and return status and response. Redirects are not followed, so that only the contract's URL is contacted.

    Raises:
        TargetError: the server does not respond, or the response is too long.
    """
    request = urllib.request.Request(url, body, {"Content-Type": kind}, method="POST")  # noqa: S310 - http(s) by contract
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            data = answer.read(LONGEST + 1)
            status = int(answer.status)
    except urllib.error.HTTPError as error:
        status, data = error.code, error.read(LONGEST + 1)
    except (OSError, ValueError) as error:
        raise TargetError(
            f"{url}: it cannot be reached ({type(error).__name__}): check the URL and the network"
        ) from None
    if len(data) > LONGEST:
        raise TargetError(f"{url}: the answer is longer than {LONGEST:,} bytes")
    return status, data


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow no redirect."""
