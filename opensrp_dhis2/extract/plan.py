"""What to read next: a window by the server's clock, counted and cut into slices, kept as rows before any is read."""

from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime, timedelta

from opensrp_dhis2.extract.extraction import Reading
from opensrp_dhis2.fhir.window import Window, joined, next_window
from opensrp_dhis2.warehouse import slices
from opensrp_dhis2.warehouse.slices import Kind, Slice, Standing

SLICE_SIZE = 20_000  # resources; read well within the hour that a HAPI page cursor lives
SMALLEST_SLICE = 2_000  # resources; below it a thread more gains nothing
Choose = Callable[[Standing, datetime, timedelta], Window | None]
Counted = tuple[Window, int]


def plan_slices(reading: Reading, kind: Kind, choose: Choose, pool: Executor) -> list[Slice]:
    """Choose a window, cut it and keep its slices in one transaction; none when there is nothing to read yet."""
    now = reading.client.server_now()
    with reading.warehouse.connect() as connection:
        stands = slices.standing(connection, reading.source, reading.resource_type)
        if max((at for at in (stands.read_to, stands.planned_to) if at), default=now) > now:
            # The server's clock was ahead when this was planned: what came since may lie anywhere before it.
            slices.forget(connection, reading.source, reading.resource_type)
            stands = Standing(None, None, None, stands.warehouse_at)
    clock_ahead = now - stands.warehouse_at
    window = choose(stands, now, clock_ahead)
    if window is None:
        return []
    cuts = [(part.start_at, part.end_at, count) for part, count in cut(reading, window, pool)]
    with reading.warehouse.connect() as connection:
        return slices.plan(connection, reading.source, reading.resource_type, kind, clock_ahead, cuts)


def choose_next(reading: Reading, stands: Standing, now: datetime, clock_ahead: timedelta) -> Window | None:
    """Go on where the last plan ended, less the overlap, and less what the server's clock went back since."""
    gone_back = (stands.clock_ahead or clock_ahead) - clock_ahead
    overlap = reading.how.overlap_seconds + max(0.0, gone_back.total_seconds() - reading.how.lag_seconds)
    planned_to = max((at for at in (stands.read_to, stands.planned_to) if at), default=None)
    return next_window(planned_to, now, lag_seconds=reading.how.lag_seconds, overlap_seconds=overlap)


def choose_past(reading: Reading, stands: Standing, now: datetime, days: float) -> Window | None:
    """Take the last days of what has been read; none when nothing has been."""
    if stands.read_to is None:
        return None
    last = next_window(None, now, lag_seconds=reading.how.lag_seconds, overlap_seconds=0)
    return last and Window(last.end_at - timedelta(days=days), last.end_at)


def cut(reading: Reading, window: Window, pool: Executor) -> list[Counted]:
    """Cut a window into slices that keep every thread busy and end well within a page cursor's life."""
    total = reading.client.count(reading.resource_type, window)
    limit = min(SLICE_SIZE, max(SMALLEST_SLICE, total // (8 * reading.how.threads)))
    return list(joined(_divided(reading, (window, total), limit, pool), limit))


def _divided(reading: Reading, whole: Counted, limit: int, pool: Executor) -> list[Counted]:
    """Halve until each part holds few enough, in order of time; the first halves of a round are counted side by side.

    The second half's count is the difference: too high by what left the first meanwhile, never too low.
    """
    small, large = [], [whole]
    while large:
        halved = [(part, part[0].halves() if part[1] > limit else None) for part in large]
        small += [part for part, halves in halved if halves is None]
        divided = [(count, *halves) for (_, count), halves in halved if halves]
        firsts = pool.map(lambda one: reading.client.count(reading.resource_type, one[1]), divided)
        large = []
        for (count, first, second), held in zip(divided, firsts, strict=True):
            large += [(first, held), (second, count - held)]
    return sorted(small)
