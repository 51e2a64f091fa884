"""One request and what became of its values: what is a value's own fault, and what is the server's or the account's."""

import pytest

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.errors import Dhis2UnavailableError
from opensrp_dhis2.outbox.reporter import Reporter
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_metadata import metadata, moved_out
from tests.support.dhis2_site import MONTHLY, SEPTEMBER, Dhis2Site, ledger_rows, site
from tests.support.sql import execute, rows
from tests.support.surroundings import SetTotals

OCTOBER = parse_period("202510")
FIRST, SECOND = ("visits", "OuFacility1"), ("visits", "OuFacility2")


def test_a_reporter_asks_nobody_anything_before_it_plans_or_delivers() -> None:
    nowhere = Warehouse("postgresql://nobody@127.0.0.1:9/none")
    with Dhis2Client("http://127.0.0.1:9") as client:
        reporter = Reporter(nowhere, client, "DS_M", MONTHLY, run_id="run-1", batch_size=100)
        assert reporter.target == "http://127.0.0.1:9"
    nowhere.close()


def pretend_all_inside(warehouse: Warehouse) -> None:
    """Let the lookup tables say that no unit was moved, as they do until the metadata are read again."""
    execute(warehouse, "update lookup.org_unit set path = '/OuCountry01/' || org_unit_id")


@pytest.mark.parametrize(
    "outage", [{"kind": "status", "status": 502}, {"kind": "hang_up_before"}, {"kind": "status", "status": 429}]
)
def test_an_outage_is_no_attempt_of_a_value(
    dhis2: Dhis2Site, warehouse: Warehouse, set_totals: SetTotals, outage: dict[str, object]
) -> None:
    """Else the first write that is lost afterwards would refuse it for good."""
    set_totals({FIRST: 5})
    dhis2.strike(*[outage] * 3)
    with pytest.raises(Dhis2UnavailableError):
        dhis2.report()
    dhis2.strike({"kind": "lost_write"})
    assert dhis2.report("run-2").accepted == 1
    assert dhis2.stored() == {("DeVisits001", "OuFacility1"): "5"}
    assert rows(warehouse, "select attempt from outbox.value") == [(2,)]


def test_34b_one_unit_outside_the_hierarchy_is_refused_and_not_the_account(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    """2.43 says E8011 of a request with that unit alone; the rest goes on. The metadata are those from before."""
    with site(warehouse, "2.43", moved_out(metadata(), "OuFacility1")) as dhis2:
        pretend_all_inside(warehouse)
        set_totals({FIRST: 5})
        execute(
            warehouse,
            "insert into lookup.period values ('Monthly', '202510', '2025-10-01', '2025-10-31');"
            " insert into indicator.value values ('visits', 'visits', 'Monthly', '202510', 'OuFacility2', '{}', 3)",
        )
        reporter = dhis2.reporter("run-1")
        for period in (SEPTEMBER, OCTOBER):
            reporter.plan(period)
        september, october = reporter.deliver(SEPTEMBER), reporter.deliver(OCTOBER)
    assert (september.refused, october.accepted) == (1, 1)
    assert ledger_rows(warehouse)[0] == ("OuFacility1", "5", None, "refused", "E8011")


@pytest.mark.parametrize(
    "moved",
    [
        ("OuFacil0001", "OuFacil0002"),  # these sort first: a place is refused, whoever comes first; the others go on
        ("OuFacility1", "OuFacility2"),  # the first request takes what it may; the two that left are refused
    ],
    ids=["first", "last"],
)
def test_units_that_are_all_refused_are_not_the_accounts_fault(
    warehouse: Warehouse, set_totals: SetTotals, version: str, moved: tuple[str, str]
) -> None:
    set_totals({FIRST: 5, SECOND: 6, ("visits", "OuFacil0001"): 7, ("visits", "OuFacil0002"): 8})
    with site(warehouse, version, moved_out(metadata(), *moved)) as dhis2:
        pretend_all_inside(warehouse)
        report = dhis2.report(batch_size=2)
    assert (report.accepted, report.refused, report.request_count) == (2, 2, 2)
    assert {row[4] for row in ledger_rows(warehouse)} == {None, "E8011"}
