"""What is read back after a request without a verdict: what an answer proves, and what cannot be read at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running
from starlette.types import ASGIApp, Receive, Scope, Send

from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2UnavailableError
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.lease import take_lease
from opensrp_dhis2.outbox.ledger import DataSetPeriod
from opensrp_dhis2.outbox.settle import settle_unfinished
from opensrp_dhis2.warehouse.database import Warehouse
from tests.outbox.conftest import SetTotals
from tests.outbox.test_push import NOW, SEPTEMBER, UNITS, VERSIONS, Dhis2Site, metadata, named, site, totals_of

Row = tuple[str, str | None, str | None, str, str | None]


def ledger_rows(warehouse: Warehouse) -> list[Row]:
    """Unit, wanted, acknowledged, state and code of every value."""
    with warehouse.connect() as connection:
        return connection.execute(
            "select org_unit_id, wanted, acknowledged, state, code from outbox.value order by data_element_id, 1"
        ).fetchall()


class Proxy:
    """In front of the server: answers a note of its own to GETs of some paths, once it is told to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.notes: dict[str, bytes] = {}  # beginning of a path -> the note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        noted = [note for path, note in self.notes.items() if scope.get("path", "").startswith(path)]
        if not noted or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": noted[0]})


@contextmanager
def behind_a_proxy(warehouse: Warehouse, version: str, made: dict[str, Any]) -> Iterator[tuple[Dhis2Site, Proxy]]:
    proxy = Proxy(create_app(made, version=version, clock=lambda: NOW))
    with running(proxy) as url:
        site = Dhis2Site(url, warehouse)
        with site.client:
            yield site, proxy


@pytest.mark.parametrize("version", VERSIONS)
def test_a_note_of_a_proxy_is_not_taken_for_an_empty_slice(
    warehouse: Warehouse, set_totals: SetTotals, version: str
) -> None:
    """39h: an empty result has its list. A deletion that was never heard would be called done."""
    set_totals({("visits", "OuFacility1"): 5, ("visits", "OuFacility2"): 5})
    with behind_a_proxy(warehouse, version, metadata()) as (dhis2, proxy):
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


AWAY = [{"kind": "status", "status": 503, "method": "GET"}] * 4
FIRST, SECOND = ("visits", "OuFacility1"), ("visits", "OuFacility2")


def left_open(dhis2: Dhis2Site, fault: str) -> int:
    """Send a request that gets no verdict, from a server that stays away; give the port of the server."""
    dhis2.strike({"kind": fault}, *AWAY)
    reporter = dhis2.reporter("run-open")
    reporter.plan(SEPTEMBER)
    with pytest.raises(Dhis2UnavailableError):
        reporter.deliver(SEPTEMBER)
    return int(dhis2.url.rsplit(":", 1)[1])


@contextmanager
def changed(warehouse: Warehouse, version: str, store: Path, port: int, made: dict[str, Any]) -> Iterator[Dhis2Site]:
    """The same server with its values, and other metadata, which the extract has read."""
    with running(create_app(made, version=version, clock=lambda: NOW, store_path=store), port) as url:
        dhis2 = Dhis2Site(url, warehouse)
        with dhis2.client:
            yield dhis2


def without_visits(made: dict[str, Any]) -> dict[str, Any]:
    (data_set,) = made["stages"][1]["dataSets"]
    elements = data_set["dataSetElements"]
    data_set["dataSetElements"] = [one for one in elements if one["dataElement"]["id"] != "DeVisits001"]
    return made


def moved_out(made: dict[str, Any], *units: str) -> dict[str, Any]:
    """Move units out of the account's part of the hierarchy."""
    known = made["stages"][0]["organisationUnits"]
    known.insert(0, named("OuElsewhere", openingDate="2015-01-01"))
    for unit in known:
        if unit["id"] in units:
            unit["parent"] = {"id": "OuElsewhere"}
    return made


def without_unit(made: dict[str, Any], gone: str) -> dict[str, Any]:
    (data_set,) = made["stages"][1]["dataSets"]
    for holder in (made["stages"][0], data_set):
        holder["organisationUnits"] = [unit for unit in holder["organisationUnits"] if unit["id"] != gone]
    return made


