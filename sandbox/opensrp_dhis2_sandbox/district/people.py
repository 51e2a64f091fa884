"""The households of the demo district and the clients who live in them.

It knows who is born when and lives where; every name, phone, identifier and position is a canary for leak searches.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from opensrp_dhis2_sandbox.district.ledger import Ledger, client_tags
from opensrp_dhis2_sandbox.district.places import (
    SNOMED_SYSTEMS,
    VILLAGES,
    Place,
    Resource,
    Worker,
    coding,
    concept,
    workers_of,
)

HOUSEHOLD_COUNT = 120
# Searched for after an end-to-end run: none of these may stand outside raw and staging.
CANARIES = ("Canary", "+2567", "CANARY-", "34.1999", "1.0888")
GEOLOCATION = "http://hl7.org/fhir/StructureDefinition/geolocation"


@dataclass(frozen=True)
class Client:
    """A person as the events need them."""

    id: str
    gender: str
    born_on: date

    @property
    def reference(self) -> str:
        return f"Patient/{self.id}"

    def age_days(self, day: date) -> int:
        return (day - self.born_on).days


@dataclass
class Household:
    """A family, its village and the worker who visits it."""

    number: int
    id: str
    village: Place
    worker: Worker
    registered_on: date
    members: list[Client] = field(default_factory=list)

    @property
    def reference(self) -> str:
        return f"Group/{self.id}"


def add_households(ledger: Ledger) -> list[Household]:
    """Register every household with its members."""
    return [_household(ledger, number) for number in range(HOUSEHOLD_COUNT)]


def _household(ledger: Ledger, number: int) -> Household:
    village = VILLAGES[number % len(VILLAGES)]
    workers = workers_of(village)
    worker = workers[number // len(VILLAGES) % len(workers)]
    registered_on = ledger.first_day - timedelta(days=90 - 3 * (number // 20))
    if number % 10 == 0:  # a tenth is found later, so that the state at the end of a quarter moves
        registered_on = ledger.first_day + timedelta(days=2 * number)
    group_id = ledger.id_of("Group", f"household {number}")
    household = Household(number, group_id, village, worker, min(registered_on, ledger.last_day))
    for position, (gender, born_on) in enumerate(_family(ledger)):
        household.members.append(_client(ledger, household, position, gender, born_on))
    _add_group(ledger, household)
    return household


def _family(ledger: Ledger) -> list[tuple[str, date]]:
    rng, span = ledger.rng, (ledger.last_day - ledger.first_day).days

    def born(youngest: int, oldest: int) -> date:
        return ledger.first_day - timedelta(days=rng.randrange(youngest, oldest))

    def either() -> str:
        return rng.choice(("female", "male"))

    return [
        ("female", born(17 * 365, 42 * 365)),
        ("male", born(19 * 365, 60 * 365)),
        (either(), born(-span + 20, 300)),
        (either(), born(-span + 20, 500) if rng.random() < 0.5 else born(500, 14 * 365)),
        ("female", born(14 * 365, 20 * 365)) if rng.random() < 0.4 else (either(), born(400, 75 * 365)),
    ]


def _registered_at(ledger: Ledger, born_on: date, registered_on: date) -> datetime:
    day = min(max(born_on + timedelta(days=5), registered_on), ledger.last_day)
    return datetime.combine(day, time(9, 30), UTC)


def _client(ledger: Ledger, household: Household, position: int, gender: str, born_on: date) -> Client:
    number = household.number * 5 + position
    client = Client(ledger.id_of("Patient", str(number)), gender, born_on)
    content: Resource = {
        "identifier": [
            {"use": "official", "value": f"CANARY-{number:05d}"},
            {"use": "usual", "value": client.id},
        ],
        "active": number % 37 != 11,
        "name": [{"use": "official", "family": f"Canary{household.number:03d}", "given": [f"Given{position}"]}],
        "telecom": [{"system": "phone", "value": f"+25677{number:07d}"}],
        "gender": gender,
        "birthDate": born_on.isoformat(),
        "address": [{"text": household.village.name, "district": "Mbale", "extension": [_position(number)]}],
    }
    if number % 83 == 41:
        content["deceasedDateTime"] = (ledger.first_day + timedelta(days=number % 300)).isoformat()
    arrived_at = _registered_at(ledger, born_on, household.registered_on)
    ledger.add("Patient", client.id, arrived_at, content, client_tags(ledger, household.worker, household.village))
    return client


def _position(number: int) -> Resource:
    parts = [("latitude", "1.0888%02d"), ("longitude", "34.1999%02d")]
    values = [{"url": url, "valueDecimal": float(text % (number % 100))} for url, text in parts]
    return {"url": GEOLOCATION, "extension": values}


def _add_group(ledger: Ledger, household: Household) -> None:
    is_removed = household.number % 60 == 37  # as the app removes one: inactive and emptied
    head = household.members[0]
    arrived_at = _registered_at(ledger, household.registered_on, household.registered_on)
    tags = client_tags(ledger, household.worker, household.village)
    stand_in = ledger.add(
        "RelatedPerson",
        ledger.id_of("RelatedPerson", f"head {household.number}"),
        arrived_at,
        {"active": True, "patient": {"reference": head.reference}, "gender": head.gender},
        tags,
    )
    members = [
        {"entity": {"reference": member.reference}, "period": {"start": start.isoformat()}, "inactive": False}
        for member in household.members
        for start in [max(member.born_on, household.registered_on)]
    ]
    system = SNOMED_SYSTEMS[household.number % 3]
    content: Resource = {
        "identifier": [{"use": "official", "value": f"CANARY-HH-{household.number:03d}"}],
        "active": not is_removed,
        "type": "person",
        "actual": True,
        "code": concept(coding(system, "35359004", "Family")),
        "name": f"Canary{household.number:03d} household",
    }
    if not is_removed:
        content |= {"managingEntity": {"reference": stand_in}, "member": members}
    ledger.add("Group", household.id, arrived_at, content, tags)
