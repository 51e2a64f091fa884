"""One slice from the server into raw, with a certificate: counted before and after, and its ids found in raw.

Rows only leave a past window, by update or deletion. So when the count before, the count after and the number of
distinct ids received with a stamp of the window are equal, what was received is what the source has: unless a page
came from an older state, with as many that have left as it lacks. Such pages betray themselves by their size or total.
"""

import time

from opensrp_dhis2.errors import CursorExpiredError, IncompleteExtractError, WarehouseUnavailableError
from opensrp_dhis2.extract.extraction import Reading, SliceResult
from opensrp_dhis2.extract.listing import digest_of
from opensrp_dhis2.extract.loading import load_pages, merged
from opensrp_dhis2.extract.repair import Received, reconcile
from opensrp_dhis2.fhir.unreadable import read_window
from opensrp_dhis2.fhir.window import Window
from opensrp_dhis2.warehouse import slices
from opensrp_dhis2.warehouse.raw_pages import Load
from opensrp_dhis2.warehouse.slices import Certificate, Kind, Slice

MAX_ATTEMPTS = 4  # for a slice whose cursor expired or whose connection broke
COUNT_SECONDS = 60.0  # a count this old is taken anew: the less time, the fewer rows have left


def read_slice(reading: Reading, kind: Kind, one: Slice, counted_at: float | None) -> SliceResult:
    """Read, load and certify one slice; what cannot be certified at once is compared id by id, and repaired.

    Args: `counted_at` is when the plan was counted, by the monotonic clock; none when an earlier run did.
    Raises: IncompleteExtractError when the cursor expires again and again. Others as the client and the warehouse.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            done, received = _land(reading, kind, one, counted_at if attempt == 1 else None)
            return done if done.certificate.state == "certified" else reconcile(reading, done, received)
        except (CursorExpiredError, WarehouseUnavailableError) as error:
            if attempt == MAX_ATTEMPTS and isinstance(error, WarehouseUnavailableError):
                raise
    raise IncompleteExtractError(
        f"{reading.resource_type} from {one.window_from} to {one.window_to}: the page cursor expired {MAX_ATTEMPTS} "
        "times before the end; lower FHIR_PAGE_SIZE, or give the server a longer search expiry",
        url=reading.source,
    )


def _land(reading: Reading, kind: Kind, one: Slice, counted_at: float | None) -> tuple[SliceResult, Received]:
    """Read a slice and commit it: as certified, with the watermark, or as landed only."""
    client, resource_type = reading.client, reading.resource_type
    window = Window(one.window_from, one.window_to)
    is_fresh = counted_at is not None and time.monotonic() - counted_at < COUNT_SECONDS
    received = Received(window, one.planned_count if is_fresh else client.count(resource_type, window))
    with reading.warehouse.connect() as connection:
        within = (window.start_at, window.end_at)
        load = Load(connection, resource_type, source=reading.source, window=within, is_present=True)
        connection.execute("select set_config('opensrp.is_resweep', %s, true)", (str(kind == "resweep"),))
        pages = merged(read_window(client, resource_type, window))
        invalid = load_pages(connection, load, resource_type, pages, reading.how.validate_share, received.note)
        after = client.count(resource_type, window)
        landed = slices.compare(connection, resource_type, received.versions)
        digest = digest_of(received.versions)
        is_counted = received.counted_before == after == len(received.versions)
        is_whole = is_counted and not received.is_odd and digest == landed.digest
        state: str = "certified" if is_whole else "landed"
        certificate = Certificate(state, after, digest, landed.count, landed.digest)  # type: ignore[arg-type]
        slices.finish(connection, one.slice_id, certificate)
        return SliceResult(one, load.counts(), invalid, certificate), received
