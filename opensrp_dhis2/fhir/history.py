"""The history of a type, read for its deletions: the only answer of a server that shows them.

It knows HAPI's entries without time and without resource; it refuses to know what was deleted here.
"""

import re
from collections.abc import Iterator
from datetime import datetime

import msgspec

from opensrp_dhis2.errors import (
    FhirError,
    HistoryRefusedError,
    IncompleteExtractError,
    PageTooLargeError,
    UnreadablePageError,
)
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.page import Bundle
from opensrp_dhis2.fhir.window import instant

ENTRIES_PER_PAGE = 1_000
DELETIONS_AT_ONCE = 1_000
REFUSALS = frozenset({400, 401, 403, 404, 405, 500, 501})  # 500: of one resource in it perhaps, at every attempt
_VERSION = re.compile(r"(?:.*/)?(?P<type>[A-Za-z]+)/(?P<id>[A-Za-z0-9.\-]{1,64})/_history/(?P<version>[0-9]{1,18})")


class Deleted(msgspec.Struct, frozen=True, gc=False):
    """A resource whose newest version is its deletion; no server tells when that was."""

    id: str
    version_id: int


def deletions(client: FhirClient, resource_type: str, since: datetime) -> Iterator[list[Deleted]]:
    """Yield what was deleted since an instant of the server's clock and has not come back, some at a time.

    The whole history is read before the first list: a deleted id can come back, and order by time is no order within a
    transaction, so that only the highest version of an id counts. Memory: one number an id that changed since.
    Raises: HistoryRefusedError when the server or its gateway gives no history of the type, or one that names no
    versions: compare ids instead. Others as `bundles`.
    """
    newest: dict[str, tuple[int, bool]] = {}
    # Always with _since: without it HAPI pages by a count up to a minute old, and the oldest entries are lost.
    parameters = [("_since", instant(since)), ("_count", str(ENTRIES_PER_PAGE)), ("_elements", "id")]
    try:
        for bundle in client.bundles(f"{resource_type}/_history", parameters):
            for resource_id, version_id, is_deletion in _entries(client, resource_type, bundle):
                newest[resource_id] = max(newest.get(resource_id, (0, False)), (version_id, is_deletion))
    except FhirError as error:
        if error.status in REFUSALS:
            raise _refused(client, resource_type, f"HTTP {error.status}") from None
        if isinstance(error, UnreadablePageError | IncompleteExtractError | PageTooLargeError):
            raise _refused(client, resource_type, "a page of it cannot be read") from None
        raise
    gone = [Deleted(name, version_id) for name, (version_id, is_deletion) in newest.items() if is_deletion]
    for first in range(0, len(gone), DELETIONS_AT_ONCE):
        yield gone[first : first + DELETIONS_AT_ONCE]


def _entries(client: FhirClient, resource_type: str, bundle: Bundle) -> Iterator[tuple[str, int, bool]]:
    for entry in bundle.entry:
        found = _VERSION.fullmatch(entry.request.url)
        if found is None or found["type"] != resource_type:
            raise _refused(client, resource_type, "an entry does not say which version of what it is")
        yield found["id"], int(found["version"]), entry.request.method == "DELETE"


def _refused(client: FhirClient, resource_type: str, why: str) -> HistoryRefusedError:
    url = f"{client.base_url}/{resource_type}/_history"
    return HistoryRefusedError(
        f"{url} is of no use ({why}): deletions are found by comparing all ids instead, which takes longer; let the "
        f"gateway pass {resource_type}/_history to this account",
        url=url,
    )
