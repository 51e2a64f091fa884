"""Pages that a server cannot give, or gives malformed, too large or in circles: read around the resource at fault.

It knows how to divide a window, by time first; it refuses to know what becomes of pages and of rejected rows.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from opensrp_dhis2.errors import (
    FhirError,
    FhirUnavailableError,
    IncompleteExtractError,
    PageTooLargeError,
    UnreadablePageError,
)
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.ids import Stamp, read_by_id, read_stamps, read_stamps_at
from opensrp_dhis2.fhir.page import TOO_LARGE, Page, Rejected, page_of
from opensrp_dhis2.fhir.window import BEGINNING, Window, instant

FLOOR = 5  # divisions in a row with no half readable: then it is the server that fails, not a resource
SINGLE_ATTEMPTS = 3  # for one resource that stands alone
TIES_ATTEMPTS = 3  # for resources of one instant, should they change while they are read by offset
MOST_PARTS = 200  # of a type, when its ids are listed around what cannot be given
SMALLEST_PAGE = 8  # that is asked for where larger ones are too large; then windows are divided
EMPTY_PAGES = 20  # in a row, each with a next link
CANNOT_GIVE = "the server cannot give it (HTTP 500)"
MALFORMED = "the server gives it as malformed JSON"
_RESOURCE = re.compile(rb'"resource"\s*:\s*')
_ID = re.compile(rb'"id"\s*:\s*"([A-Za-z0-9.\-]{1,64})"')


@dataclass
class _WindowSearch:
    """What is known of the server after some parts of a window."""

    client: FhirClient
    resource_type: str
    page_size: int
    has_given: bool = False
    failed_divisions: int = 0

    def pages(self, window: Window) -> Iterator[Page]:
        """Yield the pages of a search, asked for anew with smaller ones when one is too large.

        Raises: IncompleteExtractError also when a page comes again.
        """
        while True:
            try:
                yield from self._pages(window)
                return
            except PageTooLargeError:
                if self.page_size <= SMALLEST_PAGE:
                    raise
                self.page_size = max(self.page_size // 4, SMALLEST_PAGE)

    def _pages(self, window: Window) -> Iterator[Page]:
        seen, empty = set[int](), 0
        for page in self.client.search_pages(self.resource_type, window, self.page_size):
            mark = hash((*(resource.id for resource in page.resources), *(refused.body for refused in page.rejected)))
            empty = 0 if len(page) else empty + 1
            if (mark in seen and len(page)) or empty > EMPTY_PAGES:
                url = f"{self.client.base_url}/{self.resource_type}"
                raise IncompleteExtractError(
                    f"{url} repeats a page: look at the server or the proxy before it", url=url
                )
            seen.add(mark)
            self.has_given |= bool(page.resources)
            yield page

    def parts(self, window: Window, count: int) -> list[Window]:
        """Halve a window until both halves hold resources; one alone is what can be halved no more."""
        while count > 1 and (halves := window.halves()):
            held = self.client.count(self.resource_type, halves[0])
            if 0 < held < count:  # the second half holds the others: none enters a past window
                return list(halves)
            window = halves[0] if held else halves[1]
        return [window]


@dataclass
class _Ties:
    """Resources of one instant as they are read one by one."""

    window: Window
    ids: set[str] = field(default_factory=set)
    failing: list[Rejected] = field(default_factory=list)


def read_window(client: FhirClient, resource_type: str, window: Window) -> Iterator[Page]:
    """Yield every page of a type in a window; a resource that the server cannot give is a rejected row of some page.

    What fails is divided and read again, so a resource may come twice; memory holds one page.
    Raises: as `FhirClient.bundles`, when it is the server that fails and not a resource, or nothing helps.
    """
    search = _WindowSearch(client, resource_type, client.page_size)
    try:
        yield from search.pages(window)
    except FhirError as error:
        _raise_unless_one_resource(error)
        yield from _divide(search, window, error)


def read_ids(client: FhirClient, resource_type: str, ids: Sequence[str]) -> Iterator[Page]:
    """Read these resources whole, around those that the server cannot give. Raises: as `read_window`."""
    try:
        pages = list(read_by_id(client, resource_type, ids))
    except FhirError as error:
        _raise_unless_one_resource(error)
        if len(ids) == 1:
            search = _WindowSearch(client, resource_type, client.page_size)
            yield Page(rejected=[_rejected(search, error, ids[0])])
            return
        for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
            yield from read_ids(client, resource_type, half)
    else:
        yield from pages


def list_stamps(client: FhirClient, resource_type: str) -> Iterator[list[Stamp]]:
    """Yield the stamp of every resource of a type; one of which the server tells not even the id is left out.

    What fails is divided and listed again, so a resource may be listed twice. Raises: as `read_window`.
    """
    try:
        yield from read_stamps(client, resource_type)
    except FhirError as error:
        search = _WindowSearch(client, resource_type, client.page_size)
        _raise_unless_one_resource(error)
        if not _gives_another(search):
            raise
        yield from _list_parts(search, error)


def list_ties(client: FhirClient, resource_type: str, window: Window) -> Iterator[list[Stamp]]:
    """Yield the stamps of a window that no division by time parts any more, by offset, around what cannot be listed."""
    count, size = client.count(resource_type, window), client.page_size
    pending = [(first, min(size, count - first)) for first in range(0, count, size)]
    for _ in range(MOST_PARTS + len(pending)):
        if not pending:
            return
        first, count = pending.pop()
        try:
            stamps = read_stamps_at(client, resource_type, window, first, count)
        except FhirError as error:
            _raise_unless_one_resource(error)
            pending += [(first, count // 2), (first + count // 2, count - count // 2)] if count > 1 else []
        else:
            yield stamps
            if 0 < len(stamps) < count:  # the server's maximum is lower than what was asked for
                pending.append((first + len(stamps), count - len(stamps)))


def _list_parts(search: _WindowSearch, error: FhirError) -> Iterator[list[Stamp]]:
    everything = Window(BEGINNING, search.client.server_now() + timedelta(days=366))  # a clock may have been ahead
    pending = [everything]
    for _ in range(MOST_PARTS):
        part = pending.pop()
        try:
            yield from read_stamps(search.client, search.resource_type, part)
        except FhirError as part_error:
            _raise_unless_one_resource(part_error)
            parts = search.parts(part, search.client.count(search.resource_type, part))
            if len(parts) > 1:
                pending += parts[::-1]
            else:
                yield from list_ties(search.client, search.resource_type, parts[0])
        if not pending:
            return
    raise error


def _raise_unless_one_resource(error: FhirError) -> None:
    """Raise the error again when it is the server's; return where one resource may be at fault."""
    is_internal = isinstance(error, FhirUnavailableError) and error.status == 500
    if not is_internal and not isinstance(error, UnreadablePageError | IncompleteExtractError | PageTooLargeError):
        raise error


