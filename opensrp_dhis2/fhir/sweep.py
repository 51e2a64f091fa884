"""Ids and versions of a type without its bodies, and bodies by id: what a comparison of both sides needs.

It knows how to ask; what is missing on which side is for others to say.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from opensrp_dhis2.errors import FhirOutcomeError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.page import SUBSETTED, Page, version_of
from opensrp_dhis2.fhir.window import Window

IDS_PER_PAGE = 5_000
IDS_PER_READ = 100  # keeps the URL below the 8 kB at which Tomcat answers in HTML


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What a server tells of a resource beside its body."""

    id: str
    version_id: int
    last_updated: datetime
    tags_md5: str | None = None  # of its sorted tags; none where it has none or the server tells none


class _Tag(msgspec.Struct):
    system: str = ""
    code: str = ""


class _Meta(msgspec.Struct):
    version: str = msgspec.field(default="", name="versionId")
    last_updated: datetime | None = msgspec.field(default=None, name="lastUpdated")
    tags: list[_Tag] = msgspec.field(default_factory=list, name="tag")


class _Stamped(msgspec.Struct):
    resource_type: str = msgspec.field(default="", name="resourceType")
    id: str = ""
    meta: _Meta = msgspec.field(default_factory=_Meta)


_STAMPED: msgspec.json.Decoder[_Stamped] = msgspec.json.Decoder(_Stamped)


def read_stamps(client: FhirClient, resource_type: str, window: Window | None = None) -> Iterator[list[Stamp]]:
    """Give id, version and time of every resource of a type, in a window or at all, a page at a time.

    `_elements=id` still brings `meta`, and stays in the next links; `_summary` does not. Raises: as `bundles`.
    """
    within = window.parameters() if window else []
    parameters = [*within, ("_elements", "id"), ("_count", str(IDS_PER_PAGE)), ("_sort", "_lastUpdated,_id")]
    for bundle in client.bundles(resource_type, parameters):
        found = (_STAMPED.decode(entry.resource) for entry in bundle.entry)
        yield [_stamp(client, resource_type, one) for one in found if one.resource_type == resource_type]


def read_by_id(client: FhirClient, resource_type: str, ids: Sequence[str]) -> Iterator[Page]:
    """Read these resources whole; one that no longer exists is simply not among them. Raises: as `bundles`."""
    for first in range(0, len(ids), IDS_PER_READ):
        wanted = ids[first : first + IDS_PER_READ]
        for bundle in client.bundles(resource_type, [("_id", ",".join(wanted)), ("_count", str(IDS_PER_READ))]):
            page = Page()
            for entry in bundle.entry:
                page.add(resource_type, bytes(entry.resource))
            yield page


def _stamp(client: FhirClient, resource_type: str, found: _Stamped) -> Stamp:
    if not found.id or found.meta.last_updated is None:
        raise FhirOutcomeError(
            f"{client.base_url}/{resource_type}?_elements=id gives no id or no meta.lastUpdated: its ids cannot be "
            "compared; look at the gateway before it",
            url=f"{client.base_url}/{resource_type}",
        )
    stamp = found.meta.last_updated
    return Stamp(found.id, version_of(found.meta.version, stamp), stamp, _tags_md5(found.meta.tags))


def _tags_md5(tags: Sequence[_Tag]) -> str | None:
    told = sorted(f"{tag.system}|{tag.code}" for tag in tags if tag.code != SUBSETTED)
    return hashlib.md5("\n".join(told).encode(), usedforsecurity=False).hexdigest() if told else None
