"""The hours of the day in which values may be sent, in the country's zone: pure.

Some ministries keep their DHIS2 for people by day. It knows clocks; what waits stays pending in the ledger.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from opensrp_dhis2.errors import ConfigurationError


@dataclass(frozen=True)
class SubmissionHours:
    """From one full hour to another, over midnight if need be: 20-06 is from 20:00 until 05:59."""

    start: int
    end: int
    zone: tzinfo

    @classmethod
    def parse(cls, text: str, zone: tzinfo) -> "SubmissionHours":
        """Read `20-06`; nothing means any hour. Raises: ConfigurationError (terminal)."""
        found = re.fullmatch(r"(\d{1,2})-(\d{1,2})", text.strip() or "0-24")
        if not found or int(found[1]) > 23 or int(found[2]) > 24 or int(found[1]) == int(found[2]):
            raise ConfigurationError(
                "DHIS2_SUBMISSION_HOURS must be two full hours such as 20-06, or empty for any hour"
            )
        return cls(int(found[1]), int(found[2]), zone)

    def is_open(self, at: datetime) -> bool:
        """Return whether values may be sent at an instant."""
        return self._has(at.astimezone(self.zone).hour)

    def nearest(self, hour: int) -> int:
        """Return a full hour at which to start what should start at another: the same, else when the hours begin."""
        return hour if self._has(hour) else self.start

    def _has(self, hour: int) -> bool:
        if self.start < self.end:
            return self.start <= hour < self.end
        return hour >= self.start or hour < self.end

    def __str__(self) -> str:
        return f"{self.start:02d}:00-{self.end:02d}:00 {self.zone}"


ANY_HOUR = SubmissionHours(0, 24, UTC)
