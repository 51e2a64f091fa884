"""Pushing to the sandbox DHIS2 over HTTP: what arrives, what is refused, and what a broken connection leaves behind."""

from pathlib import Path
from typing import Any

import pytest

from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2UnavailableError, ImportRejectedError
from opensrp_dhis2.outbox.lease import take_lease
from opensrp_dhis2.outbox.settle import settle_unfinished
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_metadata import FACILITIES, READ_ONLY, metadata
from tests.support.dhis2_site import AWAY, NIGHT, NOW, REPORTED, SEPTEMBER, Dhis2Site, site, totals_of
from tests.support.sql import execute, rows
from tests.support.surroundings import SetTotals


def test_every_value_arrives_and_a_second_run_sends_none(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals(totals_of(FACILITIES))
    first = dhis2.report()
    assert (first.sent, first.accepted, first.refused) == (300, 300, 0)
    assert dhis2.stored() == {("DeVisits001", unit): str(number) for number, unit in enumerate(FACILITIES, 1)}
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
    execute(dhis2.warehouse, "insert into lookup.data_set_org_unit values ('DsMonthly01', 'OuFacility3')")
    set_totals(totals_of([*FACILITIES[:150], "OuFacility3", *FACILITIES[150:]]))
    report = dhis2.report()
    assert (report.accepted, report.refused) == (300, 1)
    assert len(dhis2.stored()) == 300
    refused = rows(dhis2.warehouse, "select org_unit_id, code from outbox.value where state = 'refused'")
    assert refused == [("OuFacility3", "E8022")]


@pytest.mark.parametrize("kind", ["hang_up_before", "hang_up_after", "truncated"])
def test_a_broken_connection_loses_nothing_and_sends_nothing_twice(
    dhis2: Dhis2Site, set_totals: SetTotals, kind: str
) -> None:
    set_totals(totals_of(FACILITIES))
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
    set_totals(totals_of(FACILITIES))
    dhis2.strike(*[{"kind": "lost_write"}] * times)
    report = dhis2.report()
    assert (report.accepted, report.refused, len(dhis2.stored())) == (300, 0, 300)


def test_a_server_that_only_answers_reads_is_left_alone_after_three_requests(
    dhis2: Dhis2Site, set_totals: SetTotals
) -> None:
    set_totals(totals_of(FACILITIES))
    dhis2.strike(*[{"kind": "status", "status": 502}] * 3)
    with pytest.raises(Dhis2UnavailableError, match="several times in a row"):
        dhis2.report()
    assert dhis2.report("run-2").accepted == 300


def test_a_server_that_stores_nothing_refuses_no_value(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals(totals_of(FACILITIES))
    with site(warehouse, "2.43") as dhis2:
        dhis2.strike(*[{"kind": "lost_write"}] * 100)
        with pytest.raises(ImportRejectedError, match="for one cause"):
            dhis2.report()
    assert rows(warehouse, "select state, count(*) from outbox.value group by 1") == [("pending", 300)]
    assert rows(warehouse, "select count(*) < 50 from outbox.batch") == [(True,)]


def test_a_server_that_stays_away_leaves_the_batch_open_and_the_next_run_settles_it(
    dhis2: Dhis2Site, set_totals: SetTotals
) -> None:
    set_totals(totals_of(FACILITIES[:10]))
    reporter = dhis2.reporter("run-1")
    reporter.plan(SEPTEMBER)
    dhis2.strike({"kind": "hang_up_after"}, *AWAY)
    with pytest.raises(Dhis2UnavailableError):
        reporter.deliver(SEPTEMBER)
    assert rows(dhis2.warehouse, "select state, value_count from outbox.batch") == [("sending", 10)]
    report = dhis2.report("run-2")
    assert (report.sent, report.unchanged) == (0, 10)
    assert len(dhis2.stored()) == 10


def test_a_zero_that_old_servers_drop_is_no_refusal(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5, ("signed", "OuFacility1"): 0, ("visits", "OuFacility2"): 0})
    with site(warehouse, "2.41") as dhis2:
        reporter = dhis2.reporter("1", REPORTED)
        reporter.plan(SEPTEMBER)
        report = reporter.deliver(SEPTEMBER)
        again = reporter.plan(SEPTEMBER)
    assert (report.refused, report.accepted) == (0, report.sent)
    assert "pending" not in again


def test_without_write_access_the_values_stay_pending_and_it_is_said_once(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    set_totals(totals_of(FACILITIES[:10]))
    with site(warehouse, "2.43", metadata(sharing=READ_ONLY)) as dhis2:
        execute(warehouse, "update lookup.data_set set can_write = true")
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
    set_totals(totals_of(FACILITIES) | zeros)
    store = tmp_path / "dhis2.sqlite"
    with site(warehouse, "2.41", store=store) as old:
        first = old.report(policy=REPORTED)
        assert (first.refused, first.accepted) == (0, first.sent)
        assert ("DeVisits001", "OuFacility1") not in old.stored()
    set_totals({**totals_of(FACILITIES), **zeros, ("visits", FACILITIES[0]): 1000})
    with site(warehouse, "2.43", store=store, port=old.port) as new:
        second = new.report("run-2", policy=REPORTED)
        assert (second.sent, second.accepted) == (2, 2)
        assert new.stored()[("DeVisits001", "OuFacility1")] == "0"
        assert new.stored()[("DeVisits001", FACILITIES[0])] == "1000"
        assert new.report("run-3", policy=REPORTED).sent == 0


def test_outside_the_submission_hours_the_values_wait(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals(totals_of(FACILITIES[:5]))
    report = dhis2.report("1", hours=NIGHT, clock=lambda: NOW)
    assert (report.sent, report.waiting, dhis2.stored()) == (0, 5, {})
    assert dhis2.standings() == [("pending", "outside_submission_hours", 5)]
    assert dhis2.report("run-2").accepted == 5
    assert dhis2.standings() == [("delivered", None, 5)]


def test_an_import_that_dhis2_runs_as_a_job_is_waited_for(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals(totals_of([*FACILITIES[:150], "OuFacility1"]))
    report = dhis2.report("1", batch_size=1000, is_async=True)
    assert (report.accepted, len(dhis2.stored())) == (151, 151)
    assert rows(dhis2.warehouse, "select count(*), count(distinct job_id) from outbox.batch") == [(2, 2)]


def test_a_run_killed_while_a_job_runs_is_settled_by_asking_after_the_job(
    dhis2: Dhis2Site, set_totals: SetTotals
) -> None:
    set_totals(totals_of(FACILITIES[:50]))
    reporter = dhis2.reporter("1", batch_size=99, is_async=True)
    reporter.plan(SEPTEMBER)
    away = {"kind": "status", "status": 503, "method": "GET", "path": "/api/system/task"}
    dhis2.strike(*[away] * 4)
    with pytest.raises(Dhis2UnavailableError):
        reporter.deliver(SEPTEMBER)
    assert rows(dhis2.warehouse, "select state from outbox.batch") == [("sending",)]
    report = dhis2.report("run-2")
    assert (report.sent, report.unchanged, len(dhis2.stored())) == (0, 50, 50)


def age_of_batch(dhis2: Dhis2Site) -> float:
    query = "select extract(epoch from clock_timestamp() - max(created_at))::float8 from outbox.batch"
    [(age,)] = rows(dhis2.warehouse, query)
    return float(age)


@pytest.mark.parametrize("fault", [{"kind": "hang_up_after"}, {"kind": "status", "status": 504, "method": "POST"}])
def test_a_job_of_which_we_never_heard_is_given_time_before_dhis2_is_read_back(
    dhis2: Dhis2Site, set_totals: SetTotals, fault: dict[str, Any]
) -> None:
    set_totals(totals_of(FACILITIES[:5]))
    reporter = dhis2.reporter("1", batch_size=99, is_async=True)
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
