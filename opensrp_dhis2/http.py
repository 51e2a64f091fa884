"""The one factory of HTTP clients: finite timeouts, a transport that retries what is safe, logs without secrets.

It knows HTTP and nothing of FHIR or DHIS2; whether a request may be sent twice is the caller's word.
"""

import logging
import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx

from opensrp_dhis2.network import DIRECT, Network
from opensrp_dhis2.unanswered import is_lasting

RETRIED_STATUS = frozenset({429, 502, 503, 504})
MAX_ATTEMPTS = 4
MAX_WAIT_SECONDS = 60.0


class RetryingTransport(httpx.BaseTransport):
    """Send again, with back-off, a GET that met a broken connection, 429 or 502 to 504; honour Retry-After.

    A body cut off half way counts as a broken connection: it is read here, whole.

    Other methods pass through once: after a POST only a read-back can tell whether it was heard.
    """

    def __init__(self, inner: httpx.BaseTransport, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._inner = inner
        self._sleep = sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        attempts = MAX_ATTEMPTS if request.method in {"GET", "HEAD"} else 1
        for attempt in range(1, attempts):
            try:
                response = self._inner.handle_request(request)
                if response.status_code not in RETRIED_STATUS:
                    response.read()
                    return response
            except (httpx.TransportError, httpx.DecodingError) as error:
                if is_lasting(error):
                    raise
                self._sleep(wait_seconds(attempt))
                continue
            response.close()
            self._sleep(wait_seconds(attempt, response.headers.get("Retry-After")))
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def wait_seconds(attempt: int, retry_after: str | None = None) -> float:
    """Give the pause in seconds before the attempt after this one: Retry-After if said, else 0.5, 1, 2 s with jitter."""
    asked = _retry_after_seconds(retry_after) if retry_after else None
    if asked is not None:
        return min(max(asked, 0.0), MAX_WAIT_SECONDS)
    return float(0.5 * 2 ** (attempt - 1) * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, not a secret


def _retry_after_seconds(text: str) -> float | None:
    if text.strip().isdigit():
        return float(text)
    try:
        return parsedate_to_datetime(text).timestamp() - time.time()
    except (TypeError, ValueError):
        return None


def make_client(
    base_url: str,
    *,
    auth: httpx.Auth | None = None,
    headers: dict[str, str] | None = None,
    read_timeout_seconds: float = 120.0,
    connections: int = 8,
    network: Network = DIRECT,
) -> httpx.Client:
    """Open a client bound to one server: gzip asked for, redirects not followed, every timeout finite.

    The environment's proxies are not looked at: `network` says which to use, and whose certificates are believed.

    httpx's own logs are kept to warnings: they write whole URLs and headers, and a page cursor lets one read patients.
    """
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return httpx.Client(
        base_url=base_url,
        auth=auth,
        headers={"Accept-Encoding": "gzip", **(headers or {})},
        timeout=httpx.Timeout(30.0, read=read_timeout_seconds),
        follow_redirects=False,
        transport=RetryingTransport(network.transport(connections)),
    )
