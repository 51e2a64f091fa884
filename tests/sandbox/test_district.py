"""The generated district is the same for the same seed, served whole, and holds what the indicators and tests need."""

import json
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from opensrp_dhis2_sandbox.district.people import CANARIES
from opensrp_dhis2_sandbox.district.places import FACILITIES, LANDING_SITE, VILLAGES
from opensrp_dhis2_sandbox.district.write import write_district
from opensrp_dhis2_sandbox.fhir.folder import load_folder
from opensrp_dhis2_sandbox.fhir.store import FhirStore

TODAY = date(2026, 11, 21)
Resources = dict[str, list[dict[str, Any]]]
REL = "https://smartregister.org/related-entity-location-tag-id"
LOCATION_TAG = "https://smartregister.org/location-tag-id"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("district")
    write_district(made, today=TODAY)
    return made


@pytest.fixture(scope="module")
def district(folder: Path) -> Resources:
    return {path.stem: [json.loads(line) for line in path.read_text().splitlines()] for path in folder.iterdir()}


def every(district: Resources) -> list[dict[str, Any]]:
    return [resource for resources in district.values() for resource in resources]


def code_of(resource: dict[str, Any]) -> str:
    code: str = resource["code"]["coding"][-1]["code"]
    return code


def test_the_same_seed_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    counts = write_district(tmp_path / "again", today=TODAY)
    assert 8_000 < sum(counts.values()) < 15_000
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()
    }
    write_district(tmp_path / "other", seed=2, today=TODAY)
    assert (folder / "Patient.ndjson").read_bytes() != (tmp_path / "other" / "Patient.ndjson").read_bytes()


@pytest.mark.parametrize("today", [date(2028, 2, 29), date(2026, 1, 1), date(2026, 3, 31)])
@pytest.mark.parametrize("months", [1, 3, 24])
def test_any_day_and_length_can_be_written(tmp_path: Path, today: date, months: int) -> None:
    counts = write_district(tmp_path, today=today, months=months)
    assert counts["Patient"] == 600
    assert counts["Encounter"] > 100 * months


def test_the_sandbox_serves_all_of_it(folder: Path, district: Resources) -> None:
    assert load_folder(FhirStore(), folder) == {name: len(found) for name, found in sorted(district.items())}


def test_nothing_reached_the_server_after_yesterday(district: Resources) -> None:
    assert max(resource["meta"]["lastUpdated"] for resource in every(district)) < "2026-11-21"


def test_places_are_two_facilities_with_three_villages_and_one_site_apart(district: Resources) -> None:
    places = {place["id"]: place for place in district["Location"]}
    codes = {
        one["value"] for place in places.values() for one in place["identifier"] if "dhis2" in one.get("system", "")
    }
    assert codes == {"CT", "RG", "DI", "HF-1", "HF-2"}
    parents = Counter(places[village.id]["partOf"]["reference"] for village in VILLAGES)
    assert parents == {f"Location/{facility.id}": 3 for facility in FACILITIES}
    assert "partOf" not in places[LANDING_SITE.id]
    site = f"Location/{LANDING_SITE.id}"
    assert (
        sum(site in json.dumps(resource) for kind in ("Encounter", "Observation") for resource in district[kind]) == 2
    )


def months_of(found: list[str]) -> set[str]:
    return {text[:7] for text in found}


def test_every_month_has_something_to_count(district: Resources) -> None:
    wanted = {f"2025-{month}" for month in (11, 12)} | {f"2026-{month:02d}" for month in range(1, 11)}
    doses = [one for one in district["Immunization"] if one["status"] == "completed"]
    dated = {
        text: [one["occurrenceDateTime"] for one in doses if one["vaccineCode"]["text"] == text]
        for text in ("DPT-HepB-Hib 1", "DPT-HepB-Hib 3", "MR 1")
    }
    for code in ("70569-9", "act-given", "consumption", "284473002", "57036006"):
        dated[code] = [one["effectiveDateTime"] for one in district["Observation"] if code_of(one) == code]
    dated["pregnancy"] = [one["onsetDateTime"] for one in district["Condition"]]
    visits = [one for one in district["Encounter"] if one["subject"]["reference"].startswith("Group/")]
    dated["home visit"] = [one["period"]["start"] for one in visits]
    missing = {name: wanted - months_of(found) for name, found in dated.items()}
    assert {name: months for name, months in missing.items() if months} == {}


