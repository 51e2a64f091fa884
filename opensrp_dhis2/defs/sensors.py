"""The sensor for late data: it asks for past periods whose totals differ from what was planned and sent."""

from datetime import datetime
from typing import Any

import dagster as dg

from opensrp_dhis2.defs.partitions import report_start
from opensrp_dhis2.defs.resources import read_settings
from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.outbox.late import changed_periods
from opensrp_dhis2.views.catalog import Catalog
from opensrp_dhis2.warehouse.database import Warehouse

EVERY_SECONDS = 600
MOST_REQUESTS = 20


def late_data_sensor(catalog: Catalog, jobs: dict[str, Any]) -> dg.SensorDefinition:
    """Make the sensor over all report jobs; at most 20 runs a tick, a period once a change."""

    @dg.sensor(name="late_data", jobs=list(jobs.values()), minimum_interval_seconds=EVERY_SECONDS)
    def late_data(context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.SensorResult:
        settings, requests = read_settings(), list[dg.RunRequest]()
        scope = {"start_on": report_start(settings), "today": datetime.now(settings.zone).date()}
        for code, job in jobs.items():
            with warehouse.connect() as connection:
                changed = changed_periods(
                    connection, settings.dhis2_base_url, code, catalog.data_sets.of(code), **scope
                )
            for change in changed:
                start = parse_period(change.period).start_on
                requests.append(
                    dg.RunRequest(
                        job_name=job.name,
                        partition_key=start.isoformat(),
                        run_key=f"{code}:{change.period}:{change.digest}",
                        tags={"opensrp_dhis2/changed_values": str(change.value_count)},
                    )
                )
        return dg.SensorResult(run_requests=requests[:MOST_REQUESTS])

    return late_data
