"""REPORT_NOW: the day that a rehearsal, or a test, plays; partitions, schedules and SQL take it from one setting."""

from datetime import date, datetime, timedelta

import dagster as dg
import pytest

from opensrp_dhis2.clock import machine_clock
from opensrp_dhis2.definitions import defs
from opensrp_dhis2.defs.partitions import partitions_for, report_start
from opensrp_dhis2.dhis2.periods import period_of
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import Warehouse
from tests.conftest import REPORT_TIMEZONE
from tests.support.sql import rows

# 23:30 UTC of the last day of a quarter, month and year, 00:10 of the first, both Mondays of a week 53; and long ago
INSTANTS = ["2026-03-31T23:30Z", "2026-11-30T23:30Z", "2026-12-31T23:30Z", "2027-01-01T00:10Z", "2026-12-28T08:00Z",
            "2027-01-04T00:10Z", "2025-06-15T12:00Z"]  # fmt: skip
PERIOD_TYPES = ["Daily", "Weekly", "WeeklyWednesday", "Monthly", "BiMonthly", "Quarterly", "SixMonthly", "Yearly"]


def rehearsed(instant: str, zone: str = REPORT_TIMEZONE) -> Settings:
    given = {"REPORT_NOW": instant, "REPORT_TIMEZONE": zone, "REPORT_START": "2024-01-01"}
    return Settings.from_mapping(given)


def last_closed(period_type: str, today: date) -> tuple[str, str]:
    """Give the partition keys of the last period that has ended, and of the running one."""
    running = period_of(period_type, today)
    return period_of(
        period_type, running.start_on - timedelta(days=1)
    ).start_on.isoformat(), running.start_on.isoformat()


@pytest.mark.parametrize("instant", INSTANTS)
@pytest.mark.parametrize("zone", ["UTC", REPORT_TIMEZONE, "America/Port-au-Prince"])
def test_partitions_end_with_the_day_of_the_country(instant: str, zone: str) -> None:
    settings = rehearsed(instant, zone)
    for period_type in PERIOD_TYPES:
        partitions = partitions_for(period_type, settings)
        closed, running = last_closed(period_type, settings.today())
        assert partitions.get_partition_keys()[-1] == partitions.get_last_partition_key() == closed
        assert partitions.has_partition_key(closed)
        assert not partitions.has_partition_key(running)


def test_the_day_is_the_countrys() -> None:
    assert rehearsed("2026-12-31T23:30Z").today() == date(2027, 1, 1)
    assert rehearsed("2026-12-31T23:30Z", "America/Port-au-Prince").today() == date(2026, 12, 31)
    without_start = rehearsed("2026-12-31T23:30Z").model_copy(update={"report_start": None})
    assert report_start(without_start) == date(2025, 1, 1)  # at New Year of the country, not of Greenwich


@pytest.mark.parametrize(
    ("now", "today"), [("2026-12-31T20:59Z", date(2026, 12, 31)), ("2026-12-31T21:00Z", date(2027, 1, 1))]
)
def test_sql_takes_the_same_day(database_url: str, now: str, today: date) -> None:
    at = datetime.fromisoformat(now)
    warehouse = Warehouse(database_url, report_timezone=REPORT_TIMEZONE, report_now=at)
    assert rows(warehouse, "select fhir.today()") == [(today,)]
    warehouse.close()


def test_without_a_day_of_its_own_sql_takes_the_servers(database_url: str) -> None:
    warehouse = Warehouse(database_url, report_timezone="UTC")
    assert rows(warehouse, "select fhir.today() = (now() at time zone 'UTC')::date") == [(True,)]
    warehouse.close()


@pytest.mark.parametrize(
    ("instant", "key", "day"),
    [("2026-12-31T20:30Z", "2026-11-01", "2026-12-31"), ("2026-12-31T23:30Z", "2026-12-01", "2027-01-01")],
)
def test_schedules_ask_for_the_period_that_the_rehearsal_has_closed(
    monkeypatch: pytest.MonkeyPatch, instant: str, key: str, day: str
) -> None:
    for name, value in {
        "REPORT_NOW": instant,
        "REPORT_TIMEZONE": REPORT_TIMEZONE,
        "REPORT_START": "2026-01-01",
    }.items():
        monkeypatch.setenv(name, value)
    definitions = defs()
    context = dg.build_schedule_context(
        scheduled_execution_time=machine_clock(), repository_def=definitions.get_repository_def()
    )
    [request] = definitions.resolve_schedule_def("report_chw_m_daily").evaluate_tick(context).run_requests or []
    assert (request.partition_key, request.run_key) == (key, f"CHW_M:{key}:{day}")
    [request] = definitions.resolve_schedule_def("reconcile_chw_m_weekly").evaluate_tick(context).run_requests or []
    assert (request.tags["dagster/asset_partition_range_end"], request.run_key) == (key, f"CHW_M:{day}")
