"""The metadata that the lookup tables want, from a server that holds the recorded data set."""

from datetime import date

import pytest

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.metadata import (
    CategoryOptionCombo,
    DataElement,
    DataSetRow,
    OrgUnit,
    data_set_state,
    read_metadata,
)
from opensrp_dhis2.errors import MetadataNotFoundError
from tests.dhis2.conftest import Answer, Asked, CannedDhis2, recorded, said
from tests.support.dhis2_recordings import VERSIONS

COMBOS = {
    "CcDefault01": {
        "name": "default",
        "isDefault": True,
        "categoryOptionCombos": [
            {"id": "HllvX50cXC0", "name": "default", "categoryOptions": [{"id": "CoDefault01", "code": "default"}]}
        ],
    },
    "CcSex000001": {
        "name": "Sex",
        "code": " SEX ",
        "isDefault": False,
        "categoryOptionCombos": [
            {
                "id": "CocSexF0001",
                "code": "SEX_F",
                "name": "Female, new",
                "categoryOptions": [{"id": "CoSexF00001", "code": "SEX_F"}, {"id": "CoNew000001", "code": "NEW"}],
            },
            {"id": "CocSexX0001", "name": "other", "categoryOptions": [{"id": "CoSexX00001"}]},
        ],
    },
}
DATA_SET = {
    "id": "DsMonthly01",
    "code": "DS_M",
    "name": "Monthly",
    "periodType": "Monthly",
    "categoryCombo": {"id": "CcDefault01"},
    "openFuturePeriods": 0,
    "expiryDays": 10.0,
    "dataInputPeriods": [{"period": {"id": "202609"}}],
    "access": {"data": {"read": True, "write": True}},
    "organisationUnits": [{"id": "OuFacility1"}, {"id": "OuFacility2"}],
    "compulsoryDataElementOperands": [
        {"dataElement": {"id": "DeVisits001"}, "categoryOptionCombo": {"id": "CocSexF0001"}},
        {"dataElement": {"id": "DeRegimen01"}},
    ],
    "dataSetElements": [
        {
            "categoryCombo": {"id": "CcSex000001"},
            "dataElement": {
                "id": "DeVisits001",
                "code": "VISITS",
                "name": "Visits",
                "valueType": "INTEGER",
                "aggregationType": "SUM",
                "zeroIsSignificant": False,
                "categoryCombo": {"id": "CcDefault01"},
            },
        },
        {
            "dataElement": {
                "id": "DeRegimen01",
                "name": "Regimen",
                "valueType": "TEXT",
                "aggregationType": "NONE",
                "zeroIsSignificant": True,
                "categoryCombo": {"id": "CcDefault01"},
                "optionSet": {"id": "OsRegimen01", "options": [{"code": "TLD"}, {"code": "TLE"}]},
            },
        },
    ],
}
UNITS = [
    {"id": f"OuFacility{n}", "code": f" HF-{n}", "name": f"Facility {n}", "path": f"/OuCountry01/OuFacility{n}"}
    for n in range(1, 4)
]


@pytest.fixture
def filled(server: CannedDhis2) -> CannedDhis2:
    """A server with one data set and three facilities, two a page."""

    def units(asked: Asked) -> Answer:
        page = int(asked.params["page"][0])
        rows = [{**one, "openingDate": "2015-01-01T00:00:00.000"} for one in UNITS[2 * page - 2 : 2 * page]]
        return said({"pager": {"page": page, "pageCount": 2}, "organisationUnits": rows})

    info = {"version": "2.43.1", "calendar": "iso8601", "serverDate": "2026-11-21T12:00:00.000"}
    server.on("GET", "/api/system/info", said(info))
    server.on("GET", "/api/me", said({"id": "UsPusher001", "organisationUnits": [{"id": "OuCountry01"}]}))
    sets = [{"id": "DsMonthly01", "code": "DS_M"}, {"id": "DsOther0001", "code": "DS_X"}, {"id": "DsNoCode001"}]
    server.on("GET", "/api/dataSets", said({"dataSets": sets}))
    server.on("GET", "/api/dataSets/DsMonthly01", said(DATA_SET))
    server.on("GET", "/api/categoryOptionCombos", recorded("2.43.1", "45e-coc-default"))
    server.on("GET", "/api/organisationUnits", units)
    for combo, members in COMBOS.items():
        server.on("GET", f"/api/categoryCombos/{combo}", said({"id": combo, **members}))
    return server


def test_only_the_named_data_sets_are_read_in_depth(filled: CannedDhis2, client: Dhis2Client) -> None:
    found = read_metadata(client, ["DS_M"])
    assert found.data_sets == [
        DataSetRow("DsMonthly01", "DS_M", "Monthly", "Monthly", "CcDefault01", 0, 10.0, True, True)
    ]
    assert found.data_set_org_units == [
        ("DsMonthly01", "OuFacility1"),
        ("DsMonthly01", "OuFacility2"),
    ]
    assert not [asked for asked in filled.asked if "DsOther0001" in asked.path]


