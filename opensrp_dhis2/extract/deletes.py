"""Resources that were deleted at the source: found in its history, or by comparing all ids, and marked in raw tables.

It knows fhir/ and warehouse/; it refuses to know Dagster, and never takes silence for a deletion without asking again.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from opensrp_dhis2.errors import CursorExpiredError, HistoryRefusedError, IncompleteExtractError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.history import Deleted, deletions
from opensrp_dhis2.fhir.ids import IDS_PER_READ, Stamp
from opensrp_dhis2.fhir.page import Page
from opensrp_dhis2.fhir.unreadable import list_stamps, read_ids
from opensrp_dhis2.fhir.window import BEGINNING
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.raw_pages import Load, LoadCounts, table_name

OVERLAP = timedelta(hours=1)  # read again of the history: a deletion shows at its commit, under the stamp of its start
MAX_SHARE = 0.2  # of a type; more at once is rather a filtered token or a broken gateway
HARMLESS_COUNT = 100
MAX_ATTEMPTS = 4  # for a sweep whose cursor expired
READS_PER_LOAD = 20
BLANK = "\\N"


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
    started, now = time.monotonic(), client.server_now()
    read_to = _read_to(client, warehouse, resource_type)
    if read_to is None:
        return _swept(client, warehouse, resource_type, "no deletions were looked for before")
    if read_to > now:
        return _swept(client, warehouse, resource_type, "the server's clock was ahead at the last search")
    since = min(read_to, now) - OVERLAP
    try:
        told = _told(client, resource_type, since)
    except HistoryRefusedError as error:
        return _swept(client, warehouse, resource_type, str(error))
    told += _begun_anew(client, warehouse, resource_type, told)
    until = now - timedelta(seconds=lag_seconds)
    with warehouse.connect() as connection:
        search = _Search(connection, client.base_url, resource_type)
        deleted = search.mark(told)
        search.end("history", None, since, until, len(told), deleted)
    return DeleteResult(resource_type, since, until, len(told), deleted, time.monotonic() - started)


def _begun_anew(client: FhirClient, warehouse: Warehouse, resource_type: str, told: Sequence[Deleted]) -> list[Deleted]:
    """Return those told as deleted whose number is higher here, and that are gone: they were expunged and made again."""
    with warehouse.connect() as connection:
        later = dict(
            connection.execute(
                "select * from raw.later_than(%s, %s, %s)",
                (table_name(resource_type), [one.id for one in told], [one.version_id for one in told]),
            ).fetchall()
        )
    there, ids = set[str](), sorted(later)
    for first in range(0, len(ids), IDS_PER_READ):
        there |= _read_into(Page(), client, resource_type, ids[first : first + IDS_PER_READ])
    return [Deleted(one, later[one]) for one in ids if one not in there]


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
    started, now = time.monotonic(), client.server_now()
    _read_to(client, warehouse, resource_type)  # makes the table of a type never read
    since_load = _last_load(warehouse)
    source_count, differences = _compare(client, warehouse, resource_type)
    anew = {one for one, (_, difference) in differences.items() if difference in ("rolled_back", "retagged")}
    there, loaded, rejected = _load_by_id(client, warehouse, resource_type, list(differences), _Anew(anew, since_load))
    gone = [
        Deleted(one, version_id)
        for one, (version_id, difference) in differences.items()
        if difference == "gone" and one not in there
    ]
    _refuse_mass(client, warehouse, resource_type, gone, max_share, source_count)
    with warehouse.connect() as connection:
        search = _Search(connection, client.base_url, resource_type)
        deleted = search.mark(gone)
        search.end("sweep", reason, None, now, source_count, deleted, loaded)
    return SweepResult(resource_type, source_count, deleted, loaded, now, time.monotonic() - started, rejected)


@dataclass(frozen=True)
class _Anew:
    """What is loaded whatever its version, but for what was read here after that load."""

    ids: set[str]
    since_load: int


class _Search:
    """One search for deletions, in the caller's transaction."""

    def __init__(self, connection: Connection, source: str, resource_type: str) -> None:
        self._connection, self._of, self._table = connection, (source, resource_type), table_name(resource_type)
        self._load_id = Load(connection, resource_type, source=source).counts().load_id
        connection.execute("select raw.begin_delete_search()")

    def mark(self, gone: Iterable[Deleted]) -> int:
        """Put a tombstone on each that has no later version here; give how many."""
        with self._connection.cursor().copy("copy gone (id, version_id) from stdin") as copy:
            for one in gone:
                copy.write_row((one.id, one.version_id))
        row = self._connection.execute(
            "select raw.mark_gone(%s, %s, %s)", (self._table, self._of[1], self._load_id)
        ).fetchone()
        return int(row[0]) if row else 0

    def end(
        self, way: str, reason: str | None, since: datetime | None, until: datetime,
        source_count: int, deleted: int, loaded: int = 0,
    ) -> None:  # fmt: skip
        """Record the search, and how far the history need not be asked again."""
        self._connection.execute(
            "insert into raw.delete_search (source, resource_type, way, reason, since_at, until_at, source_count,"
            " deleted_count, loaded_count, load_id) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (*self._of, way, reason, since, until, source_count, deleted, loaded, self._load_id),
        )
        self._connection.execute(
            "insert into raw.delete_watermark as w (source, resource_type, read_to) values (%s, %s, %s)"
            " on conflict (source, resource_type) do update set read_to = excluded.read_to",
            (*self._of, until),
        )


