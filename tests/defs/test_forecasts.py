"""The asset forecast/<data set> in Dagster: made before the delivery, in its own way, and never in the delivery's."""

from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest
from opensrp_dhis2_sandbox.runs import QUIET

from opensrp_dhis2.defs.data_set import DataSetReport
from opensrp_dhis2.defs.resources import Dhis2Resource, WarehouseResource, read_settings
from opensrp_dhis2.views.catalog import load_catalog
from tests.defs.conftest import MONTHS, Chain
from tests.support.sql import execute

CODE = "chw_m"


@dataclass
class ReportRun:
    """One run of a report with its forecast."""

    result: dg.ExecuteInProcessResult

    @property
    def order(self) -> list[str]:
        return [event.step_key or "" for event in self.result.all_events if event.event_type_value == "STEP_START"]

    def metadata(self, partition: str) -> dict[str, Any]:
        made = self.result.asset_materializations_for_node(f"forecast__{CODE}")
        [one] = [each for each in made if each.partition == partition]
        return {name: value.value for name, value in one.metadata.items()}


def report(chain: Chain, first: str, last: str) -> ReportRun:
    settings = read_settings()
    catalog = load_catalog(settings.project)
    keys = [[group, CODE] for group in ("outbox", "forecast", "dhis2")]
    definitions = dg.Definitions(
        assets=[
            asset
            for code, data_set in catalog.data_sets.items()
            for asset in DataSetReport(code, data_set, catalog, settings).assets
        ],
        jobs=[dg.define_asset_job("report", dg.AssetSelection.assets(*keys), executor_def=dg.in_process_executor)],
        resources={"warehouse": WarehouseResource(), "dhis2": Dhis2Resource()},
    )
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    job = definitions.resolve_job_def("report")
    return ReportRun(job.execute_in_process(instance=chain.instance, tags=tags, raise_on_error=False, run_config=QUIET))


@pytest.fixture
def extracted(chain: Chain) -> Chain:
    assert chain.run("extract").success
    return chain


def test_the_forecast_is_made_before_the_delivery_for_each_period(extracted: Chain) -> None:
    run = report(extracted, MONTHS[0], MONTHS[-1])
    assert run.result.success
    assert run.order == [f"outbox__{CODE}", f"forecast__{CODE}", f"dhis2__{CODE}"]
    for month in MONTHS:
        said = run.metadata(month)
        assert said["create"] > 0
        assert said["change"] == said["refused"] == said["edited"] == said["drifted"] == 0
        assert "| create | " in said["forecast"]
    [(predicted,)] = extracted.query("select count(*) from outbox.forecast where predicted_outcome = 'create'")
    assert predicted == extracted.query("select sum(value_count) from outbox.batch")[0][0]


def test_a_failed_forecast_does_not_hold_up_the_delivery(extracted: Chain) -> None:
    execute(extracted.warehouse, "drop table outbox.forecast")
    run = report(extracted, MONTHS[-1], MONTHS[-1])
    assert not run.result.success
    assert extracted.query("select count(*) > 0 from outbox.value where state = 'delivered'") == [(True,)]
