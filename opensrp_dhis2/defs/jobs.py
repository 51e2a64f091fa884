"""The jobs: `extract`, `extract_weekly` where types are read weekly, and one `report_<data set>` for each data set."""

from typing import Any

import dagster as dg

from opensrp_dhis2.defs.reports import asset_name
from opensrp_dhis2.defs.source import raw_key
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.views.catalog import Catalog

STAGES = ("raw", "lookup", "staging", "indicator")
EXTRACT = "extract"
EXTRACT_WEEKLY = "extract_weekly"


def report_job_name(data_set_code: str) -> str:
    return f"report_{asset_name(data_set_code)}"


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


def report_jobs(catalog: Catalog) -> dict[str, Any]:
    """Return each data set's job by its code: plan one period or a range of them, and deliver."""
    return {code: _report_job(code) for code in catalog.data_sets.codes}


def _report_job(code: str) -> Any:
    name = asset_name(code)
    return dg.define_asset_job(
        report_job_name(code),
        selection=dg.AssetSelection.assets(["outbox", name], ["forecast", name], ["dhis2", name]),
        executor_def=dg.in_process_executor,
        tags={"opensrp_dhis2/data_set": code},
        description=f"Send data set {code} to DHIS2: one partition a period, a range of them in one run.",
    )
