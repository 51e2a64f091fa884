"""A slice whose counts differ: the source's ids held against raw, and what is missing read by id.

It tells loss apart from what changed, was deleted or was committed late meanwhile, and from what cannot be stored.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from opensrp_dhis2.extract.extraction import Reading, SliceResult
from opensrp_dhis2.extract.listing import Listing, digest_of, list_window
from opensrp_dhis2.fhir.ids import IDS_PER_READ
from opensrp_dhis2.fhir.page import NO_JSON, NO_KEYS, Page, Rejected, Version
from opensrp_dhis2.fhir.unreadable import CANNOT_GIVE, MALFORMED, read_ids
from opensrp_dhis2.fhir.window import Window, instant
from opensrp_dhis2.warehouse import rejected, slices
from opensrp_dhis2.warehouse.raw_pages import Load, LoadCounts
from opensrp_dhis2.warehouse.slices import Certificate, Landed

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
        ids = {one.id for one in page.resources}
        came_again = len(ids) < len(page.resources) or not ids.isdisjoint(self.versions)
        self.is_odd |= (
            page.is_short or page.duplicate_count > 0 or came_again or bool(page.totals - {self.counted_before})
        )
        self.versions.update({r.id: r.version for r in page.resources if start_at <= r.last_updated < end_at})
        for one in filter(_is_broken, page.rejected):
            if one.id:
                self.broken_ids.add(one.id)
            elif one.body:
                self.unnamed_marks.add(hash(one.body))
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


def reconcile(reading: Reading, done: SliceResult, received: Received) -> SliceResult:
    """Compare a landed slice id by id with the source, repair it, and give it its certificate.

    Returns: the slice certified, or short, with the ids that the source lists and does not give.
    Raises: as the client and the warehouse; the slice then stays landed, to be read again.
    """
    repair, absent = _Repair(), set[str]()
    late: int | None = None
    for repairs_left in reversed(range(MOST_REPAIRS + 1)):
        listing, landed = _compare(reading, received.window)
        left = _left(reading, received, listing)
        if late is None:
            late = count_late(received.counted_before, len(listing.versions), len(landed.absent_ids), left.count)
        absent |= set(landed.absent_ids)
        missing = _missing(landed, repair)
        if not repairs_left or not (missing or left.unchanged or _hidden(listing, received, repair)):
            break
        _fetch(reading, repair, missing)
    certificate = _certificate(listing, landed, received, repair, left)
    certificate.late_count = late or 0
    certificate.repaired_count = max(0, len(absent - set(landed.absent_ids)) - certificate.late_count)
    with reading.warehouse.connect() as connection:
        slices.finish(connection, done.slice.slice_id, certificate)
    return replace(done, certificate=certificate, fetched=repair.counts)


def ask_again(reading: Reading) -> LoadCounts:
    """Read by id what came broken, in part or not at all in earlier runs; what is given now, or is gone, is settled."""
    repair, asked = _Repair(), _outstanding(reading)[:MOST_ASKED_AGAIN]
    for _ in range(2):  # one page without it is no proof that it is gone
        left = set(_outstanding(reading)) - repair.refused
        _fetch(reading, repair, [one for one in asked if one in left])
    with reading.warehouse.connect() as connection:
        rejected.settle(connection, reading.resource_type, sorted(set(asked) - repair.refused))
    return repair.counts


def _outstanding(reading: Reading) -> list[str]:
    with reading.warehouse.connect() as connection:
        return [one for one, _ in rejected.outstanding(connection, reading.resource_type)]


def count_late(counted_before: int, listed: int, absent: int, left: int) -> int:
    """Return how many of the absent ids came into the window after it was counted: pure.

    Of those counted before, so many have left; whoever is listed beyond the rest has come since.
    """
    return min(absent, max(0, listed - (counted_before - left)))


def _compare(reading: Reading, window: Window) -> tuple[Listing, Landed]:
    listing = list_window(reading.client, reading.resource_type, window)
    with reading.warehouse.connect() as connection:
        return listing, slices.compare(connection, reading.resource_type, listing.versions)


def _missing(landed: Landed, repair: _Repair) -> list[str]:
    return [one for one in landed.absent_ids if one not in repair.refused]


def _hidden(listing: Listing, received: Received, repair: _Repair) -> int:
    """Count what the source counts without listing it, less what it gave broken: without an id, or not listed."""
    unnamed = received.unnamed_count - len(repair.broken - received.broken_ids)
    named = received.broken_ids - listing.versions.keys()
    return max(0, listing.unlisted_count - len(named) - max(0, unnamed))


def _certificate(listing: Listing, landed: Landed, received: Received, repair: _Repair, left: _Left) -> Certificate:
    missing, hidden = _missing(landed, repair), _hidden(listing, received, repair)
    source_count = len(listing.versions) + listing.unlisted_count
    unlisted = max(hidden, left.unchanged)
    return Certificate(
        "short" if missing or unlisted else "certified",
        source_count,
        digest_of(listing.versions),
        landed.count,
        landed.digest,
        rejected_count=source_count - landed.count - len(missing) - hidden,
        changed_count=left.changed,
        deleted_count=left.deleted,
        missing_ids=missing,
        unlisted_count=unlisted,
        unlisted_from=instant(listing.unlisted_from or received.window.start_at) if unlisted else None,
    )


def _fetch(reading: Reading, repair: _Repair, ids: Sequence[str]) -> None:
    """Read these ids and load what comes; what comes and cannot be stored has a row in raw.rejected."""
    if not ids:
        return
    with reading.warehouse.connect() as connection:
        load = Load(connection, reading.resource_type, source=reading.source, is_present=True)
        for asked, page in _pages_by_id(reading, ids):
            load.add(page.resources, page.rejected)
            given = {one.id: one.version for one in page.resources}
            repair.refused |= set(slices.compare(connection, reading.resource_type, given).absent_ids)
            repair.refused |= _named(asked, page.rejected)
            repair.broken |= _named(asked, filter(_is_broken, page.rejected))
        counts = load.counts()
    repair.counts.inserted += counts.inserted
    repair.counts.updated += counts.updated


def _pages_by_id(reading: Reading, ids: Sequence[str]) -> Iterator[tuple[Sequence[str], Page]]:
    for first in range(0, len(ids), IDS_PER_READ):
        asked = ids[first : first + IDS_PER_READ]
        for page in read_ids(reading.client, reading.resource_type, asked):
            yield asked, page


def _named(asked: Iterable[str], rejected: Iterable[Rejected]) -> set[str]:
    """Return the ids that came and were rejected; one too broken for its id to be read still bears it in its text.

    A text that bears several is a page of somebody else's: it tells of none of them.
    """
    wanted, named = set(asked), set[str]()
    for one in rejected:
        borne = {name for name in wanted if f'"{name}"'.encode() in one.body}
        own = wanted.intersection({one.id or ""})
        named |= own if borne <= own else borne if len(borne) == 1 else set()
    return named


def _is_broken(one: Rejected) -> bool:
    return one.reason.startswith(BROKEN)


def _left(reading: Reading, received: Received, listing: Listing) -> _Left:
    """Ask what became of those that the pages held and the listing does not."""
    ids = sorted(received.versions.keys() - listing.versions.keys())
    living = {one.id: one.version for _, page in _pages_by_id(reading, ids) for one in page.resources}
    changed = sum(received.versions.get(one) != version for one, version in living.items())
    return _Left(changed, len(set(ids) - living.keys()), len(living) - changed)
