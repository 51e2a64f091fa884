"""One request and what became of its values: what is a value's own fault, and what is the server's or the account's."""

import pytest
from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.errors import Dhis2UnavailableError
from opensrp_dhis2.outbox.reporter import Reporter
from opensrp_dhis2.warehouse.database import Warehouse
from tests.outbox.conftest import SetTotals
from tests.outbox.test_push import MONTHLY, NOW, SEPTEMBER, VERSIONS, Dhis2Site, metadata, site
from tests.outbox.test_read_back import FIRST, SECOND, ledger_rows, moved_out

OCTOBER = parse_period("202510")


def test_a_reporter_asks_nobody_anything_before_it_plans_or_delivers() -> None:
    nowhere = Warehouse("postgresql://nobody@127.0.0.1:9/none")
    with Dhis2Client("http://127.0.0.1:9") as client:
        reporter = Reporter(nowhere, client, "DS_M", MONTHLY, run_id="run-1", batch_size=100)
        assert reporter.target == "http://127.0.0.1:9"
    nowhere.close()


def pretend_all_inside(warehouse: Warehouse) -> None:
    """Let the lookup tables say that no unit was moved, as they do until the metadata are read again."""
    with warehouse.connect() as connection:
        connection.execute("update lookup.org_unit set path = '/OuCountry01/' || org_unit_id")


@pytest.mark.parametrize(
    "outage", [{"kind": "status", "status": 502}, {"kind": "hang_up_before"}, {"kind": "status", "status": 429}]
)
@pytest.mark.parametrize("version", VERSIONS)
def test_an_outage_is_no_attempt_of_a_value(
    warehouse: Warehouse, set_totals: SetTotals, version: str, outage: dict[str, object]
) -> None:
    """Else the first write that is lost afterwards would refuse it for good."""
    set_totals({FIRST: 5})
    with site(warehouse, version) as dhis2:
        dhis2.strike(*[outage] * 3)
        with pytest.raises(Dhis2UnavailableError):
            dhis2.report()
        dhis2.strike({"kind": "lost_write"})
        assert dhis2.report("run-2").accepted == 1
        assert dhis2.stored() == {("DeVisits001", "OuFacility1"): "5"}
        with warehouse.connect() as connection:
            assert connection.execute("select attempt from outbox.value").fetchall() == [(2,)]


def test_34b_one_unit_outside_the_hierarchy_is_refused_and_not_the_account(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    """2.43 says E8011 of a request with that unit alone; the rest goes on. The metadata are those from before."""
    made = moved_out(metadata(), "OuFacility1")
    with running(create_app(made, version="2.43", clock=lambda: NOW)) as url:
        dhis2 = Dhis2Site(url, warehouse)
        pretend_all_inside(warehouse)
        with dhis2.client, warehouse.connect() as connection:
            set_totals({FIRST: 5})
            connection.execute(
                "insert into lookup.period values ('Monthly', '202510', '2025-10-01', '2025-10-31');"
                " insert into indicator.value values ('visits', 'visits', 'Monthly', '202510', 'OuFacility2', '{}', 3)"
            )
            connection.commit()
            reporter = Reporter(warehouse, dhis2.client, "DS_M", MONTHLY, run_id="run-1", batch_size=100)
            for period in (SEPTEMBER, OCTOBER):
                reporter.plan(period)
            september, october = reporter.deliver(SEPTEMBER), reporter.deliver(OCTOBER)
    assert (september.refused, october.accepted) == (1, 1)
    assert ledger_rows(warehouse)[0] == ("OuFacility1", "5", None, "refused", "E8011")


@pytest.mark.parametrize("version", VERSIONS)
def test_units_that_are_all_refused_are_not_the_accounts_fault(
    warehouse: Warehouse, set_totals: SetTotals, version: str
) -> None:
    """One request or many of them: a place is refused, whoever comes first; the others go on."""
    set_totals({FIRST: 5, SECOND: 6, ("visits", "OuFacil0001"): 7, ("visits", "OuFacil0002"): 8})
    made = moved_out(metadata(), "OuFacil0001", "OuFacil0002")  # these sort first
    with running(create_app(made, version=version, clock=lambda: NOW)) as url:
        dhis2 = Dhis2Site(url, warehouse)
        pretend_all_inside(warehouse)
        with dhis2.client:
            reporter = Reporter(warehouse, dhis2.client, "DS_M", MONTHLY, run_id="run-1", batch_size=2)
            reporter.plan(SEPTEMBER)
            report = reporter.deliver(SEPTEMBER)
    assert (report.accepted, report.refused, report.request_count) == (2, 2, 2)
    assert {row[4] for row in ledger_rows(warehouse)} == {None, "E8011"}


def test_units_that_are_refused_after_others_were_taken_are_not_the_accounts_fault(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    """The first request takes what it may; the two that left are refused, each with its code."""
    made = moved_out(metadata(), "OuFacility1", "OuFacility2")
    set_totals({FIRST: 5, SECOND: 6, ("visits", "OuFacil0001"): 7, ("visits", "OuFacil0002"): 8})
    with running(create_app(made, version="2.43", clock=lambda: NOW)) as url:
        dhis2 = Dhis2Site(url, warehouse)
        pretend_all_inside(warehouse)
        with dhis2.client:
            reporter = Reporter(warehouse, dhis2.client, "DS_M", MONTHLY, run_id="run-1", batch_size=2)
            reporter.plan(SEPTEMBER)
            report = reporter.deliver(SEPTEMBER)
    assert (report.accepted, report.refused, report.request_count) == (2, 2, 2)
    assert {row[4] for row in ledger_rows(warehouse)} == {None, "E8011"}
