"""Resources that were deleted at the source: found in its history, or by comparing all ids, and marked in raw tables.

It knows fhir/ and warehouse/; it refuses to know Dagster, and never takes silence for a deletion without asking again.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from opensrp_dhis2.errors import CursorExpiredError, HistoryRefusedError, IncompleteExtractError
from opensrp_dhis2.extract.extraction import SearchRun, TypeRun
from opensrp_dhis2.extract.listing import add_stamps
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.history import deletions
from opensrp_dhis2.fhir.ids import IDS_PER_READ
from opensrp_dhis2.fhir.page import Page
from opensrp_dhis2.fhir.unreadable import list_stamps, read_ids
from opensrp_dhis2.fhir.window import BEGINNING
from opensrp_dhis2.warehouse import deletions as tombstones
from opensrp_dhis2.warehouse.comparison import AtSource, Comparison, Difference
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.deletions import DeleteSearch
from opensrp_dhis2.warehouse.load import Load, LoadCounts

OVERLAP = timedelta(hours=1)  # read again of the history: a deletion shows at its commit, under the stamp of its start
MAX_SHARE = 0.2  # of a type; more at once is rather a filtered token or a broken gateway
HARMLESS_COUNT = 100
MAX_ATTEMPTS = 4  # for a sweep whose cursor expired
IDS_PER_LOAD = 20 * IDS_PER_READ


@dataclass(frozen=True)
class SweepResult:
    """What a comparison of all ids found, in resources."""

    resource_type: str
    source_count: int
    deleted: int
    loaded: int
    until: datetime
    seconds: float
    rejected: int = 0  # listed there, and not given or not to be stored; each has a row in raw.rejected


@dataclass(frozen=True)
class DeleteResult:
    """What a search for deletions found; `sweep` where the history could not tell, and `reason` why."""

    resource_type: str
    since: datetime | None
    until: datetime
    told: int
    deleted: int
    seconds: float
    reason: str | None = None
    sweep: SweepResult | None = None


def find_deletes(
    client: FhirClient, warehouse: Warehouse, resource_type: str, *, lag_seconds: float = 600
) -> DeleteResult:
    """Mark what was deleted of one type since this was last asked; safe to kill and to run again.

    The first time, after the server's clock jumped back, and where the history is refused, all ids are compared.
    Raises: as the client, the warehouse and `sweep`; nothing is marked then, and the next run asks for the same time.
    """
    started, now, run = time.monotonic(), client.server_now(), _run_of(client, warehouse, resource_type)
    read_to = _read_to(run)
    if read_to is None:
        return _swept(run, "no deletions were looked for before")
    if read_to > now:
        return _swept(run, "the server's clock was ahead at the last search")
    since = min(read_to, now) - OVERLAP
    try:
        gone = _told_deleted(run, since)
    except HistoryRefusedError as error:
        return _swept(run, str(error))
    gone |= _begun_anew(run, gone)
    until = now - timedelta(seconds=lag_seconds)
    with warehouse.connect() as connection:
        load_id = Load(connection, resource_type, source=run.source).load_id
        deleted = tombstones.mark_gone(connection, resource_type, gone, load_id)
        _keep(connection, run, load_id, DeleteSearch("history", None, since, until, len(gone), deleted))
    return DeleteResult(resource_type, since, until, len(gone), deleted, time.monotonic() - started)


def sweep(
    client: FhirClient,
    warehouse: Warehouse,
    resource_type: str,
    *,
    max_share: float = MAX_SHARE,
    reason: str | None = None,
) -> SweepResult:
    """Compare all ids of one type at the source with those here: mark what is gone, load what is missing or old.

    Finds what leaves no trace in a history ($expunge). What seems gone is asked for by id before it is marked, and what
    was read here meanwhile stays.
    Args: `max_share` of the type that may be gone at once without the history saying so.
    Raises: IncompleteExtractError (terminal) beyond it, and when the cursor keeps expiring; nothing is marked then.
    """
    started, now, run = time.monotonic(), client.server_now(), _run_of(client, warehouse, resource_type)
    _read_to(run)  # makes the table of a type never read
    with warehouse.connect() as connection:
        since_load = tombstones.last_load(connection)
    source_count, differences = _compare(run)
    found = _Found({each.id for each in differences if each.kind in ("rolled_back", "retagged")}, since_load)
    _load_by_id(run, found, [each.id for each in differences])
    gone = {each.id: each.version_id for each in differences if each.kind == "gone" and each.id not in found.ids}
    with warehouse.connect() as connection:
        alive = tombstones.alive_count(connection, resource_type)
    refuse_mass(
        resource_type, gone, alive, most_gone(alive, source_count, max_share), lambda: _ever_told_deleted(run),
        f"are not at {run.source}, and no history says that they were deleted: a token that filters or a broken "
        "gateway looks just so, so none was marked. Check the account's roles and the server's own count",
    )  # fmt: skip
    with warehouse.connect() as connection:
        load_id = Load(connection, resource_type, source=run.source).load_id
        deleted = tombstones.mark_gone(connection, resource_type, gone, load_id)
        _keep(connection, run, load_id, DeleteSearch("sweep", reason, None, now, source_count, deleted, found.loaded))
    return SweepResult(
        resource_type, source_count, deleted, found.loaded, now, time.monotonic() - started, found.rejected
    )


def most_gone(alive: int, source_count: int, max_share: float) -> float:
    """Return how many of a type may be gone at once; a source that is empty proves least."""
    return max(HARMLESS_COUNT if source_count else 0, alive * max_share)


def refuse_mass(
    resource_type: str,
    gone: Collection[str],
    alive: int,
    limit: float,
    explained: Callable[[], Collection[str]],
    cause: str,
) -> None:
    """Stop before marking a large part of a type that only silence calls deleted.

    Args: `explained` returns the ids that the source says were deleted; `cause` goes on after "3 of 4 Flag resources here".
    Raises: IncompleteExtractError (terminal).
    """
    if len(gone) <= limit:
        return
    unexplained = len(set(gone).difference(explained()))
    if unexplained > limit:
        raise IncompleteExtractError(
            f"{unexplained} of {alive} {resource_type} resources here {cause}; if they were really removed, run the job "
            "sweep_deletes with max_share 1"
        )


@dataclass
class _Found:
    """What was read by id: `ids` that the source has; `anew` are loaded whatever their version, unless read since."""

    anew: set[str]
    since_load: int
    ids: set[str] = field(default_factory=set)
    loaded: int = 0
    rejected: int = 0


def _run_of(client: FhirClient, warehouse: Warehouse, resource_type: str) -> SearchRun:
    return TypeRun(client, client.base_url, warehouse, resource_type)


def _keep(connection: Connection, run: SearchRun, load_id: int, found: DeleteSearch) -> None:
    tombstones.keep_search(connection, *run.of, load_id, found)
    tombstones.move_watermark(connection, *run.of, found.until_at)


def _read_to(run: SearchRun) -> datetime | None:
    with run.warehouse.connect() as connection:
        connection.execute("select raw.ensure_table(%s)", (run.table,))
        return tombstones.read_to(connection, *run.of)


def _swept(run: SearchRun, reason: str) -> DeleteResult:
    result = sweep(run.server, run.warehouse, run.resource_type, reason=reason)
    return DeleteResult(run.resource_type, None, result.until, 0, result.deleted, result.seconds, reason, result)


def _told_deleted(run: SearchRun, since: datetime) -> dict[str, int]:
    """Return the version of each deletion that the history tells."""
    pages = deletions(run.server, run.resource_type, since)
    return {deleted.id: deleted.version_id for page in pages for deleted in page}


def _ever_told_deleted(run: SearchRun) -> Collection[str]:
    try:
        return _told_deleted(run, BEGINNING)
    except HistoryRefusedError:
        return ()


def _begun_anew(run: SearchRun, gone: Mapping[str, int]) -> dict[str, int]:
    """Return the version here of those told as deleted that is higher, where they are gone: expunged and made again."""
    with run.warehouse.connect() as connection:
        comparison = Comparison(connection, run.resource_type)
        comparison.add(AtSource(*deleted) for deleted in gone.items())
        differences = comparison.differences(is_whole=False)
    later = {each.id: each.version_id for each in differences if each.is_here and each.kind == "rolled_back"}
    there, ids = set[str](), sorted(later)
    for first in range(0, len(ids), IDS_PER_READ):
        there |= _read_into(Page(), run, ids[first : first + IDS_PER_READ])
    return {resource_id: later[resource_id] for resource_id in ids if resource_id not in there}


def _compare(run: SearchRun) -> tuple[int, list[Difference]]:
    """Return how many ids the source has, and what differs."""
    for _ in range(MAX_ATTEMPTS):
        try:
            with run.warehouse.connect() as connection:
                comparison = Comparison(connection, run.resource_type)
                source_count = add_stamps(comparison, list_stamps(run.server, run.resource_type))
                found = comparison.differences(is_whole=True)
                return source_count, [each for each in found if each.kind != "restamped"]
        except CursorExpiredError:
            continue
    raise IncompleteExtractError(
        f"The ids of {run.resource_type} at {run.source} were not read to the end: the page cursor expired "
        f"{MAX_ATTEMPTS} times; give the server a longer search expiry",
        url=run.source,
    )


def _load_by_id(run: SearchRun, found: _Found, ids: Sequence[str]) -> None:
    """Read these and load them; note those that the source has, how many were new or newer here, how many rejected."""
    for first in range(0, len(ids), IDS_PER_LOAD):
        page, end = Page(), min(first + IDS_PER_LOAD, len(ids))
        for start in range(first, end, IDS_PER_READ):
            found.ids |= _read_into(page, run, ids[start : min(start + IDS_PER_READ, end)])
        if len(page):
            counts = _load(run, found, page)
            found.loaded += counts.inserted + counts.updated
            found.rejected += counts.rejected


def _read_into(page: Page, run: SearchRun, ids: Sequence[str]) -> set[str]:
    """Add to the page what the source has of these; return their ids, or all where what it answers cannot be told apart."""
    there: set[str] = set()
    for read in read_ids(run.server, run.resource_type, ids):
        page.join(read)
        rejected = {refused.id for refused in read.rejected}
        there |= {resource.id for resource in read.resources}
        there |= set(ids) if None in rejected else {resource_id or "" for resource_id in rejected}
    return there


def _load(run: SearchRun, found: _Found, page: Page) -> LoadCounts:
    with run.warehouse.connect() as connection:
        load = Load(connection, run.resource_type, source=run.source, is_present=True)
        anew = [resource.id for resource in page.resources if resource.id in found.anew]
        if anew:
            tombstones.restart_versions(connection, run.resource_type, anew, load.load_id, found.since_load)
        load.add(page.resources, page.rejected)
        return load.counts()
