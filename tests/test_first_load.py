"""The first load by bulk export: whatever the server and our process do, all of it is here or is read by search."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opensrp_dhis2.errors import FhirUnavailableError
from opensrp_dhis2.extract import Extraction, extract
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse import exports, state
from opensrp_dhis2.warehouse.database import Warehouse
from tests.export_site import (
    FILE,
    KICK_OFF,
    POLL,
    Site,
    export_site,
    jobs,
    landed,
    left,
    load,
    on,
    read_to,
    rows,
    search,
    states,
)


@pytest.fixture
def site() -> Iterator[Site]:
    with export_site() as running:
        yield running


def test_a_first_load_brings_every_type_and_certifies_it_without_reading_a_page(
    site: Site, warehouse: Warehouse
) -> None:
    site.put(450)
    site.put(30, of_type="Patient")
    done = load(site, warehouse, "Flag", "Patient", "Location")
    assert (done.state, done.reason, left(warehouse)) == ("loaded", "", 0)
    assert {name: one.inserted for name, one in done.results.items()} == {"Flag": 450, "Patient": 30, "Location": 0}
    assert (landed(warehouse), landed(warehouse, "patient")) == (site.truth(), site.truth("Patient"))
    assert set(states(warehouse)) == {"certified"}
    assert site.count(KICK_OFF) == 1
    assert rows(warehouse, "select count(*), sum(loaded_count)::int from raw.export_file") == [(6, 480)]
    with warehouse.connect() as connection:
        told = [
            exports.describe(connection, site.url, one).partition(" UTC: ")[2] for one in ("Flag", "Patient", "Task")
        ]
    assert told == ["loaded, 450 lines", "loaded, 30 lines", ""]


def test_the_search_goes_on_where_the_export_began_and_misses_nothing(site: Site, warehouse: Warehouse) -> None:
    site.put(300)
    site.watch = on(POLL, 2, None, lambda request: site.put(20, first=300, hours_ago=-0.05))
    load(site, warehouse)
    stands = read_to(site, warehouse)
    [(transaction_time,)] = rows(warehouse, "select transaction_time from raw.export_job")
    [job] = site.exports.jobs.values()
    assert stands == job.queued_at.replace(microsecond=0) - timedelta(seconds=600)
    assert stands < transaction_time
    assert len(landed(warehouse)) == 300
    with FhirClient(site.url) as client:
        extract(client, warehouse, "Flag", Extraction(lag_seconds=-300, overlap_seconds=3600, validate_share=0))
    assert landed(warehouse) == site.truth()


def test_what_changes_or_goes_during_the_export_is_left_to_the_search(site: Site, warehouse: Warehouse) -> None:
    site.put(5000, hours_ago=480)
    site.put(3000, first=5000, hours_ago=48)

    def write(request: Request) -> None:
        site.put(7, first=10, hours_ago=0.01, status="inactive")
        site.store.delete("Flag", "f00002")

    site.watch = on(POLL, 2, None, write)
    done = load(site, warehouse)
    assert (done.state, left(warehouse), done.results["Flag"].slices > 0) == ("loaded", 1, True)
    result = search(site, warehouse)
    assert (result.incomplete, result.missing) == (0, 0)
    assert set(states(warehouse)) == {"certified"}
    assert landed(warehouse) == site.truth()


def test_a_resource_that_the_files_leave_out_is_found_missing_and_read_by_search(
    site: Site, warehouse: Warehouse
) -> None:
    site.put(150)
    original: list[bytes] = []

    def cut(request: Request) -> Response | None:
        if not request.url.path.startswith(FILE):
            return None
        lines = site.file(request).splitlines(keepends=True)
        original.extend(lines)
        return Response(b"".join(lines[1:]), media_type="application/fhir+ndjson")

    site.watch = cut
    done = load(site, warehouse)
    assert (done.state, left(warehouse), len(landed(warehouse))) == ("loaded", 1, 148)
    assert read_to(site, warehouse) is None
    site.watch = lambda request: None
    assert search(site, warehouse).incomplete == 0
    assert (landed(warehouse), len(original)) == (site.truth(), 150)


def test_one_lost_while_another_went_is_not_taken_for_whole(site: Site, warehouse: Warehouse) -> None:
    site.put(50)

    def cut(request: Request) -> Response | None:
        if not request.url.path.startswith(FILE):
            return None
        content = site.file(request)
        site.store.delete("Flag", "f00040")  # the source now counts as many as came
        return Response(content.split(b"\n", 1)[1])

    site.watch = cut
    load(site, warehouse)
    assert (left(warehouse), len(landed(warehouse))) == (1, 49)


def test_an_id_that_comes_twice_does_not_make_up_for_a_lost_one(site: Site, warehouse: Warehouse) -> None:
    site.put(50)

    def twice(request: Request) -> Response | None:
        lines = site.file(request).splitlines(keepends=True) if request.url.path.startswith(FILE) else []
        return Response(b"".join([*lines[1:], lines[-1]])) if lines else None

    site.watch = twice
    load(site, warehouse)
    assert left(warehouse) == 1


def test_an_export_is_not_asked_for_where_a_type_was_read(site: Site, warehouse: Warehouse) -> None:
    site.put(20)
    search(site, warehouse)
    assert load(site, warehouse).state == "not_needed"
    assert site.asked == []


def test_an_export_is_done_once_whatever_the_search_made_of_its_rest(site: Site, warehouse: Warehouse) -> None:
    site.put(20)
    site.watch = on(POLL, 2, None, lambda request: site.store.delete("Flag", "f00002"))
    load(site, warehouse)
    assert left(warehouse) == 1
    assert load(site, warehouse).state == "not_needed"
    assert site.count(KICK_OFF) == 1


def test_a_watermark_that_was_taken_away_asks_for_another_export(site: Site, warehouse: Warehouse) -> None:
    site.put(20)
    load(site, warehouse)
    with warehouse.connect() as connection:
        state.forget(connection, site.url, "Flag")
    done = load(site, warehouse)
    assert (done.state, left(warehouse), done.results["Flag"].unchanged) == ("loaded", 0, 20)
    assert read_to(site, warehouse) is not None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 501])
def test_a_refused_kick_off_leaves_everything_to_the_search_and_says_so(
    site: Site, warehouse: Warehouse, status: int
) -> None:
    site.put(20)
    site.watch = on(KICK_OFF, -1, JSONResponse({"resourceType": "OperationOutcome"}, status))
    done = load(site, warehouse)
    assert done.state == "refused"
    assert f"HTTP {status}" in done.reason
    assert "read by search" in done.reason
    assert rows(warehouse, "select state, reason from raw.export_job") == [("refused", done.reason)]
    assert load(site, warehouse).state == "not_needed"  # not asked again and again
    search(site, warehouse)
    assert landed(warehouse) == site.truth()


def test_a_type_that_the_server_refuses_does_not_keep_the_others_from_being_exported(
    site: Site, warehouse: Warehouse
) -> None:
    site.put(20)
    done = load(site, warehouse, "Household", "Flag", "Binary")
    assert (done.state, list(done.results)) == ("loaded", ["Flag"])
    assert rows(warehouse, "select resource_types from raw.export_job") == [(["Flag"],)]


def test_the_status_url_is_kept_before_the_first_poll_and_forgotten_at_the_end(
    site: Site, warehouse: Warehouse
) -> None:
    site.put(20)
    kept: list[Any] = []
    site.watch = on(
        POLL, 1, None, lambda request: kept.extend(rows(warehouse, "select state, status_url from raw.export_job"))
    )
    load(site, warehouse)
    [(state, status_url)] = kept
    [job_id] = site.exports.jobs
    assert (state, job_id in status_url) == ("running", True)
    assert rows(warehouse, "select status_url from raw.export_job union select url from raw.export_file") == [(None,)]
    assert rows(warehouse, "select count(*) from raw.export_stamp") == [(0,)]
    assert site.count(POLL, "DELETE") == 1


@pytest.mark.parametrize("status", [202, 404, 500])
def test_a_job_is_dropped_at_the_server_whatever_it_says(site: Site, warehouse: Warehouse, status: int) -> None:
    site.put(20)
    site.watch = lambda request: JSONResponse({}, status) if request.method == "DELETE" else None
    assert load(site, warehouse).state == "loaded"
    assert site.count(POLL, "DELETE") == 1


def test_retry_after_is_waited_for(site: Site, warehouse: Warehouse) -> None:
    site.put(20)
    load(site, warehouse)
    assert site.clock.waits == [120.0, 120.0]
    assert site.count(POLL) == 3


@pytest.mark.parametrize("status", [404, 410, 500])
def test_a_job_that_is_gone_is_asked_for_again(site: Site, warehouse: Warehouse, status: int) -> None:
    site.put(20)
    left = 1 if status != 500 else 4

    def watch(request: Request) -> Response | None:
        nonlocal left
        left -= request.url.path == POLL
        return JSONResponse({}, status) if request.url.path == POLL and left >= 0 else None

    site.watch = watch
    assert load(site, warehouse).state == "loaded"
    assert (jobs(warehouse), landed(warehouse)) == (["lost", "loaded"], site.truth())


def test_a_job_that_is_always_gone_is_given_up_and_left_to_the_search(site: Site, warehouse: Warehouse) -> None:
    site.put(20)
    site.watch = on(POLL, -1, JSONResponse({}, 404))
    done = load(site, warehouse)
    assert (done.state, jobs(warehouse)) == ("failed", ["lost", "lost", "failed"])
    assert "HTTP 404" in done.reason
    search(site, warehouse)
    assert landed(warehouse) == site.truth()


def test_a_job_that_never_ends_is_cancelled_and_asked_for_again(warehouse: Warehouse) -> None:
    with export_site(job_seconds=1e9, retry_after="3600") as site:
        site.put(5)
        done = load(site, warehouse)
        assert (done.state, "has not ended in 6 hours" in done.reason) == ("failed", True)
        assert [job.is_cancelled for job in site.exports.jobs.values()] == [True, True, True]
        assert max(site.clock.waits) == 600.0


def test_a_server_that_is_away_is_no_reason_for_another_job(site: Site, warehouse: Warehouse) -> None:
    site.put(20)
    site.watch = on(POLL, -1, JSONResponse({}, 503))
    with pytest.raises(FhirUnavailableError):
        load(site, warehouse)
    assert jobs(warehouse) == ["running"]
    site.watch = lambda request: None
    assert load(site, warehouse).state == "loaded"
    assert (site.count(KICK_OFF), landed(warehouse)) == (1, site.truth())


def test_an_answer_to_the_kick_off_that_never_came_is_not_asked_for_at_once(site: Site, warehouse: Warehouse) -> None:
    site.put(20)
    site.watch = on(KICK_OFF, 1, JSONResponse({}, 504))
    with pytest.raises(FhirUnavailableError):
        load(site, warehouse)
    assert (site.count(KICK_OFF), jobs(warehouse)) == (1, ["lost"])
    assert load(site, warehouse).state == "loaded"
