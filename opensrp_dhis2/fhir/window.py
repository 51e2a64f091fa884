"""Windows of server time, half open: from the first instant that belongs to them to the first that does not.

Pure: it knows instants and how to divide them, and no server.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Resources whose lastUpdated lies in [start_at, end_at)."""

    start_at: datetime
    end_at: datetime

    def parameters(self) -> list[tuple[str, str]]:
        """Return the search parameters, as full instants with milliseconds: a date alone is fuzzy on HAPI."""
        return [("_lastUpdated", f"ge{instant(self.start_at)}"), ("_lastUpdated", f"lt{instant(self.end_at)}")]

    def halves(self) -> tuple["Window", "Window"] | None:
        """Divide at the middle millisecond; none when there is nothing left to divide."""
        middle = _to_millisecond(self.start_at + (self.end_at - self.start_at) / 2)
        if not self.start_at < middle < self.end_at:
            return None
        return Window(self.start_at, middle), Window(middle, self.end_at)


def instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def next_window(
    read_to: datetime | None, server_now: datetime, *, lag_seconds: float, overlap_seconds: float
) -> Window | None:
    """Return what to read now: from some overlap before the watermark to some lag before the server's clock.

    Rows appear with stamps older than rows already read (a transaction stamps at its start and shows at its commit):
    the lag leaves them time, the overlap catches those that took longer.
    """
    end_at = _to_millisecond(server_now - timedelta(seconds=lag_seconds))
    start_at = BEGINNING if read_to is None else min(read_to, end_at) - timedelta(seconds=overlap_seconds)
    return Window(start_at, end_at) if start_at < end_at else None


def joined(parts: Iterable[tuple[Window, int]], limit: int) -> Iterator[tuple[Window, int]]:
    """Join neighbours, given in order of time with their counts, as long as they hold no more than the limit together."""
    gathered: Window | None = None
    held = 0
    for window, count in parts:
        if gathered is not None and held + count > limit:
            yield gathered, held
            gathered, held = None, 0
        gathered = Window(gathered.start_at if gathered else window.start_at, window.end_at)
        held += count
    if gathered is not None:
        yield gathered, held


def _to_millisecond(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
