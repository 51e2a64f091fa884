"""Places: every Location gets an org unit by the first rule that knows one, or a row that says why it has none."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from opensrp_dhis2.cli import main
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.lookup.place import read_mapping, resolve_places
from opensrp_dhis2.privacy.scan import Scan, read_needles, scan_tables
from opensrp_dhis2.project import Project
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import Warehouse
from tests.views.conftest import load

LEVEL_SYSTEM = "https://smartregister.org/codes/administrative-level"
UNITS = [("OuFacility1", "HF-1"), ("OuFacility2", "HF-2")]


def location(resource_id: str, parent: str | None = None, *identifiers: str) -> dict[str, Any]:
    part_of = {"partOf": {"reference": f"Location/{parent}"}} if parent else {}
    values = {"identifier": [{"value": value} for value in identifiers]} if identifiers else {}
    return {"resourceType": "Location", "id": resource_id, "name": resource_id, **part_of, **values}


def places(
    warehouse: Warehouse, *locations: dict[str, Any], mapping: list[tuple[str, str]] | None = None
) -> dict[str, tuple[str | None, str, str | None]]:
    """Resolve some Locations; give org unit, rule and reason by id."""
    with warehouse.connect() as connection:
        connection.execute("select raw.ensure_table('location')")
        for uid, code in UNITS:
            connection.execute("insert into lookup.org_unit values (%s, %s, 'x', 4, '/x', null, null)", (uid, code))
        for found in locations:
            connection.execute(
                "insert into raw.location (id, version_id, last_updated, resource, load_id) values (%s, 1, now(), %s, 1)",
                (found["id"], json.dumps(found)),
            )
        resolve_places(connection, mapping or [])
        rows = connection.execute("select location_id, org_unit_id, rule, reason from lookup.place").fetchall()
    return {location_id: (unit, rule, reason) for location_id, unit, rule, reason in rows}


def test_a_location_is_found_by_id_by_code_and_by_its_nearest_mapped_ancestor(warehouse: Warehouse) -> None:
    found = places(
        warehouse,
        location("facility-1", None, "other", " HF-1 "),
        location("facility-2", "facility-1", "OuFacility2"),
        location("parish", "facility-2"),
        location("village", "parish"),
    )
    assert {name: unit_and_rule[:2] for name, unit_and_rule in found.items()} == {
        "facility-1": ("OuFacility1", "code"),
        "facility-2": ("OuFacility2", "identifier"),
        "parish": ("OuFacility2", "ancestor"),
        "village": ("OuFacility2", "ancestor"),
    }


def test_the_countrys_mapping_wins_over_what_the_location_says(warehouse: Warehouse) -> None:
    found = places(warehouse, location("facility", None, "HF-1"), mapping=[("facility", "HF-2")])
    assert found["facility"][:2] == ("OuFacility2", "mapping")


def test_what_has_no_unit_is_a_row_with_a_reason(warehouse: Warehouse) -> None:
    found = places(
        warehouse,
        location("alone"),
        location("orphan", "missing"),
        location("ring-a", "ring-b"),
        location("ring-b", "ring-a"),
        location("mapped-wrong"),
        location("below-wrong", "mapped-wrong"),
        mapping=[("mapped-wrong", "HF-9")],
    )
    assert [unit for unit, *_ in found.values()] == [None] * 6
    assert "map it in place.csv" in str(found["alone"][2])
    assert "parent Location is missing" in str(found["orphan"][2])
    assert "map it in place.csv" in str(found["ring-a"][2])
    assert "DHIS2 does not have" in str(found["mapped-wrong"][2])
    assert "nearest mapped ancestor" in str(found["below-wrong"][2])


def test_the_mapping_file_of_the_echis_runbook_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "place.csv"
    file.write_text("location_id,location_name,reporting_dhis2_orgunit_uid\na,A,OuFacility1\nb,B,\n")
    assert read_mapping(file) == [("a", "OuFacility1")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("location_id,unit\na,b\n", "place.csv:1: needs the columns"),
        ("location_id,org_unit\na,x\na,y\n", "place.csv:3"),
    ],
)
def test_a_wrong_mapping_file_is_named_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "place.csv"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=said):
        read_mapping(file)


def coded(
    resource_id: str, name: str, physical: str = "", kind: str = "", *identifiers: str, **more: Any
) -> dict[str, Any]:
    concepts = {
        **({"physicalType": {"coding": [{"code": physical}]}} if physical else {}),
        **({"type": [{"coding": [{"system": LEVEL_SYSTEM, "code": kind}]}]} if kind else {}),
    }
    return {**location(resource_id, "facility", *identifiers), "name": name, **concepts, **more}


HOUSE = "House of Odongtho 0772000111"


def test_a_place_keeps_its_name_if_it_is_mapped_or_administrative_and_a_home_never(warehouse: Warehouse) -> None:
    given = [
        location("facility", None, "HF-1"),
        coded("village", "Nabweya", "jdn"),
        coded("parish", "Busamaga", "", "5"),
        coded("clinic", "Hope Clinic", "", "", "HF-2"),
        coded("by-mapping", "Kolonyi"),
        coded("by-wrong-mapping", "Odongtho's"),
        coded("house", HOUSE, "ho"),
        coded("residence", "Odongtho", "bu", "PTRES"),
        coded("building", HOUSE, "bu"),
        coded("mapped-house", "Odongtho", "ho", "", "HF-2"),
        coded("untyped", HOUSE),
        coded("odd", "Odongtho", "", "", physicalType=["jdn", 3], type={"coding": "jdn"}),
    ]
    with warehouse.connect() as connection:
        for uid, code in UNITS:
            connection.execute("insert into lookup.org_unit values (%s, %s, 'x', 4, '/x', null, null)", (uid, code))
        load(connection, "Location", given, table="location")
        mapping = [("by-mapping", "HF-1"), ("by-wrong-mapping", "HF-9")]
        resolve_places(connection, mapping, Settings().place_name_kinds)
        connection.execute("set local role opensrp_reporting")
        rows = connection.execute("select location_id, name from lookup.place where name is not null").fetchall()
    assert dict(rows) == {
        "facility": "facility", "village": "Nabweya", "parish": "Busamaga", "clinic": "Hope Clinic", "by-mapping": "Kolonyi",
    }  # fmt: skip


def test_the_name_of_a_home_is_no_known_word_and_is_looked_for(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        load(
            connection, "Location", [coded("house", HOUSE, "ho"), coded("village", "Nabweya", "jdn")], table="location"
        )
        load(connection, "Patient", [{"id": "p1", "name": [{"family": "Nabweya"}], "address": [{"text": "Nabweya"}]}])
        resolve_places(connection, [], Settings().place_name_kinds)
    needles = read_needles(warehouse, {}, [])
    said = [[kind for kind, _ in needles.found_in(text)] for text in (HOUSE, HOUSE.upper(), "0772-000 111")]
    assert said == [["long number", "place"], ["long number", "place"], ["long number"]]
    scan = Scan()
    with warehouse.connect() as connection:
        scan_tables(scan, needles, connection)
        assert not scan.findings
        connection.execute("update lookup.place set name = %s where location_id = 'house'", (HOUSE,))
        scan_tables(scan, needles, connection)
    assert {(one.place, one.column, one.kind) for one in scan.findings} == {
        ("lookup.place", "name", "place"), ("lookup.place", "name", "long number"),
    }  # fmt: skip


def test_the_names_that_an_older_version_kept_are_gone_before_the_next_extract() -> None:
    assert "update lookup.place set name = null" in (Project().sql_dir / "tables/0008_places.sql").read_text()


def test_the_command_lists_what_has_no_org_unit(warehouse: Warehouse, database_url: str) -> None:
    places(warehouse, location("lost"), location("found", None, "HF-1"))
    result = CliRunner().invoke(main, ["places", "--json"], env={"WAREHOUSE_URL": database_url})
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["location_id"], told["name"]) == ("lost", None)
    assert "map it in place.csv" in told["reason"]
