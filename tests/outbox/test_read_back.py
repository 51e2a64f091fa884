"""What is read back after a request without a verdict: what an answer proves, and what cannot be read at all."""

from pathlib import Path
from typing import Any

import pytest

from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2UnavailableError
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.lease import take_lease
from opensrp_dhis2.outbox.ledger import DataSetPeriod
from opensrp_dhis2.outbox.settle import settle_unfinished
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.between import between
from tests.support.dhis2_metadata import FACILITIES, metadata, moved_out
from tests.support.dhis2_site import AWAY, SEPTEMBER, Dhis2Site, ledger_rows, site, state, totals_of
from tests.support.sql import execute
from tests.support.surroundings import SetTotals


def test_a_note_of_a_proxy_is_not_taken_for_an_empty_slice(
    warehouse: Warehouse, set_totals: SetTotals, version: str
) -> None:
    """39h: an empty result has its list. A deletion that was never heard would be called done."""
    set_totals({("visits", "OuFacility1"): 5, ("visits", "OuFacility2"): 5})
    with between(warehouse, version) as (dhis2, proxy):
        proxy.handler = None
        dhis2.report()
        set_totals({("visits", "OuFacility2"): 5})
        dhis2.strike({"kind": "hang_up_before"})
        proxy.notes = {"/api/dataValueSets": b'{"message":"down for maintenance"}'}
        with pytest.raises(Dhis2UnavailableError, match="without dataValues"):
            dhis2.report("run-2")
        proxy.notes = {}
        dhis2.report("run-3")
        assert dhis2.stored() == {("DeVisits001", "OuFacility2"): "5"}
    assert ledger_rows(warehouse)[0] == ("OuFacility1", None, None, "withdrawn", None)


FIRST, SECOND = ("visits", "OuFacility1"), ("visits", "OuFacility2")


def leave_open(dhis2: Dhis2Site, fault: str) -> None:
    """Send a request that gets no verdict, from a server that stays away."""
    dhis2.strike({"kind": fault}, *AWAY)
    reporter = dhis2.reporter("run-open")
    reporter.plan(SEPTEMBER)
    with pytest.raises(Dhis2UnavailableError):
        reporter.deliver(SEPTEMBER)


def without_visits(made: dict[str, Any]) -> dict[str, Any]:
    (data_set,) = made["stages"][1]["dataSets"]
    elements = data_set["dataSetElements"]
    data_set["dataSetElements"] = [one for one in elements if one["dataElement"]["id"] != "DeVisits001"]
    return made


def without_unit(made: dict[str, Any], gone: str) -> dict[str, Any]:
    (data_set,) = made["stages"][1]["dataSets"]
    for holder in (made["stages"][0], data_set):
        holder["organisationUnits"] = [unit for unit in holder["organisationUnits"] if unit["id"] != gone]
    return made


@pytest.mark.parametrize("is_deletion", [True, False])
def test_what_left_the_data_set_is_not_taken_for_absent(
    warehouse: Warehouse, set_totals: SetTotals, version: str, is_deletion: bool, tmp_path: Path
) -> None:
    """39n: a read by data set does not show it, a read by data element does."""
    store, signed = tmp_path / "dhis2.sqlite", ("signed", "OuFacility1")
    set_totals({FIRST: 5, signed: 1})
    with site(warehouse, version, store=store) as before:
        if is_deletion:
            before.report()
            set_totals({signed: 1})
        leave_open(before, "hang_up_before" if is_deletion else "hang_up_after")
    set_totals({signed: 1})
    with site(warehouse, version, without_visits(metadata()), store=store, port=before.port) as dhis2:
        dhis2.report("run-2")
        there = state(dhis2.url)
    assert [row[5] for row in there if row[0] == "DeVisits001"] == ["5"]
    assert ledger_rows(warehouse)[1] == ("OuFacility1", None, "5", "withheld", "E8020")