def test_the_compulsory_fields_are_read_with_their_combo_or_without(filled: CannedDhis2, client: Dhis2Client) -> None:
    assert [tuple(row) for row in read_metadata(client, ["DS_M"]).compulsory_operands] == [
        ("DsMonthly01", "DeVisits001", "CocSexF0001"),
        ("DsMonthly01", "DeRegimen01", None),
    ]
    [asked] = [asked for asked in filled.asked if asked.path.endswith("/dataSets/DsMonthly01")]
    assert "compulsoryDataElementOperands[dataElement[id],categoryOptionCombo[id]]" in asked.params["fields"][0]


def test_every_org_unit_of_every_page_is_read_with_its_level(filled: CannedDhis2, client: Dhis2Client) -> None:
    units = read_metadata(client, ["DS_M"]).org_units
    assert [unit.org_unit_id for unit in units] == ["OuFacility1", "OuFacility2", "OuFacility3"]
    assert units[0] == OrgUnit(
        "OuFacility1", "HF-1", "Facility 1", 2, "/OuCountry01/OuFacility1", date(2015, 1, 1), None
    )


def test_the_data_sets_own_category_combo_wins_over_the_elements(filled: CannedDhis2, client: Dhis2Client) -> None:
    found = read_metadata(client, ["DS_M"])
    assert {row.data_element_id: row.category_combo_id for row in found.data_set_elements} == {
        "DeVisits001": "CcSex000001",
        "DeRegimen01": "CcDefault01",
    }
    assert found.data_elements[1] == DataElement(
        "DeRegimen01", None, "Regimen", "TEXT", "NONE", True, "CcDefault01", ["TLD", "TLE"]
    )
    assert found.data_elements[0].option_codes is None


def test_a_combo_is_known_by_its_sorted_options(filled: CannedDhis2, client: Dhis2Client) -> None:
    found = read_metadata(client, ["DS_M"])
    by_id = {row.category_option_combo_id: row for row in found.category_option_combos}
    assert by_id["CocSexF0001"] == CategoryOptionCombo(
        "CocSexF0001", "SEX_F", "Female, new", "CcSex000001", ["NEW", "SEX_F"], ["CoNew000001", "CoSexF00001"]
    )
    assert by_id["CocSexX0001"].option_codes == ["CoSexX00001"]
    assert [(row.code, row.is_default) for row in found.category_combos] == [(None, True), ("SEX", False)]
    assert (found.default_category_option_combo_id, found.version) == ("HllvX50cXC0", "2.43.1")


def test_a_data_set_that_cannot_be_seen_is_named(filled: CannedDhis2, client: Dhis2Client) -> None:
    with pytest.raises(MetadataNotFoundError, match=r"no data set with code DS_A, DS_B, .*data_sets\.yaml"):
        read_metadata(client, ["DS_M", "DS_B", "DS_A"])


def test_a_server_without_a_default_combo_says_so(filled: CannedDhis2, client: Dhis2Client) -> None:
    filled.on("GET", "/api/categoryOptionCombos", said({"categoryOptionCombos": []}))
    with pytest.raises(MetadataNotFoundError, match="no category option combo named default"):
        read_metadata(client, ["DS_M"])


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_org_units_have_the_level_that_their_path_says(
    client: Dhis2Client, server: CannedDhis2, version: str
) -> None:
    server.on("GET", "/api/organisationUnits", recorded(version, "45c-orgunits"))
    found = list(client.get_pages("organisationUnits", "id,code,name,path,level"))
    whole = [unit for unit in found if isinstance(unit, dict)]  # the recorder left out most of them
    assert len(whole) > 5
    assert all(unit["level"] == unit["path"].count("/") for unit in whole)


def test_the_digest_of_a_data_set_changes_with_what_may_matter_and_with_nothing_else() -> None:
    day = date(2026, 11, 21)
    turned = [{"id": "OuFacility2"}, {"id": "OuFacility1"}]
    same = [DATA_SET, {**DATA_SET, "name": "Other"}, {**DATA_SET, "organisationUnits": turned}]
    other = [
        {**DATA_SET, "workflow": {"id": "WfMonthly01"}},
        {**DATA_SET, "access": {"data": {"read": True, "write": False}}},
        {**DATA_SET, "organisationUnits": [{"id": "OuFacility1"}]},
        {**DATA_SET, "dataInputPeriods": [{"period": {"id": "202609"}, "openingDate": "2026-11-22"}]},
    ]
    assert len({data_set_state(one, day).digest for one in same}) == 1
    assert len({data_set_state(one, day).digest for one in [DATA_SET, *other]}) == 5
    opening = other[-1]
    assert data_set_state(opening, date(2026, 11, 22)) == data_set_state(DATA_SET, day)
