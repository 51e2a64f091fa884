"""One slice from the server into raw, with a certificate: counted before and after, and its ids found in raw.

Rows only leave a past window, by update or deletion. So when the count before, the count after and the number of
distinct ids received with a stamp of the window are equal, what was received is what the source has: unless a page
came from an older state, with as many that have left as it lacks. Such pages betray themselves by their size or total.
Where counts differ, the source's ids are compared with raw, and what is missing is read by id: so loss is told apart
from what changed, was deleted or was committed late meanwhile, and from what cannot be stored.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from opensrp_dhis2.errors import CursorExpiredError, IncompleteExtractError, WarehouseUnavailableError
from opensrp_dhis2.extract.extraction import SearchRun, SliceResult, load_pages, merged
from opensrp_dhis2.extract.listing import Listing, compare_versions, digest_of, list_window
from opensrp_dhis2.fhir.ids import IDS_PER_READ
from opensrp_dhis2.fhir.page import NO_JSON, NO_KEYS, Page, Rejected, Version
from opensrp_dhis2.fhir.unreadable import CANNOT_GIVE, MALFORMED, read_ids, read_window
from opensrp_dhis2.fhir.window import Window, instant
from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.comparison import Loaded
from opensrp_dhis2.warehouse.load import Load, LoadCounts
from opensrp_dhis2.warehouse.state import Certificate, Kind, Slice

MAX_ATTEMPTS = 4  # for a slice whose cursor expired or whose connection broke
COUNT_SECONDS = 60.0  # a count this old is taken anew: the less time, the fewer rows have left
MOST_REPAIRS = 3
MOST_ASKED_AGAIN = 1_000  # a run, of each type
BROKEN = (CANNOT_GIVE, MALFORMED, NO_JSON, NO_KEYS)  # a resource of the type all the same, and perhaps not listed


@dataclass
class Received:
    """What the pages of a slice held: the versions with a stamp of its window, and what came broken."""

    window: Window
    counted_before: int
    versions: dict[str, Version] = field(default_factory=dict)
    broken_ids: set[str] = field(default_factory=set)
    ungiven_count: int = 0
    unnamed_marks: set[int] = field(default_factory=set)  # of texts without an id, which may come more than once
    is_odd: bool = False  # pages that no whole and present answer is made of: ids may be missing, whatever the counts

    def note(self, page: Page) -> None:
        """Take a page in."""
        start_at, end_at = self.window.start_at, self.window.end_at
        ids = {resource.id for resource in page.resources}
        came_again = len(ids) < len(page.resources) or not ids.isdisjoint(self.versions)
        self.is_odd |= (
            page.is_short or page.duplicate_count > 0 or came_again or bool(page.totals - {self.counted_before})
        )
        self.versions.update({r.id: r.version for r in page.resources if start_at <= r.last_updated < end_at})
        for broken in filter(_is_broken, page.rejected):
            if broken.id:
                self.broken_ids.add(broken.id)
            elif broken.body:
                self.unnamed_marks.add(hash(broken.body))
            else:
                self.ungiven_count += 1

    @property
    def unnamed_count(self) -> int:
        return self.ungiven_count + len(self.unnamed_marks)


@dataclass(frozen=True)
class _Left:
    """What was received and is not listed any more: changed, deleted, or, by a listing that is not true, unchanged."""

    changed: int
    deleted: int
    unchanged: int

    @property
    def count(self) -> int:
        return self.changed + self.deleted


@dataclass
class _Repair:
    """What was read by id: how it was loaded, and which ids came as what cannot be stored, or broken."""

    counts: LoadCounts = field(default_factory=LoadCounts)
    refused: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)


def read_slice(run: SearchRun, kind: Kind, part: Slice, counted_at: float | None) -> SliceResult:
    """Read, load and certify one slice; what cannot be certified at once is compared id by id, and repaired.

    Args: `counted_at` is when the plan was counted, by the monotonic clock; none when an earlier run did.
    Raises: IncompleteExtractError when the cursor expires again and again. Others as the client and the warehouse.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            done, received = _load(run, kind, part, counted_at if attempt == 1 else None)
            return done if done.certificate.state == "certified" else _reconcile(run, done, received)
        except (CursorExpiredError, WarehouseUnavailableError) as error:
            if attempt == MAX_ATTEMPTS and isinstance(error, WarehouseUnavailableError):
                raise
    raise IncompleteExtractError(
        f"{run.resource_type} from {part.window_from} to {part.window_to}: the page cursor expired {MAX_ATTEMPTS} "
        "times before the end; lower FHIR_PAGE_SIZE, or give the server a longer search expiry",
        url=run.source,
    )


