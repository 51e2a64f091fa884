"""DHIS2's periods, both ways."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensrp_dhis2.dhis2.periods import (
    PeriodType,
    is_period,
    next_period,
    parse_period,
    parse_period_of_type,
    period_id,
    period_of,
    periods_between,
)
from opensrp_dhis2.errors import ConfigurationError

TYPES = st.sampled_from(PeriodType)
DAYS = st.dates(date(1950, 1, 1), date(2099, 12, 31))
WEEKLY = [one for one in PeriodType if one.startswith("Weekly")]


@pytest.mark.parametrize(
    ("text", "period_type", "start_on", "end_on"),
    [
        ("20240315", "Daily", "2024-03-15", "2024-03-15"),
        ("2024W1", "Weekly", "2024-01-01", "2024-01-07"),
        ("2024WedW1", "WeeklyWednesday", "2024-01-03", "2024-01-09"),
        ("2024ThuW1", "WeeklyThursday", "2024-01-04", "2024-01-10"),
        ("2024FriW1", "WeeklyFriday", "2023-12-29", "2024-01-04"),
        ("2024SatW1", "WeeklySaturday", "2023-12-30", "2024-01-05"),
        ("2024SunW1", "WeeklySunday", "2023-12-31", "2024-01-06"),
        ("2024BiW1", "BiWeekly", "2024-01-01", "2024-01-14"),
        ("202403", "Monthly", "2024-03-01", "2024-03-31"),
        ("202402B", "BiMonthly", "2024-03-01", "2024-04-30"),
        ("2024Q1", "Quarterly", "2024-01-01", "2024-03-31"),
        ("2024NovQ1", "QuarterlyNov", "2023-11-01", "2024-01-31"),
        ("2024S2", "SixMonthly", "2024-07-01", "2024-12-31"),
        ("2024AprilS2", "SixMonthlyApril", "2024-10-01", "2025-03-31"),
        ("2024NovS1", "SixMonthlyNov", "2023-11-01", "2024-04-30"),
        ("2024", "Yearly", "2024-01-01", "2024-12-31"),
        ("2024Feb", "FinancialFeb", "2024-02-01", "2025-01-31"),
        ("2024April", "FinancialApril", "2024-04-01", "2025-03-31"),
        ("2024July", "FinancialJuly", "2024-07-01", "2025-06-30"),
        ("2024Aug", "FinancialAug", "2024-08-01", "2025-07-31"),
        ("2024Sep", "FinancialSep", "2024-09-01", "2025-08-31"),
        ("2024Oct", "FinancialOct", "2024-10-01", "2025-09-30"),
        ("2024Nov", "FinancialNov", "2023-11-01", "2024-10-31"),
        ("2020W53", "Weekly", "2020-12-28", "2021-01-03"),
        ("2020BiW27", "BiWeekly", "2020-12-28", "2021-01-10"),
    ],
)
def test_every_period_type_means_the_days_that_dhis2_means(
    text: str, period_type: str, start_on: str, end_on: str
) -> None:
    period = parse_period(text)
    assert (period.period_type, str(period.start_on), str(period.end_on)) == (period_type, start_on, end_on)


@given(TYPES, DAYS)
def test_a_period_holds_its_day_and_is_found_again_by_its_id(period_type: PeriodType, day: date) -> None:
    period = period_of(period_type, day)
    assert period.start_on <= day <= period.end_on
    assert parse_period(period.id) == parse_period_of_type(period_type, period.id) == period
    assert period_id(period_type, period.start_on) == period.id


@given(TYPES, DAYS)
def test_only_the_first_day_names_a_period(period_type: PeriodType, day: date) -> None:
    if period_of(period_type, day).start_on == day:
        assert parse_period(period_id(period_type, day)).start_on == day
    else:
        with pytest.raises(ConfigurationError, match="not the first day"):
            period_id(period_type, day)


@given(st.sampled_from([one for one in PeriodType if one is not PeriodType.BI_WEEKLY]), DAYS)
def test_periods_cut_the_calendar_without_gap_or_overlap(period_type: PeriodType, day: date) -> None:
    following = next_period(period_of(period_type, day))
    assert following.start_on == period_of(period_type, day).end_on + timedelta(1)


@given(st.integers(1950, 2099))
def test_a_biweekly_year_of_53_weeks_ends_in_a_27th_that_overlaps_by_one_week(year: int) -> None:
    first = parse_period(f"{year + 1}BiW1")
    has_53_weeks = is_period(f"{year}W53")
    last = parse_period(f"{year}BiW{27 if has_53_weeks else 26}")
    assert not is_period(f"{year}BiW{28 if has_53_weeks else 27}")
    assert (last.end_on - first.start_on).days == (6 if has_53_weeks else -1)
    assert next_period(last) == first


@given(st.sampled_from(WEEKLY), st.integers(1950, 2099))
def test_a_weekly_year_has_52_or_53_weeks_and_4_january_lies_in_the_first(period_type: PeriodType, year: int) -> None:
    first = period_of(period_type, date(year, 1, 4))
    assert first.id.endswith("W1")
    assert first.id.startswith(str(year))
    weeks = (period_of(period_type, date(year + 1, 1, 4)).start_on - first.start_on).days / 7
    assert weeks in (52, 53)
    mark = first.id[4:-1]
    assert is_period(f"{year}{mark}53") is (weeks == 53)


@given(TYPES, DAYS, st.integers(0, 800))
def test_the_periods_between_two_days_are_in_order_and_touch_both(
    period_type: PeriodType, from_on: date, days: int
) -> None:
    to_on = from_on + timedelta(days)
    found = list(periods_between(period_type, from_on, to_on))
    assert found[0].start_on <= from_on <= found[0].end_on
    assert found[-1].start_on <= to_on <= found[-1].end_on
    assert all(next_period(one) == other for one, other in pairwise(found))


@pytest.mark.parametrize(
    ("given", "normal"), [("2025-09", "202509"), ("2025W02", "2025W2"), ("2024-03-15", "20240315")]
)
def test_the_other_forms_that_dhis2_takes_are_normalised(given: str, normal: str) -> None:
    assert parse_period(given).id == normal


@pytest.mark.parametrize(
    "text",
    [
        *("", "garbage", "202513", "202500", "20230229", "2024W53", "2024W0", "2024Q5", "2024S3", "2024NovQ0"),
        *("202407B", "0000", "2024-1", "2024w1", "2024Nove", " 2024", "2024 ", "٢٠٢٤", "99990", "202403-15"),
    ],
)
def test_what_dhis2_would_not_take_is_refused_with_an_example(text: str) -> None:
    assert not is_period(text)
    with pytest.raises(ConfigurationError, match="write it like"):
        parse_period(text)


def test_a_period_of_another_type_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="'2024Q1' is not a Monthly period of DHIS2: write it like 202406"):
        parse_period_of_type("Monthly", "2024Q1")


def test_a_period_type_without_ids_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'TwoYearly' is no period type"):
        period_of("TwoYearly", date(2024, 1, 1))


def test_a_name_out_of_a_file_serves_as_a_period_type() -> None:
    assert [one.id for one in periods_between("Monthly", date(2023, 12, 31), date(2024, 1, 1))] == ["202312", "202401"]
