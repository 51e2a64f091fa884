"""The first load by bulk export: whatever the server and our process do, all of it is here or is read by search."""

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
from tests.support.export_site import FILE, KICK_OFF, POLL, Site, export_site, jobs, load, on, search
from tests.support.raw import landed, left, read_to, slice_states
from tests.support.sql import rows


def test_a_first_load_brings_every_type_and_certifies_it_without_reading_a_page(
    site: Site, warehouse: Warehouse
) -> None:
    site.put(450)
    site.put(30, of_type="Patient")
    done = load(site, warehouse, "Flag", "Patient", "Location")
    assert (done.state, done.reason, left(warehouse)) == ("loaded", "", 0)
    assert {name: one.inserted for name, one in done.results.items()} == {"Flag": 450, "Patient": 30, "Location": 0}
    assert (landed(warehouse), landed(warehouse, "patient")) == (site.truth(), site.truth("Patient"))
    assert set(slice_states(warehouse)) == {"certified"}
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
    stands = read_to(site.url, warehouse)
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
    assert set(slice_states(warehouse)) == {"certified"}
    assert landed(warehouse) == site.truth()


@pytest.mark.parametrize("kind", ["left out", "left out while another went", "made up for by another twice"])
def test_a_resource_that_a_file_leaves_out_is_found_missing_and_read_by_search(
    site: Site, warehouse: Warehouse, kind: str
) -> None:
    """Although the source then counts as many as came, or as many lines came as the source counts."""
    site.put(50)

    def cut(request: Request) -> Response | None:
        if not request.url.path.startswith(FILE):
            return None
        lines = site.file(request).splitlines(keepends=True)
        if kind == "left out while another went":
            site.store.delete("Flag", "f00040")
        return Response(b"".join([*lines[1:], *lines[-1:] * (kind == "made up for by another twice")]))

    site.watch = cut
    done = load(site, warehouse)
    assert (done.state, left(warehouse), len(landed(warehouse))) == ("loaded", 1, 49)
    assert read_to(site.url, warehouse) is None
    site.watch = lambda request: None
    assert search(site, warehouse).incomplete == 0
    assert site.truth().items() <= landed(warehouse).items()


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
    assert read_to(site.url, warehouse) is not None


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
