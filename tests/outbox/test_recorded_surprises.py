"""FINDINGS of the recordings, sections 2 and 7: what the push as a whole makes of them, by recording.

What a single reply means is tests/dhis2's.
"""

from collections.abc import Iterator

import psycopg
import pytest

from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.between import Between, between
from tests.support.dhis2_metadata import FACILITIES
from tests.support.dhis2_site import Dhis2Site, totals_of
from tests.support.sql import execute
from tests.support.surroundings import SetTotals

STRICT = {"strictPeriods", "strictDataElements", "strictCategoryOptionCombos", "strictAttributeOptionCombos",
          "strictOrganisationUnits", "requireCategoryOptionCombo", "requireAttributeOptionCombo"}  # fmt: skip


@pytest.fixture
def watched_site(version: str, warehouse: Warehouse, set_totals: SetTotals) -> Iterator[tuple[Dhis2Site, Between]]:
    with between(warehouse, version) as opened:
        yield opened


def test_09c_34d_23_every_request_names_one_data_set_every_row_its_five_ids_and_every_value_is_text(
    watched_site: tuple[Dhis2Site, Between], set_totals: SetTotals
) -> None:
    """What is left out DHIS2 puts under `default` (09c), or past the sharing of the data set (34d)."""
    site, wire = watched_site
    set_totals(totals_of(FACILITIES[:30]))
    site.report()
    set_totals(totals_of(FACILITIES[:20]))
    site.report("run-2")  # deletions
    assert len(wire.rows) == 40
    keys = {"dataElement", "period", "orgUnit", "categoryOptionCombo", "attributeOptionCombo", "value"}
    assert {frozenset(row) for row in wire.rows} == {frozenset(keys)}
    assert all(isinstance(text, str) and text for row in wire.rows for text in row.values())
    assert [body.keys() for _, body in wire.imports] == [{"dataSet", "dataValues"}] * len(wire.imports)


def test_38b_concurrent_new_period_the_first_request_into_a_period_goes_alone_and_small(
    watched_site: tuple[Dhis2Site, Between], set_totals: SetTotals
) -> None:
    site, wire = watched_site
    set_totals(totals_of(FACILITIES))
    assert site.report(batch_size=1000).accepted == 300
    sizes = [len(body["dataValues"]) for _, body in wire.imports]
    assert (sizes, wire.most_at_once) == ([100, 200], 1)


def test_46_strict_the_old_engine_is_asked_to_check_what_the_new_one_always_checks(
    watched_site: tuple[Dhis2Site, Between], set_totals: SetTotals
) -> None:
    site, wire = watched_site
    set_totals(totals_of(FACILITIES[:1]))
    site.report()
    [(asked, _)] = wire.imports
    is_old = site.client.system_info().version.minor < 43
    assert {name for name in asked if asked[name] == ["true"]} == (STRICT if is_old else set())


def test_20b_mixed_refs_two_kinds_of_guilty_rows_in_one_group_cost_two_values(
    watched_site: tuple[Dhis2Site, Between], set_totals: SetTotals
) -> None:
    """2.43 names only the first kind; metadata that were read before the change let both pass the check."""
    site, _ = watched_site
    execute(
        site.warehouse,
        "insert into lookup.data_set_org_unit values ('DsMonthly01', 'OuFacility3');"
        " insert into lookup.data_element select 'DeNotThere1', 'NO', 'No', value_type, aggregation_type,"
        " zero_is_significant, category_combo_id, option_codes from lookup.data_element"
        " where data_element_id = 'DeSigned001';"
        " insert into lookup.data_set_element select data_set_id, 'DeNotThere1', category_combo_id"
        " from lookup.data_set_element where data_element_id = 'DeSigned001';"
        " update lookup.target set data_element_id = 'DeNotThere1' where measure = 'signed'",
    )
    set_totals({**totals_of(FACILITIES), ("visits", "OuFacility3"): 5, ("signed", FACILITIES[7]): 6})
    report = site.report()
    assert (report.accepted, report.refused, len(site.stored())) == (300, 2, 300)
    assert {code for stands, code, _ in site.standings() if stands == "refused"} == {"E8020", "E8022"}


WITHHELD = {
    "16-ou-not-assigned": (("visits", "OuFacility3"), 5, "E8022"),
    "16c-ou-closed": (("visits", "OuFacility2"), 5, "E8031"),
    "16e-ou-district": (("visits", "OuCountry01"), 5, "E8022"),
    "07-unknown-ou": (("visits", "OuNotThere1"), 5, "E8107"),
    "17-de-not-in-ds": (("signed", "OuFacility1"), 5, "E8020"),
    "10-int-negative-in-zero-or-positive": (("visits", "OuFacility1"), -5, "E8122"),
    "10-int-too-large": (("visits", "OuFacility1"), 99999999999, "E8122"),
}


@pytest.mark.parametrize("recording", WITHHELD)
def test_what_2_41_would_take_in_silence_and_2_43_for_the_whole_group_is_withheld_before_it_is_sent(
    watched_site: tuple[Dhis2Site, Between], set_totals: SetTotals, recording: str
) -> None:
    site, wire = watched_site
    cell, value, code = WITHHELD[recording]
    execute(site.warehouse, "update lookup.org_unit set closed_on = '2025-06-30' where org_unit_id = 'OuFacility2'")
    if recording == "17-de-not-in-ds":
        execute(site.warehouse, "delete from lookup.data_set_element where data_element_id = 'DeSigned001'")
    set_totals({**totals_of(FACILITIES[:3]), cell: value})
    assert site.report().accepted == 3
    assert ("withheld", code, 1) in site.standings()
    assert len(wire.rows) == 3


@pytest.mark.parametrize("text", ["5\n", "5\t6", '5"6', "5\\6"])
def test_49_nul_with_good_rows_the_ledger_takes_no_control_character(
    warehouse: Warehouse, set_totals: SetTotals, text: str
) -> None:
    ledger_row = (
        "insert into outbox.value (target, data_set_id, period, org_unit_id, data_element_id, category_option_combo_id,"
        " attribute_option_combo_id, state, run_id, wanted) values ('t', 'd', 'p', 'o', 'e', 'c', 'a', 'pending', 'r', %s)"
    )
    with warehouse.connect() as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(ledger_row, (text,))
    with warehouse.connect() as connection, pytest.raises(psycopg.DataError, match="NUL"):
        connection.execute(ledger_row, ("5\x00",))
