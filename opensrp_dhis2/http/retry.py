"""The one policy of sending again: which statuses may pass, how long to wait, how often to try.

It knows statuses and pauses; whether a request may be sent twice is the caller's word.
"""

import math
import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx

from opensrp_dhis2.clock import machine_clock
from opensrp_dhis2.http.diagnosis import is_lasting

MAX_ATTEMPTS = 4
MAX_WAIT_SECONDS = 60.0


def is_transient(status: int) -> bool:
    """Return whether a refusal may pass by itself, so that a later run may succeed with the same request."""
    return status == 429 or status >= 500


def is_repeated(status: int) -> bool:
    """Return whether the same request is sent again at once: a 500 is what a server says again of the same request."""
    return status in (429, 502, 503, 504)


def was_not_read(status: int) -> bool:
    """Return whether a status is said before the request is looked at, so that it did nothing."""
    return status in (429, 503)


def send_again(
    send: Callable[[], httpx.Response], *, again: Callable[[int], bool] = is_repeated, attempts: int = MAX_ATTEMPTS,
    repeats_errors: bool = True, seconds_left: Callable[[], float] = lambda: math.inf,
    sleep: Callable[[float], None] = time.sleep,
) -> httpx.Response:  # fmt: skip
    """Send until there is an answer, with back-off; honour Retry-After.

    Args: `again` tells the statuses that are asked for again; `repeats_errors` whether broken connections are, too.
    No pause is begun that is not shorter than `seconds_left`.
    Raises: httpx.TransportError, httpx.DecodingError of the last attempt.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            response = send()
        except (httpx.TransportError, httpx.DecodingError) as error:
            pause = wait_seconds(attempt)
            if attempt == attempts or not repeats_errors or pause >= seconds_left() or is_lasting(error):
                raise
        else:
            pause = wait_seconds(attempt, response.headers.get("Retry-After"))
            if attempt == attempts or pause >= seconds_left() or not again(response.status_code):
                return response
            response.close()
        sleep(pause)


def wait_seconds(attempt: int, retry_after: str | None = None) -> float:
    """Return the pause in seconds before the attempt after this one: Retry-After if said, else 0.5, 1, 2 s with jitter."""
    asked = _retry_after_seconds(retry_after) if retry_after else None
    if asked is not None:
        return min(max(asked, 0.0), MAX_WAIT_SECONDS)
    return float(0.5 * 2 ** (attempt - 1) * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, not a secret


def _retry_after_seconds(text: str) -> float | None:
    if text.strip().isdigit():
        return float(text)
    try:
        return (parsedate_to_datetime(text) - machine_clock()).total_seconds()
    except (TypeError, ValueError):
        return None
