"""Pushing to the sandbox DHIS2 over HTTP: what arrives, what is refused, and what a broken connection leaves behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.dhis2.auth import make_auth, read_auth
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.metadata import read_metadata
from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2UnavailableError, ImportRejectedError
from opensrp_dhis2.lookup.metadata import replace_metadata
from opensrp_dhis2.outbox.lease import take_lease
from opensrp_dhis2.outbox.reporter import Report, Reporter
from opensrp_dhis2.outbox.settle import settle_unfinished
from opensrp_dhis2.outbox.submission_hours import SubmissionHours
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse
from tests.outbox.conftest import SetTotals

SEPTEMBER = parse_period("202509")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NIGHT = SubmissionHours(20, 6, UTC)  # over at NOW
VERSIONS = ["2.41", "2.43"]
MONTHLY = DataSet(period_type="Monthly", open_periods=36)
UNITS = [f"OuFacil{number:04d}" for number in range(1, 301)]
KNOWN = [*UNITS, "OuFacility1", "OuFacility2", "OuFacility3"]


def metadata(writable: bool = True) -> dict[str, Any]:
    """DHIS2 as the ledger's surroundings know it, with 300 facilities more."""
    sharing = {"public": "rwrw----" if writable else "rwr-----", "userGroups": {}, "users": {}}
    elements = [("DeVisits001", "INTEGER_ZERO_OR_POSITIVE", False), ("DeSigned001", "INTEGER", True)]
    units = [named("OuCountry01"), *(named(unit, parent={"id": "OuCountry01"}) for unit in KNOWN)]
    root = [{"id": "OuCountry01"}]
    return {
        "stages": [
            {"organisationUnits": [{**unit, "openingDate": "2015-01-01"} for unit in units]},
            {
                "dataElements": [
                    named(
                        uid, valueType=value_type, domainType="AGGREGATE", aggregationType="SUM", sharing=sharing,
                        zeroIsSignificant=is_significant, categoryCombo={"id": "__DEFAULT_CC__"},
                    )
                    for uid, value_type, is_significant in elements
                ],
                "userRoles": [{"id": "UrPusher001", "name": "Pusher", "authorities": ["F_DATAVALUE_ADD"]}],
                "users": [
                    {
                        "id": "UsPusher001", "username": "pusher", "password": "secret",
                        "userRoles": [{"id": "UrPusher001"}], "organisationUnits": root,
                        "dataViewOrganisationUnits": root,
                    }
                ],
                "dataSets": [
                    named(
                        "DsMonthly01", code="DS_M", periodType="Monthly", openFuturePeriods=0, expiryDays=0,
                        categoryCombo={"id": "__DEFAULT_CC__"}, sharing=sharing,
                        dataSetElements=[{"dataElement": {"id": uid}} for uid, *_ in elements],
                        organisationUnits=[{"id": unit} for unit in KNOWN if unit != "OuFacility3"],
                    )
                ],
            },
        ]
    }  # fmt: skip


def named(uid: str, **members: Any) -> dict[str, Any]:
    return {"id": uid, "name": uid, "shortName": uid, "code": uid, **members}


class Dhis2Site:
    """A sandbox DHIS2, our client for it, and the warehouse that reports to it."""

    def __init__(self, url: str, warehouse: Warehouse) -> None:
        self.url, self.warehouse = url, warehouse
        self.client = Dhis2Client(
            url,
            auth=make_auth(read_auth("basic", {"username": "pusher", "password": "secret"}), url),
            request_seconds=0,
        )
        with warehouse.connect() as connection:
            replace_metadata(connection, read_metadata(self.client, ["DS_M"]), self.client.base_url)

    def reporter(self, run_id: str, policy: DataSet = MONTHLY) -> Reporter:
        return Reporter(self.warehouse, self.client, "DS_M", policy, run_id=run_id, batch_size=100)

    def report(self, run_id: str = "run-1", policy: DataSet = MONTHLY) -> Report:
        reporter = self.reporter(run_id, policy)
        reporter.plan(SEPTEMBER)
        return reporter.deliver(SEPTEMBER)

    def stored(self) -> dict[tuple[str, str], str]:
        values = self.client.read_data_values("DsMonthly01", "202509", KNOWN)
        return {(v.data_element, v.org_unit): v.value or "" for v in values}

    def strike(self, *faults: dict[str, Any]) -> None:
        httpx.post(f"{self.url}/sandbox/faults", json=list(faults), auth=("admin", "district")).raise_for_status()