def _load(run: SearchRun, kind: Kind, part: Slice, counted_at: float | None) -> tuple[SliceResult, Received]:
    """Read a slice and commit it: as certified, with the watermark, or as loaded only."""
    client, resource_type, window = run.server, run.resource_type, Window(part.window_from, part.window_to)
    is_fresh = counted_at is not None and time.monotonic() - counted_at < COUNT_SECONDS
    received = Received(window, part.planned_count if is_fresh else client.count(resource_type, window))
    with run.warehouse.connect() as connection:
        within, is_resweep = (window.start_at, window.end_at), kind == "resweep"
        load = Load(connection, resource_type, source=run.source, window=within, is_present=True, is_resweep=is_resweep)
        pages = merged(read_window(client, resource_type, window))
        invalid = load_pages(connection, load, run, pages, received.note)
        after = client.count(resource_type, window)
        loaded = compare_versions(connection, resource_type, received.versions)
        digest = digest_of(received.versions)
        is_counted = received.counted_before == after == len(received.versions)
        is_whole = is_counted and not received.is_odd and digest == loaded.digest
        certificate = Certificate("certified" if is_whole else "loaded", after, digest, loaded.count, loaded.digest)
        state.finish(connection, part.slice_id, certificate)
        return SliceResult(part, load.counts(), invalid, certificate), received


def _reconcile(run: SearchRun, done: SliceResult, received: Received) -> SliceResult:
    """Compare a loaded slice id by id with the source, repair it, and give it its certificate.

    Returns: the slice certified, or incomplete, with the ids that the source lists and does not give.
    Raises: as the client and the warehouse; the slice then stays loaded, to be read again.
    """
    repair, absent = _Repair(), set[str]()
    late: int | None = None
    for repairs_left in reversed(range(MOST_REPAIRS + 1)):
        listing, loaded = _compare(run, received.window)
        left = _left(run, received, listing)
        if late is None:
            late = count_late(received.counted_before, len(listing.versions), len(loaded.absent_ids), left.count)
        absent |= set(loaded.absent_ids)
        missing = _missing(loaded, repair)
        if not repairs_left or not (missing or left.unchanged or _hidden(listing, received, repair)):
            break
        _fetch(run, repair, missing)
    certificate = _certificate(listing, loaded, received, repair, left)
    certificate.late_count = late or 0
    certificate.repaired_count = max(0, len(absent - set(loaded.absent_ids)) - certificate.late_count)
    with run.warehouse.connect() as connection:
        state.finish(connection, done.slice.slice_id, certificate)
    return replace(done, certificate=certificate, fetched=repair.counts)


def settle_rejected(run: SearchRun) -> LoadCounts:
    """Read by id what came broken, in part or not at all in earlier runs; what is given now, or is gone, is settled."""
    repair, asked = _Repair(), _outstanding(run)[:MOST_ASKED_AGAIN]
    for _ in range(2):  # one page without it is no proof that it is gone
        left = set(_outstanding(run)) - repair.refused
        _fetch(run, repair, [resource_id for resource_id in asked if resource_id in left])
    with run.warehouse.connect() as connection:
        state.settle(connection, run.resource_type, sorted(set(asked) - repair.refused))
    return repair.counts


def _outstanding(run: SearchRun) -> list[str]:
    with run.warehouse.connect() as connection:
        return [resource_id for resource_id, _ in state.outstanding(connection, run.resource_type)]


