"""The account's own places: what it may not write is held back by name, and it is blamed only where it may write nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opensrp_dhis2.errors import Dhis2AuthenticationError
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.country import COMBOS, ELEMENTS, UNITS, Country, country, country_metadata
from tests.support.dhis2_metadata import READ_ONLY, unit
from tests.support.dhis2_site import totals_of
from tests.support.ministry import Ministry
from tests.support.sql import rows
from tests.support.surroundings import SetTotals

PLACES = UNITS[:45]
OUTSIDE = 15  # 15 units are 120 values of the first element: more than the first request carries
GOOD_COUNT = (len(PLACES) - OUTSIDE) * len(ELEMENTS) * len(COMBOS)


@contextmanager
def partly_given(warehouse: Warehouse, version: str, outside: list[str]) -> Iterator[Country]:
    """A country of which the account has one province, and some units lie in another."""
    document = country_metadata()
    units = document["stages"][0]["organisationUnits"]
    for place in units:
        if place["id"] in PLACES and place["id"] not in outside:
            place["parent"] = {"id": "OuProvince1"}
    units.append(unit("OuProvince1"))
    user = next(one for one in document["stages"][0]["users"] if one["username"] == "pusher")
    user |= {"organisationUnits": [{"id": "OuProvince1"}], "dataViewOrganisationUnits": [{"id": "OuCountry01"}]}
    with country(warehouse, version, document=document) as opened:
        opened.fill(units=PLACES)
        yield opened


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "found out"])
@pytest.mark.parametrize("outside", [PLACES[:OUTSIDE], PLACES[-OUTSIDE:]], ids=["first", "last"])
def test_34b_an_account_for_a_part_of_the_units_delivers_that_part(
    warehouse: Warehouse, version: str, outside: list[str], is_known: bool
) -> None:
    """Wherever the ids of the others sort, and also when the metadata do not show it yet."""
    with partly_given(warehouse, version, outside) as here:
        if not is_known:
            here.pretend("update lookup.org_unit set path = '/OuCountry01/OuProvince1/' || org_unit_id")
        report = here.report()
        assert (report.accepted, len(here.stored())) == (GOOD_COUNT, GOOD_COUNT)
        assert here.audit()["silent loss"] == here.audit()["false alarm"] == 0
    found = rows(
        warehouse,
        "select state, code, array_agg(distinct org_unit_id order by org_unit_id) from outbox.value"
        " where state <> 'delivered' group by 1, 2",
    )
    assert found == [("withheld" if is_known else "refused", "E8011", sorted(outside))]
    if is_known:
        assert report.request_count == 3  # as if the others were not there


def test_an_account_that_may_write_nowhere_is_said_once_before_anything_is_sent(
    warehouse: Warehouse, set_totals: SetTotals, version: str, tmp_path: Path
) -> None:
    here = Ministry(warehouse, version, tmp_path / "dhis2.sqlite")
    set_totals(totals_of(["OuFacility1", "OuFacility2"]))
    here.read()
    here.account["organisationUnits"] = []
    with pytest.raises(Dhis2AuthenticationError, match="None of the 302 org units of the data set lies below"):
        here.report()
    assert set(here.states().values()) == {("withheld", "E8011")}
    assert requests(warehouse) == 0
    here.account["organisationUnits"] = [{"id": "OuCountry01"}]
    assert here.report().accepted == 2


def test_a_data_set_that_is_not_shared_is_said_once_before_anything_is_sent(
    warehouse: Warehouse, set_totals: SetTotals, version: str, tmp_path: Path
) -> None:
    """By what DHIS2 says now, whatever the metadata of last night say."""
    here = Ministry(warehouse, version, tmp_path / "dhis2.sqlite")
    set_totals(totals_of(["OuFacility1", "OuFacility2"]))
    shared = here.data_set["sharing"]
    here.data_set["sharing"] = READ_ONLY
    here.read()
    with pytest.raises(Dhis2AuthenticationError, match=r"E8010.*data write sharing"):
        here.report()
    assert set(here.states().values()) == {("pending", "E8010")}
    assert requests(warehouse) == 0
    here.data_set["sharing"] = shared
    assert here.report().accepted == 2


@pytest.mark.parametrize("authorities", [["ALL"], ["F_DATAVALUE_ADD"]])
def test_14c_only_the_older_engine_binds_a_superuser_to_its_org_units(
    warehouse: Warehouse,
    set_totals: SetTotals,
    version: str,
    authorities: list[str],
    tmp_path: Path,
) -> None:
    here = Ministry(warehouse, version, tmp_path / "dhis2.sqlite")
    here.document["stages"][1]["userRoles"][0]["authorities"] = authorities
    here.account["organisationUnits"] = [{"id": "OuFacility1"}]
    set_totals(totals_of(["OuFacility1", "OuFacility2"]))
    here.read()
    here.report()
    is_everywhere = version == "2.43" and authorities == ["ALL"]
    assert here.states() == {
        "OuFacility1": ("delivered", None),
        "OuFacility2": ("delivered", None) if is_everywhere else ("withheld", "E8011"),
    }


def test_32g_an_option_that_the_account_may_not_write_concerns_its_combos(warehouse: Warehouse, version: str) -> None:
    """2.43 names the option, 2.41 each row; the other combos go."""
    document = country_metadata()
    options = document["stages"][0]["categoryOptions"]
    options[0]["sharing"] = READ_ONLY
    with country(warehouse, version, document=document) as here:
        here.pretend("update lookup.category_option set can_write = true")  # as it was last night
        here.fill(units=PLACES[:10])
        report = here.report()
        assert (report.accepted, report.refused) == (600, 200)
    found = rows(
        warehouse, "select distinct category_option_combo_id, code from outbox.value where state = 'refused' order by 1"
    )
    assert found == [(COMBOS[0], "E8012"), (COMBOS[1], "E8012")]
    assert report.request_count <= 5


def requests(warehouse: Warehouse) -> int:
    [(count,)] = rows(warehouse, "select count(*) from outbox.batch")
    return int(count)
