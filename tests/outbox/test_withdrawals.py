"""What becomes of values that are counted no longer, counted elsewhere, or counted too late."""

from collections.abc import Iterator

import pytest

from opensrp_dhis2.audit.reconcile import reconcile_period
from opensrp_dhis2.dhis2.metadata import read_metadata
from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.lookup.metadata import replace_metadata
from opensrp_dhis2.outbox.late import changed_periods, first_open_on
from opensrp_dhis2.outbox.reporter import Reporter
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_metadata import metadata, named
from tests.support.dhis2_site import MONTHLY, NARROW, NOW, SEPTEMBER, Dhis2Site, ledger_rows, site
from tests.support.sql import execute, rows
from tests.support.surroundings import SetTotals


def test_a_unit_mapped_anew_moves_its_values(dhis2: Dhis2Site, set_totals: SetTotals) -> None:
    set_totals({("visits", "OuFacility1"): 5})
    dhis2.report()
    set_totals({("visits", "OuFacility2"): 5})
    report = dhis2.report("run-2")
    assert (report.sent, report.accepted, dhis2.stored()) == (2, 2, {("DeVisits001", "OuFacility2"): "5"})


def test_a_deletion_that_dhis2_would_refuse_is_withheld_and_shown(
    dhis2: Dhis2Site, warehouse: Warehouse, set_totals: SetTotals
) -> None:
    """The old unit is no longer assigned: its value stays in DHIS2, and the ledger says so."""
    set_totals({("visits", "OuFacility1"): 5})
    dhis2.report()
    execute(warehouse, "delete from lookup.data_set_org_unit where org_unit_id = 'OuFacility1'")
    set_totals({("visits", "OuFacility2"): 5})
    report = dhis2.report("run-2")
    assert (report.sent, report.withheld) == (1, 1)
    assert ledger_rows(warehouse) == [
        ("OuFacility1", None, "5", "withheld", "E8022"),
        ("OuFacility2", "5", "5", "delivered", None),
    ]


def test_a_vanished_value_is_zeroed_where_the_data_set_says_so(
    dhis2: Dhis2Site, warehouse: Warehouse, set_totals: SetTotals, version: str
) -> None:
    zeroed = DataSet(period_type="Monthly", open_periods=36, removed_totals="zero")
    set_totals({("visits", "OuFacility1"): 5, ("signed", "OuFacility1"): 6})
    dhis2.report(policy=zeroed)
    set_totals({})
    assert dhis2.report("run-2", policy=zeroed).accepted == 2
    kept = {("DeSigned001", "OuFacility1"): "0"}  # 2.41 deletes the other: its zero means nothing there
    assert dhis2.stored() == kept | ({} if version == "2.41" else {("DeVisits001", "OuFacility1"): "0"})
    assert dhis2.report("run-3", policy=zeroed).sent == 0
    with warehouse.connect() as connection:
        assert changed_periods(connection, dhis2.client.base_url, "DS_M", zeroed) == []


def test_a_late_change_beyond_the_open_periods_is_kept_and_shown_and_goes_when_they_reach_back(
    dhis2: Dhis2Site, warehouse: Warehouse, set_totals: SetTotals
) -> None:
    assert SEPTEMBER.start_on < first_open_on(NARROW, NOW.date())
    set_totals({("visits", "OuFacility1"): 5})
    assert dhis2.report("backfill", policy=NARROW).accepted == 1  # never reported before: a first backfill goes
    set_totals({("visits", "OuFacility1"): 6})
    for run in ("late-1", "late-2"):
        report = dhis2.report(run, policy=NARROW)
        assert (report.sent, report.withheld) == (0, 1)
        assert ledger_rows(warehouse) == [("OuFacility1", "6", "5", "withheld", "beyond_open_periods")]
    assert dhis2.report("reopened", policy=MONTHLY).accepted == 1
    assert ledger_rows(warehouse) == [("OuFacility1", "6", "6", "delivered", None)]


def test_a_first_backfill_that_broke_off_is_finished_later(warehouse: Warehouse, set_totals: SetTotals) -> None:
    with site(warehouse, "2.43") as dhis2:
        set_totals({("visits", "OuFacility1"): 5})
        dhis2.reporter("killed", policy=NARROW).plan(SEPTEMBER)
        set_totals({("visits", "OuFacility1"): 6})
        assert dhis2.report("again", policy=NARROW).accepted == 1


def test_the_first_open_day_counts_back_whole_periods() -> None:
    weekly = DataSet(period_type="Weekly", open_periods=1)
    assert first_open_on(weekly, NOW.date()) == parse_period("2026W46").start_on


