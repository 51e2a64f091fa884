"""The reconciliation in Dagster: its job over periods, its check on the delivered data set, and its schedule."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import httpx
import pytest
from opensrp_dhis2_sandbox.runs import QUIET

from opensrp_dhis2.defs.data_set import AGREES, DataSetReport
from opensrp_dhis2.defs.partitions import partitions_for
from opensrp_dhis2.defs.resources import Dhis2Resource, WarehouseResource, read_settings
from opensrp_dhis2.views.catalog import load_catalog
from tests.defs.conftest import MONTHS, Chain

CODE = "CHW_M"


def definitions() -> dg.Definitions:
    settings = read_settings()
    catalog = load_catalog(settings.project)
    data_sets = [DataSetReport(code, data_set, catalog, settings) for code, data_set in catalog.data_sets.items()]
    return dg.Definitions(
        assets=[asset for data_set in data_sets for asset in data_set.assets],
        asset_checks=[check for data_set in data_sets for check in data_set.checks],
        jobs=[data_set.reconcile_job for data_set in data_sets],
        schedules=[data_set.reconcile_schedule for data_set in data_sets],
        resources={"warehouse": WarehouseResource(), "dhis2": Dhis2Resource()},
    )


def reconcile(chain: Chain) -> dg.ExecuteInProcessResult:
    tags = {"dagster/asset_partition_range_start": MONTHS[0], "dagster/asset_partition_range_end": MONTHS[-1]}
    job = definitions().resolve_job_def("reconcile_chw_m")
    return job.execute_in_process(instance=chain.instance, tags=tags, raise_on_error=False, run_config=QUIET)


def edit(chain: Chain) -> None:
    """Change one value that stands in DHIS2, behind our back."""
    rows: list[list[Any]] = chain.stored()
    rows[0][5] = "777"
    httpx.post(f"{chain.dhis2_url}/sandbox/state", json=rows, auth=("admin", "district")).raise_for_status()


def test_the_job_reconciles_each_period_and_its_check_tells_what_stands(chain: Chain) -> None:
    chain.run_all()
    agreed = reconcile(chain)
    assert agreed.success
    [evaluation] = agreed.get_asset_check_evaluations()
    assert (evaluation.check_name, evaluation.passed) == (AGREES, True)
    made = agreed.asset_materializations_for_node("reconcile__chw_m")
    assert [each.partition for each in made] == MONTHS
    assert [each.metadata["standing"].value for each in made] == [0] * len(MONTHS)
    assert [each.metadata["compared"].value for each in made] != [0] * len(MONTHS)

    edit(chain)
    differing = reconcile(chain)
    assert differing.success
    [evaluation] = differing.get_asset_check_evaluations()
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert [value.value for value in evaluation.metadata.values()] == [1]
    said = differing.asset_materializations_for_node("reconcile__chw_m")[0].metadata["discrepancies"]
    assert "foreign_edit" in str(said.value)
    assert "| 777 |" in str(said.value)


def test_the_check_runs_after_the_reconciliation_and_sends_nothing(chain: Chain) -> None:
    chain.run_all()
    [(batches,)] = chain.query("select count(*) from outbox.batch")
    run = reconcile(chain)
    steps = [event.step_key for event in run.all_events if event.event_type_value == "STEP_START"]
    assert steps == ["reconcile__chw_m", f"dhis2__chw_m_{AGREES}"]
    assert chain.query("select count(*) from outbox.batch") == [(batches,)]


def test_the_schedule_asks_once_a_week_for_the_past_periods_that_are_open(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REPORT_NOW")
    made = definitions()
    schedule = made.resolve_schedule_def("reconcile_chw_m_weekly")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    sunday = datetime(2026, 11, 22, 4, tzinfo=UTC)
    context = dg.build_schedule_context(
        instance=chain.instance, scheduled_execution_time=sunday, repository_def=made.get_repository_def()
    )
    [request] = schedule.evaluate_tick(context).run_requests or ()
    keys = partitions_for("Monthly", read_settings()).get_partition_keys(current_time=sunday)
    assert request.run_key == "CHW_M:2026-11-22"
    assert request.tags["dagster/asset_partition_range_start"] == keys[-6] == "2026-05-01"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-10-01"
