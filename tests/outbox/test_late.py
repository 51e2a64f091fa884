"""Which periods are due again, told from the totals beside the ledger: those reported empty, and those never reported."""

from datetime import date

import pytest

from opensrp_dhis2.outbox.late import changed_periods
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse
from tests.outbox.conftest import SetTotals
from tests.outbox.test_push import MONTHLY, NOW, site

EARLY, TODAY = date(2024, 1, 1), NOW.date()
NARROW = DataSet(period_type="Monthly", open_periods=3)


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