@pytest.fixture
def two_sets(version: str, warehouse: Warehouse, set_totals: SetTotals) -> Iterator[Dhis2Site]:
    """DS_M and DS_N have the same elements; DS_M has reported 5 for one unit, whose total now goes to DS_N as 6."""
    document = metadata()
    [first] = document["stages"][1]["dataSets"]
    document["stages"][1]["dataSets"].append(first | named("DsMonthly02") | {"code": "DS_N"})
    with site(warehouse, version, document) as opened:
        with warehouse.connect() as connection:
            replace_metadata(connection, read_metadata(opened.client, ["DS_M", "DS_N"]), opened.client.base_url)
        set_totals({("visits", "OuFacility1"): 5})
        opened.report()
        set_totals({("visits", "OuFacility1"): 6})
        execute(warehouse, "update lookup.target set data_set_id = 'DsMonthly02'")
        yield opened


def reporter_of(here: Dhis2Site, code: str, removed_totals: str = "delete") -> Reporter:
    policy = DataSet(period_type="Monthly", open_periods=36, removed_totals=removed_totals)
    return Reporter(here.warehouse, here.client, code, policy, run_id=f"{code} {removed_totals}", batch_size=100)


def by_data_set(here: Dhis2Site) -> dict[str, tuple[str | None, str | None, str]]:
    found = rows(here.warehouse, "select data_set_id, wanted, acknowledged, state from outbox.value")
    return {data_set_id: (wanted, acknowledged, state) for data_set_id, wanted, acknowledged, state in found}


@pytest.mark.parametrize("removed_totals", ["delete", "zero"])
@pytest.mark.parametrize("first", ["DS_M", "DS_N"])
def test_what_another_data_set_wants_in_the_same_cell_is_neither_deleted_nor_zeroed(
    two_sets: Dhis2Site, first: str, removed_totals: str
) -> None:
    second = {"DS_M": "DS_N", "DS_N": "DS_M"}[first]
    for code in ("DS_N", "DS_M"):
        reporter_of(two_sets, code, removed_totals).plan(SEPTEMBER)
    requests = [
        reporter_of(two_sets, code, removed_totals).deliver(SEPTEMBER).request_count for code in (first, second)
    ]
    assert dict(zip((first, second), requests, strict=True)) == {"DS_N": 1, "DS_M": 0}
    assert two_sets.stored() == {("DeVisits001", "OuFacility1"): "6"}
    assert by_data_set(two_sets) == {"DsMonthly01": (None, None, "withdrawn"), "DsMonthly02": ("6", "6", "delivered")}
    again = [reporter_of(two_sets, code, removed_totals) for code in (first, second)]
    assert [one.plan(SEPTEMBER) for one in again] == [
        {"DS_N": {"delivered": 1}, "DS_M": {"withdrawn": 1}}[code] for code in (first, second)
    ]
    for code in ("DS_M", "DS_N"):
        seen = reconcile_period(
            two_sets.warehouse, two_sets.client, code, "202509", external_edits="overwrite", run_id="look"
        )
        assert set(seen.counts.values()) == {0}


def test_a_deletion_planned_before_another_data_set_wrote_the_cell_is_not_sent(two_sets: Dhis2Site) -> None:
    late = reporter_of(two_sets, "DS_M")
    assert late.plan(SEPTEMBER) == {"pending": 1}
    other = reporter_of(two_sets, "DS_N")
    other.plan(SEPTEMBER)
    assert other.deliver(SEPTEMBER).accepted == 1
    assert late.deliver(SEPTEMBER).sent == 0
    assert two_sets.stored() == {("DeVisits001", "OuFacility1"): "6"}
    assert by_data_set(two_sets)["DsMonthly01"] == (None, None, "withdrawn")


def test_what_was_handed_over_is_deleted_by_the_data_set_that_has_it_now(
    two_sets: Dhis2Site, set_totals: SetTotals
) -> None:
    """DS_N never got its own value through: what stands there is what DS_M sent, and DS_N knows it."""
    reporter_of(two_sets, "DS_N").plan(SEPTEMBER)
    reporter_of(two_sets, "DS_M").plan(SEPTEMBER)
    assert by_data_set(two_sets) == {"DsMonthly01": (None, None, "withdrawn"), "DsMonthly02": ("6", "5", "pending")}
    set_totals({})
    heir = reporter_of(two_sets, "DS_N")
    heir.plan(SEPTEMBER)
    assert (heir.deliver(SEPTEMBER).accepted, two_sets.stored()) == (1, {})
