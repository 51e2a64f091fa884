"""The example project on the real HAPI export, against counts made straight from its files without a database."""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from opensrp_dhis2_sandbox.server import running
from opensrp_dhis2_sandbox.start import dhis2_app, metadata_file

from opensrp_dhis2.connections import open_dhis2
from opensrp_dhis2.dhis2.metadata import read_metadata
from opensrp_dhis2.extract import Extraction, load_folder
from opensrp_dhis2.fhir.ndjson import NdjsonFolder
from opensrp_dhis2.lookup.metadata import fill_periods, replace_metadata
from opensrp_dhis2.lookup.place import read_mapping, resolve_places
from opensrp_dhis2.lookup.target import refresh_targets
from opensrp_dhis2.project import Project
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.views.build import build_all
from opensrp_dhis2.views.catalog import load_catalog
from opensrp_dhis2.views.data_tests import run_tests
from opensrp_dhis2.warehouse.database import Warehouse
from tests.conftest import ROOT
from tests.support.sql import execute

PROJECT = Project(ROOT / "examples" / "hapi-export")
START_ON, TODAY = date(2024, 1, 1), date(2026, 11, 21)
Totals = Counter[tuple[str, ...]]


class Export:
    """The export's files in plain Python: the other way to count."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.patients = {each["id"]: each for each in self.read("Patient")}
        self.parents = {each["id"]: _id(each.get("partOf", {})) for each in self.read("Location")}
        with (PROJECT.country_dir or folder).joinpath("place.csv").open() as file:
            self.units = {row["location_id"]: row["org_unit"] for row in csv.DictReader(file)}

    def read(self, resource_type: str) -> Iterator[dict[str, Any]]:
        with gzip.open(self.folder / f"{resource_type}.ndjson.gz") as lines:
            yield from map(json.loads, lines)

    def unit(self, resource: dict[str, Any]) -> str | None:
        """Give the org unit of the village in the tag, or of the nearest place above it."""
        tags = [(tag.get("system", "").replace(" ", ""), tag["code"]) for tag in resource["meta"].get("tag", ())]
        found = next((code for system, code in tags if system.endswith("related-entity-location-tag-id")), "")
        while found and found not in self.units:
            found = self.parents.get(found, "")
        return self.units.get(found)

    def group_of(self, patient_id: str, day: date) -> tuple[str, str] | None:
        """Give age group and sex; none when the birth date is not known."""
        patient = self.patients[patient_id]
        born = (patient.get("birthDate", "") + "-01-01")[:10]
        if not born[0].isdigit():
            return None
        years = day.year - int(born[:4]) - (day.isoformat()[5:] < born[5:])
        return "<5" if years < 5 else "5-14" if years < 15 else "15+", patient["gender"]


def _id(reference: dict[str, str]) -> str:
    return reference.get("reference", "").rpartition("/")[2]


def _codes(concepts: list[dict[str, Any]]) -> set[str]:
    return {coding["code"] for concept in concepts for coding in concept.get("coding", ())}


def visits(export: Export) -> Totals:
    totals = Totals()
    for each in export.read("Encounter"):
        codes, unit = _codes(each.get("type", [])), export.unit(each)
        if each["class"]["code"] == "HH" and unit:
            kind = "vaccinations" if "33879002" in codes else "registrations" if "184048005" in codes else "untyped"
            measure = {"finished": kind, "in-progress": "unfinished"}[each["status"]]
            totals[each["period"]["start"][:7].replace("-", ""), unit, measure] += 1
    return totals


def households(export: Export) -> Totals:
    """Count households once a month and unit, however often they were visited."""
    homes = {_id(m["entity"]): g["id"] for g in export.read("Group") if "code" in g for m in g.get("member", ())}
    reached = set()
    for each in export.read("Encounter"):
        home, unit = homes.get(_id(each.get("subject", {}))), export.unit(each)
        if home and unit and (each["class"]["code"], each["status"]) == ("HH", "finished"):
            reached.add((home, each["period"]["start"][:7].replace("-", ""), unit))
    return Totals((period, unit, "households") for _, period, unit in reached)


def malaria_tests(export: Export) -> Totals:
    totals = Totals()
    for each in export.read("Observation"):
        if "70569-9" not in _codes([each.get("code", {})]) or each["status"] == "entered-in-error":
            continue
        day = date.fromisoformat(each["effectiveDateTime"][:10])
        group, unit = export.group_of(_id(each["subject"]), day), export.unit(each)
        if group and unit:
            cell = (f"{day.isocalendar().year}W{day.isocalendar().week}", unit, *group)
            totals[(*cell, "tested")] += 1
            totals[(*cell, "positive")] += "10828004" in _codes([each["valueCodeableConcept"]])
    return +totals


def registered_clients(export: Export) -> Totals:
    totals = Totals()
    for each in export.read("Encounter"):
        patient = export.patients.get(_id(each.get("subject", {})))
        if "184048005" not in _codes(each.get("type", [])) or not patient or not patient["active"]:
            continue
        for period, end in (("2026Q1", "2026-03-31"), ("2026Q2", "2026-06-30"), ("2026Q3", "2026-09-30")):
            group, unit = export.group_of(patient["id"], date.fromisoformat(end)), export.unit(patient)
            if each["period"]["start"][:10] <= end and group and unit:
                totals[period, unit, *group, "clients"] += 1
    return totals


@pytest.fixture
def now() -> datetime:
    return datetime.combine(TODAY, datetime.min.time(), UTC)


@pytest.fixture
def example(warehouse: Warehouse, shared: Path) -> Warehouse:
    """A warehouse with the export, the example's DHIS2 metadata, places, calendar and indicators."""
    catalog, folder = load_catalog(PROJECT), NdjsonFolder(shared / "data" / "hapi-export")
    for resource_type in catalog.resource_types:
        load_folder(folder, warehouse, resource_type, Extraction(validate_share=0))
    look_up(warehouse)
    build_all(warehouse, catalog)
    return warehouse