def count_late(counted_before: int, listed: int, absent: int, left: int) -> int:
    """Return how many of the absent ids came into the window after it was counted: pure.

    Of those counted before, so many have left; whoever is listed beyond the rest has come since.
    """
    return min(absent, max(0, listed - (counted_before - left)))


def _compare(run: SearchRun, window: Window) -> tuple[Listing, Loaded]:
    listing = list_window(run.server, run.resource_type, window)
    with run.warehouse.connect() as connection:
        return listing, compare_versions(connection, run.resource_type, listing.versions)


def _missing(loaded: Loaded, repair: _Repair) -> list[str]:
    return [resource_id for resource_id in loaded.absent_ids if resource_id not in repair.refused]


def _hidden(listing: Listing, received: Received, repair: _Repair) -> int:
    """Count what the source counts without listing it, less what it gave broken: without an id, or not listed."""
    unnamed = received.unnamed_count - len(repair.broken - received.broken_ids)
    named = received.broken_ids - listing.versions.keys()
    return max(0, listing.unlisted_count - len(named) - max(0, unnamed))


def _certificate(listing: Listing, loaded: Loaded, received: Received, repair: _Repair, left: _Left) -> Certificate:
    missing, hidden = _missing(loaded, repair), _hidden(listing, received, repair)
    source_count = len(listing.versions) + listing.unlisted_count
    unlisted = max(hidden, left.unchanged)
    return Certificate(
        "incomplete" if missing or unlisted else "certified",
        source_count,
        digest_of(listing.versions),
        loaded.count,
        loaded.digest,
        rejected_count=source_count - loaded.count - len(missing) - hidden,
        changed_count=left.changed,
        deleted_count=left.deleted,
        missing_ids=missing,
        unlisted_count=unlisted,
        unlisted_from=instant(listing.unlisted_from or received.window.start_at) if unlisted else None,
    )


def _fetch(run: SearchRun, repair: _Repair, ids: Sequence[str]) -> None:
    """Read these ids and load what comes; what comes and cannot be stored has a row in raw.rejected."""
    if not ids:
        return
    with run.warehouse.connect() as connection:
        load, given = Load(connection, run.resource_type, source=run.source, is_present=True), dict[str, Version]()
        for asked, page in _pages_by_id(run, ids):
            load.add(page.resources, page.rejected)
            given |= {resource.id: resource.version for resource in page.resources}
            repair.refused |= _named(asked, page.rejected)
            repair.broken |= _named(asked, filter(_is_broken, page.rejected))
        repair.refused |= set(compare_versions(connection, run.resource_type, given).absent_ids)
        counts = load.counts()
    repair.counts.inserted += counts.inserted
    repair.counts.updated += counts.updated


def _pages_by_id(run: SearchRun, ids: Sequence[str]) -> Iterator[tuple[Sequence[str], Page]]:
    for first in range(0, len(ids), IDS_PER_READ):
        asked = ids[first : first + IDS_PER_READ]
        for page in read_ids(run.server, run.resource_type, asked):
            yield asked, page


def _named(asked: Iterable[str], rejected: Iterable[Rejected]) -> set[str]:
    """Return the ids that came and were rejected; one too broken for its id to be read still bears it in its text.

    A text that bears several is a page of somebody else's: it tells of none of them.
    """
    wanted, named = set(asked), set[str]()
    for refused in rejected:
        borne = {name for name in wanted if f'"{name}"'.encode() in refused.body}
        own = wanted.intersection({refused.id or ""})
        named |= own if borne <= own else borne if len(borne) == 1 else set()
    return named


def _is_broken(rejected: Rejected) -> bool:
    return rejected.reason.startswith(BROKEN)


def _left(run: SearchRun, received: Received, listing: Listing) -> _Left:
    """Ask what became of those that the pages held and the listing does not."""
    ids = sorted(received.versions.keys() - listing.versions.keys())
    living = {resource.id: resource.version for _, page in _pages_by_id(run, ids) for resource in page.resources}
    changed = sum(received.versions.get(resource_id) != version for resource_id, version in living.items())
    return _Left(changed, len(set(ids) - living.keys()), len(living) - changed)
