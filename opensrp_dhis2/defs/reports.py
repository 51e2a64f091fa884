"""Assets `outbox/<data set>` and `dhis2/<data set>`: what should be in DHIS2 for a period, and its delivery."""

import re
import time
from collections.abc import Iterable
from typing import Any

import dagster as dg

from opensrp_dhis2.defs.failures import dagster_failures
from opensrp_dhis2.defs.partitions import partitions_for, periods_of_run
from opensrp_dhis2.defs.relations import relation_key
from opensrp_dhis2.defs.resources import read_settings
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.periods import Period
from opensrp_dhis2.errors import OpenSrpDhis2Error
from opensrp_dhis2.outbox.reporter import Report, Reporter, completions_markdown, markdown
from opensrp_dhis2.outbox.submission_hours import SubmissionHours
from opensrp_dhis2.report.html import write_page
from opensrp_dhis2.report.refused_csv import write_refused
from opensrp_dhis2.report.run import run_markdown
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.views.catalog import Catalog
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse

SINGLE_RUN = dg.BackfillPolicy.single_run()


def asset_name(data_set_code: str) -> str:
    """Return the name that Dagster allows for a data set: letters, digits and underscores, in lower case."""
    return re.sub(r"\W", "_", data_set_code).lower()


def report_assets(catalog: Catalog, settings: Settings) -> list[dg.AssetsDefinition]:
    """Make the two assets of every data set in data_sets.yaml."""
    made: list[dg.AssetsDefinition] = []
    for code, data_set in catalog.data_sets.items():
        partitions = partitions_for(data_set.period_type, settings)
        upstream = [relation_key(view.name) for view in catalog.indicators_of(code)]
        made.append(_planned(code, data_set, partitions, upstream))
        made.append(_delivered(code, data_set, partitions))
    return made


def _reporter(
    context: dg.AssetExecutionContext, warehouse: Warehouse, dhis2: Dhis2Client, code: str, data_set: DataSet
) -> Reporter:
    settings = read_settings()
    return Reporter(
        warehouse,
        dhis2,
        code,
        data_set,
        run_id=context.run.run_id,
        batch_size=settings.dhis2_batch_size,
        hours=SubmissionHours.parse(settings.dhis2_submission_hours, settings.zone),
        is_async=settings.dhis2_async_import,
        say=context.log.info,
        clock=settings.now,
    )


def _files(warehouse: Warehouse, target: str, run_id: str) -> dict[str, Any]:
    """Write the page of the run, and the list of values that somebody must mend; give links to them."""
    settings = read_settings()
    folder = settings.data_dir.absolute() / "reports"
    with warehouse.connect() as connection:
        page = write_page(connection, run_id, target, folder, settings.report_language)
        refused = write_refused(connection, run_id, target, folder, settings.report_language)
        said = run_markdown(connection, run_id, target, settings.report_language)
    found: dict[str, Any] = {"run": dg.MetadataValue.md(said), "report": dg.MetadataValue.path(page)}
    return found | ({"to_mend": dg.MetadataValue.path(refused)} if refused else {})


def _record_done(context: dg.AssetExecutionContext, periods: list[Period], reports: list[Report]) -> None:
    """Record the periods that were delivered before a later one failed: of a failed step Dagster keeps nothing."""
    for period, report in zip(periods, reports, strict=False):
        metadata: dict[str, Any] = {**report.counts(), "run": context.run.run_id}
        key = period.start_on.isoformat()
        event = dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata)
        context.instance.report_runless_asset_event(event)


def _planned(
    code: str, data_set: DataSet, partitions: dg.TimeWindowPartitionsDefinition, upstream: Iterable[dg.AssetKey]
) -> dg.AssetsDefinition:
    @dg.asset(
        key=["outbox", asset_name(code)],
        deps=[*upstream, dg.AssetKey(["lookup", "target"])],
        partitions_def=partitions,
        backfill_policy=SINGLE_RUN,
        group_name="outbox",
        kinds={"postgres"},
        description=f"One row for each value that data set {code} should hold in DHIS2, and where it stands.",
    )
    def plan(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], dhis2: dg.ResourceParam[Dhis2Client]
    ) -> dg.MaterializeResult[None]:
        with dagster_failures(context.retry_number):
            periods = periods_of_run(context, data_set.period_type)
            reporter = _reporter(context, warehouse, dhis2, code, data_set)
            for period in periods:
                states = reporter.plan(period)
                context.add_asset_metadata({"values": states}, partition_key=period.start_on.isoformat())
        return dg.MaterializeResult()

    return plan


def _delivered(code: str, data_set: DataSet, partitions: dg.TimeWindowPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=["dhis2", asset_name(code)],
        deps=[dg.AssetKey(["outbox", asset_name(code)])],
        partitions_def=partitions,
        backfill_policy=SINGLE_RUN,
        group_name="dhis2",
        kinds={"dhis2"},
        description=f"Data set {code} in DHIS2, every value with its verdict.",
    )
    def deliver(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], dhis2: dg.ResourceParam[Dhis2Client]
    ) -> dg.MaterializeResult[None]:
        started, reports = time.monotonic(), list[Report]()
        with dagster_failures(context.retry_number):
            periods = periods_of_run(context, data_set.period_type)
            reporter = _reporter(context, warehouse, dhis2, code, data_set)
            try:
                for period in periods:
                    reports.append(reporter.deliver(period))
                    context.log.info(reports[-1].line())
                    context.add_asset_metadata(reports[-1].counts(), partition_key=period.start_on.isoformat())
            except OpenSrpDhis2Error:
                _record_done(context, periods, reports)
                context.log.error(
                    f"how far it got: {_files(warehouse, dhis2.base_url, context.run.run_id)['report'].value}"
                )
                raise
            files = _files(warehouse, dhis2.base_url, context.run.run_id)
        language = read_settings().report_language
        said = completions_markdown(reports, language)
        return dg.MaterializeResult(
            metadata={
                "verdicts": dg.MetadataValue.md(markdown(reports, language)),
                **({"completions": dg.MetadataValue.md(said)} if said else {}),
                "seconds": round(time.monotonic() - started, 2),
                **files,
            }
        )

    return deliver
