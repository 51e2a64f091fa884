"""The truth table of zeros: policy, significance, aggregation and engine, in code, in docs/zeros.md, and on the servers."""

import os
from itertools import product

import pytest

from opensrp_dhis2.dhis2.zero_rule import Absence, is_zero_sent, zero_fate
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse
from tests.conftest import ROOT
from tests.outbox.conftest import SetTotals
from tests.outbox.test_push import VERSIONS, site

POLICIES = ("none", "reported", "assigned")
AGGREGATIONS = ("SUM", "AVERAGE", "AVERAGE_SUM_ORG_UNIT")
PAGE = ROOT / "docs" / "zeros.md"
INTRODUCTION = """# What becomes of a zero

Made by `make golden` from `opensrp_dhis2/dhis2/zero_rule.py`; tests hold it to the code and to both sandbox servers.

Whether a zero is sent is the data set's word, `zeros` in `data_sets.yaml`:
"""
SERVER = """
What DHIS2 makes of a zero that is sent. Before 2.43 it drops the zero of a number whose data element says
`zeroIsSignificant: false`, without counting it and without a word, and deletes what stood in the cell. The ledger's
state is then `dropped`, which counts as delivered; after an upgrade to 2.43 the zero is sent once more, and stored.
"""


def page() -> str:
    """Draw the table."""
    header = "| the indicators say | " + " | ".join(f"`{policy}`" for policy in POLICIES) + " |\n|---|---|---|---|\n"
    words = {True: "sent", False: "not sent"}
    rows = [
        f"| {absence} | " + " | ".join(words[is_zero_sent(policy, absence)] for policy in POLICIES) + " |"
        for absence in Absence
    ]
    second = "| aggregation type | zeroIsSignificant | 2.40 to 2.42 | 2.43 and above |\n|---|---|---|---|\n"
    fates = [
        f"| {aggregation} | {str(is_significant).lower()} | "
        + " | ".join(
            zero_fate(aggregation_type=aggregation, is_zero_significant=is_significant, has_group_import=has_group)
            for has_group in (False, True)
        )
        + " |"
        for aggregation, is_significant in product(AGGREGATIONS, (True, False))
    ]
    return INTRODUCTION + "\n" + header + "\n".join(rows) + "\n" + SERVER + "\n" + second + "\n".join(fates) + "\n"


def test_the_golden_page_of_zeros_is_what_the_code_says() -> None:
    if os.environ.get("REWRITE_GOLDEN"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()


@pytest.mark.parametrize(("version", "policy"), list(product(VERSIONS, POLICIES)))
def test_every_zero_ends_as_the_table_says(
    warehouse: Warehouse, set_totals: SetTotals, version: str, policy: str
) -> None:
    """OuFacility1 says 0 of one element and 5 of the other; OuFacility2 says nothing at all."""
    totals = {("visits", "OuFacility1"): 0, ("signed", "OuFacility1"): 5}
    rules = DataSet(period_type="Monthly", open_periods=36, zeros=policy)
    with site(warehouse, version) as dhis2:
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
        absences = {"OuFacility2": Absence.UNIT_SILENT}
        if element == "DeVisits001":
            absences["OuFacility1"] = Absence.COUNTED_ZERO
        for unit, absence in absences.items():
            if is_zero_sent(policy, absence):
                fate = zero_fate(
                    aggregation_type="SUM", is_zero_significant=is_significant, has_group_import=version == "2.43"
                )
                expected[f"({element},{unit})"] = {"stored": "delivered", "dropped": "dropped"}[fate]
    assert states == expected
    assert (report.refused, report.accepted) == (0, len(expected) + 1)


def test_a_correction_to_zero_in_an_import_that_failed_goes_once_more(
    warehouse: Warehouse, set_totals: SetTotals
) -> None:
    """2.41 counts nothing of a failed import, as of zeros that it drops: called dropped, the 5 would stand for ever."""
    rules = DataSet(period_type="Monthly", zeros="reported", open_periods=36)
    set_totals({("visits", "OuFacility1"): 5, ("signed", "OuFacility1"): 1})
    with site(warehouse, "2.41") as dhis2:
        dhis2.report(policy=rules)
        set_totals({("visits", "OuFacility1"): 0, ("signed", "OuFacility1"): 1})
        dhis2.strike({"kind": "lost_write"})
        report = dhis2.report("run-2", rules)
        assert dhis2.stored() == {("DeSigned001", "OuFacility1"): "1"}
    assert (report.accepted, report.request_count) == (1, 2)
