"""What community health workers do in the demo district: home visits, antenatal care, fevers and their tests.

It knows the resources that each form of the app writes; chances and dates come from the ledger's dice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from opensrp_dhis2_sandbox.district.ledger import Ledger, client_tags
from opensrp_dhis2_sandbox.district.people import Client, Household
from opensrp_dhis2_sandbox.district.places import (
    SMARTREGISTER_CODES,
    SNOMED_SYSTEMS,
    VILLAGES,
    Place,
    Resource,
    Worker,
    coding,
    concept,
    named_id,
)

LOINC = "http://loinc.org"
ACT_CODES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
FORMS = ("household visit", "antenatal visit", "sick child", "immunization", "commodity", "surveillance")
CONFIRMED = concept(coding("http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed", "Confirmed"))


@dataclass
class Visit:
    """One contact of a worker with a client or a household: its Encounter and what hangs on it."""

    ledger: Ledger
    name: str
    worker: Worker
    village: Place
    subject: str
    at: datetime

    def __post_init__(self) -> None:
        self.arrived_at = self.ledger.arrival(self.worker, self.at)
        self.tags = client_tags(self.ledger, self.worker, self.village)
        self.reference = f"Encounter/{self.ledger.id_of('Encounter', self.name)}"
        self.is_in_utc = self.ledger.chance(0.1)

    def snomed(self, code: str, display: str) -> Resource:
        """Write a SNOMED coding under one of the three addresses that OpenSRP uses."""
        return coding(self.ledger.rng.choice(SNOMED_SYSTEMS), code, display)

    def moment(self, minutes: int = 0) -> str:
        """Write the time of the visit, mostly in local time, sometimes in UTC."""
        moment = self.at + timedelta(minutes=minutes)
        if self.is_in_utc:
            return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        return moment.isoformat()

    def add(self, resource_type: str, name: str, content: Resource) -> str:
        """Add a resource that the visit's form extracts."""
        resource_id = self.ledger.id_of(resource_type, f"{self.name} {name}")
        return self.ledger.add(resource_type, resource_id, self.arrived_at, content, self.tags)

    def encounter(self, content: Resource) -> None:
        """Add the Encounter: half of them name the place themselves."""
        full: Resource = {
            "status": "finished",
            "class": coding(ACT_CODES, "HH", "home health"),
            **content,
            "subject": {"reference": self.subject},
            "participant": [{"individual": {"reference": f"Practitioner/{self.worker.id}"}}],
            "period": {"start": self.moment(), "end": self.moment(25)},
        }
        if self.ledger.chance(0.5):
            full["location"] = [{"location": {"reference": f"Location/{self.village.id}"}}]
        resource_id = self.reference.removeprefix("Encounter/")
        self.ledger.add("Encounter", resource_id, self.arrived_at, full, self.tags)

    def observation(self, name: str, content: Resource) -> str:
        """Add an Observation made during the visit."""
        full = {
            "status": "final",
            **content,
            "subject": {"reference": content.get("subject", self.subject)},
            "encounter": {"reference": self.reference},
            "effectiveDateTime": self.moment(10),
            "issued": self.moment(10),
        }
        return self.add("Observation", name, full)

    def response(self, form: str, answers: dict[str, Resource]) -> None:
        """Add the QuestionnaireResponse that the worker filled in."""
        items = [{"linkId": link, "answer": [answer]} for link, answer in answers.items()]
        visit_date = {"linkId": "date-of-visit", "answer": [{"valueDate": self.at.date().isoformat()}]}
        made = [{"item": {"reference": self.reference}}]
        generated = {"resourceType": "List", "id": "made", "status": "current", "mode": "working", "entry": made}
        content = {
            "contained": [{**generated, "title": "GeneratedResourcesList"}],
            "questionnaire": f"Questionnaire/{named_id('Questionnaire', form)}",
            "status": "completed",
            "subject": {"reference": self.subject},
            "encounter": {"reference": self.reference},
            "authored": self.moment(25),
            "author": {"reference": f"Practitioner/{self.worker.id}"},
            "item": [{"linkId": "page-1", "item": [visit_date, *items]}],
        }
        self.add("QuestionnaireResponse", form, content)


def add_home_visits(ledger: Ledger, households: list[Household]) -> None:
    """Visit most households once a month; measure the arm of young children."""
    for household in households:
        for month_start in months(ledger):
            day = month_start + timedelta(days=ledger.rng.randrange(28))
            if household.registered_on <= day < ledger.last_day and ledger.chance(0.85):
                _home_visit(ledger, household, day)


def _home_visit(ledger: Ledger, household: Household, day: date) -> None:
    at = ledger.working_hour(day)
    name = f"home {household.number} {day}"
    visit = Visit(ledger, name, household.worker, household.village, household.reference, at)
    visit.encounter({"type": [concept(visit.snomed("439708006", "Home visit"))]})
    note = {"valueString": f"Canary note: latrine of household {household.number} seen"}
    visit.response("household visit", {"latrine": {"valueBoolean": ledger.chance(0.7)}, "note": note})
    for client in household.members:
        if 182 <= client.age_days(day) < 5 * 365 and ledger.chance(0.7):
            _arm(visit, client)


