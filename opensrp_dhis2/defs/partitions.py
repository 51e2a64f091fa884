"""One partition a DHIS2 period, its key the ISO date of the period's first day.

It knows Dagster's time windows; what DHIS2 calls the period is asked of dhis2/periods.py.
"""

from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg

from opensrp_dhis2.clock import machine_clock
from opensrp_dhis2.defs.resources import read_settings
from opensrp_dhis2.dhis2.periods import Period, PeriodType, period_of
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.outbox.submission_hours import SubmissionHours
from opensrp_dhis2.settings import Settings

KEY_FORMAT = "%Y-%m-%d"
PARTITION_TAGS = ("dagster/partition", "dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


def report_start(settings: Settings) -> date:
    """Return the first day that may be reported: REPORT_START, else 1 January two years ago."""
    return settings.report_start or date(settings.today().year - 2, 1, 1)


def partitions_for(period_type: str, settings: Settings) -> dg.TimeWindowPartitionsDefinition:
    """Make the partitions of a period type, from the first whole period after the start, in the country's zone.

    Raises: ConfigurationError for a period type that has no calendar rule in Dagster (BiWeekly).
    """
    crons = {known: known.cron for known in PeriodType if known.cron}
    cron = crons.get(PeriodType(period_type)) if period_type in set(PeriodType) else None
    if cron is None:
        raise ConfigurationError(
            f"data_sets.yaml: period type {period_type} cannot be scheduled; use one of {', '.join(crons)}"
        )
    start = datetime.combine(report_start(settings), datetime.min.time())
    return dg.TimeWindowPartitionsDefinition(
        start=start,
        fmt=KEY_FORMAT,
        cron_schedule=cron,
        timezone=settings.report_timezone,
        **_rehearsed(period_type, settings),
    )


def _rehearsed(period_type: str, settings: Settings) -> dict[str, Any]:
    """Let the partitions end at REPORT_NOW, before the machine's clock or beyond it; nothing where it is not set."""
    if settings.report_now is None:
        return {}
    shortest = timedelta(days=1 if period_type == "Daily" else 7)
    periods_ahead = (settings.report_now - machine_clock()) // shortest + 2
    return {"end": settings.now().astimezone(settings.zone), "end_offset": max(0, periods_ahead)}


def why_no_partition(period: Period, period_type: str, settings: Settings) -> str | None:
    """Return why a period is no partition of a data set of some type, and what to do about it; None when it is one."""
    if period.period_type != period_type:
        return (
            f"data_sets.yaml says {period_type}, and this is a {period.period_type} period: mend the one that is wrong"
        )
    key, start = period.start_on.isoformat(), report_start(settings)
    if period.start_on < start:
        return f"it begins before REPORT_START ({start}): set REPORT_START={key} or earlier, then restart Dagster"
    if partitions_for(period_type, settings).has_partition_key(key):
        return None
    return f"it has not ended in {settings.report_timezone}: it is reported after {period.end_on}"


def periods_of_run(context: dg.AssetExecutionContext, period_type: str) -> list[Period]:
    """Return the periods that a run was asked for.

    The tags are read before Dagster reads them: of a key that is not one of ours it makes the next one that is.
    Raises: ConfigurationError when a key is not ours, or when the run has none.
    """
    tags = context.run.tags
    asked = [tags[name] for name in PARTITION_TAGS if name in tags]
    if not asked:
        raise ConfigurationError(
            f'{context.run.job_name} needs a period: add --tags \'{{"dagster/partition": "2024-01-01"}}\', its first day'
        )
    for key in asked:
        period_of_key(key, period_type)
    return [period_of_key(key, period_type) for key in context.partition_keys]


def period_of_key(key: str, period_type: str) -> Period:
    """Read a partition key: `dagster job execute --tags` does not check it, so a wrong one is refused here.

    Raises: ConfigurationError when the key is no date, or not the first day of a period of this type.
    """
    try:
        day = datetime.strptime(key, KEY_FORMAT).date()
    except ValueError:
        raise ConfigurationError(
            f"Partition key {key!r} is no date: write the first day, for example 2024-01-01"
        ) from None
    period = period_of(period_type, day)
    if period.start_on != day:
        raise ConfigurationError(
            f"Partition key {key} is not the first day of a {period_type} period: {period.id} starts on {period.start_on}"
        )
    return period


REPORT_HOUR = 5  # after the night's extract


def report_hour(settings: Settings) -> int:
    """Return the hour at which reports are sent: five, or when DHIS2_SUBMISSION_HOURS begin where five is outside."""
    return SubmissionHours.parse(settings.dhis2_submission_hours, settings.zone).nearest(REPORT_HOUR)


def played_at(context: dg.ScheduleEvaluationContext) -> datetime:
    """Return the instant of a tick, in the country's zone: the schedule's own, unless REPORT_NOW rehearses another."""
    settings = read_settings()
    return (settings.report_now or context.scheduled_execution_time).astimezone(settings.zone)
