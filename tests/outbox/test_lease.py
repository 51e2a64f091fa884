"""A lost lock never means a second writer: the run that lost it stops, and the next one waits for what it left behind."""

import pytest

from opensrp_dhis2.errors import LeaseLostError
from opensrp_dhis2.outbox.lease import take_lease
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.lost_lock import Moment, end_locks, play_and_judge
from tests.support.surroundings import SetTotals


@pytest.mark.parametrize("is_changed", [True, False], ids=["changed", "unchanged"])
@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_a_lost_lock_leaves_no_wrong_value_and_sends_none_twice(
    warehouse: Warehouse, set_totals: SetTotals, version: str, moment: Moment, is_changed: bool
) -> None:
    play_and_judge(warehouse, set_totals, version, moment, is_changed)


def test_who_held_an_older_lease_can_neither_cut_nor_settle_nor_send(warehouse: Warehouse) -> None:
    with take_lease(warehouse, "https://dhis2.example.org", "run-1") as first:
        first.check()
        end_locks(warehouse)
        with take_lease(warehouse, "https://dhis2.example.org", "run-2") as second:
            assert second.fence == first.fence + 1
            with pytest.raises(LeaseLostError, match="Another run has taken over"), first.connect():
                pass
            with pytest.raises(LeaseLostError, match="has ended; nothing more is sent"):
                first.check()
            second.check()


def test_a_lock_whose_session_ended_is_let_go_without_an_error(warehouse: Warehouse) -> None:
    with take_lease(warehouse, "https://dhis2.example.org", "run-1"):
        end_locks(warehouse)
    with take_lease(warehouse, "https://dhis2.example.org", "run-2") as again:
        again.check()
