"""One DHIS2 over days: its metadata and its clock move on between reports; its values, its address and the ledger stay."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.metadata import read_metadata
from opensrp_dhis2.lookup.metadata import replace_metadata
from opensrp_dhis2.outbox.late import due_periods
from opensrp_dhis2.outbox.reporter import Report, Reporter
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_metadata import metadata
from tests.support.dhis2_site import MONTHLY, NOW, SEPTEMBER, as_admin, open_client, state, strike
from tests.support.sql import rows


@dataclass
class Ministry:
    """Start the server for each act; `document` and `now` are a test's to change between."""

    warehouse: Warehouse
    version: str
    store: Path
    document: dict[str, Any] = field(default_factory=metadata)
    now: datetime = NOW
    port: int = 0
    runs: int = 0

    @contextmanager
    def open(self) -> Iterator[Dhis2Client]:
        app = create_app(self.document, version=self.version, clock=lambda: self.now, store_path=self.store)
        with running(app, self.port) as url:
            self.port = int(url.rsplit(":", 1)[1])
            with open_client(url) as client:
                yield client

    def read(self) -> None:
        """Read the metadata, as the job `extract` does each night."""
        with self.open() as client, self.warehouse.connect() as connection:
            replace_metadata(connection, read_metadata(client, ["DS_M"]), client.base_url)

    def report(self, *faults: dict[str, Any]) -> Report:
        """Plan and deliver September; what faults the server shall have strike in the delivery."""
        self.runs += 1
        with self.open() as client:
            reporter = Reporter(self.warehouse, client, "DS_M", MONTHLY, run_id=f"run-{self.runs}", batch_size=100)
            reporter.plan(SEPTEMBER)
            strike(client.base_url, *faults)
            return reporter.deliver(SEPTEMBER)

    def next_day(self) -> None:
        self.now += timedelta(days=1)

    def ask(self, method: str, path: str, **params: str) -> None:
        """Ask DHIS2 something as its administrator."""
        with self.open() as client:
            url = f"{client.base_url}/api/{path}"
            as_admin(method, url, params=params)

    def stored(self) -> int:
        """Count the values that DHIS2 holds, by its administrator's door."""
        with self.open() as client:
            return sum(not row[8] for row in state(client.base_url))

    def states(self) -> dict[str, tuple[str, str | None]]:
        """Give state and code by org unit."""
        found = rows(self.warehouse, "select org_unit_id, state, code from outbox.value")
        return {unit: (stands, code) for unit, stands, code in found}

    def is_due(self) -> bool:
        """Tell whether `late_data` asks for September today."""
        target = f"http://127.0.0.1:{self.port}"
        with self.warehouse.connect() as connection:
            start_on, today = datetime(2024, 1, 1).date(), self.now.date()
            return bool(due_periods(connection, target, "DS_M", MONTHLY, start_on=start_on, today=today))

    @property
    def data_set(self) -> dict[str, Any]:
        return self.document["stages"][1]["dataSets"][0]

    @property
    def account(self) -> dict[str, Any]:
        return self.document["stages"][1]["users"][0]

    def unit(self, org_unit_id: str) -> dict[str, Any]:
        units = self.document["stages"][0]["organisationUnits"]
        return next(one for one in units if one["id"] == org_unit_id)
