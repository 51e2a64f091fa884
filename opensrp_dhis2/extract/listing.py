"""All ids of a window as the source lists them, held to the source's own count of it.

It knows that rows only leave a past window, so that equal counts before and after tell a whole list; where they
differ it divides, until what is counted but not listed stands alone.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from opensrp_dhis2.errors import FhirUnavailableError, UnreadablePageError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.ids import read_stamps
from opensrp_dhis2.fhir.page import Version
from opensrp_dhis2.fhir.unreadable import list_ties
from opensrp_dhis2.fhir.window import Window

MOST_DIVISIONS = 200  # of one slice; it bounds what a server that lists nothing can cost


@dataclass
class Listing:
    """Versions by id, and how many more the source counts without listing them."""

    versions: dict[str, Version] = field(default_factory=dict)
    unlisted_count: int = 0
    unlisted_from: datetime | None = None


def digest_of(ids: Iterable[str]) -> str:
    """Return the md5 of ids in order, as raw.compare_landed does; it guards against mistakes, not against people."""
    return hashlib.md5(",".join(sorted(ids)).encode(), usedforsecurity=False).hexdigest()


def list_window(client: FhirClient, resource_type: str, window: Window) -> Listing:
    """List a window. Raises: as the client, but a part that cannot be listed counts as unlisted."""
    listing, pending, divisions = Listing(), [window], 0
    while pending:
        part = pending.pop()
        before = client.count(resource_type, part)
        versions = _versions(client, resource_type, part)
        after = client.count(resource_type, part)
        halves = part.halves() if divisions < MOST_DIVISIONS else None
        if halves and not before == len(versions) == after:
            pending += reversed(halves)
            divisions += 1
            continue
        if not halves and not versions and after > 1:
            ties = [one for page in list_ties(client, resource_type, part) for one in page]
            versions = {one.id: one.version for one in ties if part.start_at <= one.last_updated < part.end_at}
        listing.versions |= versions
        if after > len(versions):
            listing.unlisted_count += after - len(versions)
            listing.unlisted_from = listing.unlisted_from or part.start_at
    return listing


def _versions(client: FhirClient, resource_type: str, window: Window) -> dict[str, Version]:
    """List the ids of a window; none where a stamp lies outside: it is then another search's page, or rows moved."""
    try:
        stamps = [one for page in read_stamps(client, resource_type, window) for one in page]
        is_of_window = all(window.start_at <= one.last_updated < window.end_at for one in stamps)
        return {one.id: one.version for one in stamps} if is_of_window else {}
    except UnreadablePageError:
        return {}
    except FhirUnavailableError as error:
        if error.status != 500:
            raise
        return {}  # one resource may be at fault: the caller divides
