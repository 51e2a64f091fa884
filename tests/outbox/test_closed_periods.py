"""Periods that DHIS2 has closed, and those for whom they are open all the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.warehouse.database import Warehouse
from tests.outbox.conftest import SetTotals
from tests.outbox.test_push import NOW, VERSIONS, Dhis2Site, metadata, totals_of

REOPENED, CLOSED = "OuFacility1", "OuFacility2"


@contextmanager
def expired(warehouse: Warehouse, version: str, *authorities: str) -> Iterator[Dhis2Site]:
    """Open a site whose September closed long ago, for an account with these authorities besides."""
    document = metadata()
    document["stages"][1]["dataSets"][0]["expiryDays"] = 5
    document["stages"][1]["userRoles"][0]["authorities"] += authorities
    with running(create_app(document, version=version, clock=lambda: NOW)) as url:
        opened = Dhis2Site(url, warehouse)
        with opened.client:
            yield opened


def states(here: Dhis2Site) -> dict[str, tuple[str, str | None]]:
    with here.warehouse.connect() as connection:
        rows = connection.execute("select org_unit_id, state, code from outbox.value").fetchall()
    return {unit: (state, code) for unit, state, code in rows}


@pytest.mark.parametrize("version", VERSIONS)
def test_15b_15c_a_lock_exception_lets_its_unit_in_and_no_other(
    version: str, warehouse: Warehouse, set_totals: SetTotals
) -> None:
    with expired(warehouse, version) as here:
        set_totals(totals_of([REOPENED, CLOSED]))
        assert here.report().sent == 0
        assert states(here) == dict.fromkeys([REOPENED, CLOSED], ("withheld", "E8030"))
        exception = {"ou": REOPENED, "pe": "202509", "ds": "DsMonthly01"}
        door, admin = f"{here.url}/api/lockExceptions", ("admin", "district")
        httpx.post(door, params=exception, auth=admin).raise_for_status()
        assert here.report("run-2").accepted == 1
        assert states(here) == {REOPENED: ("delivered", None), CLOSED: ("withheld", "E8030")}
        assert here.stored() == {("DeVisits001", REOPENED): "1"}
        httpx.delete(door, params=exception, auth=admin).raise_for_status()
        set_totals({("visits", REOPENED): 7})
        assert here.report("run-3").sent == 0
        assert states(here)[REOPENED] == ("withheld", "E8030")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_account_that_may_edit_expired_periods_is_not_held_back(
    version: str, warehouse: Warehouse, set_totals: SetTotals
) -> None:
    with expired(warehouse, version, "F_EDIT_EXPIRED") as here:
        set_totals(totals_of([REOPENED, CLOSED]))
        assert here.report().accepted == 2
        assert len(here.stored()) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_14c_a_superuser_may_do_so_too(version: str, warehouse: Warehouse, set_totals: SetTotals) -> None:
    with expired(warehouse, version, "ALL") as here:
        set_totals(totals_of([CLOSED]))
        assert here.report().accepted == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_month_that_has_ended_here_and_not_yet_at_dhis2_waits_for_dhis2s_midnight(
    version: str, warehouse: Warehouse, set_totals: SetTotals
) -> None:
    """In the first hours of a month in Kampala it is still the last day of the old one for a DHIS2 that tells UTC."""
    clock = [datetime(2025, 9, 30, 23, 30, tzinfo=UTC)]
    with running(create_app(metadata(), version=version, clock=lambda: clock[0])) as url:
        here = Dhis2Site(url, warehouse)
        with here.client:
            set_totals(totals_of([REOPENED]))
            assert here.report().sent == 0
            assert states(here) == {REOPENED: ("withheld", "E8030")}
            clock[0] += timedelta(minutes=40)
            assert here.report("run-2").accepted == 1
            assert here.stored() == {("DeVisits001", REOPENED): "1"}
