"""Deletions in Dagster: looked for after each type's extraction, and by the weekly job `sweep_deletes` over all ids."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from opensrp_dhis2.connections import open_source
from opensrp_dhis2.defs.failures import dagster_failures, raise_together
from opensrp_dhis2.defs.resources import read_settings
from opensrp_dhis2.errors import OpenSrpDhis2Error
from opensrp_dhis2.extract.deletes import MAX_SHARE, DeleteResult, SweepResult
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.load import table_name

SUNDAY_NIGHT = "0 3 * * 0"  # after the nightly extract, before the daily report


class SweepConfig(dg.Config):
    """What to sweep: all types when none is named, and the share of a type that may be gone without a history of it."""

    resource_types: list[str] = []
    max_share: float = MAX_SHARE


def delete_metadata(result: DeleteResult) -> dict[str, Any]:
    """Say of a search for deletions what the materialization of a raw asset shows."""
    found: dict[str, Any] = {"deleted": result.deleted}
    if result.reason:
        found["deletions by"] = f"comparing all ids: {result.reason}"
    return found | (sweep_metadata(result.sweep) if result.sweep else {})


def sweep_metadata(result: SweepResult) -> dict[str, Any]:
    return {
        "ids at the source": result.source_count,
        "deleted": result.deleted,
        "missing or old, loaded": result.loaded,
        "missing or old, refused": result.rejected,
        "sweep seconds": round(result.seconds, 2),
    }


def sweep_job(settings: Settings) -> dg.JobDefinition:
    """Make the job that compares the ids of every type of FHIR_RESOURCE_TYPES."""

    @dg.op(
        name="sweep_each_type",
        out=dg.Out(dg.Nothing),
        description="Compare all ids with the source; one type's failure stops no other.",
    )
    def sweep_each_type(
        context: dg.OpExecutionContext,
        config: SweepConfig,
        warehouse: dg.ResourceParam[Warehouse],
        fhir: dg.ResourceParam[FhirClient],
    ) -> Iterator[dg.AssetObservation | dg.Output[None]]:
        failed: dict[str, OpenSrpDhis2Error] = {}
        with dagster_failures(context.retry_number):
            source = open_source(read_settings(), warehouse, fhir)
            for resource_type in config.resource_types or settings.all_resource_types:
                try:
                    result = source.sweep(resource_type, config.max_share)
                except OpenSrpDhis2Error as error:
                    context.log.error(f"{resource_type}: {error}")
                    failed[resource_type] = error
                    continue
                key = dg.AssetKey(["raw", table_name(resource_type)])
                yield dg.AssetObservation(
                    key, metadata=sweep_metadata(result)
                )  # logged events are lost when a step fails
            raise_together(failed)
        yield dg.Output(None)

    @dg.job(name="sweep_deletes", executor_def=dg.in_process_executor)
    def sweep_deletes() -> None:
        """Find what was expunged or went missing: all ids of each type here against those at the source."""
        sweep_each_type()

    return sweep_deletes


def sweep_schedule(job: Any, settings: Settings) -> dg.ScheduleDefinition:
    """Sweep every Sunday; shipped stopped."""
    return dg.ScheduleDefinition(
        name="sweep_deletes_weekly", job=job, cron_schedule=SUNDAY_NIGHT, execution_timezone=settings.report_timezone
    )
