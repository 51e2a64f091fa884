"""All that Dagster has of one data set: its assets `outbox/`, `forecast/`, `dhis2/`, `reconcile/`, checks, jobs, schedules.

`outbox/<data set>` is what should be in DHIS2 for a period, `forecast/` what the delivery will do to each value,
`dhis2/` the delivery, and `reconcile/` what DHIS2 holds otherwise than the ledger. One partition a period.
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import dagster as dg

from opensrp_dhis2.audit.discrepancy import HARMLESS, Reconciliation
from opensrp_dhis2.audit.forecast import Forecast, forecast_period
from opensrp_dhis2.audit.reconcile import count_discrepancies, reconcile_period
from opensrp_dhis2.defs.failures import dagster_failures
from opensrp_dhis2.defs.partitions import partitions_for, periods_of_run, played_at, report_hour
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
from opensrp_dhis2.warehouse.queries import query

Context = dg.AssetExecutionContext
WarehouseParam = dg.ResourceParam[Warehouse]
Dhis2Param = dg.ResourceParam[Dhis2Client]
Made = TypeVar("Made", Forecast, Reconciliation)
AGREES = "agrees_with_dhis2"
SUNDAY_MORNING = "0 7 * * 0"  # after the daily report, so that what it sent is not called missing


def asset_name(data_set_code: str) -> str:
    """Return the name that Dagster allows for a data set: letters, digits and underscores, in lower case."""
    return re.sub(r"\W", "_", data_set_code).lower()


def report_job_name(data_set_code: str) -> str:
    return f"report_{asset_name(data_set_code)}"


@dataclass(frozen=True)
class DataSetReport:
    """One data set of data_sets.yaml as Dagster sees it."""

    code: str
    data_set: DataSet
    catalog: Catalog
    settings: Settings

    @property
    def assets(self) -> list[dg.AssetsDefinition]:
        return [self._plan(), self._forecast(), self._deliver(), self._reconcile()]

    @property
    def checks(self) -> list[dg.AssetChecksDefinition]:
        return [self._refused_values(), self._agrees()]

    @cached_property
    def report_job(self) -> Any:
        """Plan one period or a range of them, and deliver."""
        keys = [self._key(stage) for stage in ("outbox", "forecast", "dhis2")]
        said = f"Send data set {self.code} to DHIS2: one partition a period, a range of them in one run."
        return self._job(report_job_name(self.code), dg.AssetSelection.assets(*keys), said)

    @cached_property
    def reconcile_job(self) -> Any:
        """Reconcile one period or a range of them, and check after it."""
        check = dg.AssetSelection.checks(dg.AssetCheckKey(self._key("dhis2"), AGREES))
        said = f"Read data set {self.code} back from DHIS2 and compare: one partition a period, or a range of them."
        selection = dg.AssetSelection.assets(self._key("reconcile")) | check
        return self._job(f"reconcile_{asset_name(self.code)}", selection, said)

    @property
    def report_schedule(self) -> dg.ScheduleDefinition:
        """Report every day at the report hour: the last closed period, with what changed in it since the day before.

        A run key bears the day, so that a period is sent again as late data arrives; only differences leave.
        """

        @dg.schedule(
            name=f"{self.report_job.name}_daily", job=self.report_job,
            cron_schedule=f"0 {report_hour(self.settings)} * * *", execution_timezone=self._partitions.timezone,
        )  # fmt: skip
        def report(context: dg.ScheduleEvaluationContext) -> Any:
            now = played_at(context)
            keys = self._partitions.get_partition_keys(current_time=now)
            if not keys:
                return dg.SkipReason(f"{self.code}: no period has ended since REPORT_START")
            return dg.RunRequest(partition_key=keys[-1], run_key=f"{self.code}:{keys[-1]}:{now.date()}")

        return report

    @property
    def reconcile_schedule(self) -> dg.ScheduleDefinition:
        """Reconcile every Sunday over the past periods that are still open; shipped stopped."""

        @dg.schedule(
            name=f"{self.reconcile_job.name}_weekly", job=self.reconcile_job, cron_schedule=SUNDAY_MORNING,
            execution_timezone=self._partitions.timezone,
        )  # fmt: skip
        def reconcile(context: dg.ScheduleEvaluationContext) -> Any:
            now = played_at(context)
            keys = self._partitions.get_partition_keys(current_time=now)[-max(1, self.data_set.open_periods) :]
            if not keys:
                return dg.SkipReason(f"{self.code}: no period has ended since REPORT_START")
            ends = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
            return dg.RunRequest(run_key=f"{self.code}:{now.date()}", tags=ends)

        return reconcile

    def _plan(self) -> dg.AssetsDefinition:
        upstream = [relation_key(view.name) for view in self.catalog.indicators_of(self.code)]
        said = f"One row for each value that data set {self.code} should hold in DHIS2, and where it stands."

        @self._asset("outbox", [*upstream, dg.AssetKey(["lookup", "target"])], {"postgres"}, said)
        def plan(context: Context, warehouse: WarehouseParam, dhis2: Dhis2Param) -> dg.MaterializeResult[None]:
            with dagster_failures(context.retry_number):
                periods = periods_of_run(context, self.data_set.period_type)
                reporter = self._reporter(context, warehouse, dhis2)
                for period in periods:
                    context.add_asset_metadata({"values": reporter.plan(period)}, partition_key=_partition(period))
            return dg.MaterializeResult()

        return plan

    def _forecast(self) -> dg.AssetsDefinition:
        """Nothing downstream waits for a forecast, so that a failed one never holds up a delivery; it only goes first."""
        said = f"What the next delivery will do to each value of data set {self.code}; nothing is sent."

        @self._asset("forecast", [self._key("outbox")], {"postgres", "dhis2"}, said, {"dagster/priority": "1"})
        def forecast(context: Context, warehouse: WarehouseParam, dhis2: Dhis2Param) -> dg.MaterializeResult[None]:
            made: list[Forecast] = []
            with dagster_failures(context.retry_number):
                for period in periods_of_run(context, self.data_set.period_type):
                    made.append(forecast_period(warehouse, dhis2, self.code, period.id, run_id=context.run.run_id))
                    counts = made[-1].counts | {"edited": made[-1].edited, "drifted": made[-1].drifted}
                    context.add_asset_metadata(counts, partition_key=_partition(period))
            return dg.MaterializeResult(metadata={"forecast": self._tables(made)})

        return forecast

    def _deliver(self) -> dg.AssetsDefinition:
        said = f"Data set {self.code} in DHIS2, every value with its verdict."

        @self._asset("dhis2", [self._key("outbox")], {"dhis2"}, said)
        def deliver(context: Context, warehouse: WarehouseParam, dhis2: Dhis2Param) -> dg.MaterializeResult[None]:
            started, reports, language = time.monotonic(), list[Report](), read_settings().report_language
            with dagster_failures(context.retry_number):
                periods = periods_of_run(context, self.data_set.period_type)
                reporter = self._reporter(context, warehouse, dhis2)
                try:
                    for period in periods:
                        reports.append(reporter.deliver(period))
                        context.log.info(reports[-1].line())
                        context.add_asset_metadata(reports[-1].counts(), partition_key=_partition(period))
                except OpenSrpDhis2Error:
                    _record_done(context, periods, reports)
                    page = _files(warehouse, dhis2.base_url, context.run.run_id)["report"].value
                    context.log.error(f"how far it got: {page}")
                    raise
                files = _files(warehouse, dhis2.base_url, context.run.run_id)
            verdicts, open_units = markdown(reports, language), completions_markdown(reports, language)
            completions = {"completions": dg.MetadataValue.md(open_units)} if open_units else {}
            took = {"seconds": round(time.monotonic() - started, 2)}
            return dg.MaterializeResult(
                metadata={"verdicts": dg.MetadataValue.md(verdicts)} | completions | took | files
            )

        return deliver

    def _reconcile(self) -> dg.AssetsDefinition:
        said = f"Where DHIS2 holds something else than the ledger of data set {self.code} says; nothing is sent."
        edits = self.data_set.external_edits

        @self._asset("reconcile", [self._key("dhis2")], {"postgres", "dhis2"}, said)
        def reconcile(context: Context, warehouse: WarehouseParam, dhis2: Dhis2Param) -> dg.MaterializeResult[None]:
            made, run_id = list[Reconciliation](), context.run.run_id
            with dagster_failures(context.retry_number):
                for period in periods_of_run(context, self.data_set.period_type):
                    made.append(
                        reconcile_period(warehouse, dhis2, self.code, period.id, external_edits=edits, run_id=run_id)
                    )
                    counts = made[-1].counts | made[-1].resolutions | {"compared": made[-1].compared}
                    context.add_asset_metadata(counts, partition_key=_partition(period))
            return dg.MaterializeResult(metadata={"discrepancies": self._tables(made)})

        return reconcile

    def _agrees(self) -> dg.AssetChecksDefinition:
        @dg.asset_check(
            asset=self._key("dhis2"), name=AGREES, additional_deps=[self._key("reconcile")],
            description="DHIS2 held what the ledger says when each period was last reconciled.",
        )  # fmt: skip
        def agrees(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> dg.AssetCheckResult:
            with dagster_failures(context.retry_number), warehouse.connect() as connection:
                found = count_discrepancies(connection, read_settings().dhis2_base_url, self.code)
            is_harmless = all(kind in HARMLESS for _, kind in found)
            return dg.AssetCheckResult(
                passed=not found,
                severity=dg.AssetCheckSeverity.WARN if is_harmless else dg.AssetCheckSeverity.ERROR,
                metadata={f"{period} {kind}": count for (period, kind), count in found.items()},
            )

        return agrees

    def _refused_values(self) -> dg.AssetChecksDefinition:
        @dg.asset_check(
            asset=self._key("dhis2"),
            description="No more values than REFUSED_THRESHOLD are refused by DHIS2 or withheld by us.",
        )
        def refused_values(context: dg.AssetCheckExecutionContext, warehouse: WarehouseParam) -> dg.AssetCheckResult:
            settings = read_settings()
            with dagster_failures(context.retry_number), warehouse.connect() as connection:
                of = {"target": settings.dhis2_base_url, "data_set": self.code}
                rows = connection.execute(query("checks", "count_stopped"), of).fetchall()
            counts = {f"{state} {reason}": count for state, reason, count in rows}
            return dg.AssetCheckResult(passed=sum(counts.values()) <= settings.refused_threshold, metadata=counts)

        return refused_values

    @cached_property
    def _partitions(self) -> dg.TimeWindowPartitionsDefinition:
        return partitions_for(self.data_set.period_type, self.settings)

    def _key(self, stage: str) -> dg.AssetKey:
        return dg.AssetKey([stage, asset_name(self.code)])

    def _asset(
        self, stage: str, deps: Sequence[dg.AssetKey], kinds: set[str], said: str, tags: dict[str, str] | None = None
    ) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
        """Return the decorator of an asset of this data set: one partition a period, a range of them in one run."""
        return dg.asset(
            key=self._key(stage), deps=deps, partitions_def=self._partitions, group_name=stage, kinds=kinds,
            backfill_policy=dg.BackfillPolicy.single_run(), op_tags=tags, description=said,
        )  # fmt: skip

    def _job(self, name: str, selection: dg.AssetSelection, said: str) -> Any:
        tags = {"opensrp_dhis2/data_set": self.code}
        return dg.define_asset_job(
            name, selection=selection, executor_def=dg.in_process_executor, tags=tags, description=said
        )

    def _reporter(self, context: Context, warehouse: Warehouse, dhis2: Dhis2Client) -> Reporter:
        settings = read_settings()
        return Reporter(
            warehouse,
            dhis2,
            self.code,
            self.data_set,
            run_id=context.run.run_id,
            batch_size=settings.dhis2_batch_size,
            hours=SubmissionHours.parse(settings.dhis2_submission_hours, settings.zone),
            is_async=settings.dhis2_async_import,
            say=context.log.info,
            clock=settings.now,
        )

    def _tables(self, made: Sequence[Made]) -> dg.MarkdownMetadataValue:
        tables = (f"{each.of.period}\n\n{each.markdown(self.settings.report_language)}" for each in made)
        return dg.MetadataValue.md("\n\n".join(tables))


def _partition(period: Period) -> str:
    return period.start_on.isoformat()


def _files(warehouse: Warehouse, target: str, run_id: str) -> dict[str, Any]:
    """Write the page of the run, and the list of values that somebody must mend. Returns: links to them."""
    settings = read_settings()
    folder, language = settings.data_dir.absolute() / "reports", settings.report_language
    with warehouse.connect() as connection:
        page = write_page(connection, run_id, target, folder, language)
        refused = write_refused(connection, run_id, target, folder, language)
        said = run_markdown(connection, run_id, target, language)
    found: dict[str, Any] = {"run": dg.MetadataValue.md(said), "report": dg.MetadataValue.path(page)}
    return found | ({"to_mend": dg.MetadataValue.path(refused)} if refused else {})


def _record_done(context: Context, periods: Sequence[Period], reports: Sequence[Report]) -> None:
    """Record the periods that were delivered before a later one failed: of a failed step Dagster keeps nothing."""
    for period, report in zip(periods, reports, strict=False):
        metadata: dict[str, Any] = {**report.counts(), "run": context.run.run_id}
        event = dg.AssetMaterialization(context.asset_key, partition=_partition(period), metadata=metadata)
        context.instance.report_runless_asset_event(event)