def look_up(warehouse: Warehouse) -> int:
    """Fill the lookup tables as the job does; give the number of targets."""
    catalog, mapping = load_catalog(PROJECT), PROJECT.file("place.csv")
    assert mapping is not None
    with running(dhis2_app(metadata_file(PROJECT), None)) as url:
        settings = Settings(dhis2_base_url=url)
        with open_dhis2(settings) as client, warehouse.connect() as connection:
            replace_metadata(connection, read_metadata(client, catalog.data_sets.codes), url)
            fill_periods(connection, catalog.data_sets.period_types, START_ON, TODAY)
            resolve_places(connection, read_mapping(mapping))
            return refresh_targets(connection, catalog.indicators, catalog.data_sets)


def totals_of(warehouse: Warehouse, indicator: str, *measures: str) -> Totals:
    with warehouse.connect() as connection:
        found = connection.execute(
            "select period, code, disaggregation, measure, value from indicator.value"
            " join lookup.org_unit using (org_unit_id)"
            " where indicator = %s and measure = any(%s) and value > 0"
            " and not (period_type = 'Quarterly' and period > '2026Q3')",
            (indicator, list(measures)),
        )
        return Totals({(period, code, *cell, measure): int(value) for period, code, cell, measure, value in found})


def test_totals_are_those_counted_straight_from_the_files(example: Warehouse, shared: Path) -> None:
    export = Export(shared / "data" / "hapi-export")
    kinds = ("registrations", "vaccinations", "untyped", "unfinished")
    assert totals_of(example, "home_visits", *kinds) == visits(export)
    assert totals_of(example, "home_visits", "households") == households(export)
    assert totals_of(example, "malaria_tests", "tested", "positive") == malaria_tests(export)
    assert totals_of(example, "registered_clients", "clients") == registered_clients(export)


def test_what_is_in_no_total_or_breaks_a_data_test_is_known(example: Warehouse) -> None:
    with example.connect() as connection:
        left_out = connection.execute("select indicator, reason from indicator.left_out").fetchall()
        rules = connection.execute("select rule, count(*) from lookup.place group by 1").fetchall()
    failing = [result for result in run_tests(example, load_catalog(PROJECT)) if result.failing_count]
    assert set(left_out) == {
        ("home_visits", "no possible date"),  # two of the year 2199
        ("home_visits", "no org unit"),  # server experiments without tags
        ("malaria_tests", "no option for age_group"),  # clients without a birth date
        ("registered_clients", "no option for age_group"),
        ("hiv_clients", "no org unit"),  # the children's hospital that place.csv leaves out
    }
    assert dict(rules) == {"mapping": 54, "ancestor": 32, "none": 1160}
    assert [(each.relation, each.test, each.failing_count) for each in failing] == [
        ("staging.observation", "not_null(status)", 2)
    ]


def test_every_code_of_the_example_is_in_its_own_metadata(warehouse: Warehouse) -> None:
    execute(warehouse, "select raw.ensure_table('location')")
    cells_without_and_with_groups = 11 + 3 * 2 + 5 * 6
    assert look_up(warehouse) == cells_without_and_with_groups
