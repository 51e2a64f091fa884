"""The jobs: `extract`, one `report_<data set>` for each data set, and `register_routes` beside them."""

from typing import Any

import dagster as dg

from opensrp_dhis2.defs.reports import asset_name
from opensrp_dhis2.views.catalog import Catalog

STAGES = ("raw", "lookup", "staging", "indicator")
EXTRACT = "extract"


def report_job_name(data_set_code: str) -> str:
    return f"report_{asset_name(data_set_code)}"


def extract_job() -> Any:
    """Everything up to the totals: raw, lookup, staging, indicator."""
    return dg.define_asset_job(
        EXTRACT,
        selection=dg.AssetSelection.groups(*STAGES),
        executor_def=dg.in_process_executor,
        description="Read FHIR and DHIS2's metadata, keep staging up, total the indicators. Nothing is sent.",
    )


def report_jobs(catalog: Catalog) -> dict[str, Any]:
    """Give each data set's job by its code: plan one period or a range of them, and deliver."""
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
