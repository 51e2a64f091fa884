"""Assets `raw/<type>`: FHIR resources as the server gave them, one asset a resource type."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg

from opensrp_dhis2.connections import open_source
from opensrp_dhis2.defs.deletes import delete_metadata
from opensrp_dhis2.defs.failures import dagster_failures
from opensrp_dhis2.defs.resources import read_settings
from opensrp_dhis2.extract import TypeResult
from opensrp_dhis2.extract.extraction import ReportProgress
from opensrp_dhis2.extract.source import Source
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.load import table_name

LOG_SECONDS = 15.0
NIGHTLY_STALE, WEEKLY_STALE = timedelta(hours=36), timedelta(days=8)


def raw_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Make one asset for each resource type of FHIR_RESOURCE_TYPES and FHIR_WEEKLY_TYPES."""
    return [
        *(_raw_asset(resource_type, NIGHTLY_STALE) for resource_type in settings.fhir_resource_types),
        *(_raw_asset(resource_type, WEEKLY_STALE) for resource_type in settings.fhir_weekly_types),
    ]


def raw_key(resource_type: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", table_name(resource_type)])


def _raw_asset(resource_type: str, stale_after: timedelta) -> dg.AssetsDefinition:
    @dg.asset(
        key=raw_key(resource_type),
        group_name="raw",
        kinds={"fhir", "postgres"},
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=stale_after),
        description=f"{resource_type} resources as received, newest version only; older ones in raw.superseded.",
    )
    def extract_type(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], fhir: dg.ResourceParam[FhirClient]
    ) -> dg.MaterializeResult[None]:
        with dagster_failures(context.retry_number):
            source = open_source(read_settings(), warehouse, fhir, _logged(context.log.info, resource_type))
            result = source.extract(resource_type)
            found = source.find_deletes(resource_type)
        deleted = delete_metadata(found) if found else {"deletions by": "nothing: this source does not tell them"}
        return dg.MaterializeResult(metadata=_metadata(result) | certificate_metadata(result) | deleted)

    return extract_type


def configured_source(warehouse: Warehouse, fhir: FhirClient) -> Source:
    """Return the source that the settings of this process name."""
    return open_source(read_settings(), warehouse, fhir)


def _logged(log: Callable[[str], None], resource_type: str) -> ReportProgress:
    """Log how far a type is, how fast it goes and how long it will take, every LOG_SECONDS at most."""
    began = logged = time.monotonic()
    read = 0

    def progress(done: int, planned: int) -> None:
        nonlocal read, logged
        read += done
        now = time.monotonic()
        if now - logged < LOG_SECONDS:
            return
        logged, rate = now, read / (now - began)
        left = max(0, planned - read) / rate if rate else 0
        log(f"{resource_type}: {read:,} of {planned:,} resources, {rate:,.0f} a second, about {left:,.0f} s left")

    return progress


def _metadata(result: TypeResult) -> dict[str, Any]:
    files = (
        {"files": result.files, "files loaded before": result.known_files} if result.files + result.known_files else {}
    )
    window = {"window": f"{result.window_from} to {result.window_to}"} if result.window_to else {}
    return {
        "read": result.read,  # by this run: dagster/row_count would be the rows of the table
        "inserted": result.inserted,
        "updated": result.updated,
        "unchanged": result.unchanged,
        "rejected": result.rejected,
        "invalid": result.invalid,
        "seconds": round(result.seconds, 2),
        **window,
        **files,
        **({"source": result.note} if result.note else {}),
    }


def certificate_metadata(result: TypeResult) -> dict[str, Any]:
    """Return what a run's certificates say, for the metadata of raw/<type>."""
    names = ("slices", "incomplete", "repaired", "late", "changed", "missing")
    counts = {name: getattr(result, name) for name in names}
    return counts | (
        {"missing ids": f"opensrp-dhis2 extract status {result.resource_type}"} if result.missing_ids else {}
    )
