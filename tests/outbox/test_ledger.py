"""The ledger in SQL: what is planned, cut into batches, and settled."""

import json

import psycopg
import pytest

from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.ledger import RowVerdict, Slice
from opensrp_dhis2.warehouse.database import Warehouse
from tests.outbox.conftest import SetTotals

OF = Slice("http://dhis2", "DsMonthly01", "202509")


def plan(warehouse: Warehouse, zeros: str = "none", is_open: bool = True) -> dict[str, int]:
    with warehouse.connect() as connection:
        return ledger.plan(connection, OF, zeros=zeros, is_period_open=is_open, run_id="run-1")


def send(warehouse: Warehouse, verdict: str, code: str | None = None) -> list[dict[str, str]]:
    """Cut one batch, settle all of it alike, and give what it carried."""
    with warehouse.connect() as connection:
        batch = ledger.cut_batch(connection, OF, 1000, "run-1")
        assert batch is not None
        carried = json.loads(ledger.payload(connection, batch))["dataValues"]
        verdicts = [RowVerdict(row.row_index, verdict, code) for row in ledger.sent_rows(connection, batch)]
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
        ledger.settle(connection, batch, [RowVerdict(0, "deleted")], http_status=200, note="", run_id="run-1")
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
    with warehouse.connect() as connection:
        withheld = connection.execute("select code from outbox.value where state = 'withheld'").fetchall()
    assert withheld == [(code,)]


def test_a_withheld_value_goes_once_its_cause_is_mended(warehouse: Warehouse, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility3"): 5})
    assert plan(warehouse) == {"withheld": 1}
    with warehouse.connect() as connection:
        connection.execute("insert into lookup.data_set_org_unit values ('DsMonthly01', 'OuFacility3')")
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
    ("zeros", "expected"), [("none", 1), ("reported", 2), ("assigned", 6)]
)  # 3 assigned units x 2 measures
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
        assert ledger.requeue(connection, OF.target, run_id="a person") == 1
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
    with pytest.raises(psycopg.errors.RaiseException, match="no verdict yet"):
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
