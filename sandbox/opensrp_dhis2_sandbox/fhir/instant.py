"""FHIR instants as whole milliseconds since 1970, the exactness of meta.lastUpdated.

It knows how HAPI reads and writes a date; what is compared with it is the search's business.
"""

import re
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
# HAPI stretches a date without a time to all zones: from 00:00 at +11:30 to 24:00 at -11:30.
ZONE_FUZZ_MS = int(timedelta(hours=11, minutes=30) / MILLISECOND)
DAY_MS = int(timedelta(days=1) / MILLISECOND)
_DATE_TIME = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(T(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(\.(?P<fraction>\d+))?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)


class Bounds(NamedTuple):
    """The first and last millisecond of a date, and the neighbours that gt and lt compare with."""

    first: int
    last: int
    after: int
    before: int


def to_ms(moment: datetime) -> int:
    """Cut an aware datetime to whole milliseconds."""
    return (moment - EPOCH) // MILLISECOND


@lru_cache(4096)
def parse_instant(text: str) -> int:
    """Read meta.lastUpdated. Raises ValueError when it is no instant with a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return to_ms(moment)


@lru_cache(4096)
def instant_text(ms: int) -> str:
    """Write an instant as HAPI does: 2026-11-21T02:06:05.910+00:00."""
    return (EPOCH + ms * MILLISECOND).isoformat(timespec="milliseconds")


def http_date(ms: int) -> str:
    """Write an instant for Last-Modified, which knows whole seconds only."""
    return format_datetime((EPOCH + ms * MILLISECOND).replace(microsecond=0), usegmt=True)


def date_bounds(text: str) -> Bounds:
    """Return the span of a date of any precision, as HAPI compares it.

    Raises ValueError when it is no date. Source: contracts/hapi/06a-lastupdated-prefix-matrix.
    """
    parts = _DATE_TIME.fullmatch(text.replace(" ", "+"))  # an unencoded + arrives as a space
    if parts is None:
        raise ValueError(text)
    if parts["hour"] is None:
        return _day_bounds(parts)
    zone = {"Z": "+00:00", None: "+00:00"}.get(parts["zone"], parts["zone"])
    fraction = (parts["fraction"] or "")[:3]
    moment = f"{text[:16]}:{parts['second'] or '00'}.{fraction:0<3}{zone}"
    first = to_ms(datetime.fromisoformat(moment))
    length = 60_000 if parts["second"] is None else 10 ** (3 - len(fraction))
    return Bounds(first, first + length - 1, first + length, first - 1)


def _day_bounds(parts: re.Match[str]) -> Bounds:
    year, month, day = int(parts["year"]), int(parts["month"] or 1), int(parts["day"] or 1)
    first_day = date(year, month, day)
    if parts["month"] is None:
        next_day = date(year + 1, 1, 1)
    elif parts["day"] is None:
        next_day = (first_day + timedelta(days=31)).replace(day=1)
    else:
        next_day = first_day + timedelta(days=1)
    first, after = (to_ms(datetime(d.year, d.month, d.day, tzinfo=UTC)) for d in (first_day, next_day))
    return Bounds(first - ZONE_FUZZ_MS, after - 1 + ZONE_FUZZ_MS, after - ZONE_FUZZ_MS, first - 1 + ZONE_FUZZ_MS)
