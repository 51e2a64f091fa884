"""The whole chain on loopback for the tests of defs/: sandbox servers, a warehouse, the environment that names them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from opensrp_dhis2_sandbox.dhis2.app import create_app as create_dhis2
from opensrp_dhis2_sandbox.district.faults import OWN_ADDRESS
from opensrp_dhis2_sandbox.district.write import write_district
from opensrp_dhis2_sandbox.fhir.app import create_app as create_fhir
from opensrp_dhis2_sandbox.fhir.folder import load_folder
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.runs import QUIET
from opensrp_dhis2_sandbox.server import running
from opensrp_dhis2_sandbox.start import DISTRICT_METADATA, read_sandbox_metadata

from opensrp_dhis2.definitions import defs
from opensrp_dhis2.dhis2.periods import period_of
from opensrp_dhis2.warehouse.database import Warehouse
from tests.conftest import REPORT_TIMEZONE
from tests.support.clock import START, TickingClock
from tests.support.dhis2_site import as_admin

NOW, ZONE = START, ZoneInfo(REPORT_TIMEZONE)
TODAY = NOW.astimezone(ZONE).date()


def closed(period_type: str, count: int, today: date = TODAY) -> list[str]:
    """Give the partition keys of the last closed periods, oldest first."""
    keys: list[date] = []
    period = period_of(period_type, today)
    while len(keys) < count:
        period = period_of(period_type, period.start_on - timedelta(days=1))
        keys.insert(0, period.start_on)
    return [key.isoformat() for key in keys]


MONTHS, WEEKS, QUARTERS = closed("Monthly", 3), closed("Weekly", 3), closed("Quarterly", 1)
PARTITIONS = {
    "report_chw_m": (MONTHS[0], MONTHS[-1]),
    "report_chw_w": (WEEKS[0], WEEKS[-1]),
    "report_chw_q": (QUARTERS[0], QUARTERS[0]),
}


@dataclass
class Chain:
    """The servers' addresses, the warehouse, and Dagster's records in memory."""

    fhir: FhirStore
    dhis2_url: str
    warehouse: Warehouse
    instance: dg.DagsterInstance

    def run(self, job: str, first: str | None = None, last: str | None = None) -> Any:
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last or first}
        return (
            defs()
            .resolve_job_def(job)
            .execute_in_process(
                instance=self.instance, tags=tags if first else {}, raise_on_error=False, run_config=QUIET
            )
        )

    def run_all(self) -> None:
        assert self.run("extract").success
        for job, (first, last) in PARTITIONS.items():
            assert self.run(job, first, last).success

    def tick(self, cursor: str | None = None) -> Any:
        """Evaluate the sensor for late data once."""
        definitions = defs()
        context = dg.build_sensor_context(
            instance=self.instance, definitions=definitions, resources={"warehouse": self.warehouse}, cursor=cursor
        )
        return definitions.resolve_sensor_def("late_data").evaluate_tick(context)

    def late_requests(self, cursor: str | None = None) -> list[tuple[str | None, str | None]]:
        """Give the jobs and partitions that the sensor asks for."""
        return [(one.job_name, one.partition_key) for one in self.tick(cursor).run_requests or []]

    def catch_up(self) -> None:
        """Report the open periods that were never reported, as the sensor asks for them: the older ones of the district."""
        asked = self.late_requests()
        for job in dict.fromkeys(job for job, _ in asked):
            keys = sorted(key for name, key in asked if name == job and key)
            assert self.run(str(job), keys[0], keys[-1]).success

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as connection:
            return connection.execute(sql, parameters or None).fetchall()

    def stored(self) -> list[list[Any]]:
        """Give what the sandbox DHIS2 holds: element, period, unit, combos, value, comment, followup, deleted."""
        response = as_admin("GET", f"{self.dhis2_url}/sandbox/state")
        return [row for row in response.json() if not row[8]]


@pytest.fixture(scope="session")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated district, written once."""
    folder = tmp_path_factory.mktemp("district")
    write_district(folder, today=TODAY)
    return folder


@pytest.fixture
def chain(
    district: Path, database_url: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Chain]:
    """The chain over the district as of today, with nothing extracted yet."""
    monkeypatch.chdir(tmp_path)
    with chain_over(district, database_url, warehouse, monkeypatch) as opened:
        yield opened


@contextmanager
def chain_over(
    folder: Path, database_url: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, now: datetime = NOW
) -> Iterator[Chain]:
    """Serve a folder of FHIR resources and the district's DHIS2 at an instant, and name all three in the environment.

    DHIS2 tells the country's time, as ministries set it up.
    """
    store = FhirStore(TickingClock(now))
    load_folder(store, folder)
    dhis2 = create_dhis2(read_sandbox_metadata(DISTRICT_METADATA), version="2.43", clock=lambda: now, zone=ZONE)
    with running(create_fhir(store, server_address=OWN_ADDRESS)) as fhir_url, running(dhis2) as dhis2_url:
        for name, value in {
            "FHIR_BASE_URL": f"{fhir_url}/fhir",
            "FHIR_LAG_SECONDS": "0",
            "DHIS2_BASE_URL": dhis2_url,
            "DHIS2_REQUEST_SECONDS": "0",
            "WAREHOUSE_URL": database_url,
            "REPORT_TIMEZONE": REPORT_TIMEZONE,
            "REPORT_NOW": now.isoformat(),
            "REPORT_START": "2025-01-01",
            "RETRY_WAIT_SECONDS": "0",
        }.items():
            monkeypatch.setenv(name, value)
        with dg.DagsterInstance.ephemeral() as instance:
            yield Chain(store, dhis2_url, warehouse, instance)
