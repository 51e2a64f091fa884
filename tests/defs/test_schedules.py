"""When the schedules of reports run: in the country's zone, and in the hours in which DHIS2 takes values."""

from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from opensrp_dhis2.definitions import defs
from opensrp_dhis2.outbox.submission_hours import SubmissionHours
from tests.conftest import REPORT_TIMEZONE

KAMPALA = ZoneInfo(REPORT_TIMEZONE)


def report_cron(name: str = "report_chw_m_daily") -> str:
    found = defs().resolve_schedule_def(name)
    assert isinstance(found, dg.ScheduleDefinition)
    return str(found.cron_schedule)


@pytest.mark.parametrize(("hours", "cron"), [("", "0 5 * * *"), ("20-06", "0 5 * * *"), ("20-04", "0 20 * * *")])
def test_reports_run_within_the_submission_hours(monkeypatch: pytest.MonkeyPatch, hours: str, cron: str) -> None:
    """A schedule at five sends nothing, ever, where values may leave from eight in the evening until four."""
    monkeypatch.setenv("REPORT_TIMEZONE", REPORT_TIMEZONE)
    monkeypatch.setenv("DHIS2_SUBMISSION_HOURS", hours)
    assert report_cron() == cron
    at = datetime(2026, 11, 21, int(cron.split()[1]), tzinfo=KAMPALA)
    assert SubmissionHours.parse(hours, KAMPALA).is_open(at)
