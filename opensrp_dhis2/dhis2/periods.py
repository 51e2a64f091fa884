"""DHIS2's period types: the id of each period, its first and last day, and what comes next, in the ISO calendar.

It knows names and days; it refuses to know which periods a data set has open, and any calendar but the Gregorian one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from opensrp_dhis2.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class _Months:
    """Periods of whole months; the first that a year names starts in `first_month` of that year, or the one before."""

    length: int
    template: str
    pattern: str
    first_month: int = 1
    is_named_by_end: bool = False  # DHIS2 names its November years by the year in which they end, and only those


@dataclass(frozen=True, slots=True)
class _Weeks:
    """Periods of whole weeks; a week belongs to the year that holds at least four of its days."""

    length: int
    mark: str
    first_weekday: int = 0  # Monday


class PeriodType(StrEnum):
    """The period types that have an id on the Web API, by DHIS2's own names (TwoYearly has none), each with its rule."""

    rule: _Months | _Weeks | None  # None: a day

    def __new__(cls, name: str, rule: _Months | _Weeks | None = None) -> "PeriodType":
        made = str.__new__(cls, name)
        made._value_, made.rule = name, rule
        return made

    DAILY = "Daily"
    WEEKLY = "Weekly", _Weeks(1, "W")
    WEEKLY_WEDNESDAY = "WeeklyWednesday", _Weeks(1, "WedW", 2)
    WEEKLY_THURSDAY = "WeeklyThursday", _Weeks(1, "ThuW", 3)
    WEEKLY_FRIDAY = "WeeklyFriday", _Weeks(1, "FriW", 4)
    WEEKLY_SATURDAY = "WeeklySaturday", _Weeks(1, "SatW", 5)
    WEEKLY_SUNDAY = "WeeklySunday", _Weeks(1, "SunW", 6)
    BI_WEEKLY = "BiWeekly", _Weeks(2, "BiW")
    MONTHLY = "Monthly", _Months(1, "{}{:02}", r"(\d{4})-?(\d{2})")
    BI_MONTHLY = "BiMonthly", _Months(2, "{}{:02}B", r"(\d{4})(\d{2})B")
    QUARTERLY = "Quarterly", _Months(3, "{}Q{}", r"(\d{4})Q(\d)")
    QUARTERLY_NOV = "QuarterlyNov", _Months(3, "{}NovQ{}", r"(\d{4})NovQ(\d)", 11, is_named_by_end=True)
    SIX_MONTHLY = "SixMonthly", _Months(6, "{}S{}", r"(\d{4})S(\d)")
    SIX_MONTHLY_APRIL = "SixMonthlyApril", _Months(6, "{}AprilS{}", r"(\d{4})AprilS(\d)", 4)
    SIX_MONTHLY_NOV = "SixMonthlyNov", _Months(6, "{}NovS{}", r"(\d{4})NovS(\d)", 11, is_named_by_end=True)
    YEARLY = "Yearly", _Months(12, "{}", r"(\d{4})")
    FINANCIAL_FEB = "FinancialFeb", _Months(12, "{}Feb", r"(\d{4})Feb", 2)
    FINANCIAL_APRIL = "FinancialApril", _Months(12, "{}April", r"(\d{4})April", 4)
    FINANCIAL_JULY = "FinancialJuly", _Months(12, "{}July", r"(\d{4})July", 7)
    FINANCIAL_AUG = "FinancialAug", _Months(12, "{}Aug", r"(\d{4})Aug", 8)
    FINANCIAL_SEP = "FinancialSep", _Months(12, "{}Sep", r"(\d{4})Sep", 9)
    FINANCIAL_OCT = "FinancialOct", _Months(12, "{}Oct", r"(\d{4})Oct", 10)
    FINANCIAL_NOV = "FinancialNov", _Months(12, "{}Nov", r"(\d{4})Nov", 11, is_named_by_end=True)

    @property
    def cron(self) -> str | None:
        """The cron schedule of the first days of its periods, at midnight; None: cron cannot say it (BiWeekly)."""
        match self.rule:
            case None:
                return "0 0 * * *"
            case _Weeks(length=1, first_weekday=weekday):
                return f"0 0 * * {(weekday + 1) % 7}"
            case _Weeks():
                return None
            case _Months(length=length, first_month=first):
                months = sorted((first - 1 + step) % 12 + 1 for step in range(0, 12, length))
                return f"0 0 1 {'*' if length == 1 else ','.join(map(str, months))} *"


@dataclass(frozen=True, slots=True)
class Period:
    """One period; both days belong to it."""

    period_type: PeriodType
    id: str
    start_on: date
    end_on: date


_DAY = re.compile(r"(\d{4})(-?)(\d{2})\2(\d{2})", re.ASCII)


def period_of(period_type: PeriodType | str, day: date) -> Period:
    """Find the period of a type that holds a day.

    Raises: ConfigurationError (terminal) for a type that DHIS2 does not have.
    Source: the calendar rules of DHIS2's DateUnitPeriodTypeParser. BiWeekly 27 exists in years of 53 weeks and
    reaches into the first week of the next year; a day of that week belongs to the next year's first period.
    """
    period_type = _known(period_type)
    match period_type.rule:
        case None:
            return Period(period_type, f"{day.year:04}{day:%m%d}", day, day)
        case _Weeks() as weeks:
            return _period_of_weeks(period_type, weeks, day)
        case _Months() as months:
            return _period_of_months(period_type, months, day)


