"""Tables that Airbyte fills into raw, in slices by `_airbyte_extracted_at`, each from one snapshot with a certificate.

Rows of one instant are never parted, so that the watermark passes no tie. What comes later than the overlap, what is
gone, and what a table was replaced by is for airbyte_sweep.py to find.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from opensrp_dhis2.extract.airbyte_tables import AirbyteSchema, Tally
from opensrp_dhis2.extract.extraction import Extraction, SliceResult, TypeResult
from opensrp_dhis2.extract.loading import MERGE_SIZE, load_pages
from opensrp_dhis2.extract.plan import SLICE_SIZE, SMALLEST_SLICE
from opensrp_dhis2.fhir.page import Page
from opensrp_dhis2.fhir.window import BEGINNING, instant
from opensrp_dhis2.warehouse import slices
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.raw_pages import Load, LoadCounts, table_name
from opensrp_dhis2.warehouse.slices import Certificate, Landed, Slice

MOST_SLICES = 64  # of one window: without an index on its time, a table is read once for each


@dataclass(frozen=True)
class _Reading:
    """One type on its way from Airbyte's schema into a warehouse."""

    schema: AirbyteSchema
    warehouse: Warehouse
    resource_type: str
    how: Extraction

    @property
    def of(self) -> tuple[str, str]:
        return self.schema.source, self.resource_type


def extract_airbyte(schema: AirbyteSchema, warehouse: Warehouse, resource_type: str, how: Extraction) -> TypeResult:
    """Read what Airbyte wrote of one type since the last window; safe to kill and to run again at any point.

    Returns: what was read; the watermark stands before the first slice that is short.
    Raises: as `AirbyteSchema.table` and the warehouse.
    """
    started, result = time.monotonic(), TypeResult(resource_type)
    reading = _Reading(schema, warehouse, resource_type, how)
    with (
        warehouse.lock(lock_name(schema, resource_type)),
        ThreadPoolExecutor(how.threads, thread_name_prefix="airbyte") as pool,
    ):
        for planned in (_unfinished, _plan):
            jobs = [pool.submit(_read_slice, reading, one) for one in planned(reading)]
            try:
                for job in jobs:
                    result.add_slice(job.result())
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    result.seconds = time.monotonic() - started
    return result


def lock_name(schema: AirbyteSchema, resource_type: str) -> str:
    return f"rows of {resource_type} at {schema.source}"


def _unfinished(reading: _Reading) -> list[Slice]:
    with reading.warehouse.connect() as connection:
        connection.execute("select raw.ensure_table(%s)", (table_name(reading.resource_type),))
        return slices.unfinished(connection, *reading.of, "window")


def _plan(reading: _Reading) -> list[Slice]:
    """Cut what came since the last plan, less the overlap, for rows are committed later than they are stamped."""
    with reading.warehouse.connect() as connection:
        stands = slices.standing(connection, *reading.of)
    planned_to = max((at for at in (stands.read_to, stands.planned_to) if at), default=None)
    start_at = planned_to - timedelta(seconds=reading.how.overlap_seconds) if planned_to else BEGINNING
    with reading.schema.table(reading.resource_type) as table:
        count, newest_at = table.newest(start_at)
        if not count or newest_at is None:
            return []
        smaller = min(SLICE_SIZE, max(SMALLEST_SLICE, count // (4 * reading.how.threads)))
        cuts = table.cut(start_at, newest_at + timedelta(microseconds=1), max(smaller, count // MOST_SLICES))
    with reading.warehouse.connect() as connection:
        return slices.plan(connection, *reading.of, "window", timedelta(), cuts)


def _read_slice(reading: _Reading, one: Slice) -> SliceResult:
    """Read a slice from one snapshot, commit it with its certificate."""
    resource_type, window = reading.resource_type, (one.window_from, one.window_to)
    with reading.schema.table(resource_type) as table, reading.warehouse.connect() as connection:
        load = Load(connection, resource_type, source=reading.schema.source, window=window)
        connection.execute("select raw.begin_received()")
        told = table.tally(*window)
        pages = pages_of(resource_type, table.bodies(*window))
        note = partial(_note, connection)
        invalid = load_pages(connection, load, resource_type, pages, reading.how.validate_share, note)
        landed = slices.compare_received(connection, resource_type)
        counts = load.counts()
        certificate = certify(told, counts, landed, one.window_from)
        slices.finish(connection, one.slice_id, certificate)
    return SliceResult(one, counts, invalid, certificate)


def certify(told: Tally, counts: LoadCounts, landed: Landed, start_at: datetime) -> Certificate:
    """Hold the source's count and digest of a slice against what was loaded and what stands in raw: pure."""
    rejected = told.source_count - landed.count - len(landed.absent_ids)
    lost = max(abs(told.row_count - counts.read), rejected - counts.rejected, -rejected)
    if not rejected and not landed.absent_ids and told.digest != landed.digest:
        lost = max(lost, 1)  # as many, and others
    return Certificate(
        "short" if lost or landed.absent_ids else "certified",
        told.source_count,
        told.digest,
        landed.count,
        landed.digest,
        rejected_count=max(0, rejected),
        missing_ids=landed.absent_ids,
        unlisted_count=lost,
        unlisted_from=instant(start_at) if lost else None,
    )


def pages_of(resource_type: str, bodies: Iterator[bytes]) -> Iterator[Page]:
    """Put resources into pages that are worth a merge."""
    page = Page()
    for body in bodies:
        page.add(resource_type, body)
        if len(page) == MERGE_SIZE:
            yield page
            page = Page()
    if len(page):
        yield page


def _note(connection: Connection, page: Page) -> None:
    with connection.cursor().copy("copy received (id, version_id) from stdin") as copy:
        copy.write("".join(f"{one.id}\t{one.version_id}\n" for one in page.resources))
