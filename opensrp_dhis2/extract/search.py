"""A type by REST search: what an earlier run left unfinished first, then the next window; slices side by side.

A window by the server's clock is counted, cut into slices, and these are kept as rows before any is read.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from opensrp_dhis2.extract.extraction import (
    Extraction,
    ReportProgress,
    SearchRun,
    SliceResult,
    TypeResult,
    TypeRun,
    run_in_pool,
    unseen,
)
from opensrp_dhis2.extract.slice import read_slice, settle_rejected
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.window import Window, joined, next_window
from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.state import Kind, Progress, Slice

RESWEEP_DAYS = 35.0  # a month and the days that its reports stay open
SLICE_SIZE = 20_000  # resources; read well within the hour that a HAPI page cursor lives
SMALLEST_SLICE = 2_000  # resources; below it a thread more gains nothing
ChooseWindow: TypeAlias = Callable[[Progress, datetime, timedelta], Window | None]
_Counted: TypeAlias = tuple[Window, int]


def extract(
    client: FhirClient,
    warehouse: Warehouse,
    resource_type: str,
    how: Extraction,
    progress: ReportProgress = unseen,
) -> TypeResult:
    """Read what changed of one type since the last window; safe to kill and to run again at any point.

    Returns: what was read, and what stayed missing; the watermark stays before the first slice that is incomplete.
    Raises: as the client and the warehouse; the next run reads the slices that are not certified.
    """
    run = TypeRun(client, client.base_url, warehouse, resource_type, how, progress)
    return _read(run, "window", partial(choose_next, run))


def resweep(
    client: FhirClient,
    warehouse: Warehouse,
    resource_type: str,
    how: Extraction,
    days: float = RESWEEP_DAYS,
    progress: ReportProgress = unseen,
) -> TypeResult:
    """Read the last days again, tags of known versions included; a crashed re-sweep is finished, not begun anew.

    Returns and raises: as `extract`; the watermark does not move.
    """
    run = TypeRun(client, client.base_url, warehouse, resource_type, how, progress)
    return _read(run, "resweep", lambda known, now, _: _choose_past(run, known, now, days))


def _read(run: SearchRun, kind: Kind, choose: ChooseWindow) -> TypeResult:
    started, result = time.monotonic(), TypeResult(run.resource_type)
    introduction = run.server.introduction()  # before anything is read: of another release it would read as empty
    with run.warehouse.connect() as connection:
        state.remember_address(connection, run.source, introduction.own_url)
    with (
        run.warehouse.lock(f"{kind} of {run.resource_type} at {run.source}"),
        ThreadPoolExecutor(run.how.threads, thread_name_prefix="extract") as pool,
    ):
        unfinished = _unfinished(run, kind)
        result.add_fetched(settle_rejected(run))
        _read_all(run, kind, pool, unfinished, None, result)
        if kind == "window" or all(part.state == "incomplete" for part in unfinished):
            counted_at = time.monotonic()
            _read_all(run, kind, pool, plan_slices(run, kind, choose, pool), counted_at, result)
    result.seconds = time.monotonic() - started
    return result


def _unfinished(run: SearchRun, kind: Kind) -> list[Slice]:
    with run.warehouse.connect() as connection:
        connection.execute("select raw.ensure_table(%s)", (run.table,))
        return state.unfinished(connection, *run.of, kind)


def _read_all(
    run: SearchRun, kind: Kind, pool: Executor, planned: Sequence[Slice], counted_at: float | None, result: TypeResult
) -> None:
    """Read slices side by side; those not begun when one fails stay planned."""
    expected = sum(part.planned_count for part in planned)

    def take(done: SliceResult) -> None:
        result.add_slice(done)
        run.progress(done.counts.read, expected)

    run_in_pool(pool, lambda part: read_slice(run, kind, part, counted_at), planned, take)


def plan_slices(run: SearchRun, kind: Kind, choose: ChooseWindow, pool: Executor) -> list[Slice]:
    """Choose a window, cut it and keep its slices in one transaction; none when there is nothing to read yet."""
    now = run.server.server_now()
    with run.warehouse.connect() as connection:
        known = state.progress(connection, *run.of)
        if known.reached and known.reached > now:
            # The server's clock was ahead when this was planned: what came since may lie anywhere before it.
            state.forget(connection, *run.of)
            known = Progress(None, None, None, known.warehouse_at)
    clock_ahead = now - known.warehouse_at
    window = choose(known, now, clock_ahead)
    if window is None:
        return []
    cuts = [(part.start_at, part.end_at, count) for part, count in _cut(run, window, pool)]
    with run.warehouse.connect() as connection:
        return state.plan(connection, *run.of, kind, clock_ahead, cuts)


def choose_next(run: SearchRun, known: Progress, now: datetime, clock_ahead: timedelta) -> Window | None:
    """Go on where the last plan ended, less the overlap, and less what the server's clock went back since."""
    gone_back = (known.clock_ahead or clock_ahead) - clock_ahead
    overlap = run.how.overlap_seconds + max(0.0, gone_back.total_seconds() - run.how.lag_seconds)
    return next_window(known.reached, now, lag_seconds=run.how.lag_seconds, overlap_seconds=overlap)


def _choose_past(run: SearchRun, known: Progress, now: datetime, days: float) -> Window | None:
    """Take the last days of what has been read; none when nothing has been."""
    if known.read_to is None:
        return None
    last = next_window(None, now, lag_seconds=run.how.lag_seconds, overlap_seconds=0)
    return last and Window(last.end_at - timedelta(days=days), last.end_at)


def _cut(run: SearchRun, window: Window, pool: Executor) -> list[_Counted]:
    """Cut a window into slices that keep every thread busy and end well within a page cursor's life."""
    total = run.server.count(run.resource_type, window)
    limit = min(SLICE_SIZE, max(SMALLEST_SLICE, total // (8 * run.how.threads)))
    return list(joined(_divided(run, (window, total), limit, pool), limit))


def _divided(run: SearchRun, whole: _Counted, limit: int, pool: Executor) -> list[_Counted]:
    """Halve until each part holds few enough, in order of time; the first halves of a round are counted side by side.

    The second half's count is the difference: too high by what left the first meanwhile, never too low.
    """
    small, large = [], [whole]
    while large:
        halved = [(part, part[0].halves() if part[1] > limit else None) for part in large]
        small += [part for part, halves in halved if halves is None]
        divided = [(count, *halves) for (_, count), halves in halved if halves]
        counts = pool.map(lambda parts: run.server.count(run.resource_type, parts[1]), divided)
        large = []
        for (count, first, second), first_count in zip(divided, counts, strict=True):
            large += [(first, first_count), (second, count - first_count)]
    return sorted(small)