def _divide(search: _WindowSearch, window: Window, error: FhirError) -> Iterator[Page]:
    """Read the halves of a window that failed, then divide those halves that fail too."""
    count = search.client.count(search.resource_type, window)  # fails as well when it is the whole server
    if count == 0:
        raise error
    parts = search.parts(window, count)
    if len(parts) == 1:
        yield from _read_ties(search, parts[0], error)
        return
    failed: list[tuple[Window, FhirError]] = []
    for part in parts:
        try:
            yield from search.pages(part)
        except FhirError as part_error:
            _raise_unless_one_resource(part_error)
            failed.append((part, part_error))
    if len(failed) < len(parts) or isinstance(failed[0][1], PageTooLargeError):  # a server that gives so much is well
        search.failed_divisions = 0
    else:
        search.failed_divisions += 1
    if search.failed_divisions >= FLOOR:
        raise error
    for part, its_error in failed:
        yield from _divide(search, part, its_error)


def _read_ties(search: _WindowSearch, window: Window, error: FhirError) -> Iterator[Page]:
    """Read what no division by time parts any more, by offset; and again if any of it changed meanwhile.

    A resource can only leave a past window, so an equal count before and after says that no offset has moved.
    """
    for _ in range(TIES_ATTEMPTS):
        count = search.client.count(search.resource_type, window)
        ties = _Ties(window)
        size = search.page_size
        for first in range(0, count, size):
            yield from _by_offset(search, ties, first, min(size, count - first))
        same = search.client.count(search.resource_type, window) == count
        if same and len(ties.ids) + len(ties.failing) == count:
            yield Page(rejected=_identified(search, ties))
            return
    raise error


