"""The files of a first load: cut off, broken, expired, refused, deleted and error ones; none is lost in silence."""

from datetime import timedelta

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opensrp_dhis2.errors import FhirUnavailableError
from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.export_site import FILE, KICK_OFF, POLL, Site, jobs, load, on, search
from tests.support.raw import landed, left
from tests.support.sql import rows


def test_a_file_that_is_cut_off_is_read_again(site: Site, warehouse: Warehouse) -> None:
    site.put(250)
    seen = 0

    def cut(request: Request) -> Response | None:
        nonlocal seen
        if not request.url.path.startswith(FILE):
            return None
        seen += 1
        return Response(site.file(request)[:-20]) if seen == 1 else None

    site.watch = cut
    done = load(site, warehouse)
    assert (left(warehouse), done.results["Flag"].inserted) == (0, 250)
    assert rows(warehouse, "select attempt_count from raw.export_file order by 1") == [(1,), (1,), (2,)]


def test_a_file_that_stays_cut_off_is_given_up_and_the_search_fills_it_up(site: Site, warehouse: Warehouse) -> None:
    site.put(250)
    broken: list[str] = []

    def cut(request: Request) -> Response | None:
        if not request.url.path.startswith(FILE):
            return None
        broken.append(request.url.path)
        return Response(site.file(request)[:-20]) if request.url.path == broken[0] else None

    site.watch = cut
    done = load(site, warehouse)
    assert (done.state, left(warehouse), "cut off" in done.reason) == ("loaded", 1, True)
    assert broken[0].rpartition("/")[2] not in done.reason
    search(site, warehouse)
    assert landed(warehouse) == site.truth()


def test_a_file_that_only_ever_breaks_does_not_stop_the_rest_for_ever(site: Site, warehouse: Warehouse) -> None:
    site.put(250)
    broken: list[str] = []

    def away(request: Request) -> Response | None:
        if request.url.path.startswith(FILE):
            broken.append(request.url.path)
        return JSONResponse({}, 500) if broken and request.url.path == broken[0] else None

    site.watch = away
    for _ in range(2):
        with pytest.raises(FhirUnavailableError):
            load(site, warehouse)
    done = load(site, warehouse)
    assert (done.state, left(warehouse)) == ("loaded", 1)
    assert (site.count(KICK_OFF), len(landed(warehouse))) == (1, 150)


def test_files_that_have_expired_make_the_job_be_asked_for_again(site: Site, warehouse: Warehouse) -> None:
    site.put(250)
    site.watch = on(FILE, 2, JSONResponse({}, 410))
    assert load(site, warehouse).state == "loaded"
    assert (jobs(warehouse), landed(warehouse)) == (["lost", "loaded"], site.truth())


def test_error_files_are_counted_and_deleted_ones_become_tombstones(site: Site, warehouse: Warehouse) -> None:
    site.put(20)
    load(site, warehouse)
    with warehouse.connect() as connection:
        state.forget(connection, site.url, "Flag")
    site.store.delete("Flag", "f00003")
    gone = {"resourceType": "Bundle", "entry": [{"request": {"method": "DELETE", "url": "Flag/f00003"}}]}
    again = {"resourceType": "Bundle", "entry": [{"request": {"method": "DELETE", "url": "Flag/f00004"}}]}
    extra = {
        "/fhir/Binary/gone": b"\n".join(msgspec.json.encode(one) for one in (gone, again)),
        "/fhir/Binary/wrong": b'{"resourceType":"OperationOutcome"}\n' * 3,
    }

    def watch(request: Request) -> Response | None:
        if request.url.path in extra:
            return Response(extra[request.url.path])
        job = list(site.exports.jobs.values())[-1]
        if request.url.path != POLL or request.method != "GET" or site.clock() < job.ready_at:
            return None
        site.exports.fill(job, site.store)
        manifest = {
            "transactionTime": (site.clock() + timedelta(minutes=1)).isoformat(), "request": job.request_url,
            "requiresAccessToken": True,
            "output": [{"type": name, "url": f"{site.url}/Binary/{one}"} for one, (name, _) in job.files.items()],
            "deleted": [{"type": "Bundle", "url": f"{site.url}/Binary/gone"}],
            "error": [{"type": "OperationOutcome", "url": f"{site.url}/Binary/wrong"}],
        }  # fmt: skip
        return JSONResponse(manifest)

    site.watch = watch
    done = load(site, warehouse)
    assert (done.state, done.results["Flag"].deleted, left(warehouse)) == ("loaded", 2, 0)
    assert rows(warehouse, "select error_count from raw.export_job order by 1 desc limit 1") == [(3,)]
    assert landed(warehouse) == site.truth()  # f00004 was in a file of resources too


def test_no_secret_stands_in_what_is_told(site: Site, warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    site.put(250)
    secrets: list[str] = []

    def broken(request: Request) -> Response | None:
        if request.url.path.startswith(FILE):
            secrets.append(request.url.path.rpartition("/")[2])
            return JSONResponse({"resourceType": "OperationOutcome", "issue": [{"diagnostics": request.url.path}]}, 403)
        return None

    site.watch = broken
    with caplog.at_level("DEBUG"):
        done = load(site, warehouse)
    secrets += site.exports.jobs
    told = repr(done) + str(rows(warehouse, "select * from raw.export_status")) + caplog.text
    assert (left(warehouse), "HTTP 403" in done.reason, len(secrets)) == (1, True, 4)
    assert [one for one in secrets if one in told] == []
