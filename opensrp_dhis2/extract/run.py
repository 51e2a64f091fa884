"""A run over one type: what an earlier run left unfinished first, then the next window; slices side by side."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from opensrp_dhis2.extract.extraction import Extraction, Reading, TypeResult
from opensrp_dhis2.extract.plan import Choose, choose_next, choose_past, plan_slices
from opensrp_dhis2.extract.reading import read_slice
from opensrp_dhis2.extract.repair import ask_again
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse import own_address, slices
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.raw_pages import table_name
from opensrp_dhis2.warehouse.slices import Kind, Slice

RESWEEP_DAYS = 35.0  # a month and the days that its reports stay open
Progress = Callable[[int, int], None]


def unseen(done: int, planned: int) -> None:
    """Tell nobody."""


def extract(
    client: FhirClient,
    warehouse: Warehouse,
    resource_type: str,
    how: Extraction,
    progress: Progress = unseen,
) -> TypeResult:
    """Read what changed of one type since the last window; safe to kill and to run again at any point.

    Args: `progress` is told the resources of each slice that is done, and how many all planned slices hold.
    Returns: what was read, and what stayed missing; the watermark stands before the first slice that is short.
    Raises: as the client and the warehouse; the next run reads the slices that are not certified.
    """
    reading = Reading(client, warehouse, resource_type, how)
    return _run(reading, "window", partial(choose_next, reading), progress)


def resweep(
    client: FhirClient,
    warehouse: Warehouse,
    resource_type: str,
    how: Extraction,
    days: float = RESWEEP_DAYS,
    progress: Progress = unseen,
) -> TypeResult:
    """Read the last days again, tags of known versions included; a crashed re-sweep is finished, not begun anew.

    Returns and raises: as `extract`; the watermark does not move.
    """
    reading = Reading(client, warehouse, resource_type, how)
    return _run(reading, "resweep", lambda stands, now, _: choose_past(reading, stands, now, days), progress)


def _run(reading: Reading, kind: Kind, choose: Choose, progress: Progress) -> TypeResult:
    started, result = time.monotonic(), TypeResult(reading.resource_type)
    told = reading.client.introduction()  # before anything is read: of another release it would read as empty
    with reading.warehouse.connect() as connection:
        own_address.remember(connection, reading.source, told.own_url)
    with (
        reading.warehouse.lock(f"{kind} of {reading.resource_type} at {reading.source}"),
        ThreadPoolExecutor(reading.how.threads, thread_name_prefix="extract") as pool,
    ):
        unfinished = _unfinished(reading, kind)
        result.add_fetched(ask_again(reading))
        _read_all(reading, kind, pool, unfinished, None, result, progress)
        if kind == "window" or all(one.state == "short" for one in unfinished):
            counted_at = time.monotonic()
            planned = plan_slices(reading, kind, choose, pool)
            _read_all(reading, kind, pool, planned, counted_at, result, progress)
    result.seconds = time.monotonic() - started
    return result


def _unfinished(reading: Reading, kind: Kind) -> list[Slice]:
    with reading.warehouse.connect() as connection:
        connection.execute("select raw.ensure_table(%s)", (table_name(reading.resource_type),))
        return slices.unfinished(connection, reading.source, reading.resource_type, kind)


def _read_all(
    reading: Reading, kind: Kind, pool: ThreadPoolExecutor, planned: Sequence[Slice], counted_at: float | None,
    result: TypeResult, progress: Progress,
) -> None:  # fmt: skip
    """Read slices side by side; the first that fails ends the run, and those not begun stay planned."""
    expected = sum(one.planned_count for one in planned)
    jobs = [pool.submit(read_slice, reading, kind, one, counted_at) for one in planned]
    try:
        for job in jobs:
            done = job.result()
            result.add_slice(done)
            progress(done.counts.read, expected)
    except BaseException:
        pool.shutdown(cancel_futures=True)
        raise
