"""Assets `forecast/<data set>`: what the delivery that follows will do to each value of a period."""

import dagster as dg

from opensrp_dhis2.audit.forecast import Forecast, forecast_period
from opensrp_dhis2.defs.failures import dagster_failures
from opensrp_dhis2.defs.partitions import partitions_for, periods_of_run
from opensrp_dhis2.defs.reports import SINGLE_RUN, asset_name
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.views.catalog import Catalog
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse

# Nothing downstream waits for a forecast, so that a failed one never holds up a delivery; it only goes first.
BEFORE_DELIVERY = {"dagster/priority": "1"}


def forecast_assets(catalog: Catalog, settings: Settings) -> list[dg.AssetsDefinition]:
    """Make the forecast of every data set in data_sets.yaml."""
    return [_forecast(code, data_set, settings) for code, data_set in catalog.data_sets.items()]


def _forecast(code: str, data_set: DataSet, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        key=["forecast", asset_name(code)],
        deps=[dg.AssetKey(["outbox", asset_name(code)])],
        partitions_def=partitions_for(data_set.period_type, settings),
        backfill_policy=SINGLE_RUN,
        group_name="forecast",
        kinds={"postgres", "dhis2"},
        op_tags=BEFORE_DELIVERY,
        description=f"What the next delivery will do to each value of data set {code}; nothing is sent.",
    )
    def foresee(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], dhis2: dg.ResourceParam[Dhis2Client]
    ) -> dg.MaterializeResult[None]:
        made: list[Forecast] = []
        with dagster_failures(context.retry_number):
            for period in periods_of_run(context, data_set.period_type):
                made.append(forecast_period(warehouse, dhis2, code, period.id, run_id=context.run.run_id))
                counts = made[-1].counts | {"edited": made[-1].edited, "drifted": made[-1].drifted}
                context.add_asset_metadata(counts, partition_key=period.start_on.isoformat())
        tables = (f"{one.of.period}\n\n{one.markdown(settings.report_language)}" for one in made)
        return dg.MaterializeResult(metadata={"forecast": dg.MetadataValue.md("\n\n".join(tables))})

    return foresee
