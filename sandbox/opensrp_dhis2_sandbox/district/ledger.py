"""Collects the district's resources with the meta that OpenSRP and HAPI give them: tags, stamps, versions.

It knows when an event of a day reaches the server and what its tags say; it knows nothing of care.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from random import Random

import msgspec

from opensrp_dhis2_sandbox.district.places import LINEAGE_SYSTEM, Place, Resource, Worker, coding, named_id
from opensrp_dhis2_sandbox.fhir.instant import instant_text, to_ms

LOCAL = timezone(timedelta(hours=3))
UPLOAD_TIME = time(18, tzinfo=UTC)
LATE_CHANCE = 0.03
TAG_SYSTEM = "https://smartregister.org/"
NOT_DEFINED = "Not defined"


@dataclass
class Ledger:
    """Everything written so far, the dice, and the days that the story covers."""

    seed: int
    first_day: date
    last_day: date
    rng: Random
    resources: dict[str, list[Resource]] = field(default_factory=lambda: defaultdict(list))

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def days(self) -> Iterator[date]:
        """Yield every day on which something can happen."""
        count = (self.last_day - self.first_day).days
        return (self.first_day + timedelta(days=number) for number in range(count))

    def working_hour(self, day: date) -> datetime:
        """Return a moment of a working day, local time."""
        minutes = self.rng.randrange(8 * 60, 17 * 60)
        return datetime.combine(day, time(minutes // 60, minutes % 60), LOCAL)

    def id_of(self, kind: str, name: str) -> str:
        """Return the id of a client's resource: another seed is another district."""
        return named_id(kind, f"{self.seed}/{name}")

    def arrival(self, worker: Worker, happened_at: datetime) -> datetime:
        """Return the upload that brings an event: the worker's next one, sometimes months later."""
        day = (happened_at.astimezone(UTC) + timedelta(hours=6)).date()
        if self.chance(LATE_CHANCE):
            day += timedelta(days=self.rng.randrange(35, 130))
        day += timedelta(days=-day.toordinal() % worker.sync_days)
        moment = datetime.combine(min(day, self.last_day), UPLOAD_TIME)
        return moment + timedelta(minutes=worker.number, milliseconds=worker.number * 113)

    def add(
        self,
        resource_type: str,
        resource_id: str,
        arrived_at: datetime,
        content: Resource,
        tags: list[Resource] | None = None,
    ) -> str:
        """Keep a resource as version 1 and give its reference."""
        meta: Resource = {"versionId": "1", "lastUpdated": instant_text(to_ms(arrived_at))}
        if tags:
            meta["tag"] = sorted(tags, key=lambda tag: (tag["system"], tag["code"]))
        resource = {"resourceType": resource_type, "id": resource_id, "meta": meta, **content}
        self.resources[resource_type].append(resource)
        return f"{resource_type}/{resource_id}"

    def update(self, resource: Resource, arrived_at: datetime) -> None:
        """Make a resource's next version: only the number and the stamp, the content is the caller's."""
        meta = resource["meta"]
        meta["versionId"] = str(int(meta["versionId"]) + 1)
        last = datetime.combine(self.last_day, UPLOAD_TIME) + timedelta(hours=1)
        moment = max(min(arrived_at, last), datetime.fromisoformat(meta["lastUpdated"]))
        meta["lastUpdated"] = instant_text(to_ms(moment))

    def write(self, folder: Path) -> dict[str, int]:
        """Write one NDJSON file a type, in the order in which a server would give it."""
        folder.mkdir(parents=True, exist_ok=True)
        encode = msgspec.json.Encoder().encode
        for resource_type, resources in sorted(self.resources.items()):
            resources.sort(key=lambda resource: (resource["meta"]["lastUpdated"], resource["id"]))
            lines = b"\n".join(map(encode, resources)) + b"\n"
            (folder / f"{resource_type}.ndjson").write_bytes(lines)
        return {resource_type: len(resources) for resource_type, resources in sorted(self.resources.items())}


def client_tags(ledger: Ledger, worker: Worker, village: Place) -> list[Resource]:
    """Write the tags of a resource made on a phone, with the faults that phones have."""
    if ledger.chance(0.02):
        return []
    places = [place.id for place in worker.villages] if worker.has_assignment else [NOT_DEFINED]
    tags = [
        coding(f"{TAG_SYSTEM}app-version", "1.1.0-echis", "Application Version"),
        coding(f"{TAG_SYSTEM}care-team-tag-id", worker.care_team_id, "Practitioner CareTeam"),
        coding(f"{TAG_SYSTEM}organisation-tag-id", worker.organization_id, "Practitioner Organization"),
        coding(f"{TAG_SYSTEM}practitioner-tag-id", worker.id, "Practitioner"),
        *(coding(f"{TAG_SYSTEM}location-tag-id", place, "Practitioner Location") for place in places),
    ]
    if not ledger.chance(0.1):
        tags.append(coding(f"{TAG_SYSTEM}related-entity-location-tag-id", village.id, "Related Entity Location"))
    return tags


def lineage_tags(place: Place) -> list[Resource]:
    """Write the tags that the gateway puts on a Location."""
    return [{"system": LINEAGE_SYSTEM, "code": ancestor.id} for ancestor in place.ancestors]