@pytest.mark.parametrize(
    ("change", "codes"),
    [("a unit moved out", {"E8011"}), ("a unit deleted", {"E8107"}), ("the data set deleted", {"write_lost"})],
)
def test_a_place_that_cannot_be_read_any_more_holds_up_nothing_else(
    warehouse: Warehouse, set_totals: SetTotals, version: str, change: str, codes: set[str], tmp_path: Path
) -> None:
    """34g, 39j: a refused read of one unit stopped every later run for the server."""
    store, made = tmp_path / "dhis2.sqlite", metadata()
    set_totals({FIRST: 5})
    with site(warehouse, version, store=store) as before:
        leave_open(before, "hang_up_before")
    if change == "a unit moved out":
        moved_out(made, "OuFacility1")
    elif change == "a unit deleted":
        without_unit(made, "OuFacility1")
    else:
        made["stages"][1]["dataSets"][0]["id"] = "DsMonthly99"
    set_totals({FIRST: 5, SECOND: 6})
    with site(warehouse, version, made, store=store, port=before.port) as dhis2:
        execute(warehouse, "update lookup.target set data_set_id = (select data_set_id from lookup.data_set)")
        for run in ("run-2", "run-3"):
            dhis2.report(run)
    assert ledger_rows(warehouse)[0][4] in codes
    assert ledger_rows(warehouse)[-1] == ("OuFacility2", "6", "6", "delivered", None)


def test_of_many_units_only_those_that_are_refused_stay_unread(
    warehouse: Warehouse, set_totals: SetTotals, version: str, tmp_path: Path
) -> None:
    store, away = tmp_path / "dhis2.sqlite", {FACILITIES[3], FACILITIES[20]}
    set_totals(totals_of(FACILITIES[:30]))
    with site(warehouse, version, store=store) as before:
        leave_open(before, "hang_up_after")
    with site(warehouse, version, moved_out(metadata(), *away), store=store, port=before.port) as dhis2:
        info = dhis2.client.system_info()
        with take_lease(warehouse, dhis2.client.base_url, "run-2") as lease:
            assert settle_unfinished(lease, dhis2.client, info.version, "run-2") == 1
    rows = ledger_rows(warehouse)
    assert {row[0] for row in rows if row[3:] == ("pending", "E2012")} == away
    assert sum(row[3] == "delivered" and row[1] == row[2] for row in rows) == 28


def test_an_account_that_may_read_nothing_stops_the_run_and_the_request_stays_open(
    warehouse: Warehouse, set_totals: SetTotals, version: str, tmp_path: Path
) -> None:
    store, made = tmp_path / "dhis2.sqlite", metadata()
    set_totals({FIRST: 5})
    with site(warehouse, version, store=store) as before:
        leave_open(before, "hang_up_before")
    made["stages"][1]["users"][0] |= {"organisationUnits": [], "dataViewOrganisationUnits": []}
    with (
        site(warehouse, version, made, store=store, port=before.port) as dhis2,
        pytest.raises(Dhis2AuthenticationError, match="dataValueSets"),
    ):
        dhis2.report("run-2")
    assert ledger_rows(warehouse)[0][3] == "sending"


def test_a_job_that_is_called_running_for_more_than_a_day_is_read_back(
    warehouse: Warehouse, set_totals: SetTotals, version: str
) -> None:
    """Its thread has died with its server: waited for, it would hold up every later run."""
    set_totals({FIRST: 5})
    with between(warehouse, version) as (dhis2, proxy):
        proxy.handler = None
        proxy.notes = {
            "/api/system/taskSummaries": b"",
            "/api/system/tasks": b'[{"uid":"x","level":"INFO","completed":false,"message":"Process started"}]',
        }
        with warehouse.connect() as connection:
            reporter = dhis2.reporter("run-1")
            reporter.plan(SEPTEMBER)
            of = DataSetPeriod(dhis2.client.base_url, "DsMonthly01", "202509")
            batch = ledger.cut_batch(connection, of, 1, "run-1")
            assert batch
            ledger.keep_job(connection, batch, "JobOfBefore")
            connection.execute("update outbox.batch set created_at = now() - interval '25 hours'")
        assert dhis2.report("run-2").accepted == 1
    assert ledger_rows(warehouse) == [("OuFacility1", "5", "5", "delivered", None)]
