"""Which periods are due again: those whose totals are not what was planned, and those whose values wait, whatever for."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from opensrp_dhis2.audit.reconcile import reconcile_period
from opensrp_dhis2.errors import Dhis2UnavailableError
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.late import changed_periods, due_periods
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_site import AWAY, MONTHLY, NARROW, NIGHT, NOW, SEPTEMBER, Dhis2Site, expired, site
from tests.support.foreign import Foreign
from tests.support.sql import execute
from tests.support.surroundings import SetTotals

EARLY, TODAY = date(2024, 1, 1), NOW.date()


def changed(
    warehouse: Warehouse, target: str, policy: DataSet = MONTHLY, start_on: date = EARLY, today: date = TODAY
) -> list[tuple[str, int]]:
    with warehouse.connect() as connection:
        found = changed_periods(connection, target, "DS_M", policy, start_on=start_on, today=today)
    return [(one.period, one.value_count) for one in found]


def test_numbers_that_come_for_a_period_that_was_reported_empty_are_seen(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    set_totals({})
    with site(warehouse, "2.43") as dhis2:
        assert dhis2.report().sent == 0
        assert changed(warehouse, dhis2.url, NARROW) == []
        set_totals({("visits", "OuFacility1"): 5})
        assert changed(warehouse, dhis2.url, NARROW) == [("202509", 1)]  # once reported: beyond its open periods too
        assert dhis2.report("run-2").accepted == 1
        assert changed(warehouse, dhis2.url, NARROW) == []


@pytest.mark.parametrize(
    ("policy", "start_on", "today", "is_due"),
    [
        (MONTHLY, EARLY, TODAY, True),
        (NARROW, EARLY, TODAY, False),  # a fresh deployment does not send years of history by itself
        (MONTHLY, date(2025, 9, 1), TODAY, True),
        (MONTHLY, date(2025, 9, 2), TODAY, False),
        (NARROW, EARLY, date(2025, 9, 30), False),
        (NARROW, EARLY, date(2025, 10, 1), False),  # its last day may not be extracted yet
        (NARROW, EARLY, date(2025, 10, 2), True),
        (NARROW, EARLY, date(2025, 12, 31), True),
        (NARROW, EARLY, date(2026, 1, 1), False),
    ],
)
def test_a_period_that_was_never_reported_is_due_while_it_is_open(
    warehouse: Warehouse, set_totals: SetTotals, policy: DataSet, start_on: date, today: date, is_due: bool
) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    assert changed(warehouse, "http://dhis2", policy, start_on, today) == ([("202509", 1)] if is_due else [])


def test_before_the_first_totals_nothing_is_due(warehouse: Warehouse) -> None:
    assert changed(warehouse, "http://dhis2") == []


def due(
    warehouse: Warehouse, target: str, policy: DataSet = MONTHLY, today: date = TODAY
) -> list[tuple[str, int, str, bool]]:
    with warehouse.connect() as connection:
        found = due_periods(connection, target, "DS_M", policy, start_on=EARLY, today=today)
    return [(one.period.id, one.value_count, one.mark, one.is_beyond) for one in found]


def leave_in_an_outage(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 6})
    dhis2.strike(*[{"kind": "status", "status": 502}] * 3)
    with pytest.raises(Dhis2UnavailableError):
        dhis2.report("run-2")


def leave_without_an_answer(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 6})
    reporter = dhis2.reporter("run-2")
    reporter.plan(SEPTEMBER)
    dhis2.strike({"kind": "hang_up_after"}, *AWAY)
    with pytest.raises(Dhis2UnavailableError):
        reporter.deliver(SEPTEMBER)


def leave_outside_the_hours(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 6})
    assert dhis2.report("2", hours=NIGHT, clock=lambda: NOW).waiting == 1


def overwrite_what_another_wrote(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    foreign = Foreign(dhis2)
    foreign.put(("DeVisits001", "OuFacility1", "HllvX50cXC0"), "9", period="202509")
    foreign.done()
    reconcile_period(dhis2.warehouse, dhis2.client, "DS_M", "202509", external_edits="overwrite", run_id="reconcile")


def requeue_what_was_refused(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5, ("visits", "OuFacility3"): 5})
    # read before DHIS2 took the unit out of the data set
    execute(dhis2.warehouse, "insert into lookup.data_set_org_unit values ('DsMonthly01', 'OuFacility3')")
    assert dhis2.report("run-2").refused == 1
    assert due(dhis2.warehouse, dhis2.url) == []
    with dhis2.warehouse.connect() as connection:
        assert ledger.requeue(connection, dhis2.client.base_url, run_id="somebody") == (1, 0)


def mend_what_was_withheld(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5, ("visits", "OuFacility3"): 5})
    assert dhis2.report("run-2").withheld == 1
    assert due(dhis2.warehouse, dhis2.url) == []
    execute(dhis2.warehouse, "insert into lookup.data_set_org_unit values ('DsMonthly01', 'OuFacility3')")


@pytest.mark.parametrize(
    "leave",
    [leave_in_an_outage, leave_without_an_answer, leave_outside_the_hours, overwrite_what_another_wrote,
     requeue_what_was_refused, mend_what_was_withheld],
)  # fmt: skip
def test_values_that_wait_are_due_once_a_day(
    warehouse: Warehouse, set_totals: SetTotals, leave: Callable[[Dhis2Site, SetTotals], None]
) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    with site(warehouse, "2.43") as dhis2:
        dhis2.report()
        assert due(warehouse, dhis2.url) == []
        leave(dhis2, set_totals)
        today, tomorrow = due(warehouse, dhis2.url), due(warehouse, dhis2.url, today=TODAY + timedelta(1))
        assert today == due(warehouse, dhis2.url) == [("202509", 1, f"DS_M:202509:{TODAY}", False)]
        assert tomorrow[0][2] != today[0][2]
        if leave is not mend_what_was_withheld:
            assert due(warehouse, dhis2.url, NARROW) == [("202509", 1, f"DS_M:202509:{TODAY}", True)]
        if leave not in (requeue_what_was_refused, mend_what_was_withheld):  # those, DHIS2 refuses in earnest
            dhis2.report("run-3")
            assert due(warehouse, dhis2.url) == []


def test_a_withheld_value_is_due_as_far_as_the_open_periods_reach(warehouse: Warehouse, set_totals: SetTotals) -> None:
    with site(warehouse, "2.43") as dhis2:
        set_totals({("visits", "OuFacility1"): 5})
        dhis2.report(policy=NARROW)
        set_totals({("visits", "OuFacility1"): 6})
        dhis2.report("run-2", policy=NARROW)
        assert due(warehouse, dhis2.url, NARROW) == []
        assert [(period, count) for period, count, *_ in due(warehouse, dhis2.url)] == [("202509", 1)]


def test_a_period_that_dhis2_has_closed_is_asked_for_since_a_lock_exception_may_open_it(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    with expired(warehouse, "2.43") as dhis2:
        set_totals({("visits", "OuFacility1"): 5})
        assert dhis2.report().withheld == 1
        assert due(warehouse, dhis2.url) == [("202509", 1, f"DS_M:202509:{TODAY}", False)]
        assert due(warehouse, dhis2.url, NARROW) == []


def test_the_same_change_has_a_mark_of_its_own_each_time_and_each_day(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    marks = list[str]()
    with site(warehouse, "2.43") as dhis2:
        for number, value in enumerate((5, 6, 5, 6)):
            set_totals({("visits", "OuFacility1"): value})
            [(_, _, mark, _)] = due(warehouse, dhis2.url)
            assert due(warehouse, dhis2.url)[0][2] == mark
            [(_, _, after_a_failed_run, _)] = due(warehouse, dhis2.url, today=TODAY + timedelta(1))
            marks += [mark, after_a_failed_run]
            assert dhis2.report(f"run-{number}").accepted == 1
    assert len(set(marks)) == 8
