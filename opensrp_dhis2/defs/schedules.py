"""When reports are sent, and at which instant a schedule plays."""

from datetime import datetime

import dagster as dg

from opensrp_dhis2.defs.resources import read_settings
from opensrp_dhis2.outbox.submission_hours import SubmissionHours
from opensrp_dhis2.settings import Settings

REPORT_HOUR = 5  # after the night's extract


def report_hour(settings: Settings) -> int:
    """Return the hour at which reports are sent: five, or when DHIS2_SUBMISSION_HOURS begin where five is outside."""
    return SubmissionHours.parse(settings.dhis2_submission_hours, settings.zone).nearest(REPORT_HOUR)


def played_at(context: dg.ScheduleEvaluationContext) -> datetime:
    """Return the instant of a tick, in the country's zone: the schedule's own, unless REPORT_NOW rehearses another."""
    settings = read_settings()
    return (settings.report_now or context.scheduled_execution_time).astimezone(settings.zone)
