"""The ledger in SQL: what is planned, cut into batches, and settled."""

import json

import pytest

from opensrp_dhis2.errors import WarehouseError
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.ledger import DataSetPeriod, RecordedVerdict
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_site import ledger_rows
from tests.support.sql import execute, rows
from tests.support.surroundings import SetTotals

OF = DataSetPeriod("http://dhis2", "DsMonthly01", "202509")


def plan(
    warehouse: Warehouse,
    zeros: str = "none",
    is_open: bool = True,
    *,
    removed_totals: str = "delete",
    is_beyond: bool = False,
    run_id: str = "run-1",
) -> dict[str, int]:
    with warehouse.connect() as connection:
        return ledger.plan(
            connection,
            OF,
            zeros=zeros,
            removed_totals=removed_totals,
            is_period_open=is_open,
            is_beyond=is_beyond,
            run_id=run_id,
        )


def delivered_before(warehouse: Warehouse, waiting: int = 0) -> None:
    """Say that an earlier run has delivered the period, all of it or until its hours were over."""
    execute(
        warehouse,
        "insert into outbox.delivery values ('run-0', %s, %s, %s, 1, 1, 0, 0, 0, 1, 0.1, now(), %s)",
        OF.target,
        OF.data_set_id,
        OF.period,
        waiting,
    )


def send(warehouse: Warehouse, verdict: str, code: str | None = None) -> list[dict[str, str]]:
    """Cut one batch, settle all of it alike, and give what it carried."""
    with warehouse.connect() as connection:
        batch = ledger.cut_batch(connection, OF, 1000, "run-1")
        assert batch is not None
        carried = json.loads(ledger.payload(connection, batch))["dataValues"]
        verdicts = [RecordedVerdict(row.row_index, verdict, code) for row in ledger.sent_rows(connection, batch)]
        ledger.settle(connection, batch, verdicts, http_status=200, note="", run_id="run-1")
    return list(carried)


def test_a_second_plan_of_the_same_totals_has_nothing_to_send(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5, ("visits", "OuFacility2"): 7})
    assert plan(warehouse) == {"pending": 2}
    send(warehouse, "stored")
    assert plan(warehouse) == {"delivered": 2}
    with warehouse.connect() as connection:
        assert ledger.cut_batch(connection, OF, 1000, "run-2") is None


def test_only_the_changed_value_is_sent_again(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5, ("visits", "OuFacility2"): 7})
    plan(warehouse)
    send(warehouse, "stored")
    set_totals({("visits", "OuFacility1"): 6, ("visits", "OuFacility2"): 7})
    assert plan(warehouse) == {"pending": 1, "delivered": 1}
    [value] = send(warehouse, "stored")
    assert (value["orgUnit"], value["value"]) == ("OuFacility1", "6")


def test_a_value_that_vanished_is_deleted_where_dhis2_has_it(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse)
    send(warehouse, "stored")
    set_totals({})
    assert plan(warehouse) == {"pending": 1}
    with warehouse.connect() as connection:
        batch = ledger.cut_batch(connection, OF, 1000, "run-2")
        assert batch is not None
        assert batch.import_strategy == "DELETE"
        ledger.settle(connection, batch, [RecordedVerdict(0, "deleted")], http_status=200, note="", run_id="run-1")
    assert plan(warehouse) == {"withdrawn": 1}


def test_a_value_never_sent_that_vanished_is_withdrawn_without_a_request(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse)
    set_totals({})
    assert plan(warehouse) == {"withdrawn": 1}


@pytest.mark.parametrize(
    ("totals", "code"),
    [
        ({("visits", "OuFacility3"): 5}, "E8022"),
        ({("visits", "OuNowhere01"): 5}, "E8107"),
        ({("visits", "OuFacility4"): 5}, "E8031"),
        ({("visits", "OuFacility1"): -5}, "E8122"),
        ({("signed", "OuFacility1"): 2147483648}, "E8122"),
    ],
)
def test_what_dhis2_would_refuse_is_withheld_with_its_code(
    warehouse: Warehouse, set_totals: SetTotals, totals: dict[tuple[str, str], int], code: str
) -> None:
    set_totals({**totals, ("visits", "OuFacility2"): 7})
    assert plan(warehouse) == {"withheld": 1, "pending": 1}
    withheld = rows(warehouse, "select code from outbox.value where state = 'withheld'")
    assert withheld == [(code,)]