@contextmanager
def site(
    warehouse: Warehouse, version: str, store: Path | None = None, *, port: int = 0, **options: bool
) -> Iterator[Dhis2Site]:
    app = create_app(metadata(**options), version=version, clock=lambda: NOW, store_path=store)
    with running(app, port) as url:
        opened = Dhis2Site(url, warehouse)
        with opened.client:
            yield opened


@pytest.fixture(params=VERSIONS)
def dhis2(request: pytest.FixtureRequest, warehouse: Warehouse, set_totals: SetTotals) -> Iterator[Dhis2Site]:
    with site(warehouse, request.param) as opened:
        yield opened


def standings(here: Dhis2Site) -> list[tuple[str, str | None, int]]:
    with here.warehouse.connect() as connection:
        return connection.execute(
            "select state, code, count(*) from outbox.value group by 1, 2 order by 1, 2"
        ).fetchall()


def totals_of(units: list[str]) -> dict[tuple[str, str], int]:
    return {("visits", unit): number for number, unit in enumerate(units, 1)}


def test_every_value_arrives_and_a_second_run_sends_none(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals(totals_of(UNITS))
    first = dhis2.report()
    assert (first.sent, first.accepted, first.refused) == (300, 300, 0)
    assert dhis2.stored() == {("DeVisits001", unit): str(number) for number, unit in enumerate(UNITS, 1)}
    second = dhis2.report("run-2")
    assert (second.sent, second.unchanged, second.request_count) == (0, 300, 0)


def test_a_vanished_value_is_gone_from_dhis2(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals(totals_of(["OuFacility1", "OuFacility2"]))
    dhis2.report()
    set_totals(totals_of(["OuFacility1"]))
    report = dhis2.report("run-2")
    assert (report.sent, report.accepted) == (1, 1)
    assert dhis2.stored() == {("DeVisits001", "OuFacility1"): "1"}


def test_one_unit_that_dhis2_refuses_costs_one_value(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    """Metadata read before DHIS2 took a unit out of the data set: the check passes, the server refuses."""
    with dhis2.warehouse.connect() as connection:
        connection.execute("insert into lookup.data_set_org_unit values ('DsMonthly01', 'OuFacility3')")
    set_totals(totals_of([*UNITS[:150], "OuFacility3", *UNITS[150:]]))
    report = dhis2.report()
    assert (report.accepted, report.refused) == (300, 1)
    assert len(dhis2.stored()) == 300
    with dhis2.warehouse.connect() as connection:
        refused = connection.execute("select org_unit_id, code from outbox.value where state = 'refused'").fetchall()
    assert [unit for unit, _ in refused] == ["OuFacility3"]
    assert refused[0][1] in {"E8022"}


@pytest.mark.parametrize("kind", ["hang_up_before", "hang_up_after", "truncated"])
def test_a_broken_connection_loses_nothing_and_sends_nothing_twice(
    dhis2: Dhis2Site, set_totals: SetTotals, kind: str
) -> None:
    set_totals(totals_of(UNITS))
    dhis2.strike({"kind": kind})
    report = dhis2.report()
    assert len(dhis2.stored()) == 300
    assert (report.sent, report.accepted) == (300, 300)
    assert (report.request_count > 3) == (kind == "hang_up_before")


@pytest.mark.parametrize("times", [1, 3])
def test_a_write_that_dhis2_loses_in_silence_is_found_and_repaired(
    dhis2: Dhis2Site, set_totals: SetTotals, times: int
) -> None:
    """Recorded as 38-concurrent and 49n-nul-last-of-2689: SUCCESS with nothing stored, ERROR with a part stored."""
    set_totals(totals_of(UNITS))
    dhis2.strike(*[{"kind": "lost_write"}] * times)
    report = dhis2.report()
    assert (report.accepted, report.refused, len(dhis2.stored())) == (300, 0, 300)


def test_a_server_that_only_answers_reads_is_left_alone_after_three_requests(
    dhis2: Dhis2Site, set_totals: SetTotals
) -> None:
    set_totals(totals_of(UNITS))
    dhis2.strike(*[{"kind": "status", "status": 502}] * 3)
    with pytest.raises(Dhis2UnavailableError, match="several times in a row"):
        dhis2.report()
    assert dhis2.report("run-2").accepted == 300


def test_a_server_that_stores_nothing_refuses_no_value(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals(totals_of(UNITS))
    with site(warehouse, "2.43") as dhis2:
        dhis2.strike(*[{"kind": "lost_write"}] * 100)
        with pytest.raises(ImportRejectedError, match="for one cause"):
            dhis2.report()
        with warehouse.connect() as connection:
            states = connection.execute("select state, count(*) from outbox.value group by 1").fetchall()
            requests = connection.execute("select count(*) from outbox.batch").fetchall()
    assert states == [("pending", 300)]
    assert requests[0][0] < 50


def test_a_server_that_stays_away_leaves_the_batch_open_and_the_next_run_settles_it(
    dhis2: Dhis2Site, set_totals: SetTotals
) -> None:
    set_totals(totals_of(UNITS[:10]))
    reporter = dhis2.reporter("run-1")
    reporter.plan(SEPTEMBER)
    away = [{"kind": "status", "status": 503, "method": "GET"}] * 4
    dhis2.strike({"kind": "hang_up_after"}, *away)
    with pytest.raises(Dhis2UnavailableError):
        reporter.deliver(SEPTEMBER)
    with dhis2.warehouse.connect() as connection:
        assert connection.execute("select state, value_count from outbox.batch").fetchall() == [("sending", 10)]
    report = dhis2.report("run-2")
    assert (report.sent, report.unchanged) == (0, 10)
    assert len(dhis2.stored()) == 10


def test_a_zero_that_old_servers_drop_is_no_refusal(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5, ("signed", "OuFacility1"): 0, ("visits", "OuFacility2"): 0})
    with site(warehouse, "2.41") as dhis2:
        reporter = Reporter(
            warehouse,
            dhis2.client,
            "DS_M",
            DataSet(period_type="Monthly", zeros="reported", open_periods=36),
            run_id="1",
            batch_size=100,
        )
        reporter.plan(SEPTEMBER)
        report = reporter.deliver(SEPTEMBER)
        again = reporter.plan(SEPTEMBER)
    assert (report.refused, report.accepted) == (0, report.sent)
    assert "pending" not in again


def test_without_write_access_the_values_stay_pending_and_it_is_said_once(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    set_totals(totals_of(UNITS[:10]))
    with site(warehouse, "2.43", writable=False) as dhis2:
        with warehouse.connect() as connection:
            connection.execute("update lookup.data_set set can_write = true")
        reporter = dhis2.reporter("run-1")
        reporter.plan(SEPTEMBER)
        with pytest.raises(Dhis2AuthenticationError, match="E8010"):
            reporter.deliver(SEPTEMBER)
        assert reporter.plan(SEPTEMBER) == {"pending": 10}


def test_the_ledger_stays_true_when_the_server_moves_to_2_43(
    warehouse: Warehouse, set_totals: SetTotals, tmp_path: Path
) -> None:
    """No setting is changed; what changed meanwhile goes, and so do the zeros that the old server would not keep."""
    zeros = {("visits", "OuFacility1"): 0, ("signed", "OuFacility1"): 7}
    set_totals(totals_of(UNITS) | zeros)
    reported = DataSet(period_type="Monthly", zeros="reported", open_periods=36)
    with site(warehouse, "2.41", tmp_path / "dhis2.sqlite") as old:
        first = old.report(policy=reported)
        assert (first.refused, first.accepted) == (0, first.sent)
        assert ("DeVisits001", "OuFacility1") not in old.stored()
        port = int(old.url.rsplit(":", 1)[1])
    set_totals({**totals_of(UNITS), **zeros, ("visits", UNITS[0]): 1000})
    with site(warehouse, "2.43", tmp_path / "dhis2.sqlite", port=port) as new:
        second = new.report("run-2", policy=reported)
        assert (second.sent, second.accepted) == (2, 2)
        assert new.stored()[("DeVisits001", "OuFacility1")] == "0"
        assert new.stored()[("DeVisits001", UNITS[0])] == "1000"
        assert new.report("run-3", policy=reported).sent == 0


def test_outside_the_submission_hours_the_values_wait(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals(totals_of(UNITS[:5]))
    by_night = Reporter(
        dhis2.warehouse, dhis2.client, "DS_M", MONTHLY, run_id="1", batch_size=100, hours=NIGHT, clock=lambda: NOW
    )
    by_night.plan(SEPTEMBER)
    report = by_night.deliver(SEPTEMBER)
    assert (report.sent, report.waiting, dhis2.stored()) == (0, 5, {})
    assert standings(dhis2) == [("pending", "outside_submission_hours", 5)]
    assert dhis2.report("run-2").accepted == 5
    assert standings(dhis2) == [("delivered", None, 5)]


def test_an_import_that_dhis2_runs_as_a_job_is_waited_for(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals(totals_of([*UNITS[:150], "OuFacility1"]))
    reporter = Reporter(dhis2.warehouse, dhis2.client, "DS_M", MONTHLY, run_id="1", batch_size=1000, is_async=True)
    reporter.plan(SEPTEMBER)
    report = reporter.deliver(SEPTEMBER)
    assert (report.accepted, len(dhis2.stored())) == (151, 151)
    with dhis2.warehouse.connect() as connection:
        jobs = connection.execute("select count(*), count(distinct job_id) from outbox.batch").fetchone()
    assert jobs == (2, 2)


def test_a_run_killed_while_a_job_runs_is_settled_by_asking_after_the_job(
    dhis2: Dhis2Site, set_totals: SetTotals
) -> None:
    set_totals(totals_of(UNITS[:50]))
    reporter = Reporter(dhis2.warehouse, dhis2.client, "DS_M", MONTHLY, run_id="1", batch_size=99, is_async=True)
    reporter.plan(SEPTEMBER)
    away = {"kind": "status", "status": 503, "method": "GET", "path": "/api/system/task"}
    dhis2.strike(*[away] * 4)
    with pytest.raises(Dhis2UnavailableError):
        reporter.deliver(SEPTEMBER)
    with dhis2.warehouse.connect() as connection:
        assert connection.execute("select state from outbox.batch").fetchall() == [("sending",)]
    report = dhis2.report("run-2")
    assert (report.sent, report.unchanged, len(dhis2.stored())) == (0, 50, 50)


def age_of_batch(dhis2: Dhis2Site) -> float:
    with dhis2.warehouse.connect() as connection:
        query = "select extract(epoch from clock_timestamp() - max(created_at))::float8 from outbox.batch"
        [(age,)] = connection.execute(query).fetchall()
    return float(age)


@pytest.mark.parametrize("fault", [{"kind": "hang_up_after"}, {"kind": "status", "status": 504, "method": "POST"}])
def test_a_job_of_which_we_never_heard_is_given_time_before_dhis2_is_read_back(
    dhis2: Dhis2Site, set_totals: SetTotals, fault: dict[str, Any]
) -> None:
    set_totals(totals_of(UNITS[:5]))
    reporter = Reporter(dhis2.warehouse, dhis2.client, "DS_M", MONTHLY, run_id="1", batch_size=99, is_async=True)
    reporter.plan(SEPTEMBER)
    dhis2.strike({**fault, "path": "/api/dataValueSets"})
    with pytest.raises(Dhis2UnavailableError):
        reporter.deliver(SEPTEMBER)
    waited: list[float] = []
    before = age_of_batch(dhis2)
    target, version = dhis2.client.base_url, dhis2.client.system_info().version
    with take_lease(dhis2.warehouse, target, "2") as lease:
        assert settle_unfinished(lease, dhis2.client, version, "2", pause=waited.append) == 1
    assert before <= 600 - waited[0] <= age_of_batch(dhis2)  # ten minutes, less its age
    assert (dhis2.report("run-2").accepted, len(dhis2.stored())) == (5, 5)  # the sandbox runs a job when asked after it
