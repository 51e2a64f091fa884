"""The workloads on which five other clients were measured, W1 to W7: none of them had no loss and no false alarm."""

from concurrent.futures import ThreadPoolExecutor
from math import ceil

import pytest

from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.errors import Dhis2AuthenticationError, OpenSrpDhis2Error
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.country import COMBOS, ELEMENTS, MARCH, UNITS, Country, country
from tests.support.dhis2_metadata import OPEN, READ_ONLY
from tests.support.sql import rows

NOT_ONE = {"silent loss": 0, "false alarm": 0}


@pytest.fixture
def opened(here: Country) -> Country:
    here.fill()
    return here


def test_w1_w2_w3_ten_requests_for_ten_thousand_values_none_for_the_same_one_for_what_changed(opened: Country) -> None:
    first = opened.report()
    assert (first.accepted, first.request_count) == (10_000, 10)
    assert opened.audit() == {"delivered": 10_000, **NOT_ONE}
    again = opened.report("run-2")
    assert (again.sent, again.request_count, again.unchanged) == (0, 0, 10_000)
    for unit in UNITS[:25]:
        for combo in COMBOS:
            opened.count((ELEMENTS[0], unit, combo), 1000)
    changed = opened.report("run-3")
    assert (changed.sent, changed.accepted, changed.request_count) == (200, 200, 1)
    assert opened.audit() == {"delivered": 10_000, **NOT_ONE}


FAULTS = [
    ((ELEMENTS[0], "OuUnknown01", COMBOS[0]), 4), ((ELEMENTS[5], "OuUnknown02", COMBOS[1]), 4),
    ((ELEMENTS[1], "OuNotAssign", COMBOS[0]), 4), ((ELEMENTS[6], "OuNotAssign", COMBOS[3]), 4),
    (("DeNotInSet1", UNITS[3], COMBOS[0]), 4), (("DeNotInSet1", UNITS[90], COMBOS[5]), 4),
    ((ELEMENTS[2], UNITS[7], "CoOther0001"), 4), ((ELEMENTS[8], UNITS[99], "CoOther0001"), 4),
    ((ELEMENTS[3], "OuClosed001", COMBOS[0]), 4), ((ELEMENTS[4], "OuClosed001", COMBOS[7]), 4),
    *(((ELEMENTS[number % 10], UNITS[number * 8], COMBOS[number % 8]), value)
      for number, value in enumerate([-3, -1, 5.5, 0.25, -7, 1e10, -2, 8.125, -4, 3.75, -6, 9.5, -8, 2.5, -9])),
]  # fmt: skip
# what a lookup that was read too early would hold: everything is known, assigned, open, in the set, and any number goes
OUTDATED = (
    "insert into lookup.org_unit select u, u, u, 2, '/' || u, '2015-01-01', null"
    " from unnest(array['OuUnknown01', 'OuUnknown02']) u",
    "insert into lookup.data_set_org_unit select 'DsPerf00001', u"
    " from unnest(array['OuUnknown01', 'OuUnknown02', 'OuNotAssign']) u",
    "insert into lookup.data_element select 'DeNotInSet1', 'DeNotInSet1', 'DeNotInSet1', value_type, aggregation_type,"
    " zero_is_significant, category_combo_id, null from lookup.data_element limit 1",
    "insert into lookup.data_set_element values ('DsPerf00001', 'DeNotInSet1', 'CcPerf00001')",
    "insert into lookup.category_option_combo values ('CoOther0001', 'x', 'x', 'CcPerf00001', array['x'], array['x'])",
    "update lookup.org_unit set closed_on = null",
    "update lookup.data_element set value_type = 'NUMBER'",
)


