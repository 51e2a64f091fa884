"""Periods that DHIS2 has closed, and those for whom they are open all the same."""

from datetime import UTC, datetime, timedelta

from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_site import as_admin, expired, site, totals_of
from tests.support.surroundings import SetTotals

REOPENED, CLOSED = "OuFacility1", "OuFacility2"


def test_15b_15c_a_lock_exception_lets_its_unit_in_and_no_other(
    version: str, warehouse: Warehouse, set_totals: SetTotals
) -> None:
    with expired(warehouse, version) as here:
        set_totals(totals_of([REOPENED, CLOSED]))
        assert here.report().sent == 0
        assert here.states() == dict.fromkeys([REOPENED, CLOSED], ("withheld", "E8030"))
        exception = {"ou": REOPENED, "pe": "202509", "ds": "DsMonthly01"}
        door = f"{here.url}/api/lockExceptions"
        as_admin("POST", door, params=exception)
        assert here.report("run-2").accepted == 1
        assert here.states() == {REOPENED: ("delivered", None), CLOSED: ("withheld", "E8030")}
        assert here.stored() == {("DeVisits001", REOPENED): "1"}
        as_admin("DELETE", door, params=exception)
        set_totals({("visits", REOPENED): 7})
        assert here.report("run-3").sent == 0
        assert here.states()[REOPENED] == ("withheld", "E8030")


def test_an_account_that_may_edit_expired_periods_is_not_held_back(
    version: str, warehouse: Warehouse, set_totals: SetTotals
) -> None:
    with expired(warehouse, version, "F_EDIT_EXPIRED") as here:
        set_totals(totals_of([REOPENED, CLOSED]))
        assert here.report().accepted == 2
        assert len(here.stored()) == 2


def test_14c_a_superuser_may_do_so_too(version: str, warehouse: Warehouse, set_totals: SetTotals) -> None:
    with expired(warehouse, version, "ALL") as here:
        set_totals(totals_of([CLOSED]))
        assert here.report().accepted == 1


def test_a_month_that_has_ended_here_and_not_yet_at_dhis2_waits_for_dhis2s_midnight(
    version: str, warehouse: Warehouse, set_totals: SetTotals
) -> None:
    """In the first hours of a month in Kampala it is still the last day of the old one for a DHIS2 that tells UTC."""
    clock = [datetime(2025, 9, 30, 23, 30, tzinfo=UTC)]
    with site(warehouse, version, clock=lambda: clock[0]) as here:
        set_totals(totals_of([REOPENED]))
        assert here.report().sent == 0
        assert here.states() == {REOPENED: ("withheld", "E8030")}
        clock[0] += timedelta(minutes=40)
        assert here.report("run-2").accepted == 1
        assert here.stored() == {("DeVisits001", REOPENED): "1"}
