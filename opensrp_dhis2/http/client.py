"""The one factory of HTTP clients: bounded time and size, a transport that retries what is safe, logs without secrets.

It knows HTTP and nothing of FHIR or DHIS2; whether a request may be sent twice is the caller's word.
"""

import logging
import time
from collections.abc import Callable
from contextlib import closing

import httpx

from opensrp_dhis2.http.deadline import DEADLINE, Deadline, Limits, TooLargeError
from opensrp_dhis2.http.network import DIRECT, Network
from opensrp_dhis2.http.retry import MAX_ATTEMPTS, send_again

DEFAULT_LIMITS = Limits()
_OF_PACKED = frozenset({"content-encoding", "content-length", "transfer-encoding"})  # headers of what was unpacked


class RetryingTransport(httpx.BaseTransport):
    """Send again, with back-off, a GET that met a broken connection, 429 or 502 to 504; honour Retry-After.

    A body cut off half way counts as a broken connection: it is read here, whole. All attempts share one deadline.

    Other methods pass through once: after a POST only a read-back can tell whether it was heard.
    """

    def __init__(
        self, inner: httpx.BaseTransport, limits: Limits = DEFAULT_LIMITS, *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._inner, self._limits, self._sleep = inner, limits, sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline: Deadline = request.extensions.setdefault(DEADLINE, Deadline(self._limits.seconds))
        return send_again(
            lambda: read_whole(self._inner.handle_request(request), request, self._limits.most_bytes),
            attempts=MAX_ATTEMPTS if request.method in {"GET", "HEAD"} else 1,
            seconds_left=lambda: deadline.left,
            sleep=self._sleep,
        )

    def close(self) -> None:
        self._inner.close()


def read_whole(response: httpx.Response, request: httpx.Request, most_bytes: int) -> httpx.Response:
    """Read an answer to its end and unpack it. Raises: TooLargeError for one that is larger unpacked."""
    parts, size = list[bytes](), 0
    packed = response.headers.get("Content-Encoding", "")
    with closing(response):
        if "," in packed:  # unpacked one within the other, a few bytes become gigabytes before they can be counted
            raise httpx.DecodingError("an answer that is packed more than once", request=request)
        for part in response.iter_bytes():
            size += len(part)
            if size > most_bytes:
                raise TooLargeError(f"an answer of more than {most_bytes >> 20:,} MiB", request=request)
            parts.append(part)
    kept = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_PACKED]
    return httpx.Response(response.status_code, headers=kept, content=b"".join(parts), extensions=response.extensions)


def make_client(
    base_url: str,
    *,
    auth: httpx.Auth | None = None,
    headers: dict[str, str] | None = None,
    read_timeout_seconds: float = 120.0,
    connections: int = 8,
    limits: Limits = DEFAULT_LIMITS,
    network: Network = DIRECT,
) -> httpx.Client:
    """Open a client bound to one server: gzip asked for, redirects not followed, time and size of each answer bounded.

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
        transport=RetryingTransport(network.transport(limits, connections), limits),
    )
