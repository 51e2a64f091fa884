"""Dates without a day, and places of another server: left out of every total and told, never guessed."""

import json
from typing import Any

import pytest

from opensrp_dhis2.fhir.page import Resource, read_resource
from opensrp_dhis2.project import Project
from opensrp_dhis2.views.build import build_all
from opensrp_dhis2.views.catalog import load_catalog
from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.load import Load
from tests.support.sql import rows

META = {"versionId": "1", "lastUpdated": "2026-04-20T08:00:00Z"}
SURVEILLANCE = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "surveillance"}]
}
ANTENATAL = {"coding": [{"system": "http://snomed.info/sct", "code": "77386006"}]}


def signal(resource_id: str, on: str, at: str = "Location/hf1") -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": resource_id, "meta": META, "status": "final", "category": [SURVEILLANCE],
        "effectiveDateTime": on, "issued": "2026-04-15T08:00:00Z", "subject": {"reference": at},
    }  # fmt: skip


def enrolment(resource_id: str, **dates: str) -> dict[str, Any]:
    patient = {"reference": f"Patient/of-{resource_id}"}
    return {
        "resourceType": "Condition",
        "id": resource_id,
        "meta": META,
        "code": ANTENATAL,
        "subject": patient,
        **dates,
    }


def built(warehouse: Warehouse, *resources: dict[str, Any]) -> None:
    """Load resources, and count them in a country of one place, in all weeks and months that they may lie in."""
    with warehouse.connect() as connection:
        for resource in resources:
            kind = resource["resourceType"]
            connection.execute("select raw.ensure_table(%s)", (kind.lower(),))
            found = read_resource(kind, json.dumps(resource).encode())
            assert isinstance(found, Resource)
            Load(connection, kind, source="http://fhir.example/fhir").add([found])
        connection.execute(
            "insert into lookup.place (location_id, org_unit_id, rule) values ('hf1', 'OuDistFaci1', 'ancestor');"
            "insert into lookup.period select 'Weekly', 'week of ' || d::date, d::date, d::date + 6"
            " from generate_series(timestamp '2025-12-29', '2026-12-28', '7 days') d"
        )
    build_all(warehouse, load_catalog(Project()))


@pytest.mark.parametrize("partial", ["2026-03", "2026"])
def test_an_event_without_a_day_is_in_no_total_and_is_told(warehouse: Warehouse, partial: str) -> None:
    built(warehouse, signal("whole", "2026-03-10"), signal("partial", partial))
    assert rows(warehouse, "select id from staging.observation where effective_on is null") == [("partial",)]
    counted = "select period, signals from indicator.community_signals"
    assert rows(warehouse, counted) == [("week of 2026-03-09", 1)]
    left_out = "select reason, member_count from indicator.left_out where indicator = 'community_signals'"
    assert rows(warehouse, left_out) == [("no possible date", 1)]


def test_where_a_rule_names_a_second_date_it_counts_in_place_of_one_without_a_day(warehouse: Warehouse) -> None:
    second = {"recordedDate": "2026-04-15"}
    built(warehouse, enrolment("partial", onsetDateTime="2026-03", **second), enrolment("alone", onsetDateTime="2026"))
    dated = "select resource_id, event_on::text from member.anc_first_visits order by 1"
    assert rows(warehouse, dated) == [("alone", None), ("partial", "2026-04-15")]


def test_a_place_of_another_server_is_not_the_place_of_the_same_id_here(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        state.remember_address(connection, "http://fhir.example/fhir")
    built(
        warehouse,
        signal("here", "2026-03-10", "http://fhir.example/fhir/Location/hf1"),
        signal("elsewhere", "2026-03-10", "https://other.example/fhir/Location/hf1"),
        signal("bundle", "2026-03-10", "urn:uuid:5f0c9a52-8f0e-5d7e-9b52-6a3c1f2d4e10"),
        signal("contained", "2026-03-10", "#hf1"),
    )
    assert rows(warehouse, "select id from staging.observation where location_id is not null") == [("here",)]
    assert rows(warehouse, "select signals from indicator.community_signals") == [(1,)]
    left_out = "select reason, member_count from indicator.left_out where indicator = 'community_signals'"
    assert rows(warehouse, left_out) == [("no org unit", 3)]


def test_an_address_that_becomes_known_later_is_read_into_what_is_already_here(warehouse: Warehouse) -> None:
    built(warehouse, signal("here", "2026-03-10", "https://gateway.example/fhir/Location/hf1"))
    assert rows(warehouse, "select location_id from staging.observation") == [(None,)]
    with warehouse.connect() as connection:
        state.remember_address(connection, "https://gateway.example/fhir/")
    build_all(warehouse, load_catalog(Project()))
    assert rows(warehouse, "select location_id from staging.observation") == [("hf1",)]