def test_a_withheld_value_goes_once_its_cause_is_mended(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility3"): 5})
    assert plan(warehouse) == {"withheld": 1}
    execute(warehouse, "insert into lookup.data_set_org_unit values ('DsMonthly01', 'OuFacility3')")
    assert plan(warehouse) == {"pending": 1}


def test_a_closed_period_withholds_what_changed_and_leaves_what_is_there(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    set_totals({("visits", "OuFacility1"): 5, ("visits", "OuFacility2"): 7})
    plan(warehouse)
    send(warehouse, "stored")
    set_totals({("visits", "OuFacility1"): 6, ("visits", "OuFacility2"): 7})
    assert plan(warehouse, is_open=False) == {"withheld": 1, "delivered": 1}


@pytest.mark.parametrize(
    ("zeros", "expected"), [("none", 1), ("reporting_units", 2), ("assigned", 4)]
)  # 2 assigned units x 2 measures; OuFacility4 is closed
def test_zeros_are_filled_as_the_policy_says(
    warehouse: Warehouse, set_totals: SetTotals, zeros: str, expected: int
) -> None:
    set_totals({("visits", "OuFacility1"): 5, ("signed", "OuFacility1"): 0} if zeros != "none" else
               {("visits", "OuFacility1"): 5, ("signed", "OuFacility2"): 0})  # fmt: skip
    assert sum(plan(warehouse, zeros).values()) == expected


def test_a_refused_value_waits_for_a_person_and_not_for_the_next_run(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse)
    send(warehouse, "refused", "E8122")
    assert plan(warehouse) == {"refused": 1}
    with warehouse.connect() as connection:
        assert ledger.requeue(connection, OF.target, run_id="a person") == (1, 0)
    assert plan(warehouse) == {"pending": 1}


def test_a_blocked_value_is_pending_again(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse)
    send(warehouse, "blocked", "E8022")
    assert plan(warehouse) == {"pending": 1}


def test_planning_over_a_request_without_a_verdict_is_refused(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse)
    with warehouse.connect() as connection:
        assert ledger.cut_batch(connection, OF, 1000, "run-1") is not None
    with pytest.raises(WarehouseError, match="no verdict yet"):
        plan(warehouse)


def test_a_payload_names_every_key_and_quotes_every_value(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse)
    [value] = send(warehouse, "stored")
    assert value == {
        "dataElement": "DeVisits001",
        "period": "202509",
        "orgUnit": "OuFacility1",
        "categoryOptionCombo": "HllvX50cXC0",
        "attributeOptionCombo": "HllvX50cXC0",
        "value": "5",
    }


def test_a_dropped_zero_that_was_changed_and_came_back_is_sent_again(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    """DHIS2 holds nothing of it: called delivered, it would never reach a server that stores zeros."""
    set_totals({("visits", "OuFacility1"): 0})
    plan(warehouse, "reporting_units")
    send(warehouse, "dropped")
    assert ledger_rows(warehouse)[1] == ("OuFacility1", "0", "0", "dropped", None)
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse, "reporting_units")
    assert ledger_rows(warehouse)[1] == ("OuFacility1", "5", None, "pending", None)
    set_totals({("visits", "OuFacility1"): 0})
    plan(warehouse, "reporting_units")
    assert ledger_rows(warehouse)[1] == ("OuFacility1", "0", None, "pending", None)


def test_a_dropped_zero_that_vanished_needs_no_request(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 0})
    plan(warehouse, "assigned")
    send(warehouse, "dropped")
    set_totals({})
    assert plan(warehouse, "none") == {"withdrawn": 4}


@pytest.mark.parametrize(
    ("value_type", "zero"),
    [
        ("INTEGER", "0"),
        ("BOOLEAN", "false"),
        ("TRUE_ONLY", None),
        ("INTEGER_POSITIVE", None),
        ("INTEGER_NEGATIVE", None),
    ],
)
def test_a_vanished_value_is_zeroed_only_where_a_zero_can_stand(
    warehouse: Warehouse, set_totals: SetTotals, value_type: str, zero: str | None
) -> None:
    set_totals({("visits", "OuFacility1"): 1})
    plan(warehouse, removed_totals="zero")
    send(warehouse, "stored")
    execute(warehouse, "update lookup.data_element set value_type = %s", value_type)
    set_totals({})
    assert plan(warehouse, removed_totals="zero") == {"pending": 1}
    assert ledger_rows(warehouse)[0][1] == zero


def test_zeros_are_filled_only_where_a_zero_can_stand(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    execute(
        warehouse,
        "update lookup.data_element set value_type = 'INTEGER_POSITIVE' where data_element_id = 'DeSigned001'",
    )
    assert plan(warehouse, "assigned") == {"pending": 2}  # visits only


def test_a_boolean_is_spelled_as_dhis2_stores_it(warehouse: Warehouse, set_totals: SetTotals) -> None:
    """Recorded as 10-boolean-1: DHIS2 takes 1 and holds true, which would not compare equal when read back."""
    set_totals({("visits", "OuFacility1"): 1, ("visits", "OuFacility2"): 0, ("signed", "OuFacility2"): 3})
    execute(warehouse, "update lookup.data_element set value_type = 'BOOLEAN'")
    assert plan(warehouse, "reporting_units") == {"pending": 3, "withheld": 1}
    assert [row[1] for row in ledger_rows(warehouse)] == ["false", "3", "true", "false"]


def test_a_late_change_is_withheld_for_being_late_whatever_else_is_wrong_with_it(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    """Else it would go as soon as the other cause is mended."""
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse)
    send(warehouse, "stored")
    delivered_before(warehouse)
    set_totals({("visits", "OuFacility1"): 5, ("visits", "OuFacility3"): 6})
    plan(warehouse, is_open=False, is_beyond=True)
    assert ledger_rows(warehouse)[1] == ("OuFacility3", "6", None, "withheld", "beyond_open_periods")
    execute(warehouse, "insert into lookup.data_set_org_unit values ('DsMonthly01', 'OuFacility3')")
    assert plan(warehouse, is_beyond=True, run_id="run-2") == {"delivered": 1, "withheld": 1}
    assert plan(warehouse, run_id="run-3") == {"delivered": 1, "pending": 1}


def test_a_first_backfill_that_the_submission_hours_cut_short_may_still_change(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse, is_beyond=True)
    delivered_before(warehouse, waiting=1)
    set_totals({("visits", "OuFacility1"): 6})
    assert plan(warehouse, is_beyond=True) == {"pending": 1}


def test_a_late_change_that_is_taken_back_is_delivered_again(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse)
    send(warehouse, "stored")
    delivered_before(warehouse)
    set_totals({})
    plan(warehouse, is_beyond=True)
    assert ledger_rows(warehouse) == [("OuFacility1", None, "5", "withheld", "beyond_open_periods")]
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse, is_beyond=True)
    assert ledger_rows(warehouse) == [("OuFacility1", "5", "5", "delivered", None)]


def test_a_closed_period_that_opens_again_takes_the_difference(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse)
    send(warehouse, "stored")
    set_totals({("visits", "OuFacility1"): 6})
    plan(warehouse, is_open=False)
    assert ledger_rows(warehouse) == [("OuFacility1", "6", "5", "withheld", "E8030")]
    assert plan(warehouse) == {"pending": 1}


def test_a_period_that_no_calendar_has_is_withheld(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    plan(warehouse)
    execute(warehouse, "delete from lookup.period")
    plan(warehouse)
    assert ledger_rows(warehouse) == [("OuFacility1", "5", None, "withheld", "unreadable_period")]