@pytest.mark.parametrize("is_deletion", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
def test_what_left_the_data_set_is_not_taken_for_absent(
    warehouse: Warehouse, set_totals: SetTotals, version: str, is_deletion: bool, tmp_path: Path
) -> None:
    """39n: a read by data set does not show it, a read by data element does."""
    store, signed = tmp_path / "dhis2.sqlite", ("signed", "OuFacility1")
    set_totals({FIRST: 5, signed: 1})
    with site(warehouse, version, store) as dhis2:
        if is_deletion:
            dhis2.report()
            set_totals({signed: 1})
        port = left_open(dhis2, "hang_up_before" if is_deletion else "hang_up_after")
    set_totals({signed: 1})
    with changed(warehouse, version, store, port, without_visits(metadata())) as dhis2:
        dhis2.report("run-2")
        there = httpx.get(f"{dhis2.url}/sandbox/state", auth=("admin", "district")).json()
    assert [row[5] for row in there if row[0] == "DeVisits001"] == ["5"]
    assert ledger_rows(warehouse)[1] == ("OuFacility1", None, "5", "withheld", "E8020")


@pytest.mark.parametrize(
    ("change", "codes"),
    [("a unit moved out", {"E8011"}), ("a unit deleted", {"E8107"}), ("the data set deleted", {"write_lost"})],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_place_that_cannot_be_read_any_more_holds_up_nothing_else(
    warehouse: Warehouse, set_totals: SetTotals, version: str, change: str, codes: set[str], tmp_path: Path
) -> None:
    """34g, 39j: a refused read of one unit stopped every later run for the server."""
    store, made = tmp_path / "dhis2.sqlite", metadata()
    set_totals({FIRST: 5})
    with site(warehouse, version, store) as dhis2:
        port = left_open(dhis2, "hang_up_before")
    if change == "a unit moved out":
        moved_out(made, "OuFacility1")
    elif change == "a unit deleted":
        without_unit(made, "OuFacility1")
    else:
        made["stages"][1]["dataSets"][0]["id"] = "DsMonthly99"
    set_totals({FIRST: 5, SECOND: 6})
    with changed(warehouse, version, store, port, made) as dhis2:
        with warehouse.connect() as connection:
            connection.execute("update lookup.target set data_set_id = (select data_set_id from lookup.data_set)")
        for run in ("run-2", "run-3"):
            dhis2.report(run)
    assert ledger_rows(warehouse)[0][4] in codes
    assert ledger_rows(warehouse)[-1] == ("OuFacility2", "6", "6", "delivered", None)


@pytest.mark.parametrize("version", VERSIONS)
def test_of_many_units_only_those_that_are_refused_stay_unread(
    warehouse: Warehouse, set_totals: SetTotals, version: str, tmp_path: Path
) -> None:
    store, away = tmp_path / "dhis2.sqlite", {UNITS[3], UNITS[20]}
    set_totals(totals_of(UNITS[:30]))
    with site(warehouse, version, store) as dhis2:
        port = left_open(dhis2, "hang_up_after")
    with changed(warehouse, version, store, port, moved_out(metadata(), *away)) as dhis2:
        info = dhis2.client.system_info()
        with take_lease(warehouse, dhis2.client.base_url, "run-2") as lease:
            assert settle_unfinished(lease, dhis2.client, info.version, "run-2") == 1
    rows = ledger_rows(warehouse)
    assert {row[0] for row in rows if row[3:] == ("pending", "E2012")} == away
    assert sum(row[3] == "delivered" and row[1] == row[2] for row in rows) == 28


@pytest.mark.parametrize("version", VERSIONS)
def test_an_account_that_may_read_nothing_stops_the_run_and_the_request_stays_open(
    warehouse: Warehouse, set_totals: SetTotals, version: str, tmp_path: Path
) -> None:
    store, made = tmp_path / "dhis2.sqlite", metadata()
    set_totals({FIRST: 5})
    with site(warehouse, version, store) as dhis2:
        port = left_open(dhis2, "hang_up_before")
    made["stages"][1]["users"][0] |= {"organisationUnits": [], "dataViewOrganisationUnits": []}
    with (
        changed(warehouse, version, store, port, made) as dhis2,
        pytest.raises(Dhis2AuthenticationError, match="dataValueSets"),
    ):
        dhis2.report("run-2")
    assert ledger_rows(warehouse)[0][3] == "sending"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_job_that_is_called_running_for_more_than_a_day_is_read_back(
    warehouse: Warehouse, set_totals: SetTotals, version: str
) -> None:
    """Its thread has died with its server: waited for, it would hold up every later run."""
    set_totals({FIRST: 5})
    with behind_a_proxy(warehouse, version, metadata()) as (dhis2, proxy):
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
