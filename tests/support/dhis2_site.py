"""A sandbox DHIS2 with one monthly data set, our client for it, and the warehouse that reports to it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running
from starlette.types import ASGIApp

from opensrp_dhis2.dhis2.auth import make_auth, read_auth
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.metadata import read_metadata
from opensrp_dhis2.dhis2.periods import Period, parse_period
from opensrp_dhis2.lookup.metadata import replace_metadata
from opensrp_dhis2.outbox.reporter import Report, Reporter
from opensrp_dhis2.outbox.submission_hours import SubmissionHours
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_metadata import KNOWN, PASSWORD, metadata
from tests.support.sql import rows

VERSIONS = ["2.41", "2.43"]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NIGHT = SubmissionHours(20, 6, UTC)  # over at NOW
SEPTEMBER = parse_period("202509")
MONTHLY = DataSet(period_type="Monthly", open_periods=36)
NARROW = DataSet(period_type="Monthly", open_periods=3)
REPORTED = DataSet(period_type="Monthly", open_periods=36, zeros="reporting_units")
DEFAULT = "HllvX50cXC0"
ADMIN = ("admin", "district")
AWAY = [{"kind": "status", "status": 503, "method": "GET"}] * 4  # as often as a read is tried


def open_client(url: str, username: str = "pusher", password: str = PASSWORD, seconds: float = 0) -> Dhis2Client:
    """Open a client with an account of the sandbox; `seconds`: how long a request of its may live."""
    auth = make_auth(read_auth("basic", {"username": username, "password": password}), url)
    return Dhis2Client(url, auth=auth, request_seconds=seconds)


def as_admin(method: str, url: str, **sent: Any) -> httpx.Response:
    """Ask DHIS2 something as its administrator; without TLS, whose certificates take longer to read than the answer."""
    return httpx.request(method, url, auth=ADMIN, verify=False, **sent).raise_for_status()


def state(url: str) -> list[list[Any]]:
    """Read what DHIS2 holds, deleted or not: element, period, unit, combos, value, comment, followup, deleted."""
    found: list[list[Any]] = as_admin("GET", f"{url}/sandbox/state").json()
    return found


def strike(url: str, *faults: dict[str, Any]) -> None:
    """Let faults befall the next requests."""
    as_admin("POST", f"{url}/sandbox/faults", json=list(faults))


class Dhis2Site:
    """The three of them."""

    def __init__(self, url: str, warehouse: Warehouse) -> None:
        self.url, self.warehouse, self.client = url, warehouse, open_client(url)
        with warehouse.connect() as connection:
            replace_metadata(connection, read_metadata(self.client, ["DS_M"]), self.client.base_url)

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def reporter(self, run_id: str, policy: DataSet = MONTHLY, **how: Any) -> Reporter:
        return Reporter(self.warehouse, self.client, "DS_M", policy, **{"run_id": run_id, "batch_size": 100, **how})

    def report(
        self, run_id: str = "run-1", policy: DataSet = MONTHLY, period: Period = SEPTEMBER, **how: Any
    ) -> Report:
        """Plan and deliver a period."""
        reporter = self.reporter(run_id, policy, **how)
        reporter.plan(period)
        return reporter.deliver(period)

    def stored(self) -> dict[tuple[str, str], str]:
        values = self.client.read_data_values("DsMonthly01", "202509", KNOWN)
        return {(v.data_element, v.org_unit): v.value or "" for v in values}

    def strike(self, *faults: dict[str, Any]) -> None:
        strike(self.url, *faults)

    def standings(self) -> list[tuple[str, str | None, int]]:
        return rows(self.warehouse, "select state, code, count(*) from outbox.value group by 1, 2 order by 1, 2")

    def states(self) -> dict[str, tuple[str, str | None]]:
        """Return state and code by org unit."""
        found = rows(self.warehouse, "select org_unit_id, state, code from outbox.value")
        return {unit: (state, code) for unit, state, code in found}


@contextmanager
def site(
    warehouse: Warehouse,
    version: str,
    document: dict[str, Any] | None = None,
    *,
    store: Path | None = None,
    port: int = 0,
    clock: Callable[[], datetime] = lambda: NOW,
    front: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> Iterator[Dhis2Site]:
    """Open a site, on other metadata, over stored values, or with something in front of it."""
    app = create_app(document or metadata(), version=version, clock=clock, store_path=store)
    with running(front(app), port) as url:
        opened = Dhis2Site(url, warehouse)
        with opened.client:
            yield opened


def expired(warehouse: Warehouse, version: str, *authorities: str) -> AbstractContextManager[Dhis2Site]:
    """Open a site whose September closed long ago, for an account with these authorities besides."""
    document = metadata()
    document["stages"][1]["dataSets"][0]["expiryDays"] = 5
    document["stages"][1]["userRoles"][0]["authorities"] += authorities
    return site(warehouse, version, document)


def report_beside(site: Dhis2Site, run_id: str, life_seconds: float = 0) -> list[str]:
    """Report as another process would, whose requests may live so long; return what it said."""
    said: list[str] = []
    with open_client(site.url, seconds=life_seconds) as client:
        reporter = Reporter(site.warehouse, client, "DS_M", MONTHLY, run_id=run_id, batch_size=100, say=said.append)
        reporter.plan(SEPTEMBER)
        reporter.deliver(SEPTEMBER)
    return said


def totals_of(units: list[str]) -> dict[tuple[str, str], int]:
    return {("visits", unit): number for number, unit in enumerate(units, 1)}


def ledger_rows(warehouse: Warehouse) -> list[tuple[str, str | None, str | None, str, str | None]]:
    """Return unit, wanted, acknowledged, state and code of every value."""
    query = "select org_unit_id, wanted, acknowledged, state, code from outbox.value order by data_element_id, 1"
    return rows(warehouse, query)
