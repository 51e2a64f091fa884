"""The jobs `extract`, and `extract_weekly` where types are read weekly, each with its schedule."""

from typing import Any

import dagster as dg

from opensrp_dhis2.defs.source import raw_key
from opensrp_dhis2.settings import Settings

STAGES = ("raw", "lookup", "staging", "indicator")
EXTRACT = "extract"
EXTRACT_WEEKLY = "extract_weekly"
EXTRACT_AT = "0 1 * * *"
SATURDAY_EVENING = "0 20 * * 6"  # before past days are read again, and the night's extract


def extract_job(settings: Settings) -> Any:
    """Everything up to the totals: raw, lookup, staging, indicator; of raw, the nightly types only.

    Staging of the weekly types too: nothing is done there, unless a re-sweep or a sweep has brought something.
    """
    return dg.define_asset_job(
        EXTRACT,
        selection=dg.AssetSelection.groups(*STAGES) - _weekly_types(settings),
        executor_def=dg.in_process_executor,
        description="Read FHIR and DHIS2's metadata, keep staging up, total the indicators. Nothing is sent.",
    )


def extract_weekly_job(settings: Settings) -> Any:
    """The weekly types, and what stands on them up to the totals, so that no total waits for the night."""
    return dg.define_asset_job(
        EXTRACT_WEEKLY,
        selection=_weekly_types(settings).downstream() & dg.AssetSelection.groups(*STAGES),
        executor_def=dg.in_process_executor,
        description="Read the types of FHIR_WEEKLY_TYPES, and bring them into staging and the totals.",
    )


def _weekly_types(settings: Settings) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*map(raw_key, settings.fhir_weekly_types))


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