def _by_offset(search: _WindowSearch, ties: _Ties, first: int, count: int) -> Iterator[Page]:
    asked = [*ties.window.parameters(), ("_count", str(count)), ("_sort", "_lastUpdated,_id")]
    asked += [("_offset", str(first))] if first else []
    for attempt in range(1, SINGLE_ATTEMPTS + 1):
        try:
            bundle = next(search.client.bundles(search.resource_type, asked))
            page = page_of(search.resource_type, bundle)
        except FhirError as error:
            _raise_unless_one_resource(error)
            if count > 1:
                yield from _by_offset(search, ties, first, count // 2)
                yield from _by_offset(search, ties, first + count // 2, count - count // 2)
                return
            if attempt == SINGLE_ATTEMPTS:
                ties.failing.append(_rejected(search, error))
        else:
            search.has_given |= bool(page.resources)
            ties.ids |= {resource.id for resource in page.resources} | {refused.id or "" for refused in page.rejected}
            yield page
            given = len(bundle.entry)
            if 0 < given < count and bundle.next_url:  # the server's maximum is lower than the page size asked for
                yield from _by_offset(search, ties, first + given, count - given)
            return


def _rejected(search: _WindowSearch, error: FhirError, resource_id: str | None = None) -> Rejected:
    """Write the row of a resource that fails alone. Raises: the error, if the server gives no other one either."""
    if isinstance(error, UnreadablePageError):
        body = _extract_resource(error.body)
        found = _ID.search(body)
        return Rejected(resource_id or (found[1].decode() if found else None), MALFORMED, body)
    if isinstance(error, PageTooLargeError):
        return Rejected(resource_id, TOO_LARGE, b"")
    if not search.has_given and not _gives_another(search):
        raise error
    return Rejected(resource_id, CANNOT_GIVE, b"")


def _gives_another(search: _WindowSearch) -> bool:
    for order in ("_lastUpdated,_id", "-_lastUpdated,-_id"):
        asked = [("_count", "1"), ("_sort", order)]
        try:
            if next(search.client.bundles(search.resource_type, asked)).entry:
                return True
        except FhirError as error:
            _raise_unless_one_resource(error)
    return False


def _extract_resource(page: bytes) -> bytes:
    """Cut the resource out of a page of one: what stands around it has a cursor in it."""
    found = _RESOURCE.search(page)
    return page[found.end() :].rpartition(b',"search"')[0] or page[found.end() :] if found else b""


def _identified(search: _WindowSearch, ties: _Ties) -> list[Rejected]:
    """Return those that fail, with their ids as far as the server still tells them; else with their window."""
    unnamed = [rejected for rejected in ties.failing if rejected.id is None]
    if not unnamed:
        return ties.failing
    known = ties.ids | {rejected.id for rejected in ties.failing if rejected.id}
    try:
        stamps = [stamp.id for page in read_stamps(search.client, search.resource_type, ties.window) for stamp in page]
    except FhirError as error:
        _raise_unless_one_resource(error)
        stamps = []
    names: list[str | None] = [*sorted(set(stamps) - known)]
    if len(names) != len(unnamed):
        names = [None] * len(unnamed)
    at = f"; lastUpdated is from {instant(ties.window.start_at)} to before {instant(ties.window.end_at)}"
    return [rejected for rejected in ties.failing if rejected.id] + [
        Rejected(name, rejected.reason + ("" if name else at), rejected.body)
        for name, rejected in zip(names, unnamed, strict=True)
    ]
