"""Doses, commodities and community signals of the demo district.

It knows Immunization, stock Observations and surveillance Observations; visits and tags come from the events.
"""

from datetime import date, timedelta
from typing import NamedTuple

from opensrp_dhis2_sandbox.district.events import Visit, months
from opensrp_dhis2_sandbox.district.ledger import Ledger
from opensrp_dhis2_sandbox.district.people import Client, Household
from opensrp_dhis2_sandbox.district.places import (
    LANDING_SITE,
    SMARTREGISTER_CODES,
    SNOMED_SYSTEMS,
    VILLAGES,
    WORKERS,
    Place,
    Resource,
    Worker,
    coding,
    concept,
    named_id,
    workers_of,
)

SIGNALS = "http://moh.go.ug/CodeSystem/cebs-signals"
SIGNAL_CODES = ("fever-with-bleeding", "rash-with-fever", "animal-deaths", "animal-bite", "water-change")
COMMODITIES = ("ACT 6x1", "ACT 6x2")


class Vaccine(NamedTuple):
    """A dose as the form names it, its product, and the age in days at which it is due."""

    text: str
    product: str
    display: str
    dose: int
    due_days: int


VACCINES = (
    Vaccine("BCG", "42284007", "BCG", 1, 1),
    Vaccine("DPT-HepB-Hib 1", "871876009", "Penta", 1, 42),
    Vaccine("DPT-HepB-Hib 2", "871876009", "Penta", 2, 70),
    Vaccine("DPT-HepB-Hib 3", "871876009", "Penta", 3, 98),
    Vaccine("MR 1", "38598009", "MR", 1, 270),
)


def add_doses(ledger: Ledger, households: list[Household]) -> None:
    """Return each young child the doses that come due, late for some, and note a few as not done."""
    for household in households:
        for client in household.members:
            lateness = 400 if ledger.chance(0.12) else 30
            for vaccine in VACCINES:
                day = client.born_on + timedelta(days=vaccine.due_days + ledger.rng.randrange(lateness))
                if ledger.first_day <= day < ledger.last_day and ledger.chance(0.92):
                    _dose(ledger, household, client, vaccine, day)


def _dose(ledger: Ledger, household: Household, client: Client, vaccine: Vaccine, day: date) -> None:
    name = f"dose {client.id} {vaccine.text}"
    visit = Visit(ledger, name, household.worker, household.village, client.reference, ledger.working_hour(day))
    content: Resource = {
        "status": "completed",
        "vaccineCode": concept(visit.snomed(vaccine.product, vaccine.display), text=vaccine.text),
        "patient": {"reference": client.reference},
        "occurrenceDateTime": day.isoformat() if ledger.chance(0.5) else visit.moment(),
    }
    if ledger.chance(0.1):
        del content["vaccineCode"]["coding"]
    if ledger.chance(0.4):
        content["protocolApplied"] = [{"doseNumberPositiveInt": vaccine.dose}]
    if ledger.chance(0.3):
        content["location"] = {"reference": f"Location/{household.village.id}"}
    if ledger.chance(0.04):
        refused = coding("http://terminology.hl7.org/CodeSystem/v3-ActReason", "PATOBJ", "patient objection")
        content |= {"status": "not-done", "statusReason": concept(refused)}
    visit.add("Immunization", "", content)
    if ledger.chance(0.02):
        visit.add("Immunization", "entered twice", content)


def add_commodities(ledger: Ledger) -> None:
    """Dispense artemisinin combinations a few times a month, and restock."""
    arrived_at = ledger.working_hour(ledger.first_day - timedelta(days=30))
    for name in COMMODITIES:
        unit = concept(coding(SNOMED_SYSTEMS[0], "767524001", "Unit of measure"))
        content: Resource = {
            "active": True,
            "type": "medication",
            "actual": False,
            "code": concept(coding(SNOMED_SYSTEMS[0], "386452003", "Supply management")),
            "name": name,
            "characteristic": [{"code": unit, "valueCodeableConcept": {"text": "blister"}, "exclude": False}],
        }
        ledger.add("Group", named_id("Group", name), arrived_at, content)
    for worker in WORKERS:
        for month_start in months(ledger):
            for number, name in enumerate(COMMODITIES * 2):
                day = month_start + timedelta(days=ledger.rng.randrange(28))
                if day < ledger.last_day:
                    movement = "restocked" if number == 3 else "consumption"
                    _movement(ledger, worker, name, movement, f"{month_start} {number}", day)


def _movement(ledger: Ledger, worker: Worker, commodity: str, movement: str, name: str, day: date) -> None:
    subject = f"Group/{named_id('Group', commodity)}"
    village = worker.villages[0]
    visit = Visit(ledger, f"stock {worker.number} {name}", worker, village, subject, ledger.working_hour(day))
    quantity = 60 if movement == "restocked" else ledger.rng.randrange(1, 19)
    total = {"code": concept(visit.snomed("255619001", "Total")), "valueQuantity": {"value": 40}}
    content: Resource = {
        "status": "final",
        "category": [concept(visit.snomed("386452003", "Supply management"))],
        "code": concept(coding(SMARTREGISTER_CODES, movement, movement)),
        "subject": {"reference": subject},
        "effectiveDateTime": visit.moment(),
        "valueQuantity": {"value": quantity, "unit": "blister"},
        "component": [total],
    }
    visit.add("Observation", movement, content)


def add_signals(ledger: Ledger) -> None:
    """Report a community signal about twice a week somewhere in the district."""
    for day in ledger.days():
        if ledger.chance(0.3):
            village = ledger.rng.choice(VILLAGES)
            _signal(ledger, workers_of(village)[0], village, day)


def add_landing_site(ledger: Ledger, household: Household) -> None:
    """Let two things happen at the place that no DHIS2 unit answers for."""
    day = ledger.last_day - timedelta(days=40)
    _signal(ledger, household.worker, LANDING_SITE, day)
    at = ledger.working_hour(day)
    visit = Visit(ledger, "landing site", household.worker, LANDING_SITE, household.reference, at)
    visit.encounter({"location": [{"location": {"reference": f"Location/{LANDING_SITE.id}"}}]})


def _signal(ledger: Ledger, worker: Worker, place: Place, day: date) -> None:
    visit = Visit(ledger, f"signal {place.name} {day}", worker, place, f"Location/{place.id}", ledger.working_hour(day))
    category = coding("http://terminology.hl7.org/CodeSystem/observation-category", "surveillance", "Surveillance")
    signal = coding(SIGNALS, ledger.rng.choice(SIGNAL_CODES), "Signal")
    content: Resource = {
        "status": ledger.rng.choice(("preliminary", "final", "final", "cancelled")),
        "category": [concept(category)],
        "code": concept(signal),
        "subject": {"reference": visit.subject},
        "effectiveDateTime": visit.moment(),
        "valueString": "Canary story of the reporter",
    }
    visit.add("Observation", "signal", content)
