"""The process that is killed: one run of a report, as Dagster's step would do it, through the gateway and the relay.

It knows the product's own classes and nothing of the chaos around it.
"""

import sys
from dataclasses import dataclass
from typing import Literal

from opensrp_dhis2.dhis2.auth import make_auth, read_auth
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.errors import OpenSrpDhis2Error
from opensrp_dhis2.outbox.reporter import Reporter
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse

REQUEST_SECONDS = 3.0
READ_TIMEOUT_SECONDS = 1.0
TRANSIENT, TERMINAL = 75, 70  # exit codes


@dataclass(frozen=True)
class Run:
    """What one run is given."""

    run_id: str
    warehouse_url: str
    dhis2_url: str
    periods: tuple[str, ...]
    batch_size: int
    zeros: Literal["none", "reporting_units"]


def report(run: Run) -> None:
    """Plan and deliver every period; exit with 75 when trying again may help, with 70 when it cannot."""
    try:
        _report(run)
    except OpenSrpDhis2Error as error:
        sys.stderr.write(f"{run.run_id}: {type(error).__name__}: {error}\n")
        sys.exit(TRANSIENT if error.is_transient else TERMINAL)


def _report(run: Run) -> None:
    warehouse = Warehouse(run.warehouse_url)
    auth = make_auth(read_auth("basic", {"username": "pusher", "password": "secret"}), run.dhis2_url)
    policy = DataSet(period_type="Monthly", zeros=run.zeros, open_periods=36)
    with Dhis2Client(
        run.dhis2_url, auth=auth, read_timeout_seconds=READ_TIMEOUT_SECONDS, request_seconds=REQUEST_SECONDS
    ) as client:
        reporter = Reporter(warehouse, client, "DS_M", policy, run_id=run.run_id, batch_size=run.batch_size)
        for period in map(parse_period, run.periods):
            reporter.plan(period)
            reporter.deliver(period)
    warehouse.close()
