"""The truth table of zeros: policy, significance, aggregation and engine, in code, in docs/zeros.md, and on the servers."""

from itertools import product
from pathlib import Path

import pytest

from opensrp_dhis2.audit.forecast import forecast_period
from opensrp_dhis2.dhis2.imports.row_engine import NUMERIC_VALUE_TYPES, is_droppable_zero
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse
from tests.conftest import ROOT
from tests.support.dhis2_metadata import metadata
from tests.support.dhis2_site import REPORTED, SEPTEMBER, VERSIONS, Dhis2Site, site
from tests.support.sql import execute
from tests.support.surroundings import SetTotals

POLICIES = ("none", "reporting_units", "assigned")
AGGREGATIONS = ("SUM", "AVERAGE", "AVERAGE_SUM_ORG_UNIT")
PAGE = ROOT / "docs" / "zeros.md"
SILENT, TOTAL_OF_0 = "nothing counted, the unit reported nothing", "a total of 0"


def table(first_column: str) -> list[list[str]]:
    """Return the rows of a table of the page, by the head of its first column."""
    text = PAGE.read_text().partition(f"| {first_column} |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines()[2:]]


def is_sent(policy: str, absence: str) -> bool:
    sent = {row[0]: row[1:] for row in table("the indicators say")}
    return sent[absence][POLICIES.index(policy)] == "sent"


def fates() -> dict[tuple[str, bool, str], str]:
    """Return what becomes of a zero, by aggregation type, significance and server."""
    return {
        (aggregation, significant == "true", version): fate
        for aggregation, significant, *by_version in table("aggregation type")
        for version, fate in zip(VERSIONS, by_version, strict=True)
    }


def test_the_page_of_zeros_is_what_the_rule_says() -> None:
    assert fates() == {
        (aggregation, keeps, version): "dropped"
        if version == "2.41"
        and is_droppable_zero("0", value_type="NUMBER", aggregation_type=aggregation, is_zero_significant=keeps)
        else "stored"
        for aggregation, keeps, version in product(AGGREGATIONS, (True, False), VERSIONS)
    }


@pytest.mark.parametrize("policy", POLICIES)
def test_every_zero_ends_as_the_table_says(
    dhis2: Dhis2Site, warehouse: Warehouse, set_totals: SetTotals, version: str, policy: str
) -> None:
    """OuFacility1 says 0 of one element and 5 of the other; OuFacility2 says nothing at all."""
    totals = {("visits", "OuFacility1"): 0, ("signed", "OuFacility1"): 5}
    rules = DataSet(period_type="Monthly", open_periods=36, zeros=policy)
    set_totals(totals)
    with warehouse.connect() as connection:
        assigned = ["OuFacility1", "OuFacility2"]
        connection.execute("delete from lookup.data_set_org_unit where not org_unit_id = any (%s)", (assigned,))
    report = dhis2.report(policy=rules)
    with warehouse.connect() as connection:
        states = dict(
            connection.execute(
                "select (data_element_id, org_unit_id)::text, state from outbox.value where wanted = '0'"
            ).fetchall()
        )
    expected = {}
    for element, is_significant in (("DeVisits001", False), ("DeSigned001", True)):
        absences = {"OuFacility2": SILENT}
        if element == "DeVisits001":
            absences["OuFacility1"] = TOTAL_OF_0
        for unit, absence in absences.items():
            if is_sent(policy, absence):
                fate = fates()["SUM", is_significant, version]
                expected[f"({element},{unit})"] = {"stored": "delivered", "dropped": "dropped"}[fate]
    assert states == expected
    assert (report.refused, report.accepted) == (0, len(expected) + 1)


def test_a_correction_to_zero_in_an_import_that_failed_goes_once_more(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    """2.41 counts nothing of a failed import, as of zeros that it drops: called dropped, the 5 would stand for ever."""
    set_totals({("visits", "OuFacility1"): 5, ("signed", "OuFacility1"): 1})
    with site(warehouse, "2.41") as dhis2:
        dhis2.report(policy=REPORTED)
        set_totals({("visits", "OuFacility1"): 0, ("signed", "OuFacility1"): 1})
        dhis2.strike({"kind": "lost_write"})
        report = dhis2.report("run-2", REPORTED)
        assert dhis2.stored() == {("DeSigned001", "OuFacility1"): "1"}
    assert (report.accepted, report.request_count) == (1, 2)


def test_the_database_has_the_same_table(warehouse: Warehouse) -> None:
    cases = list(product([*NUMERIC_VALUE_TYPES, "TEXT", "BOOLEAN"], AGGREGATIONS, (True, False), (True, False)))
    with warehouse.connect() as connection:
        for value_type, aggregation, is_significant, has_group in cases:
            [(kept,)] = connection.execute(
                "select outbox.keeps_zero(%s, %s, %s, %s)", (value_type, aggregation, is_significant, has_group)
            ).fetchall()
            is_dropped = is_droppable_zero(
                "0", value_type=value_type, aggregation_type=aggregation, is_zero_significant=is_significant
            )
            assert kept == (has_group or not is_dropped), (value_type, aggregation, is_significant, has_group)


@pytest.mark.parametrize(
    ("version", "expiry_days", "open_periods", "is_significant", "fate"),
    [
        ("2.43", 0, 36, False, "create"),
        ("2.43", 15, 36, False, "same"),  # DHIS2 has closed the period meanwhile
        ("2.43", 0, 6, False, "same"),  # it lies beyond what late data may change
        ("2.41", 0, 36, True, "create"),
        ("2.41", 0, 36, False, "same"),
    ],
)
def test_a_dropped_zero_goes_once_more_only_where_it_would_be_stored(
    warehouse: Warehouse,
    set_totals: SetTotals,
    tmp_path: Path,
    *,
    version: str,
    expiry_days: int,
    open_periods: int,
    is_significant: bool,
    fate: str,
) -> None:
    set_totals({("visits", "OuFacility1"): 0})
    store = tmp_path / "dhis2.sqlite"
    execute(warehouse, "delete from lookup.target where measure = 'signed'")
    with site(warehouse, "2.41", store=store) as old:
        assert (old.report(policy=REPORTED).accepted, old.stored()) == (1, {})
    document = metadata()
    document["stages"][1]["dataSets"][0]["expiryDays"] = expiry_days
    document["stages"][1]["dataElements"][0]["zeroIsSignificant"] = is_significant
    with site(warehouse, version, document, store=store, port=old.port) as now:
        policy = DataSet(period_type="Monthly", zeros="reporting_units", open_periods=open_periods)
        reporter = now.reporter("run-2", policy)
        reporter.plan(SEPTEMBER)
        counts = forecast_period(warehouse, now.client, "DS_M", "202509", run_id="run-2").counts
        assert counts[fate] == 1
        report = reporter.deliver(SEPTEMBER)
        assert (report.sent, report.refused, report.score.wrong) == (int(fate == "create"), 0, 0)
        assert now.stored() == ({("DeVisits001", "OuFacility1"): "0"} if fate == "create" else {})
        assert now.report("run-3", policy).sent == 0


def test_no_zero_is_asked_of_a_unit_that_is_closed_or_not_yet_open(
    warehouse: Warehouse, set_totals: SetTotals, version: str
) -> None:
    """The unit that opens within the period is not open when it begins, and the one that closes within it is."""
    dates = {
        "OuFacility1": ("2015-01-01", "2020-01-31"), "OuFacility2": ("2026-03-01", None),
        "OuFacil0001": ("2025-09-02", None), "OuFacil0002": ("2025-09-01", "2025-09-01"),
    }  # fmt: skip
    set_totals({("visits", "OuFacil0003"): 5})
    with site(warehouse, version) as dhis2, warehouse.connect() as connection:
        connection.execute(
            "delete from lookup.data_set_org_unit where not org_unit_id = any (%s)", ([*dates, "OuFacil0003"],)
        )
        for unit, (opening_on, closed_on) in dates.items():
            connection.execute(
                "update lookup.org_unit set opening_on = %s, closed_on = %s where org_unit_id = %s",
                (opening_on, closed_on, unit),
            )
        connection.commit()
        report = dhis2.report(policy=DataSet(period_type="Monthly", open_periods=36, zeros="assigned"))
        units = connection.execute("select distinct org_unit_id from outbox.value order by 1").fetchall()
    assert units == [("OuFacil0002",), ("OuFacil0003",)]
    assert (report.accepted, report.withheld, report.refused) == (4, 0, 0)


@pytest.mark.parametrize("value_type", ["TRUE_ONLY", "INTEGER_POSITIVE"])
def test_a_total_that_falls_to_a_zero_that_cannot_stand_is_deleted(
    warehouse: Warehouse, set_totals: SetTotals, version: str, value_type: str
) -> None:
    document = metadata()
    document["stages"][1]["dataElements"][0]["valueType"] = value_type
    policy = DataSet(period_type="Monthly", open_periods=36, zeros="reporting_units", completion="when_complete")
    with site(warehouse, version, document) as here:
        set_totals({("visits", "OuFacility1"): 1, ("signed", "OuFacility1"): 1})
        assert here.report("run-1", policy).accepted == 2
        set_totals({("visits", "OuFacility1"): 0, ("signed", "OuFacility1"): 1})
        second = here.report("run-2", policy)
        assert (second.sent, second.accepted, second.withheld) == (1, 1, 0)
        assert here.stored() == {("DeSigned001", "OuFacility1"): "1"}