def _arm(visit: Visit, client: Client) -> None:
    centimetres = round(visit.ledger.rng.gauss(14.0, 1.5), 1)
    quantity: Resource = {"value": centimetres, "unit": "cm"}
    if visit.ledger.chance(0.15):
        quantity = {"value": round(centimetres * 10), "unit": "mm"}
    code = concept(visit.snomed("284473002", "Mid upper arm circumference"), text="MUAC")
    visit.observation(f"arm {client.id}", {"code": code, "subject": client.reference, "valueQuantity": quantity})


def add_pregnancies(ledger: Ledger, households: list[Household]) -> None:
    """Enrol one or two women a village and month, each once, and follow them every five weeks."""
    waiting = [
        (household, client) for household in households for client in household.members if _may_bear(client, ledger)
    ]
    ledger.rng.shuffle(waiting)
    for month_start in months(ledger):
        wanted = {village.name: ledger.rng.choice((1, 2, 2)) for village in VILLAGES}
        for household, client in list(waiting):
            if wanted[household.village.name]:
                wanted[household.village.name] -= 1
                waiting.remove((household, client))
                _pregnancy(ledger, household, client, month_start + timedelta(days=ledger.rng.randrange(28)))


def _may_bear(client: Client, ledger: Ledger) -> bool:
    return client.gender == "female" and 15 * 365 < client.age_days(ledger.first_day) < 45 * 365


def _pregnancy(ledger: Ledger, household: Household, client: Client, first_on: date) -> None:
    weeks = ledger.rng.randrange(6, 26)
    condition_id = ledger.id_of("Condition", f"pregnancy {client.id}")
    ends_on = first_on + timedelta(weeks=40 - weeks)
    day, number = first_on, 1
    while day < min(ledger.last_day, ends_on):
        name = f"antenatal {client.id} {number}"
        visit = Visit(ledger, name, household.worker, household.village, client.reference, ledger.working_hour(day))
        visit.encounter({"type": [concept(visit.snomed("77386006", "Pregnancy"))]})
        code = concept(visit.snomed("57036006", "Length of gestation"))
        quantity = {"value": weeks + (day - first_on).days // 7, "unit": "weeks"}
        visit.observation("gestation", {"code": code, "valueQuantity": quantity})
        visit.response("antenatal visit", {"visit-number": {"valueInteger": number}})
        if number == 1:
            _enrolment(visit, condition_id, ends_on)
        day, number = day + timedelta(days=ledger.rng.randrange(28, 42)), number + 1


def _enrolment(visit: Visit, condition_id: str, ends_on: date) -> None:
    is_closed = ends_on < visit.ledger.last_day
    status = coding("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active")
    if is_closed:
        status = coding("http://www.snomed.org/", "370996005", "Patient condition resolved")
    content: Resource = {
        "clinicalStatus": concept(status),
        "verificationStatus": CONFIRMED,
        "code": concept(visit.snomed("77386006", "Pregnancy")),
        "subject": {"reference": visit.subject},
        "encounter": {"reference": visit.reference},
        "onsetDateTime": visit.moment(),
        "recordedDate": visit.moment(20),
        **({"abatementDateTime": ends_on.isoformat()} if is_closed else {}),
    }
    visit.ledger.add("Condition", condition_id, visit.arrived_at, content, visit.tags)


def add_fevers(ledger: Ledger, households: list[Household]) -> None:
    """See someone with fever in each village about three times a week, young children most."""
    by_village: dict[str, list[tuple[Household, Client]]] = {}
    for household in households:
        by_village.setdefault(household.village.name, []).extend((household, client) for client in household.members)
    for day in ledger.days():
        for residents in by_village.values():
            if ledger.chance(0.45):
                alive = [
                    (home, person)
                    for home, person in residents
                    if home.registered_on <= day and person.age_days(day) > 60
                ]
                weights = [3 if client.age_days(day) < 5 * 365 else 1 for _, client in alive]
                household, client = ledger.rng.choices(alive, weights)[0]
                _fever(ledger, household, client, day)


def _fever(ledger: Ledger, household: Household, client: Client, day: date) -> None:
    name = f"fever {client.id} {day}"
    visit = Visit(ledger, name, household.worker, household.village, client.reference, ledger.working_hour(day))
    fever = concept(visit.snomed("386661006", "Fever"))
    visit.encounter({"type": [concept(visit.snomed("275142008", "Sick child"))], "reasonCode": [fever]})
    visit.response("sick child", {"fever": {"valueBoolean": True}, "fever-days": {"valueInteger": 2}})
    if not ledger.chance(0.92):
        return
    test = coding(LOINC, "70569-9", "Plasmodium sp Ag [Presence] in Blood by Rapid test")
    first = [coding(SMARTREGISTER_CODES, "234234234", "RDT")] if ledger.chance(0.2) else []
    is_positive = ledger.chance(0.45)
    found = visit.snomed("10828004", "Positive") if is_positive else visit.snomed("260385009", "Negative")
    visit.observation("test", {"code": concept(*first, test), "valueCodeableConcept": concept(found)})
    if is_positive:
        given = concept(coding(SMARTREGISTER_CODES, "act-given", "ACT given"))
        visit.observation("treatment", {"code": given, "valueBoolean": ledger.chance(0.93)})


def months(ledger: Ledger) -> Iterator[date]:
    """Yield the first day of every month of the story."""
    day = ledger.first_day
    while day < ledger.last_day:
        yield day
        day = (day + timedelta(days=31)).replace(day=1)
