"""The machine's clock: the only place of the project that asks it what instant it is.

What lasts how long is told by time.monotonic; what day it is in the country by Settings.now, which may be set.
"""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def machine_clock() -> datetime:
    """Return the instant, in UTC."""
    return datetime.now(UTC)
