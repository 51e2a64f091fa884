"""The clock of the tests: each starts at the same instant, whatever the machine's clock says, and goes at its pace.

`TEST_NOW=2026-12-31T23:30Z make test` takes another instant.
"""

import os
import time
from datetime import UTC, datetime, timedelta

START = datetime.fromisoformat(os.environ.get("TEST_NOW") or "2026-11-25T09:20Z").astimezone(UTC)
AFTER_RECORDINGS = max(START, datetime(2026, 11, 25, tzinfo=UTC))  # where a server holds what ../shared recorded


class TickingClock:
    """The time of one test, for every server and store that it starts."""

    def __init__(self, start: datetime = START) -> None:
        self._start, self._began = start, time.monotonic()

    def __call__(self) -> datetime:
        return self._start + timedelta(seconds=time.monotonic() - self._began)

    def ms(self) -> int:
        """Give the time in the milliseconds of FHIR's stamps."""
        return round(self().timestamp() * 1000)
