"""All ids and versions of a window or a type as the source lists them, and those in raw beside them.

It knows that rows only leave a past window, so that equal counts before and after tell a whole list; where they
differ it divides, until what is counted but not listed stands alone.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opensrp_dhis2.errors import FhirUnavailableError, UnreadablePageError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.ids import Stamp, read_stamps
from opensrp_dhis2.fhir.page import Version
from opensrp_dhis2.fhir.unreadable import list_stamps, list_ties
from opensrp_dhis2.fhir.window import BEGINNING, Window
from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.comparison import AtSource, Comparison, Loaded
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.load import table_name

MOST_DIVISIONS = 200  # of one slice; it bounds what a server that lists nothing can cost


@dataclass
class Listing:
    """Versions by id, and how many more the source counts without listing them."""

    versions: dict[str, Version] = field(default_factory=dict)
    unlisted_count: int = 0
    unlisted_from: datetime | None = None


@dataclass
class Verification:
    """Resources by finding, and at most 20 ids of each.

    missing: not here; stale: another version here; gone: here and not there; rejected: refused here, with a row;
    not_due: written after the last window, for the next run; unlisted: counted by the source and not listed.
    """

    resource_type: str
    source_count: int = 0
    missing: int = 0
    stale: int = 0
    gone: int = 0
    rejected: int = 0
    not_due: int = 0
    unlisted: int = 0
    ids: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return not (self.missing or self.stale or self.gone or self.rejected or self.unlisted)


def digest_of(ids: Iterable[str]) -> str:
    """Return the md5 of ids in order, as raw.count_loaded does; it guards against mistakes, not against people."""
    return hashlib.md5(",".join(sorted(ids)).encode(), usedforsecurity=False).hexdigest()


def compare_versions(connection: Connection, resource_type: str, versions: Mapping[str, Version]) -> Loaded:
    """Look for these ids in raw, each at this version and time or later ones."""
    comparison = Comparison(connection, resource_type)
    comparison.add(AtSource(resource_id, *version) for resource_id, version in versions.items())
    return comparison.loaded()


def add_stamps(comparison: Comparison, pages: Iterable[list[Stamp]]) -> int:
    """Add what a server lists; return how many distinct ids it has."""
    for page in pages:
        comparison.add(AtSource(stamp.id, *stamp.version, stamp.tags_md5) for stamp in page)
    return comparison.count()


def verify(client: FhirClient, warehouse: Warehouse, resource_type: str) -> Verification:
    """Compare all ids and versions of a type with raw; nothing is written. Raises: as the client and the warehouse."""
    result = Verification(resource_type)
    began_at = client.server_now()
    with warehouse.connect() as connection:
        planned_to = state.progress(connection, client.base_url, resource_type).planned_to
        connection.execute("select raw.ensure_table(%s)", (table_name(resource_type),))
        comparison = Comparison(connection, resource_type)
        everything = Window(BEGINNING, began_at + timedelta(days=366))  # a clock may have been ahead
        before = client.count(resource_type, everything)
        result.source_count = add_stamps(comparison, list_stamps(client, resource_type))
        after = client.count(resource_type, everything)
        result.unlisted = max(0, min(before, after) - result.source_count)
        found = comparison.findings(planned_to, began_at)
        connection.rollback()  # the empty table of a type never read, and the temporary one
    for finding, (count, ids) in found.items():
        setattr(result, finding, count)
        result.ids[finding] = ids
    return result


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
            ties = [stamp for page in list_ties(client, resource_type, part) for stamp in page]
            versions = {stamp.id: stamp.version for stamp in ties if part.start_at <= stamp.last_updated < part.end_at}
        listing.versions |= versions
        if after > len(versions):
            listing.unlisted_count += after - len(versions)
            listing.unlisted_from = listing.unlisted_from or part.start_at
    return listing


def _versions(client: FhirClient, resource_type: str, window: Window) -> dict[str, Version]:
    """List the ids of a window; none where a stamp lies outside: it is then another search's page, or rows moved."""
    try:
        stamps = [stamp for page in read_stamps(client, resource_type, window) for stamp in page]
        is_of_window = all(window.start_at <= stamp.last_updated < window.end_at for stamp in stamps)
        return {stamp.id: stamp.version for stamp in stamps} if is_of_window else {}
    except UnreadablePageError:
        return {}
    except FhirUnavailableError as error:
        if error.status != 500:
            raise
        return {}  # one resource may be at fault: the caller divides
