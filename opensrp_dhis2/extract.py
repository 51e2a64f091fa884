"""From the FHIR server into raw tables: windows by the server's clock, read side by side, the watermark last.

The only module that knows both fhir/ and warehouse/; it refuses to know Dagster and the settings.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from opensrp_dhis2.errors import CursorExpiredError, IncompleteExtractError, WarehouseUnavailableError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.ndjson import NdjsonFolder
from opensrp_dhis2.fhir.page import Page, Resource
from opensrp_dhis2.fhir.validation import is_sampled, problems_of
from opensrp_dhis2.fhir.window import Window, joined, next_window
from opensrp_dhis2.warehouse import watermark
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.raw_pages import Load, LoadCounts, table_name

SLICE_SIZE = 20_000  # resources; read well within the hour that a HAPI page cursor lives
SMALLEST_SLICE = 2_000  # resources; below it a thread more gains nothing
MERGE_SIZE = 2_000  # resources merged at once: bounds the memory
MAX_ATTEMPTS = 4  # for a slice whose cursor expired or whose connection broke


@dataclass(frozen=True)
class Extraction:
    """How a type is read."""

    lag_seconds: float = 600
    overlap_seconds: float = 3600
    threads: int = 4
    validate_share: float = 0.01


@dataclass
class TypeResult:
    """What one run read of one type, in resources."""

    resource_type: str
    window_from: datetime | None = None
    window_to: datetime | None = None
    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    invalid: int = 0
    seconds: float = 0.0

    def add(self, counts: LoadCounts, invalid: int) -> None:
        for name in ("read", "inserted", "updated", "unchanged", "rejected"):
            setattr(self, name, getattr(self, name) + getattr(counts, name))
        self.invalid += invalid


@dataclass
class _Slices:
    """The slices of one window, in order of time; the watermark follows those that are done without a gap."""

    windows: list[Window] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    def read_to_after(self, index: int) -> datetime | None:
        """Give where the watermark may stand once this slice is committed too."""
        done = self.done | {index}
        end_at = None
        for number, window in enumerate(self.windows):
            if number not in done:
                break
            end_at = window.end_at
        return end_at


def extract(
    client: FhirClient,
    warehouse: Warehouse,
    resource_type: str,
    how: Extraction,
    progress: Callable[[int], None] = lambda _: None,
) -> TypeResult:
    """Read what changed of one type since the watermark, and move it; safe to kill and to run again at any point.

    Args: `progress` is told the number of resources of each slice that is done.
    Raises: as the client and the warehouse; the watermark then stands where all before it is stored.
    """
    started = time.monotonic()
    window = _next_window(client, warehouse, resource_type, how)
    result = TypeResult(resource_type)
    if window is None:
        return result
    result.window_from, result.window_to = window.start_at, window.end_at
    slices, jobs = _Slices(), []
    with ThreadPoolExecutor(how.threads, thread_name_prefix="extract") as pool:
        try:
            for index, one in enumerate(_cut(client, resource_type, window, how.threads)):
                slices.windows.append(one)  # read while the rest is still being cut
                jobs.append(pool.submit(_read_slice, client, warehouse, resource_type, slices, index, how))
            for job in jobs:
                counts, invalid = job.result()
                result.add(counts, invalid)
                progress(counts.read)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    result.seconds = time.monotonic() - started
    return result


def load_folder(folder: NdjsonFolder, warehouse: Warehouse, resource_type: str, how: Extraction) -> TypeResult:
    """Load one type from files, some pages a transaction; files have no clock, so no watermark moves."""
    started = time.monotonic()
    with warehouse.connect() as connection:
        connection.execute("select raw.ensure_table(%s)", (table_name(resource_type),))
    result = TypeResult(resource_type)
    pages, reading, adding = _merged(folder.pages(resource_type)), Lock(), Lock()

    def load_next() -> bool:
        with reading:
            page = next(pages, None)
        if page is None:
            return False
        with warehouse.connect() as connection:
            load = Load(connection, resource_type, source=f"folder {folder.folder.name}")
            counts, invalid = _load_pages(connection, load, resource_type, [page], how.validate_share)
        with adding:
            result.add(counts, invalid)
        return True

    def load_all() -> None:
        while load_next():
            pass

    with ThreadPoolExecutor(how.threads, thread_name_prefix="load") as pool:
        for job in [pool.submit(load_all) for _ in range(how.threads)]:
            job.result()
    result.seconds = time.monotonic() - started
    return result


def _next_window(client: FhirClient, warehouse: Warehouse, resource_type: str, how: Extraction) -> Window | None:
    now = client.server_now()
    with warehouse.connect() as connection:
        connection.execute("select raw.ensure_table(%s)", (table_name(resource_type),))
        read_to = watermark.read_to(connection, client.base_url, resource_type)
        if read_to is not None and read_to > now:
            # The server's clock was ahead when the watermark was set: what came since may lie anywhere before it.
            watermark.forget(connection, client.base_url, resource_type)
            read_to = None
    return next_window(read_to, now, lag_seconds=how.lag_seconds, overlap_seconds=how.overlap_seconds)


def _cut(client: FhirClient, resource_type: str, window: Window, threads: int) -> Iterator[Window]:
    """Cut a window into slices that keep every thread busy and end well within a page cursor's life."""
    total = client.count(resource_type, window)
    limit = min(SLICE_SIZE, max(SMALLEST_SLICE, total // (8 * threads)))
    return joined(_divide(client, resource_type, window, total, limit), limit)


def _divide(
    client: FhirClient, resource_type: str, window: Window, count: int, limit: int
) -> Iterator[tuple[Window, int]]:
    """Halve a window until each part holds few enough resources, in order of time."""
    halves = window.halves() if count > limit else None
    if halves is None:
        yield window, count
        return
    first = client.count(resource_type, halves[0])
    yield from _divide(client, resource_type, halves[0], first, limit)
    yield from _divide(client, resource_type, halves[1], count - first, limit)


def _read_slice(
    client: FhirClient, warehouse: Warehouse, resource_type: str, slices: _Slices, index: int, how: Extraction
) -> tuple[LoadCounts, int]:
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            return _load_slice(client, warehouse, resource_type, slices, index, how)
        except (CursorExpiredError, WarehouseUnavailableError) as error:
            if attempt == MAX_ATTEMPTS and isinstance(error, WarehouseUnavailableError):
                raise
    window = slices.windows[index]
    raise IncompleteExtractError(
        f"{resource_type} from {window.start_at} to {window.end_at}: the page cursor expired {MAX_ATTEMPTS} times before "
        "the end; lower FHIR_PAGE_SIZE, or give the server a longer search expiry",
        url=client.base_url,
    )


def _load_slice(
    client: FhirClient, warehouse: Warehouse, resource_type: str, slices: _Slices, index: int, how: Extraction
) -> tuple[LoadCounts, int]:
    """Read one slice and commit it, with the watermark if no earlier slice is missing."""
    window = slices.windows[index]
    with warehouse.connect() as connection:
        load = Load(connection, resource_type, source=client.base_url, window=(window.start_at, window.end_at))
        pages = _merged(client.search_pages(resource_type, window))
        counts, invalid = _load_pages(connection, load, resource_type, pages, how.validate_share)
        with slices.lock:
            read_to = slices.read_to_after(index)
            if read_to is not None:
                watermark.move(connection, client.base_url, resource_type, read_to)
            connection.commit()
            slices.done.add(index)
    return counts, invalid


def _load_pages(
    connection: Connection, load: Load, resource_type: str, pages: Iterable[Page], validate_share: float
) -> tuple[LoadCounts, int]:
    invalid = 0
    for page in pages:
        load.add(page.resources, page.rejected)
        invalid += _validate(connection, resource_type, page.resources, validate_share)
    return load.counts(), invalid


def _merged(pages: Iterator[Page]) -> Iterator[Page]:
    """Put pages together until they are worth a merge."""
    gathered = Page()
    for page in pages:
        gathered.resources += page.resources
        gathered.rejected += page.rejected
        if len(gathered) >= MERGE_SIZE:
            yield gathered
            gathered = Page()
    yield gathered


def _validate(connection: Connection, resource_type: str, resources: list[Resource], share: float) -> int:
    """Report what is invalid in the sample; give the number of invalid resources."""
    invalid = 0
    for resource in resources:
        problems = problems_of(resource_type, resource.body) if is_sampled(resource.id, share) else []
        invalid += bool(problems)
        for problem in problems:
            connection.execute(
                "insert into raw.invalid (resource_type, id, version_id, problem) values (%s, %s, %s, %s)"
                " on conflict do nothing",
                (resource_type, resource.id, resource.version_id, problem),
            )
    return invalid
