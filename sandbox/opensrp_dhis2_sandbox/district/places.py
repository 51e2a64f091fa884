"""Where and who the demo district is: its places, its two health facilities, its community health workers.

It knows names, codes and ids that never change with the seed; what happens there is told elsewhere.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

Resource = dict[str, Any]
NAMESPACE = UUID("5f0c9a52-8f0e-5d7e-9b52-6a3c1f2d4e10")
LEVEL_SYSTEM = "https://smartregister.org/codes/administrative-level"
LINEAGE_SYSTEM = "http://smartregister.org/CodeSystem/location-lineage"
DHIS2_CODE_SYSTEM = "http://dhis2.org/code"
SMARTREGISTER_CODES = "http://smartregister.org/codes"
SNOMED_SYSTEMS = ("http://snomed.info/sct", "https://www.snomed.org", "http://www.snomed.org/")


def named_id(kind: str, name: str) -> str:
    """Make the id of a resource from its name, the same on every machine."""
    return str(uuid5(NAMESPACE, f"{kind}/{name}"))


def coding(system: str, code: str, display: str) -> Resource:
    """Write a Coding."""
    return {"system": system, "code": code, "display": display}


def concept(*codings: Resource, text: str = "") -> Resource:
    """Write a CodeableConcept."""
    return {"coding": list(codings), **({"text": text} if text else {})}


@dataclass(frozen=True)
class Place:
    """A Location: its level counts from the country (0); a code is the DHIS2 org unit's."""

    name: str
    level: int
    ancestors: tuple["Place", ...] = ()
    code: str = ""

    @property
    def id(self) -> str:
        return named_id("Location", self.name)

    def within(self, name: str, code: str = "") -> "Place":
        return Place(name, self.level + 1, (*self.ancestors, self), code)

    def resource(self) -> Resource:
        """Write the Location; villages have no DHIS2 code and are placed by partOf."""
        is_site = self.level >= 3
        identifiers = [{"use": "official", "system": DHIS2_CODE_SYSTEM, "value": self.code}] if self.code else []
        content: Resource = {
            "identifier": [*identifiers, {"use": "usual", "value": self.id}],
            "status": "active",
            "name": self.name,
            "mode": "instance",
            "type": [concept(coding(LEVEL_SYSTEM, str(self.level), _LEVELS[self.level]))],
            "physicalType": concept(
                coding(
                    "http://terminology.hl7.org/CodeSystem/location-physical-type",
                    "bu" if self.level == 3 else "jdn",
                    "Building" if self.level == 3 else "Jurisdiction",
                )
            ),
        }
        if is_site:
            content["position"] = {"longitude": 34.17, "latitude": 1.08}
        if self.ancestors:
            parent = self.ancestors[-1]
            content["partOf"] = {"reference": f"Location/{parent.id}", "display": parent.name}
        return content


_LEVELS = ("country", "region", "district", "health facility", "village")
COUNTRY = Place("Country", 0, code="CT")
REGION = COUNTRY.within("Lake Region", "RG")
DISTRICT = REGION.within("Mbale District", "DI")
FACILITIES = (DISTRICT.within("Bugema Health Centre", "HF-1"), DISTRICT.within("Nakaloke Health Centre", "HF-2"))
VILLAGES = (
    *(FACILITIES[0].within(name) for name in ("Nabweya", "Busamaga", "Kolonyi")),
    *(FACILITIES[1].within(name) for name in ("Namunsi", "Kireka", "Doko")),
)
LANDING_SITE = Place("Unmapped landing site", 4)
PLACES = (COUNTRY, REGION, DISTRICT, *FACILITIES, *VILLAGES, LANDING_SITE)


@dataclass(frozen=True)
class Worker:
    """A community health worker: villages served, and every how many days the phone finds a network."""

    number: int
    villages: tuple[Place, ...]
    facility: Place
    sync_days: int
    has_assignment: bool = True

    @property
    def id(self) -> str:
        return named_id("Practitioner", f"worker {self.number}")

    @property
    def care_team_id(self) -> str:
        return named_id("CareTeam", self.facility.name)

    @property
    def organization_id(self) -> str:
        return named_id("Organization", self.facility.name)


WORKERS = (
    Worker(1, (VILLAGES[0],), FACILITIES[0], 1),
    Worker(2, (VILLAGES[1],), FACILITIES[0], 2),
    Worker(3, (VILLAGES[2], VILLAGES[1]), FACILITIES[0], 3),  # two villages: two location tags
    Worker(4, (VILLAGES[0],), FACILITIES[0], 7),
    Worker(5, (VILLAGES[3],), FACILITIES[1], 1),
    Worker(6, (VILLAGES[4],), FACILITIES[1], 2),
    Worker(7, (VILLAGES[5],), FACILITIES[1], 5),
    Worker(8, (VILLAGES[3],), FACILITIES[1], 3, has_assignment=False),  # tags say "Not defined"
)


def workers_of(village: Place) -> tuple[Worker, ...]:
    """List the workers whose first village this is."""
    return tuple(worker for worker in WORKERS if worker.villages[0] == village)


def administrative_resources() -> list[tuple[str, str, Resource]]:
    """List (type, id, content) of the places, teams and workers, which the web application makes without tags."""
    made = [("Location", place.id, place.resource()) for place in PLACES]
    for facility in FACILITIES:
        staff = [worker for worker in WORKERS if worker.facility == facility]
        made += _team(facility, staff)
    return made


def _team(facility: Place, staff: list[Worker]) -> list[tuple[str, str, Resource]]:
    organization_id, care_team_id = staff[0].organization_id, staff[0].care_team_id
    organization = {"reference": f"Organization/{organization_id}"}
    people = [{"member": {"reference": f"Practitioner/{worker.id}"}} for worker in staff]
    locations = [{"reference": f"Location/{village.id}"} for village in VILLAGES if facility in village.ancestors]
    team: Resource = {"status": "active", "name": f"Team {facility.name}", "participant": people}
    made: list[tuple[str, str, Resource]] = [
        ("Organization", organization_id, {"active": True, "name": facility.name}),
        ("CareTeam", care_team_id, {**team, "managingOrganization": [organization]}),
        (
            "OrganizationAffiliation",
            named_id("OrganizationAffiliation", facility.name),
            {"active": True, "organization": organization, "location": locations},
        ),
    ]
    for worker in staff:
        name = [{"use": "official", "family": "Canaryworker", "given": [f"Number{worker.number}"]}]
        role = concept(coding(SNOMED_SYSTEMS[0], "405623001", "Assigned practitioner"))
        person = {"reference": f"Practitioner/{worker.id}"}
        role_id = named_id("PractitionerRole", f"worker {worker.number}")
        content = {"active": True, "practitioner": person, "organization": organization, "code": [role]}
        made += [("Practitioner", worker.id, {"active": True, "name": name}), ("PractitionerRole", role_id, content)]
    return made