def test_every_week_has_fevers_and_signals_are_not_rare(district: Resources) -> None:
    tests = [one["effectiveDateTime"] for one in district["Observation"] if code_of(one) == "70569-9"]
    weeks = {datetime.fromisoformat(text).date().isocalendar()[:2] for text in tests}
    assert len(weeks) >= 54
    signals = [one for one in district["Observation"] if "surveillance" in json.dumps(one.get("category", ""))]
    assert len(signals) > 80


def test_tags_are_as_phones_write_them(district: Resources) -> None:
    tags = [Counter(tag["system"] for tag in one["meta"].get("tag", ())) for one in district["Encounter"]]
    codes = {tag["code"] for one in district["Encounter"] for tag in one["meta"].get("tag", ())}
    assert any(found[LOCATION_TAG] == 2 for found in tags)
    assert any(not found for found in tags)
    assert any(found and not found[REL] for found in tags)
    assert "Not defined" in codes


def test_the_faults_are_there(district: Resources) -> None:
    patients, encounters = district["Patient"], district["Encounter"]
    subjects = [one["subject"]["reference"] for one in encounters]
    text = json.dumps(encounters)
    assert {len(patient["birthDate"]) for patient in patients} == {4, 7, 10}
    assert any("gender" not in patient for patient in patients)
    assert any(patient["active"] is False for patient in patients)
    assert any(subject.startswith("https://") for subject in subjects)
    assert any(subject.endswith("/_history/1") for subject in subjects)
    assert any(one["period"]["start"] > "2027" for one in encounters)
    assert any("T23:30:00+03:00" in one["period"]["start"] for one in encounters)
    assert all(
        f'"{uri}"' in text for uri in ("http://snomed.info/sct", "https://www.snomed.org", "http://www.snomed.org/")
    )
    assert any(group.get("member") is None and group["active"] is False for group in district["Group"])
    assert {one["meta"]["versionId"] for one in encounters} == {"1", "2", "3"}
    for kind in ("Encounter", "Observation", "Immunization"):
        assert any(one["status"] == "entered-in-error" for one in district[kind])
    assert any(one["status"] == "not-done" for one in district["Immunization"])
    assert any(len(one["code"]["coding"]) == 2 for one in district["Observation"])
    lateness = [one["meta"]["lastUpdated"][:10] > one["effectiveDateTime"][:10] for one in district["Observation"]]
    assert any(lateness)


def test_late_uploads_come_months_after_the_event(district: Resources) -> None:
    days = [
        (date.fromisoformat(one["meta"]["lastUpdated"][:10]) - date.fromisoformat(one["effectiveDateTime"][:10])).days
        for one in district["Observation"]
    ]
    assert sum(30 < day < 140 for day in days) > 50
    assert sorted(days)[len(days) // 2] <= 7


def test_every_client_carries_the_canaries(district: Resources) -> None:
    for patient in district["Patient"]:
        text = json.dumps(patient)
        assert all(canary in text for canary in CANARIES), patient["id"]


def test_references_lead_to_what_exists(district: Resources) -> None:
    known = {f"{one['resourceType']}/{one['id']}" for one in every(district)}
    for one in [*district["Encounter"], *district["Observation"]]:
        subject = one["subject"]["reference"].removeprefix("https://fhir.example.org/fhir/").split("/_history/")[0]
        assert subject in known
        assert one.get("encounter", {"reference": f"Encounter/{one['id']}"})["reference"] in known | {
            f"Encounter/{one['id']}"
        }
