"""The fhir.* functions: what FHIR allows is read, everything else is null and never an error."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.sql import rows

SNOMED = "http://snomed.info/sct"


def ask(warehouse: Warehouse, expression: str, *values: object) -> Any:
    with warehouse.connect() as connection:
        row = connection.execute(f"select {expression}", values).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


REFERENCES = [
    ("Patient/p-1.A", "Patient", "p-1.A"),
    ("https://fhir.example.org/fhir/Patient/p1", "Patient", "p1"),
    ("http://fhir.example.org/fhir/Patient/p1", "Patient", "p1"),
    ("http://hapi:8080/fhir/Patient/p1", "Patient", "p1"),
    ("https://other.example/fhir/Patient/p1", "Patient", None),
    ("https://fhir.example.org/Patient/p1", "Patient", None),
    ("https://fhir.example.org/fhir/other/Patient/p1", "Patient", None),
    ("https://fhir.example.org/fhir/Group/p1", "Patient", None),
    ("ftp://fhir.example.org/fhir/Patient/p1", "Patient", None),
    ("/Patient/p1", "Patient", None),
    ("other.example/fhir/Patient/p1", "Patient", None),
    ("urn:oid:1.2.3/Patient/p1", "Patient", None),
    ("#/Patient/p1", "Patient", None),
    ("Patient/p1/_history/3", "Patient", "p1"),
    ("https://fhir.example.org/fhir/Patient/p1/_history/3", "Patient", "p1"),
    ("Group/p1", "Patient", None),
    ("urn:uuid:5f0c9a52-8f0e-5d7e-9b52-6a3c1f2d4e10", "Patient", None),
    ("#p1", "Patient", None),
    ("Patient?identifier=1", "Patient", None),
    ("RelatedPatient/p1", "Patient", None),
    ("Patient/", "Patient", None),
    ("Patient/p1/extra", "Patient", None),
    (None, "Patient", None),
]


def test_a_reference_gives_the_id_of_its_own_type_only(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        state.remember_address(connection, "https://fhir.example.org/fhir/", "http://hapi:8080/fhir", "")
        state.remember_address(connection, "https://fhir.example.org/fhir")
    found = [ask(warehouse, "fhir.reference_id(%s, %s)", reference, kind) for reference, kind, _ in REFERENCES]
    assert found == [wanted for _, _, wanted in REFERENCES]


DAYS = [
    ("2024-02-29", "2024-02-29"),
    ("2023-02-29", None),
    ("2024-04-31", None),
    ("2024-01-31T21:30:00Z", "2024-02-01"),  # 00:30 in Kampala
    ("2024-01-31T20:59:59.999+00:00", "2024-01-31"),
    ("2024-01-31T23:30:00+03:00", "2024-01-31"),
    ("2024-01-31T23:30:00", "2024-01-31"),  # no zone: the day as it stands
    ("2024-01-31T25:00:00Z", None),
    ("2024-01-31T10:00:00+15:00", None),
    ("2024-01-31T23:59:60Z", "2024-02-01"),
    ("2024-01-31T10:00Z", "2024-01-31"),
    ("2024-01", None),
    ("2024", None),
    ("0000-01-01", None),
    ("9999-12-31", "9999-12-31"),
    ("31/01/2024", None),
    ("today", None),
    ("", None),
    (None, None),
]


def test_an_event_belongs_to_its_day_in_the_country(warehouse: Warehouse) -> None:
    found = [ask(warehouse, "fhir.local_date(%s)::text", value) for value, _ in DAYS]
    assert found == [wanted for _, wanted in DAYS]


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024-01-31T23:30:00+03:00", "2024-01-31 20:30:00+00"),
        ("2024-01-31T23:30:00.123456789Z", "2024-01-31 23:30:00.123457+00"),
        ("2024-01-31T23:30:00", None),
        ("2024-02-30T10:00:00Z", None),
        ("2024-01-31", None),
        ("x2024-01-31T10:00:00Z", None),
    ],
)
def test_an_instant_needs_a_zone(warehouse: Warehouse, value: str, moment: str | None) -> None:
    assert ask(warehouse, "fhir.instant(%s)::text", value) == moment


@pytest.mark.parametrize(
    ("value", "first_day", "precision"),
    [
        ("1990", "1990-01-01", "year"),
        ("1990-05", "1990-05-01", "month"),
        ("1990-05-17", "1990-05-17", "day"),
        ("1990-13", None, None),
        ("90", None, None),
        ("1990-05-1", None, None),
    ],
)
def test_a_partial_date_says_how_exact_it_is(
    warehouse: Warehouse, value: str, first_day: str | None, precision: str | None
) -> None:
    assert ask(warehouse, "fhir.partial_date(%s)::text, fhir.date_precision(%s)", value, value) == (
        first_day,
        precision,
    )


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2024-01-31T23:30:00+03:00", "2024-01-31"),
        ("2024-02-02", "2024-02-02"),  # a day of grace
        ("2024-02-03", None),  # after it arrived
        ("1970-01-01T00:00:00+03:00", None),  # a phone that lost its clock
    ],
)
def test_an_event_after_its_arrival_or_at_the_epoch_has_no_date(
    warehouse: Warehouse, value: str, day: str | None
) -> None:
    assert ask(warehouse, "fhir.event_date(%s, '2024-01-31T21:00:00Z')::text", value) == day


@pytest.mark.parametrize(
    ("born", "on", "age"),
    [
        ("2000-02-29", "2024-02-28", 23),
        ("2000-02-29", "2024-02-29", 24),
        ("2024-01-02", "2024-01-01", None),
        (None, "2024-01-01", None),
    ],
)
def test_age_is_in_completed_years_and_none_before_birth(
    warehouse: Warehouse, born: str | None, on: str, age: int | None
) -> None:
    assert ask(warehouse, "fhir.age_years(%s::date, %s::date)", born, on) == age


CONCEPTS: list[tuple[object, list[str]]] = [
    (
        {"coding": [{"system": "x", "code": "1"}, {"system": "https://www.snomed.org", "code": "2"}]},
        ["x|1", f"{SNOMED}|2"],
    ),
    (
        [{"coding": [{"system": "http://www.snomed.org/", "code": "2"}]}, {"coding": [{"code": "3"}]}],
        [f"{SNOMED}|2", "|3"],
    ),
    ({"system": SNOMED, "code": "2"}, [f"{SNOMED}|2"]),
    ({"text": "only text"}, []),
    ({"coding": "nonsense"}, []),
    ({"coding": [None, 4, {"code": None}]}, []),
    ("text", []),
    (None, []),
]


def test_codes_are_tokens_with_one_address_for_snomed(warehouse: Warehouse) -> None:
    found = [ask(warehouse, "fhir.codes(%s::jsonb)", json.dumps(concept)) for concept, _ in CONCEPTS]
    assert found == [wanted for _, wanted in CONCEPTS]
    assert ask(warehouse, "fhir.codes(null)") == []


def test_a_code_is_found_wherever_it_stands_among_the_codings(warehouse: Warehouse) -> None:
    concept = json.dumps(CONCEPTS[0][0])
    assert ask(warehouse, "fhir.code(%s::jsonb, 'y', %s)", concept, SNOMED) == "2"
    assert ask(warehouse, "fhir.code(%s::jsonb, 'y')", concept) is None
    assert ask(warehouse, "fhir.has_code(%s::jsonb, 'http://www.snomed.org/', '9', '2')", concept) is True
    assert ask(warehouse, "fhir.has_code(%s::jsonb, 'x', '2')", concept) is False


def tagged(*tags: tuple[str, str, str]) -> str:
    return json.dumps({"meta": {"tag": [{"system": s, "code": c, "display": d} for s, c, d in tags]}})


BASE = "https://smartregister.org/"
TAGS = [
    (
        tagged((f"{BASE}location-tag-id", "l1", ""), (f"{BASE}practitioner-tag-id", "p", "")),
        (None, "l1", "p", None, None),
    ),
    (tagged((f"{BASE}location-tag-id", "l1", ""), (f"{BASE}location-tag-id", "l2", "")), (None,) * 5),
    (
        tagged((f"{BASE}location-tag-id", "l1", ""), (f"{BASE}location-tag-id", "l1", "")),
        (None, "l1", None, None, None),
    ),
    (tagged((f"{BASE}location-tag-id", "Not defined", "")), (None,) * 5),
    (
        tagged((f"{BASE}organization-tag-id", "o", ""), (f"{BASE} related-entity-location-tag-id", "r", "")),
        ("r", None, None, None, "o"),
    ),
    (
        tagged((BASE, "l1", "Practitioner Location"), (BASE, "t", "Practitioner CareTeam")),
        (None, "l1", None, "t", None),
    ),
    (tagged(("urn:test", "x", "Practitioner")), (None,) * 5),
    ("{}", (None,) * 5),
    ('{"meta": {"tag": "nonsense"}}', (None,) * 5),
]


def test_a_tag_counts_only_when_it_says_one_thing(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        found = [connection.execute("select * from fhir.tags(%s)", (resource,)).fetchone() for resource, _ in TAGS]
    assert found == [wanted for _, wanted in TAGS]


DATE_LIKE = r"[0-9]{4}(-[0-9]{2}){0,2}(T[0-9]{2}(:[0-9]{2}){1,2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(
        st.text(alphabet="0123456789-T:.+Z_ ab", max_size=30) | st.from_regex(DATE_LIKE, fullmatch=True),
        min_size=200,
        max_size=200,
    )
)
def test_no_text_makes_a_date_function_fail(values: list[str], warehouse: Warehouse) -> None:
    found = rows(
        warehouse,
        "select v, fhir.local_date(v)::text, fhir.instant(v)::text, fhir.partial_date(v)::text, fhir.date_precision(v)"
        " from unnest(%s::text[]) v",
        values,
    )
    assert len(found) == len(values)
    assert all(day is None or text[:10] == day or "T" in text for text, day, *_ in found)
    assert all((first is None) == (precision is None) for *_, first, precision in found)
