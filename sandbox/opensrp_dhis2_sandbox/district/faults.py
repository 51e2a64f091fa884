"""What is odd or wrong in the district's data, put in on purpose and always in the same places.

It knows which resource gets which fault; every fault here has been seen in real OpenSRP or HAPI data.
"""

from collections.abc import Iterator
from datetime import datetime, time, timedelta

from opensrp_dhis2_sandbox.district.ledger import LOCAL, Ledger
from opensrp_dhis2_sandbox.district.places import Resource

OWN_ADDRESS = "https://fhir.example.org/fhir"  # what the district's server calls itself, wherever it is asked


def add_faults(ledger: Ledger) -> None:
    """Spoil a few resources of each kind, then edit some, so that their versions are above 1."""
    _spoil_people(ledger)
    _spoil_references(ledger)
    _spoil_dates(ledger)
    _enter_in_error(ledger)
    _edit(ledger)


def _every(resources: list[Resource], step: int, first: int) -> Iterator[Resource]:
    return iter(resources[first::step])


def _spoil_people(ledger: Ledger) -> None:
    patients = ledger.resources["Patient"]
    for patient in _every(patients, 150, 20):
        patient["birthDate"] = patient["birthDate"][:4]
    for patient in _every(patients, 200, 33):
        patient["birthDate"] = patient["birthDate"][:7]
    for patient in _every(patients, 140, 51):
        del patient["gender"]
    for patient in _every(patients, 30, 7):  # imported from a list: no phone wrote it, so no tags
        patient["meta"].pop("tag", None)


def _spoil_references(ledger: Ledger) -> None:
    encounters, observations = ledger.resources["Encounter"], ledger.resources["Observation"]
    for resource in [*_every(encounters, 90, 13), *_every(observations, 110, 29)]:
        resource["subject"]["reference"] = f"{OWN_ADDRESS}/{resource['subject']['reference']}"
    for resource in [*_every(encounters, 95, 17), *_every(observations, 120, 31)]:
        resource["subject"]["reference"] += "/_history/1"


def _spoil_dates(ledger: Ledger) -> None:
    encounters = ledger.resources["Encounter"]
    future = datetime.combine(ledger.last_day, time(9), LOCAL) + timedelta(days=400)
    encounters[3]["period"] = {"start": future.isoformat()}
    ledger.resources["Immunization"][3]["occurrenceDateTime"] = "1970-01-01T00:00:00+03:00"
    for encounter in _every(encounters, 60, 23):  # the last half hour of a local month
        last = _month_end(encounter)
        encounter["period"] = {"start": last.isoformat(), "end": (last + timedelta(minutes=15)).isoformat()}
    for encounter in _every(encounters, 120, 41):  # 01:30 on the first: still the month before in UTC
        early = _month_end(encounter) + timedelta(hours=2)
        utc = (early - timedelta(hours=3)).replace(tzinfo=None)
        encounter["period"] = {"start": f"{utc.isoformat()}Z"}


def _month_end(encounter: Resource) -> datetime:
    start = datetime.fromisoformat(encounter["period"]["start"])
    this_month = datetime(start.year, start.month, 1, 23, 30, tzinfo=LOCAL)
    return this_month - timedelta(days=1)  # of the month before, which is over by the time of the upload


def _enter_in_error(ledger: Ledger) -> None:
    for resource_type in ("Encounter", "Observation", "Immunization"):
        for resource in _every(ledger.resources[resource_type], 75, 37):
            resource["status"] = "entered-in-error"
    status = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    for condition in _every(ledger.resources["Condition"], 30, 11):
        condition["verificationStatus"] = {"coding": [{"system": status, "code": "entered-in-error"}]}
        del condition["clinicalStatus"]


def _edit(ledger: Ledger) -> None:
    for resource_type in ("Patient", "Group", "Encounter", "Condition", "Observation"):
        resources = ledger.resources[resource_type]
        for resource in [*_every(resources, 12, 5), *_every(resources, 60, 5)]:
            arrived_at = datetime.fromisoformat(resource["meta"]["lastUpdated"])
            ledger.update(resource, arrived_at + timedelta(days=9))