@pytest.mark.parametrize("is_known", [True, False], ids=["seen before sending", "only DHIS2 can tell"])
def test_w4_twenty_five_faults_in_ten_thousand_cost_twenty_five_values(
    opened: Country, version: str, *, is_known: bool
) -> None:
    for cell, value in FAULTS:
        opened.count(cell, value)
    if not is_known:
        opened.pretend(*OUTDATED)
    report = opened.report()
    audit = opened.audit()
    assert report.request_count <= (10 if is_known else {"2.41": 12, "2.43": 40}[version])
    taken = 2 if version == "2.41" and not is_known else 0  # 2.41 itself takes what a closed facility says
    good = 10_000 - 15 + taken  # ten of the faults are cells beside the 10,000
    assert (audit["delivered"], audit["withheld"] + audit["refused"], audit["pending"]) == (good, 25 - taken, 0)
    assert (audit["silent loss"], audit["false alarm"]) == (0, 0)
    uncoded = "select count(*) from outbox.value where state in ('refused', 'withheld') and code is null"
    assert rows(opened.warehouse, uncoded) == [(0,)]


@pytest.mark.parametrize("guilty", [0, 1, 5, 50])
def test_every_good_value_gets_in_beside_k_guilty_keys_in_ten_groups(
    opened: Country, version: str, guilty: int
) -> None:
    """Facilities that DHIS2 took out of the data set, and numbers that it does not take, after we read its metadata."""
    opened.pretend(*OUTDATED)
    for number in range(guilty):
        if number % 2:
            opened.count((ELEMENTS[number % 10], UNITS[number * 2], COMBOS[number % 8]), -1)
        else:
            opened.count((ELEMENTS[number % 10], "OuNotAssign", COMBOS[number // 10 % 8]), 1)
    report = opened.report()
    audit = opened.audit()
    assert audit["refused"] == guilty
    assert audit["delivered"] == 10_000 - guilty // 2
    assert (audit["silent loss"], audit["false alarm"], audit["pending"]) == (0, 0, 0)
    groups = min(10, ceil(guilty / 2)) if version == "2.43" else 0
    assert report.request_count <= 11 + groups
    print(f"| {version} | {guilty} | {report.request_count} |")


def test_w5_four_runs_at_once_into_a_month_that_nobody_has_seen_lose_nothing(opened: Country) -> None:
    """They share a ledger, so they take turns; and a write that DHIS2 loses meanwhile is found."""
    april = parse_period("202404")
    opened.fill(april)
    opened.strike({"kind": "lost_write"}, {"kind": "lost_write"})
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda number: opened.report(f"run-{number}", april), range(4)))
    assert sum(report.accepted for report in reports) == 10_000
    assert opened.audit(april) == {"delivered": 10_000, **NOT_ONE}


def test_w6_a_user_outside_the_hierarchy_costs_few_requests_and_no_value(version: str, warehouse: Warehouse) -> None:
    with country(warehouse, version, user="noou") as opened:
        opened.fill()
        try:
            requests = opened.report().request_count
        except Dhis2AuthenticationError:
            requests = 1
        audit = opened.audit()
        assert opened.stored() == {}
    assert requests <= 10
    assert audit["delivered"] == audit["silent loss"] == audit["false alarm"] == 0


@pytest.mark.parametrize(("user", "sharing"), [("noauth", OPEN), ("pusher", READ_ONLY)])
def test_w6_without_the_right_to_write_nothing_is_sent_or_called_sent(
    version: str, warehouse: Warehouse, user: str, sharing: dict[str, object]
) -> None:
    with country(warehouse, version, user=user, sharing=sharing) as opened:
        opened.fill(units=UNITS[:13])
        with pytest.raises(OpenSrpDhis2Error, match=r"write|authority|F_DATAVALUE_ADD"):
            opened.report()
        assert opened.audit()["delivered"] == 0
        assert opened.stored() == {}


def test_w7_a_connection_cut_after_the_commit_costs_one_read_back_and_sends_nothing_again(opened: Country) -> None:
    opened.report(period=parse_period("202402"))
    opened.strike({"kind": "slow", "seconds": 0.0}, {"kind": "slow", "seconds": 0.0}, {"kind": "hang_up_after"})
    report = opened.report("run-2")
    assert (report.sent, report.accepted, report.request_count) == (10_000, 10_000, 10)
    assert opened.audit(MARCH) == {"delivered": 10_000, **NOT_ONE}