def _read_to(client: FhirClient, warehouse: Warehouse, resource_type: str) -> datetime | None:
    with warehouse.connect() as connection:
        connection.execute("select raw.ensure_table(%s)", (table_name(resource_type),))
        row = connection.execute(
            "select read_to from raw.delete_watermark where source = %s and resource_type = %s",
            (client.base_url, resource_type),
        ).fetchone()
    return row[0] if row else None


def _last_load(warehouse: Warehouse) -> int:
    with warehouse.connect() as connection:
        row = connection.execute("select coalesce(max(load_id), 0) from raw.load").fetchone()
    return int(row[0]) if row else 0


def _swept(client: FhirClient, warehouse: Warehouse, resource_type: str, reason: str) -> DeleteResult:
    result = sweep(client, warehouse, resource_type, reason=reason)
    return DeleteResult(resource_type, None, result.until, 0, result.deleted, result.seconds, reason, result)


def _told(client: FhirClient, resource_type: str, since: datetime) -> list[Deleted]:
    return [one for some in deletions(client, resource_type, since) for one in some]


def _compare(client: FhirClient, warehouse: Warehouse, resource_type: str) -> tuple[int, dict[str, tuple[int, str]]]:
    """Return how many ids the source has, and of each id that differs the version here and the difference."""
    for _ in range(MAX_ATTEMPTS):
        try:
            with warehouse.connect() as connection:
                connection.execute("select raw.begin_delete_search()")
                source_count = _copy_seen(connection, list_stamps(client, resource_type))
                found = connection.execute("select * from raw.compare_seen(%s)", (table_name(resource_type),))
                return source_count, {one: (version_id, difference) for one, version_id, difference in found}
        except CursorExpiredError:
            continue
    raise IncompleteExtractError(
        f"The ids of {resource_type} at {client.base_url} were not read to the end: the page cursor expired "
        f"{MAX_ATTEMPTS} times; give the server a longer search expiry",
        url=client.base_url,
    )


def _copy_seen(connection: Connection, pages: Iterable[list[Stamp]]) -> int:
    with connection.cursor().copy("copy seen (id, version_id, last_updated, tags_md5) from stdin") as copy:
        for page in pages:
            copy.write("".join(map(_line, page)))
    row = connection.execute("select count(distinct id) from seen").fetchone()
    return int(row[0]) if row else 0


def _line(one: Stamp) -> str:
    return f"{one.id}\t{one.version_id}\t{one.last_updated.isoformat()}\t{one.tags_md5 or BLANK}\n"


def _load_by_id(
    client: FhirClient, warehouse: Warehouse, resource_type: str, ids: Sequence[str], anew: _Anew
) -> tuple[set[str], int, int]:
    """Read these and load them; give those that the source has, how many were new or newer here, how many rejected."""
    there: set[str] = set()
    loaded = rejected = 0
    for first in range(0, len(ids), IDS_PER_READ * READS_PER_LOAD):
        page = Page()
        for start in range(first, min(first + IDS_PER_READ * READS_PER_LOAD, len(ids)), IDS_PER_READ):
            there |= _read_into(page, client, resource_type, ids[start : start + IDS_PER_READ])
        if len(page):
            counts = _load(client, warehouse, resource_type, page, anew)
            loaded += counts.inserted + counts.updated
            rejected += counts.rejected
    return there, loaded, rejected


def _read_into(page: Page, client: FhirClient, resource_type: str, ids: Sequence[str]) -> set[str]:
    """Add to the page what the source has of these; give their ids, or all where it answers what cannot be told apart."""
    there: set[str] = set()
    for read in read_ids(client, resource_type, ids):
        page.resources += read.resources
        page.rejected += read.rejected
        there |= {one.id for one in read.resources}
        there |= set(ids) if any(one.id is None for one in read.rejected) else {one.id or "" for one in read.rejected}
    return there


def _load(client: FhirClient, warehouse: Warehouse, resource_type: str, page: Page, anew: _Anew) -> LoadCounts:
    with warehouse.connect() as connection:
        load = Load(connection, resource_type, source=client.base_url, is_present=True)
        ids = [one.id for one in page.resources if one.id in anew.ids]
        if ids:
            connection.execute(
                "select raw.restart_versions(%s, %s, %s, %s, %s)",
                (table_name(resource_type), resource_type, ids, load.counts().load_id, anew.since_load),
            )
        load.add(page.resources, page.rejected)
        return load.counts()


def _refuse_mass(
    client: FhirClient,
    warehouse: Warehouse,
    resource_type: str,
    gone: Sequence[Deleted],
    max_share: float,
    source_count: int,
) -> None:
    """Stop before marking a large part of a type that only silence calls deleted."""
    with warehouse.connect() as connection:
        row = connection.execute("select raw.alive_count(%s)", (table_name(resource_type),)).fetchone()
    alive = int(row[0]) if row else 0
    limit = max(HARMLESS_COUNT if source_count else 0, alive * max_share)  # a source that is empty proves least
    if len(gone) <= limit:
        return
    try:
        told = {one.id for one in _told(client, resource_type, BEGINNING)}
    except HistoryRefusedError:
        told = set()
    untold = sum(one.id not in told for one in gone)
    if untold > limit:
        raise IncompleteExtractError(
            f"{untold} of {alive} {resource_type} resources here are not at {client.base_url}, and no history says that "
            "they were deleted: a token that filters or a broken gateway looks just so, so none was marked. Check the "
            "account's roles and the server's own count; if they were really removed, run the job sweep_deletes with "
            "max_share 1",
            url=f"{client.base_url}/{resource_type}",
        )
