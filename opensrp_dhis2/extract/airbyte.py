"""Tables that Airbyte fills into raw, in slices by `_airbyte_extracted_at`, each from one snapshot with a certificate.

Rows of one instant are never parted, so that the watermark passes no tie. What comes later than the overlap, what is
gone, and what a table was replaced by is found by comparing all ids. A table tells no deletion, so that silence is all
there is: more of it at once than a person would cause is an error.
"""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeAlias

from opensrp_dhis2.clock import machine_clock
from opensrp_dhis2.extract.airbyte_tables import AirbyteSchema, AirbyteTable, Tally
from opensrp_dhis2.extract.deletes import MAX_SHARE, DeleteResult, SweepResult, most_gone, refuse_mass
from opensrp_dhis2.extract.extraction import (
    MERGE_SIZE,
    Extraction,
    SliceResult,
    TypeResult,
    TypeRun,
    load_pages,
    run_in_pool,
)
from opensrp_dhis2.extract.search import SLICE_SIZE, SMALLEST_SLICE
from opensrp_dhis2.fhir.page import Page, Rejected, read_resource
from opensrp_dhis2.fhir.window import BEGINNING, instant
from opensrp_dhis2.warehouse import deletions, state
from opensrp_dhis2.warehouse.comparison import AtSource, Comparison, Difference, Loaded
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.deletions import DeleteSearch
from opensrp_dhis2.warehouse.load import Load, LoadCounts
from opensrp_dhis2.warehouse.state import Certificate, Slice

MOST_SLICES = 64  # of one window: without an index on its time, a table is read once for each
REASON = "a table of Airbyte does not tell what was deleted"
_TableRun: TypeAlias = TypeRun[AirbyteSchema]


def extract_airbyte(schema: AirbyteSchema, warehouse: Warehouse, resource_type: str, how: Extraction) -> TypeResult:
    """Read what Airbyte wrote of one type since the last window; safe to kill and to run again at any point.

    Returns: what was read; the watermark stays before the first slice that is incomplete.
    Raises: as `AirbyteSchema.table` and the warehouse.
    """
    started, result = time.monotonic(), TypeResult(resource_type)
    run = TypeRun(schema, schema.source, warehouse, resource_type, how)
    with (
        warehouse.lock(_lock_name(run)),
        ThreadPoolExecutor(how.threads, thread_name_prefix="airbyte") as pool,
    ):
        for planned in (_unfinished, _plan):
            run_in_pool(pool, lambda part: _read_slice(run, part), planned(run), result.add_slice)
    result.seconds = time.monotonic() - started
    return result


def find_airbyte_deletes(schema: AirbyteSchema, warehouse: Warehouse, resource_type: str) -> DeleteResult:
    """Mark what is gone from a type's table. Raises: as `sweep_airbyte`."""
    swept = sweep_airbyte(schema, warehouse, resource_type)
    return DeleteResult(resource_type, None, swept.until, 0, swept.deleted, swept.seconds, REASON, swept)


def sweep_airbyte(
    schema: AirbyteSchema, warehouse: Warehouse, resource_type: str, *, max_share: float = MAX_SHARE
) -> SweepResult:
    """Compare all ids of a type's table with those here, in one snapshot; all of it is kept, or nothing.

    Args: `max_share` of the type that may be gone at once.
    Raises: IncompleteExtractError (terminal) beyond it. Others as `AirbyteSchema.table` and the warehouse.
    """
    started, until = time.monotonic(), machine_clock()
    run = TypeRun(schema, schema.source, warehouse, resource_type, Extraction(validate_share=0))
    with (
        warehouse.lock(_lock_name(run)),
        schema.table(resource_type) as table,
        warehouse.connect() as connection,
    ):
        source_count, differences = _compare(run, connection, table)
        gone = {each.id: each.version_id for each in differences if each.kind == "gone"}
        alive = deletions.alive_count(connection, resource_type)
        refuse_mass(
            resource_type, gone, alive, most_gone(alive, source_count, max_share), tuple,
            f"are not in {run.source}: a sync that is under way or was reset looks just so, so none was marked. Let "
            "Airbyte end its sync and compare its own counts",
        )  # fmt: skip
        counts = _load(run, connection, table, differences)
        deleted = deletions.mark_gone(connection, resource_type, gone, counts.load_id)
        loaded = counts.inserted + counts.updated
        found = DeleteSearch("sweep", REASON, None, until, source_count, deleted, loaded)
        deletions.keep_search(connection, *run.of, counts.load_id, found)
    seconds = time.monotonic() - started
    return SweepResult(resource_type, source_count, deleted, loaded, until, seconds, counts.rejected)


