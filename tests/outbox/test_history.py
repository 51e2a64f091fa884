"""Every change of a value leaves a row: who, when, from what to what."""

from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_site import site
from tests.support.sql import execute, rows
from tests.support.surroundings import SetTotals

HISTORY = """
select h.run_id, h.state_from, h.state_to, h.wanted_from, h.wanted_to, h.acknowledged_from, h.acknowledged_to
from outbox.history h order by h.changed_at
"""


def test_every_change_of_a_value_is_kept_with_who_made_it(warehouse: Warehouse, set_totals: SetTotals) -> None:
    with site(warehouse, "2.43") as dhis2:
        set_totals({("visits", "OuFacility1"): 5})
        dhis2.report("monday")
        set_totals({("visits", "OuFacility1"): 6})
        dhis2.report("tuesday")
        dhis2.report("wednesday")
        set_totals({})
        dhis2.report("thursday")
    told = rows(warehouse, HISTORY)
    assert told == [
        ("monday", None, "pending", None, "5", None, None),
        ("monday", "pending", "sending", "5", "5", None, None),
        ("monday", "sending", "delivered", "5", "5", None, "5"),
        ("tuesday", "delivered", "pending", "5", "6", "5", "5"),
        ("tuesday", "pending", "sending", "6", "6", "5", "5"),
        ("tuesday", "sending", "delivered", "6", "6", "5", "6"),
        ("thursday", "delivered", "pending", "6", None, "6", "6"),
        ("thursday", "pending", "sending", None, None, "6", "6"),
        ("thursday", "sending", "withdrawn", None, None, "6", None),
    ]


def test_a_person_who_requeues_is_named(warehouse: Warehouse, set_totals: SetTotals) -> None:
    with site(warehouse, "2.43") as dhis2:
        execute(warehouse, "insert into lookup.data_set_org_unit values ('DsMonthly01', 'OuFacility3')")
        set_totals({("visits", "OuFacility3"): 5})
        assert dhis2.report("monday").refused == 1
        with warehouse.connect() as connection:
            assert ledger.requeue(connection, dhis2.client.base_url, run_id="requeue by amina", code="E8022") == (1, 0)
    with warehouse.connect() as connection:
        told = connection.execute(HISTORY + " desc limit 1").fetchone()
    assert told is not None
    assert told[:3] == ("requeue by amina", "refused", "pending")
