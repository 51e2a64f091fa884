"""Schedules in the country's time zone: the extracts, and each data set some hours after its period ends."""

from datetime import datetime
from typing import Any

import dagster as dg

from opensrp_dhis2.defs.resources import read_settings
from opensrp_dhis2.outbox.submission_hours import SubmissionHours
from opensrp_dhis2.settings import Settings

EXTRACT_AT = "0 1 * * *"
SATURDAY_EVENING = "0 20 * * 6"  # before the re-sweep and the night's extract
REPORT_HOUR = 5  # after the night's extract


def extract_schedule(job: Any, settings: Settings) -> dg.ScheduleDefinition:
    """Extract every night; shipped stopped, switched on by the operator in the UI."""
    return dg.ScheduleDefinition(
        name="extract_nightly", job=job, cron_schedule=EXTRACT_AT, execution_timezone=settings.report_timezone
    )


def extract_weekly_schedule(job: Any, settings: Settings) -> dg.ScheduleDefinition:
    """Extract the weekly types every Saturday; shipped stopped."""
    return dg.ScheduleDefinition(
        name="extract_weekly", job=job, cron_schedule=SATURDAY_EVENING, execution_timezone=settings.report_timezone
    )


def report_hour(settings: Settings) -> int:
    """Return the hour at which reports are sent: five, or when DHIS2_SUBMISSION_HOURS begin where five is outside."""
    return SubmissionHours.parse(settings.dhis2_submission_hours, settings.zone).nearest(REPORT_HOUR)


def played_at(context: dg.ScheduleEvaluationContext) -> datetime:
    """Return the instant of a tick, in the country's zone: the schedule's own, unless REPORT_NOW rehearses another."""
    settings = read_settings()
    return (settings.report_now or context.scheduled_execution_time).astimezone(settings.zone)


def report_schedule(code: str, job: Any, partitions: dg.TimeWindowPartitionsDefinition) -> dg.ScheduleDefinition:
    """Report a data set every day at the report hour: the last closed period, with what changed in it since the day before.

    A run key bears the day, so that a period is sent again as late data arrives; only differences leave.
    """

    @dg.schedule(
        name=f"{job.name}_daily",
        job=job,
        cron_schedule=f"0 {report_hour(read_settings())} * * *",
        execution_timezone=partitions.timezone,
    )
    def report(context: dg.ScheduleEvaluationContext) -> Any:
        now = played_at(context)
        keys = partitions.get_partition_keys(current_time=now)
        if not keys:
            return dg.SkipReason(f"{code}: no period has ended since REPORT_START")
        return dg.RunRequest(partition_key=keys[-1], run_key=f"{code}:{keys[-1]}:{now.date()}")

    return report
