"""Ids and versions of a type without its bodies, and bodies by id: what a comparison of both sides needs.

It knows how to ask; what is missing on which side is for others to say.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from opensrp_dhis2.errors import FhirOutcomeError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.page import Bundle, Page, Tag, Version, read_keys, version_of
from opensrp_dhis2.fhir.window import Window

IDS_PER_PAGE = 5_000
NO_ODD_ONES = 20  # entries without keys are no single odd ones any more: something before the server takes them away
IDS_PER_READ = 100  # keeps the URL below the 8 kB at which Tomcat answers in HTML


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What a server tells of a resource beside its body."""

    id: str
    version_id: int
    last_updated: datetime
    tags_md5: str | None = None  # of its sorted tags; none where it has none or the server tells none

    @property
    def version(self) -> Version:
        return self.version_id, self.last_updated


def read_stamps(client: FhirClient, resource_type: str, window: Window | None = None) -> Iterator[list[Stamp]]:
    """Yield id, version and time of every resource of a type, in a window or at all, a page at a time.

    `_elements=id` still brings `meta`, and stays in the next links; `_summary` does not. Raises: as `bundles`.
    """
    within = window.parameters() if window else []
    parameters = [*within, ("_elements", "id"), ("_count", str(IDS_PER_PAGE)), ("_sort", "_lastUpdated,_id")]
    for bundle in client.bundles(resource_type, parameters):
        yield _stamps(client, resource_type, bundle)


def read_stamps_at(client: FhirClient, resource_type: str, window: Window, first: int, count: int) -> list[Stamp]:
    """Return so many of a window from an offset on, or what the server's maximum allows. Raises: as `bundles`."""
    asked = [*window.parameters(), ("_elements", "id"), ("_count", str(count)), ("_sort", "_lastUpdated,_id")]
    asked += [("_offset", str(first))] if first else []
    return _stamps(client, resource_type, next(client.bundles(resource_type, asked)))


def read_by_id(client: FhirClient, resource_type: str, ids: Sequence[str]) -> Iterator[Page]:
    """Read these resources whole; one that no longer exists is simply not among them. Raises: as `bundles`."""
    for first in range(0, len(ids), IDS_PER_READ):
        wanted = ids[first : first + IDS_PER_READ]
        for bundle in client.bundles(resource_type, [("_id", ",".join(wanted)), ("_count", str(IDS_PER_READ))]):
            page = Page()
            for entry in bundle.entry:
                page.add(resource_type, bytes(entry.resource))
            yield page


def _stamps(client: FhirClient, resource_type: str, bundle: Bundle) -> list[Stamp]:
    """Return what can be compared: an entry without FHIR id and time is left out, as one that the server does not list."""
    found = (read_keys(entry.resource) for entry in bundle.entry)
    stamps = [
        Stamp(keys.id, version_of(keys.meta.version, keys.stamp), keys.stamp, _tags_md5(keys.meta.tags))
        for keys in found
        if keys and keys.resource_type == resource_type and keys.stamp
    ]
    if not stamps and len(bundle.entry) >= NO_ODD_ONES:
        raise FhirOutcomeError(
            f"{client.base_url}/{resource_type}?_elements=id gives no id or no meta.lastUpdated: its ids cannot be "
            "compared; look at the gateway before it",
            url=f"{client.base_url}/{resource_type}",
        )
    return stamps


def _tags_md5(tags: Sequence[Tag]) -> str | None:
    told = sorted(f"{tag.system or ''}|{tag.code or ''}" for tag in tags if not tag.is_subsetted)
    return hashlib.md5("\n".join(told).encode(), usedforsecurity=False).hexdigest() if told else None
