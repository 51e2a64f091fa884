"""Places: every Location gets an org unit by the first rule that knows one, or a row that says why it has none."""

import json
from pathlib import Path
from typing import Any

import pytest

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.lookup.place import read_mapping, resolve_places
from opensrp_dhis2.warehouse.database import Warehouse

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