def period_id(period_type: PeriodType | str, start_on: date) -> str:
    """Name the period that starts on a day.

    Raises: ConfigurationError (terminal) when no period of the type starts on that day.
    """
    period = period_of(period_type, start_on)
    if period.start_on != start_on:
        raise ConfigurationError(
            f"{start_on} is not the first day of a {period_type} period: {period.id} starts on {period.start_on}"
        )
    return period.id


def parse_period(text: str) -> Period:
    """Read a period id of any type; the forms that DHIS2 takes too (2025-09, 2025W02) are normalised.

    Raises: ConfigurationError (terminal) when DHIS2 would not take it.
    """
    for period_type in PeriodType:
        period = _parse(period_type, text)
        if period is not None:
            return period
    raise ConfigurationError(
        f"{text!r} is not a DHIS2 period: write it like 202401, 2024W1, 2024Q1, 2024S1, 2024, 2024July"
    )


def parse_period_of_type(period_type: PeriodType | str, text: str) -> Period:
    """Read a period id that must be of one type. Raises: ConfigurationError (terminal)."""
    period_type = _known(period_type)
    period = _parse(period_type, text)
    if period is None:
        example = period_of(period_type, date(2024, 6, 15)).id
        raise ConfigurationError(f"{text!r} is not a {period_type} period of DHIS2: write it like {example}")
    return period


def is_period(text: str | None) -> bool:
    """Return whether DHIS2 can read this as a period of some type."""
    return text is not None and any(_parse(period_type, text) for period_type in PeriodType)


def next_period(period: Period) -> Period:
    """Return the period of the same type that follows."""
    of_last_day = period_of(period.period_type, period.end_on)  # another one only for BiWeekly 27
    return of_last_day if of_last_day != period else period_of(period.period_type, period.end_on + timedelta(1))


def periods_between(period_type: PeriodType | str, from_on: date, to_on: date) -> Iterator[Period]:
    """Go through the periods of a type that hold any day from `from_on` to `to_on`, both included, in order."""
    period = period_of(period_type, from_on)
    while period.start_on <= to_on:
        yield period
        period = next_period(period)


def _known(period_type: PeriodType | str) -> PeriodType:
    try:
        return PeriodType(period_type)
    except ValueError:
        known = ", ".join(PeriodType)
        raise ConfigurationError(f"{period_type!r} is no period type with ids in DHIS2: use one of {known}") from None


def _parse(period_type: PeriodType, text: str) -> Period | None:
    try:
        day = _first_day(period_type, text)
        period = period_of(period_type, day) if day else None
    except (ValueError, OverflowError):  # no such day, or a year outside the calendar
        return None
    return period if period and period.start_on == day else None


def _first_day(period_type: PeriodType, text: str) -> date | None:
    match period_type.rule:
        case None:
            found = _DAY.fullmatch(text)
            return date(int(found[1]), int(found[3]), int(found[4])) if found else None
        case _Weeks() as weeks:
            found = re.fullmatch(rf"(\d{{4}}){weeks.mark}(\d{{1,2}})", text, re.ASCII)
            return _week_start(weeks, int(found[1]), int(found[2])) if found else None
        case _Months() as months:
            found = re.fullmatch(months.pattern, text, re.ASCII)
            return _month_start(months, int(found[1]), int(found[2]) if found.lastindex == 2 else 1) if found else None


def _month_start(months: _Months, year: int, number: int) -> date | None:
    if not 1 <= number <= 12 // months.length:
        return None
    return _month((year - months.is_named_by_end) * 12 + months.first_month - 1 + (number - 1) * months.length)


def _period_of_months(period_type: PeriodType, months: _Months, day: date) -> Period:
    since = day.year * 12 + day.month - months.first_month  # months since the first period that year 0 names
    year, within = divmod(since, 12)
    number, _ = divmod(within, months.length)
    start = year * 12 + months.first_month - 1 + number * months.length
    name = months.template.format(f"{year + months.is_named_by_end:04}", number + 1)
    return Period(period_type, name, _month(start), _month(start + months.length) - timedelta(1))


def _month(count: int) -> date:
    """Return the first day of a month counted from January of year 0."""
    year, month = divmod(count, 12)
    return date(year, month + 1, 1)


def _year_start(weeks: _Weeks, year: int) -> date:
    """Return the first day of week 1: the week that holds 4 January, with the type's own first day."""
    fourth = date(year, 1, 4)
    return fourth - timedelta((fourth.weekday() - weeks.first_weekday) % 7)


def _week_start(weeks: _Weeks, year: int, number: int) -> date | None:
    start = _year_start(weeks, year) + timedelta(7 * weeks.length * (number - 1))
    return start if number >= 1 and start < _year_start(weeks, year + 1) else None


def _period_of_weeks(period_type: PeriodType, weeks: _Weeks, day: date) -> Period:
    fourth_day = day - timedelta((day.weekday() - weeks.first_weekday) % 7) + timedelta(3)  # decides the week's year
    year_start = _year_start(weeks, fourth_day.year)
    number, _ = divmod((day - year_start).days, 7 * weeks.length)
    start = year_start + timedelta(7 * weeks.length * number)
    name = f"{fourth_day.year:04}{weeks.mark}{number + 1}"
    return Period(period_type, name, start, start + timedelta(7 * weeks.length - 1))
