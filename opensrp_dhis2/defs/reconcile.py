"""Assets `reconcile/<data set>`: DHIS2 read back and held to the ledger, with a check, a job and a weekly schedule."""

from typing import Any

import dagster as dg

from opensrp_dhis2.audit.discrepancy import HARMLESS, Reconciliation
from opensrp_dhis2.audit.reconcile import count_discrepancies, reconcile_period
from opensrp_dhis2.defs.failures import dagster_failures
from opensrp_dhis2.defs.partitions import partitions_for, periods_of_run
from opensrp_dhis2.defs.reports import SINGLE_RUN, asset_name
from opensrp_dhis2.defs.resources import read_settings
from opensrp_dhis2.defs.schedules import played_at
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.views.catalog import Catalog
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse

CHECK = "agrees_with_dhis2"
SUNDAY_MORNING = "0 7 * * 0"  # after the daily report, so that what it sent is not called missing


def reconcile_assets(catalog: Catalog, settings: Settings) -> list[dg.AssetsDefinition]:
    """Make the reconciliation of every data set in data_sets.yaml."""
    return [_reconciled(code, data_set, settings) for code, data_set in catalog.data_sets.items()]


def reconcile_checks(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """Make the check of every data set that DHIS2 holds what the ledger says."""
    return [_agrees(code) for code in catalog.data_sets.codes]


def reconcile_jobs(catalog: Catalog) -> dict[str, Any]:
    """Return each data set's job by its code: one period or a range of them, and the check after it."""
    return {code: _reconcile_job(code) for code in catalog.data_sets.codes}


def reconcile_schedule(code: str, data_set: DataSet, job: Any, settings: Settings) -> dg.ScheduleDefinition:
    """Reconcile a data set every Sunday over the past periods that are still open; shipped stopped."""
    partitions = partitions_for(data_set.period_type, settings)

    @dg.schedule(
        name=f"{job.name}_weekly", job=job, cron_schedule=SUNDAY_MORNING, execution_timezone=partitions.timezone
    )
    def reconcile(context: dg.ScheduleEvaluationContext) -> Any:
        now = played_at(context)
        keys = partitions.get_partition_keys(current_time=now)[-max(1, data_set.open_periods) :]
        if not keys:
            return dg.SkipReason(f"{code}: no period has ended since REPORT_START")
        ends = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
        return dg.RunRequest(run_key=f"{code}:{now.date()}", tags=ends)

    return reconcile


def _reconciled(code: str, data_set: DataSet, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        key=["reconcile", asset_name(code)],
        deps=[dg.AssetKey(["dhis2", asset_name(code)])],
        partitions_def=partitions_for(data_set.period_type, settings),
        backfill_policy=SINGLE_RUN,
        group_name="reconcile",
        kinds={"postgres", "dhis2"},
        description=f"Where DHIS2 holds something else than the ledger of data set {code} says; nothing is sent.",
    )
    def reconcile(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], dhis2: dg.ResourceParam[Dhis2Client]
    ) -> dg.MaterializeResult[None]:
        made: list[Reconciliation] = []
        with dagster_failures(context.retry_number):
            for period in periods_of_run(context, data_set.period_type):
                made.append(
                    reconcile_period(
                        warehouse, dhis2, code, period.id,
                        foreign_edits=data_set.foreign_edits, run_id=context.run.run_id,
                    )
                )  # fmt: skip
                counts = made[-1].counts | made[-1].resolutions | {"compared": made[-1].compared}
                context.add_asset_metadata(counts, partition_key=period.start_on.isoformat())
        tables = (f"{one.of.period}\n\n{one.markdown(settings.report_language)}" for one in made)
        return dg.MaterializeResult(metadata={"discrepancies": dg.MetadataValue.md("\n\n".join(tables))})

    return reconcile


def _agrees(code: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=["dhis2", asset_name(code)],
        name=CHECK,
        additional_deps=[dg.AssetKey(["reconcile", asset_name(code)])],
        description="DHIS2 held what the ledger says when each period was last reconciled.",
    )
    def agrees(context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        with dagster_failures(context.retry_number), warehouse.connect() as connection:
            target = read_settings().dhis2_base_url.removesuffix("/api")
            found = count_discrepancies(connection, target, code)
        is_harmless = all(kind in HARMLESS for _, kind in found)
        return dg.AssetCheckResult(
            passed=not found,
            severity=dg.AssetCheckSeverity.WARN if is_harmless else dg.AssetCheckSeverity.ERROR,
            metadata={f"{period} {kind}": count for (period, kind), count in found.items()},
        )

    return agrees


def _reconcile_job(code: str) -> Any:
    name = asset_name(code)
    return dg.define_asset_job(
        f"reconcile_{name}",
        selection=dg.AssetSelection.assets(["reconcile", name])
        | dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(["dhis2", name]), CHECK)),
        executor_def=dg.in_process_executor,
        tags={"opensrp_dhis2/data_set": code},
        description=f"Read data set {code} back from DHIS2 and compare: one partition a period, or a range of them.",
    )
