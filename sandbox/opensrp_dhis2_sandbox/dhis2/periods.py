"""Reads DHIS2 period names into days and finds the period that covers a day.

It knows the ISO calendar only, and nothing of data sets. It is an independent oracle: the product has a calendar of its
own (opensrp_dhis2/dhis2/periods.py), and a fault in either shows as a value that the sandbox refuses.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

DAY = timedelta(days=1)
WEEK = timedelta(days=7)


class Period(NamedTuple):
    """One period: its canonical name, its type, and its first and last day."""

    iso: str
    period_type: str
    start_on: date
    end_on: date


@dataclass(frozen=True)
class MonthRule:
    """Periods of whole months: `first_month` counts from January of the named year, 0 based, and may be negative."""

    period_type: str
    pattern: str
    name: str
    months: int
    first_month: int = 0

    def periods_a_year(self) -> int:
        return 12 // self.months

    def period(self, year: int, ordinal: int) -> Period | None:
        if not 1 <= ordinal <= self.periods_a_year():
            return None
        start = year * 12 + self.first_month + (ordinal - 1) * self.months
        name = self.name.format(year=year, n=ordinal)
        return Period(name, self.period_type, _month_start(start), _month_start(start + self.months) - DAY)

    def covering(self, day: date) -> Period:
        index = (day.year * 12 + day.month - 1 - self.first_month) // self.months
        year, rest = divmod(index, self.periods_a_year())
        found = self.period(year, rest + 1)
        assert found is not None  # the ordinal is in range by construction
        return found


@dataclass(frozen=True)
class WeekRule:
    """Periods of one or two weeks; week 1 holds 4 January."""

    period_type: str
    pattern: str
    name: str
    first_weekday: int = 0
    weeks: int = 1

    def year_start(self, year: int) -> date:
        fourth = date(year, 1, 4)
        return fourth - timedelta(days=(fourth.weekday() - self.first_weekday) % 7)

    def period(self, year: int, ordinal: int) -> Period | None:
        start = self.year_start(year) + WEEK * (ordinal - 1) * self.weeks
        if ordinal < 1 or start >= self.year_start(year + 1):
            return None
        name = self.name.format(year=year, n=ordinal)
        return Period(name, self.period_type, start, start + WEEK * self.weeks - DAY)

    def covering(self, day: date) -> Period:
        year = day.year + 1 if day >= self.year_start(day.year + 1) else day.year
        year = year - 1 if day < self.year_start(year) else year
        found = self.period(year, (day - self.year_start(year)).days // (7 * self.weeks) + 1)
        assert found is not None  # the day lies inside the year
        return found


@dataclass(frozen=True)
class DayRule:
    """Periods of one day; the ordinal is month and day, as in 0315."""

    period_type: str = "Daily"
    pattern: str = r"(\d{4})-?(\d{2}-?\d{2})"

    def period(self, year: int, ordinal: int) -> Period | None:
        try:
            return self.covering(date(year, ordinal // 100, ordinal % 100))
        except ValueError:
            return None

    def covering(self, day: date) -> Period:
        return Period(f"{day:%Y%m%d}", self.period_type, day, day)


Rule = MonthRule | WeekRule | DayRule


def _rules() -> Iterator[Rule]:
    yield MonthRule("Monthly", r"(\d{4})-?(\d{2})", "{year}{n:02}", 1)
    yield WeekRule("Weekly", r"(\d{4})W(\d{1,2})", "{year}W{n}")
    for weekday, short in ((2, "Wed"), (3, "Thu"), (4, "Fri"), (5, "Sat"), (6, "Sun")):
        long = {"Wed": "Wednesday", "Thu": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday"}[short]
        yield WeekRule(f"Weekly{long}", rf"(\d{{4}}){short}W(\d{{1,2}})", f"{{year}}{short}W{{n}}", weekday)
    yield WeekRule("BiWeekly", r"(\d{4})BiW(\d{1,2})", "{year}BiW{n}", 0, 2)
    yield MonthRule("Quarterly", r"(\d{4})Q(\d)", "{year}Q{n}", 3)
    yield MonthRule("QuarterlyNov", r"(\d{4})NovQ(\d)", "{year}NovQ{n}", 3, -2)
    yield MonthRule("BiMonthly", r"(\d{4})(\d{2})B", "{year}{n:02}B", 2)
    yield MonthRule("SixMonthly", r"(\d{4})S(\d)", "{year}S{n}", 6)
    yield MonthRule("SixMonthlyApril", r"(\d{4})AprilS(\d)", "{year}AprilS{n}", 6, 3)
    yield MonthRule("SixMonthlyNov", r"(\d{4})NovS(\d)", "{year}NovS{n}", 6, -2)
    yield MonthRule("Yearly", r"(\d{4})", "{year}", 12)
    for month, short in ((1, "Feb"), (3, "April"), (6, "July"), (7, "Aug"), (8, "Sep"), (9, "Oct"), (-2, "Nov")):
        yield MonthRule(f"Financial{short}", rf"(\d{{4}}){short}", f"{{year}}{short}", 12, month)
    yield DayRule()


RULES: dict[str, Rule] = {rule.period_type: rule for rule in _rules()}
PATTERNS = [(re.compile(rule.pattern), rule) for rule in RULES.values()]


@lru_cache(maxsize=4096)
def parse_period(text: str) -> Period | None:
    """Read a period name; None when it names no period."""
    for pattern, rule in PATTERNS:
        match = pattern.fullmatch(text)
        if match:
            year, *ordinal = match.groups()
            return rule.period(int(year), int(ordinal[0].replace("-", "")) if ordinal else 1)
    return None


def covering(period_type: str, day: date) -> Period:
    """Return the period of this type that holds the day."""
    return RULES[period_type].covering(day)


def latest_open(period_type: str, today: date, open_future_periods: int) -> Period:
    """Return the last period that takes data: 0 open future periods close even the running one."""
    period = covering(period_type, today)
    if open_future_periods <= 0:
        return covering(period_type, period.start_on - DAY)
    for _ in range(open_future_periods - 1):
        period = covering(period_type, period.end_on + DAY)
    return period


def _month_start(index: int) -> date:
    return date(index // 12, index % 12 + 1, 1)