def _lock_name(run: _TableRun) -> str:
    return f"rows of {run.resource_type} at {run.source}"


def _unfinished(run: _TableRun) -> list[Slice]:
    with run.warehouse.connect() as connection:
        connection.execute("select raw.ensure_table(%s)", (run.table,))
        return state.unfinished(connection, *run.of, "window")


def _plan(run: _TableRun) -> list[Slice]:
    """Cut what came since the last plan, less the overlap, for rows are committed later than they are stamped."""
    with run.warehouse.connect() as connection:
        reached = state.progress(connection, *run.of).reached
    start_at = reached - timedelta(seconds=run.how.overlap_seconds) if reached else BEGINNING
    with run.server.table(run.resource_type) as table:
        count, newest_at = table.newest(start_at)
        if not count or newest_at is None:
            return []
        smaller = min(SLICE_SIZE, max(SMALLEST_SLICE, count // (4 * run.how.threads)))
        cuts = table.cut(start_at, newest_at + timedelta(microseconds=1), max(smaller, count // MOST_SLICES))
    with run.warehouse.connect() as connection:
        return state.plan(connection, *run.of, "window", timedelta(), cuts)


def _read_slice(run: _TableRun, part: Slice) -> SliceResult:
    """Read a slice from one snapshot, commit it with its certificate."""
    resource_type, window = run.resource_type, (part.window_from, part.window_to)
    with run.server.table(resource_type) as table, run.warehouse.connect() as connection:
        load = Load(connection, resource_type, source=run.source, window=window)
        comparison = Comparison(connection, resource_type)
        tally = table.tally(*window)

        def note(page: Page) -> None:
            comparison.add(AtSource(resource.id, resource.version_id) for resource in page.resources)

        invalid = load_pages(connection, load, run, _pages_of(resource_type, table.bodies(*window)), note)
        counts = load.counts()
        certificate = certify(tally, counts, comparison.loaded(), part.window_from)
        state.finish(connection, part.slice_id, certificate)
    return SliceResult(part, counts, invalid, certificate)


def certify(tally: Tally, counts: LoadCounts, loaded: Loaded, start_at: datetime) -> Certificate:
    """Hold the source's count and digest of a slice against what was loaded and what is in raw: pure."""
    missing = sorted(set(loaded.absent_ids).difference(loaded.rejected_ids))
    rejected = tally.source_count - loaded.count - len(missing)
    lost = max(abs(tally.row_count - counts.read), rejected - counts.rejected, -rejected)
    if not rejected and not missing and tally.digest != loaded.digest:
        lost = max(lost, 1)  # as many, and others
    return Certificate(
        "incomplete" if lost or missing else "certified",
        tally.source_count,
        tally.digest,
        loaded.count,
        loaded.digest,
        rejected_count=max(0, rejected),
        missing_ids=missing,
        unlisted_count=lost,
        unlisted_from=instant(start_at) if lost else None,
    )


def _pages_of(resource_type: str, bodies: Iterator[bytes]) -> Iterator[Page]:
    """Yield resources in pages that are worth a merge."""
    page = Page()
    for body in bodies:
        page.add(resource_type, body)
        if len(page) == MERGE_SIZE:
            yield page
            page = Page()
    if len(page):
        yield page


def _compare(run: _TableRun, connection: Connection, table: AirbyteTable) -> tuple[int, list[Difference]]:
    """Return how many ids the table has, and what differs."""
    connection.execute("select raw.ensure_table(%s)", (run.table,))
    comparison = Comparison(connection, run.resource_type)
    comparison.add(_versions(run.resource_type, table.stamps()))
    return comparison.count(), comparison.differences(is_whole=True)


def _versions(resource_type: str, stamps: Iterable[tuple[str | None, bytes]]) -> Iterator[AtSource]:
    for resource_id, stamp in stamps:
        resource = read_resource(resource_type, stamp)
        if not isinstance(resource, Rejected):
            yield AtSource(*(resource.id, *resource.version))
        elif resource_id is not None:
            yield AtSource(resource_id, 0, BEGINNING)  # there, though refused: not gone


def _load(run: _TableRun, connection: Connection, table: AirbyteTable, differences: Iterable[Difference]) -> LoadCounts:
    """Load what is missing or old here, with all the versions that the table has of it."""
    load = Load(connection, run.resource_type, source=run.source, is_present=True)  # a later stamp wins
    wanted = sorted(each.id for each in differences if each.kind in ("missing", "older"))
    if wanted:
        load_pages(connection, load, run, _pages_of(run.resource_type, table.bodies_of(wanted)))
    return load.counts()
