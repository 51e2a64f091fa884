"""The check `complete` on raw/<type>, a run's certificates as metadata, and the weekly job `resweep`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from opensrp_dhis2.connections import extraction
from opensrp_dhis2.defs.failures import dagster_failures, raise_together
from opensrp_dhis2.defs.resources import read_settings
from opensrp_dhis2.defs.source import certificate_metadata, configured_source, raw_key
from opensrp_dhis2.errors import OpenSrpDhis2Error
from opensrp_dhis2.extract import resweep
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.plain_text import markdown_table, one_line
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse import loaded_file, state
from opensrp_dhis2.warehouse.database import Warehouse

CHECK = "complete"
SEVERITY = dg.AssetCheckSeverity
SHOWN_FILES = SHOWN_REASONS = 20
SATURDAY_NIGHT = "0 22 * * 6"  # before the nightly extract, which brings what it found into the totals


def complete_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """Make the check of every type that what the source has of it is here."""
    return [_complete(resource_type) for resource_type in settings.all_resource_types]


def _complete(resource_type: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=raw_key(resource_type),
        name=CHECK,
        description="Every slice that was read holds what the source counted and listed; `extract status` names what not.",
    )
    def complete(
        context: dg.AssetCheckExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        fhir: dg.ResourceParam[FhirClient],
    ) -> dg.AssetCheckResult:
        with dagster_failures(context.retry_number):
            source = configured_source(warehouse, fhir).name
            with warehouse.connect() as connection:
                incomplete = state.incomplete(connection, source, resource_type)
                progress = state.status(connection, source, [resource_type])
                files = loaded_file.certificates(connection, source, resource_type)
                refused = state.outstanding(connection, resource_type)
        unfinished = sum(row["unfinished_count"] for row in progress)
        broken = [file for file in files if file["state"] == "broken"]
        return dg.AssetCheckResult(
            passed=not (incomplete or unfinished or broken or refused),
            severity=SEVERITY.ERROR if incomplete or unfinished or broken else SEVERITY.WARN,
            metadata={
                **({"files": dg.MetadataValue.md(shown_files(files, broken))} if files else {}),
                "certified_slices": sum(row["certified_count"] for row in progress),
                "unfinished_slices": unfinished,
                "missing": sum(row["missing_count"] for row in incomplete),
                "rejected": len(refused),
                **({"rejected_for": dg.MetadataValue.md(shown_reasons(refused))} if refused else {}),
                **({"incomplete_slices": dg.MetadataValue.md(shown(incomplete))} if incomplete else {}),
            },
        )

    return complete


def shown(incomplete: Sequence[Mapping[str, Any]]) -> str:
    """Write slices that stayed incomplete as a list; their ids stay in the warehouse, for `extract status`."""
    return "\n".join(
        f"- {piece['window_from']} to {piece['window_to']}: {piece['missing_count']} missing"
        + (
            f"; {piece['unlisted_count']} counted and not listed, from {piece['unlisted_from']}"
            if piece["unlisted_count"]
            else ""
        )
        for piece in incomplete
    )


def shown_reasons(refused: Sequence[tuple[str, str]]) -> str:
    """Write why the source did not give some resources whole, and how many of them for each reason."""
    counts = Counter(reason for _, reason in refused)
    return markdown_table(("reason", "resources"), counts.most_common(SHOWN_REASONS), numbers=(1,))


def shown_files(files: Sequence[Mapping[str, Any]], broken: Sequence[Mapping[str, Any]]) -> str:
    """Write what became of all lines of the files of a type, and why files could not be read, at most 20 of them."""
    names = ("line", "inserted", "updated", "unchanged", "rejected")
    sums = {name: sum(file[f"{name}_count"] or 0 for file in files) for name in names}
    told = [f"{len(files) - len(broken)} files loaded: " + ", ".join(f"{count} {name}" for name, count in sums.items())]
    return "\n".join(f"- {one_line(line)}" for line in [*told, *(file["reason"] for file in broken[:SHOWN_FILES])])


@dg.op(
    name="resweep_each_type",
    out=dg.Out(dg.Nothing),
    description="Read the last 35 days of every type again; safe to run again. One type's failure stops no other.",
)
def resweep_op(
    context: dg.OpExecutionContext, warehouse: dg.ResourceParam[Warehouse], fhir: dg.ResourceParam[FhirClient]
) -> Iterator[dg.AssetObservation | dg.Output[None]]:
    settings = read_settings()
    how = extraction(settings)
    if not settings.reads_fhir_server:
        context.log.info(f"FHIR_SOURCE is {settings.fhir_source}: what came late is found at each run")
        yield dg.Output(None)
        return
    failed: dict[str, OpenSrpDhis2Error] = {}
    with dagster_failures(context.retry_number):
        for resource_type in settings.all_resource_types:
            try:
                result = resweep(fhir, warehouse, resource_type, how)
            except OpenSrpDhis2Error as error:
                context.log.error(f"{resource_type}: {error}")
                failed[resource_type] = error
                continue
            found = {"read": result.read, "inserted": result.inserted, "updated": result.updated}
            metadata = found | certificate_metadata(result)
            context.log.info(f"{resource_type}: {found}")
            # Yielded: events that are logged are lost when a step fails.
            yield dg.AssetObservation(raw_key(resource_type), metadata=metadata)
        raise_together(failed)
    yield dg.Output(None)


@dg.job(name="resweep", executor_def=dg.in_process_executor)
def resweep_job() -> None:
    """Find what came late, or changed without a new version; the next extract totals it."""
    resweep_op()


def resweep_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Re-sweep every Saturday night; shipped stopped, switched on by the operator in the UI."""
    return dg.ScheduleDefinition(
        name="resweep_weekly", job=resweep_job, cron_schedule=SATURDAY_NIGHT,
        execution_timezone=settings.report_timezone,
    )  # fmt: skip
