"""The sandbox's own reading of DHIS2 period names, against the intervals that the reference gives."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opensrp_dhis2_sandbox.dhis2.periods import RULES, covering, latest_open, parse_period

INTERVALS = {
    "20240315": ("2024-03-15", "2024-03-15"),
    "2024W1": ("2024-01-01", "2024-01-07"),
    "2024WedW1": ("2024-01-03", "2024-01-09"),
    "2024ThuW1": ("2024-01-04", "2024-01-10"),
    "2024FriW1": ("2023-12-29", "2024-01-04"),
    "2024SatW1": ("2023-12-30", "2024-01-05"),
    "2024SunW1": ("2023-12-31", "2024-01-06"),
    "2024BiW1": ("2024-01-01", "2024-01-14"),
    "202402B": ("2024-03-01", "2024-04-30"),
    "2024NovQ1": ("2023-11-01", "2024-01-31"),
    "2024S2": ("2024-07-01", "2024-12-31"),
    "2024AprilS2": ("2024-10-01", "2025-03-31"),
    "2024NovS1": ("2023-11-01", "2024-04-30"),
    "2024July": ("2024-07-01", "2025-06-30"),
    "2024Nov": ("2023-11-01", "2024-10-31"),
}


@pytest.mark.parametrize("name", INTERVALS)
def test_a_period_name_means_the_interval_of_the_reference(name: str) -> None:
    period = parse_period(name)
    assert period
    assert (period.start_on.isoformat(), period.end_on.isoformat()) == INTERVALS[name]


@pytest.mark.parametrize("name", ["202513", "garbage", "2024W53", "2024W0", "20240230", "2024Q5", "Q1-2020", "2025-9"])
def test_what_is_no_period_is_not_read(name: str) -> None:
    assert parse_period(name) is None


@given(st.sampled_from(sorted(RULES)), st.dates(date(1990, 1, 1), date(2060, 1, 1)))
def test_each_day_lies_in_one_period_of_each_type_and_its_name_reads_back(period_type: str, day: date) -> None:
    period = covering(period_type, day)
    assert period.start_on <= day <= period.end_on
    assert parse_period(period.iso) == period
    day_after = period.end_on + timedelta(days=1)
    following = covering(period_type, day_after)
    # the 27th fortnight of a year of 53 weeks reaches a week into the next year, as in DHIS2
    assert following.start_on == day_after or (period_type == "BiWeekly" and period.iso.endswith("BiW27"))


@pytest.mark.parametrize(("open_future_periods", "iso"), [(0, "202610"), (1, "202611"), (3, "202701")])
def test_no_open_future_period_closes_the_running_one(open_future_periods: int, iso: str) -> None:
    assert latest_open("Monthly", date(2026, 11, 21), open_future_periods).iso == iso
