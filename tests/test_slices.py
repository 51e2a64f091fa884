"""Slices and their certificates: whatever the server does meanwhile, everything is here or is named as missing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opensrp_dhis2.errors import FhirOutcomeError
from opensrp_dhis2.extract import Extraction, TypeResult, extract, resweep, verify
from opensrp_dhis2.extract.slice import count_late
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.fhir_proxy import Proxy, Query, drop, is_count, is_listing, is_pages
from tests.support.fhir_server import FhirServer
from tests.support.raw import landed, read_to, slice_states
from tests.support.sql import execute, rows

HOW = Extraction(lag_seconds=600, overlap_seconds=3600, threads=2, validate_share=0)
HOUR_MS = 3_600_000


def run(at: FhirServer | Proxy, warehouse: Warehouse, *, page_size: int = 100, how: Extraction = HOW) -> TypeResult:
    with FhirClient(at.url, page_size=page_size) as client:
        return extract(client, warehouse, "Flag", how)


def test_a_certificate_holds_equal_counts_and_digests_of_both_sides(server: FhirServer, warehouse: Warehouse) -> None:
    server.put(300, stamp_ms=server.now_ms - 48 * HOUR_MS)
    result = run(server, warehouse)
    assert (result.slices, result.incomplete, result.missing) == (1, 0, 0)
    found = rows(warehouse, "select state, planned_count, source_count, loaded_count, source_digest from raw.slice")
    [(_, _, _, _, digest)] = found
    assert found == [("certified", 300, 300, 300, digest)]
    assert rows(warehouse, "select loaded_digest = md5(string_agg(id, ',' order by id collate \"C\"))"
                " from raw.slice, raw.flag group by loaded_digest") == [(True,)]  # fmt: skip
    assert not any("_elements" in query for query in server.queries)  # proven without a second look


def test_07_all_of_a_transaction_has_one_stamp_and_arrives_across_pages_and_slices(
    server: FhirServer, warehouse: Warehouse
) -> None:
    server.put(5000, stamp_ms=server.now_ms - 48 * HOUR_MS)  # more than a slice holds, and not to be divided
    server.put(2500, first=5000, stamp_ms=server.now_ms - 47 * HOUR_MS)
    result = run(server, warehouse, page_size=70)
    assert (result.read, landed(warehouse)) == (7500, server.truth())
    assert set(slice_states(warehouse)) == {"certified"}


def test_26_what_commits_late_while_its_slice_is_read_is_fetched_and_told(
    server: FhirServer, warehouse: Warehouse
) -> None:
    server.put(300, first=100, stamp_ms=server.now_ms - 48 * HOUR_MS)

    def commit(request: Request, number: int) -> None:
        if number == 3:  # the last page of the slice has its ids already
            server.put(3, stamp_ms=server.now_ms - 49 * HOUR_MS)

    server.watch = commit
    result = run(server, warehouse)
    assert (result.incomplete, result.late, result.repaired) == (0, 3, 0)
    assert landed(warehouse) == server.truth()


def test_05_what_changes_or_goes_while_its_slice_is_read_is_no_loss(server: FhirServer, warehouse: Warehouse) -> None:
    server.put(300, stamp_ms=server.now_ms - 48 * HOUR_MS)

    def write(request: Request, number: int) -> None:
        if number == 3:
            server.put(7, stamp_ms=server.now_ms - HOUR_MS // 20, status="inactive")
            for one in range(10, 15):
                server.store.delete("Flag", f"f{one:05}")
            server.store.delete("Flag", "f00299")  # not read yet

    server.watch = write
    result = run(server, warehouse)
    assert (result.incomplete, result.missing, result.changed, result.deleted) == (0, 0, 7, 5)
    assert rows(warehouse, "select state, planned_count, source_count, loaded_count from raw.slice") == [
        ("certified", 300, 287, 287)
    ]
    assert "f00299" not in landed(warehouse)


def test_what_a_page_leaves_out_is_read_by_id(server: FhirServer, proxy: Proxy, warehouse: Warehouse) -> None:
    server.put(300, stamp_ms=server.now_ms - 48 * HOUR_MS)
    proxy.change = lambda query, bundle: drop(bundle, {"f00007", "f00250"}) if is_pages(query) else None
    result = run(proxy, warehouse)
    assert (result.incomplete, result.repaired, result.late, result.inserted) == (0, 2, 0, 300)
    assert landed(warehouse) == server.truth()
    assert slice_states(warehouse) == ["certified"]


def test_03e_pages_that_end_early_are_filled_up_by_id(server: FhirServer, proxy: Proxy, warehouse: Warehouse) -> None:
    server.put(700, stamp_ms=server.now_ms - 48 * HOUR_MS, step_ms=1000)

    def cut_off(query: Query, bundle: dict[str, Any]) -> None:
        if is_pages(query) or is_listing(query):
            bundle["entry"] = bundle.get("entry", [])[:100]
            bundle["link"] = []

    proxy.change = cut_off
    result = run(proxy, warehouse)
    assert (result.incomplete, result.inserted, result.repaired) == (0, 700, 600)
    assert landed(warehouse) == server.truth()


def test_what_the_source_lists_and_does_not_give_is_named_and_holds_the_watermark(
    server: FhirServer, proxy: Proxy, warehouse: Warehouse
) -> None:
    server.put(4500, stamp_ms=server.now_ms - 2000 * HOUR_MS, step_ms=600_000)
    hidden = {"f02500", "f02501"}
    proxy.change = lambda query, bundle: drop(bundle, hidden) if not is_listing(query) and not is_count(query) else None
    first = run(proxy, warehouse, page_size=1000)
    assert (first.incomplete, first.missing, first.missing_ids) == (1, 2, sorted(hidden))
    stands = read_to(proxy.url, warehouse)
    assert stands is not None
    short = rows(warehouse, "select window_from, missing_ids, source_count - loaded_count from raw.slice"
                 " where state = 'incomplete'")  # fmt: skip
    assert short == [(stands, sorted(hidden), 2)]
    assert landed(warehouse).keys() == server.truth().keys() - hidden

    again = run(proxy, warehouse, page_size=1000)  # reads on all the same, and asks again for what is missing
    assert (again.incomplete, again.missing_ids, read_to(proxy.url, warehouse)) == (1, sorted(hidden), stands)

    proxy.change = lambda query, bundle: None
    healed = run(proxy, warehouse, page_size=1000)
    assert (healed.incomplete, healed.inserted, landed(warehouse)) == (0, 2, server.truth())
    assert read_to(proxy.url, warehouse) == healed.window_to
    assert set(slice_states(warehouse)) == {"certified"}


def test_what_the_source_counts_and_never_lists_is_found_to_the_millisecond(
    server: FhirServer, proxy: Proxy, warehouse: Warehouse
) -> None:
    stamp_ms = server.now_ms - 48 * HOUR_MS
    server.put(50, stamp_ms=stamp_ms, step_ms=1000)
    proxy.change = lambda query, bundle: drop(bundle, {"f00020"})
    result = run(proxy, warehouse)
    assert (result.incomplete, result.missing, result.missing_ids) == (1, 1, [])
    at = datetime.fromtimestamp((stamp_ms + 20_000) / 1000, UTC)
    assert rows(warehouse, "select state, unlisted_count, unlisted_from from raw.slice") == [("incomplete", 1, at)]
    assert read_to(proxy.url, warehouse) is None


def test_an_empty_answer_from_a_cache_certifies_nothing(server: FhirServer, proxy: Proxy, warehouse: Warehouse) -> None:
    server.put(300, stamp_ms=server.now_ms - 48 * HOUR_MS)
    seen: list[str] = []

    def forget(query: Query, bundle: dict[str, Any]) -> None:
        seen.append("listing" if is_listing(query) else "count" if is_count(query) else "pages")
        if is_pages(query):
            drop(bundle, {"f00007"})
        if is_listing(query) and seen.count("listing") == 1:
            bundle["entry"], bundle["link"] = [], []
        if is_count(query) and seen.count("count") in (3, 4):  # those around the first listing
            bundle["total"] = 0

    proxy.change = forget
    result = run(proxy, warehouse)
    assert (result.incomplete, result.repaired, result.deleted) == (0, 1, 0)
    assert landed(warehouse) == server.truth()


def test_what_is_refused_has_landed_as_rejected_and_is_never_missing(server: FhirServer, warehouse: Warehouse) -> None:
    server.put(20, stamp_ms=server.now_ms - 48 * HOUR_MS)
    server.put(1, first=20, stamp_ms=server.now_ms - 48 * HOUR_MS, note="nul \0 here")
    subsetted = {"tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}]}
    server.put(1, first=21, stamp_ms=server.now_ms - 48 * HOUR_MS, meta=subsetted)
    result = run(server, warehouse)
    assert (result.read, result.inserted, result.rejected, result.incomplete, result.missing) == (22, 20, 2, 0, 0)
    found = dict(rows(warehouse, "select id, reason from raw.rejected"))
    assert "SUBSETTED" in found["f00021"]
    assert "UntranslatableCharacter" in found["f00020"]
    assert rows(warehouse, "select state, source_count, loaded_count, rejected_count from raw.slice") == [
        ("certified", 22, 20, 2)
    ]
    assert read_to(server.url, warehouse) == result.window_to


def test_a_run_begins_with_the_slices_that_the_last_one_left(server: FhirServer, warehouse: Warehouse) -> None:
    server.put(9000, stamp_ms=server.now_ms - 2000 * HOUR_MS, step_ms=600_000)
    broken_from = f"ge{datetime.fromtimestamp((server.now_ms - 1000 * HOUR_MS) / 1000, UTC):%Y-%m}"

    def refuse(request: Request, number: int) -> Response | None:
        starts = request.query_params.getlist("_lastUpdated")
        return JSONResponse({"resourceType": "OperationOutcome"}, 400) if starts and starts[0] >= broken_from else None

    server.watch = refuse
    with pytest.raises(FhirOutcomeError):
        run(server, warehouse, page_size=1000)
    stands, before = read_to(server.url, warehouse), slice_states(warehouse)
    assert stands is not None
    assert {"planned", "certified"} == set(before)
    due = {v.id for v in server.store.current("Flag") if v.last_updated_ms < stands.timestamp() * 1000}
    assert 0 < len(due) < 9000
    assert due <= landed(warehouse).keys()
    server.watch = lambda request, number: None
    result = run(server, warehouse, page_size=1000)
    assert (result.slices, result.window_from) == (before.count("planned") + 1, stands)
    assert landed(warehouse) == server.truth()
    assert set(slice_states(warehouse)) == {"certified"}
    assert read_to(server.url, warehouse) == result.window_to


def test_a_watermark_that_was_taken_away_means_to_read_everything_anew(
    server: FhirServer, warehouse: Warehouse
) -> None:
    server.put(10, stamp_ms=server.now_ms - 48 * HOUR_MS)
    run(server, warehouse)
    execute(warehouse, "delete from raw.watermark")
    assert run(server, warehouse).read == 10


def test_a_clock_that_went_back_behind_the_watermark_is_believed_and_everything_read_anew(
    server: FhirServer, proxy: Proxy, warehouse: Warehouse
) -> None:
    server.put(10, stamp_ms=server.now_ms - 48 * HOUR_MS)
    proxy.clock_ahead = timedelta(days=30)
    run(proxy, warehouse)
    server.put(5, first=10, stamp_ms=server.now_ms - 2 * HOUR_MS)  # between, by the right clock
    proxy.clock_ahead = timedelta()
    result = run(proxy, warehouse)
    assert (result.read, result.inserted, landed(warehouse)) == (15, 5, server.truth())
    assert read_to(proxy.url, warehouse) == result.window_to


def test_a_clock_that_went_back_some_hours_is_noticed_a_day_later_too(
    server: FhirServer, proxy: Proxy, warehouse: Warehouse
) -> None:
    server.put(10, stamp_ms=server.now_ms - 480 * HOUR_MS)
    proxy.clock_ahead = timedelta(hours=6)
    run(proxy, warehouse)
    # a day passes
    execute(warehouse, "update raw.watermark set read_to = read_to - interval '1 day'")
    execute(warehouse, "update raw.slice set window_to = window_to - interval '1 day'")
    proxy.clock_ahead = timedelta()
    server.put(1, first=10, stamp_ms=server.now_ms - 23 * HOUR_MS)  # behind the watermark by five hours
    assert run(proxy, warehouse).inserted == 1
    assert landed(warehouse) == server.truth()


def test_a_clock_that_went_forward_only_makes_the_window_longer(
    server: FhirServer, proxy: Proxy, warehouse: Warehouse
) -> None:
    server.put(10, stamp_ms=server.now_ms - 48 * HOUR_MS)
    first = run(proxy, warehouse)
    server.put(5, first=10, stamp_ms=server.now_ms + 20 * HOUR_MS)
    proxy.clock_ahead = timedelta(days=1)
    result = run(proxy, warehouse)
    assert first.window_to is not None
    assert (result.inserted, result.window_from) == (5, first.window_to - timedelta(seconds=3600))
    assert landed(warehouse) == server.truth()


def test_24h_a_resweep_finds_late_rows_and_tags_that_changed_without_a_version(
    server: FhirServer, warehouse: Warehouse
) -> None:
    server.put(20, stamp_ms=server.now_ms - 480 * HOUR_MS, meta={"tag": [{"code": "a"}, {"code": "b"}]})
    stands = run(server, warehouse).window_to
    server.put(2, first=20, stamp_ms=server.now_ms - 470 * HOUR_MS)  # far behind the overlap
    for number, tags in enumerate((b'"tag":[{"code":"c"}]', b'"tag":[{"code":"b"},{"code":"a"}]')):
        latest = server.store.latest("Flag", f"f{number:05}")
        assert latest is not None
        assert latest.body is not None
        body = latest.body.replace(b'"tag":[{"code":"a"},{"code":"b"}]', tags)
        assert body != latest.body
        server.store.keep("Flag", latest.id, latest.version_id, latest.last_updated_ms, body)
    assert run(server, warehouse).inserted == 0
    with FhirClient(server.url) as client:
        result = resweep(client, warehouse, "Flag", HOW)
        again = resweep(client, warehouse, "Flag", HOW)
    assert (result.read, result.inserted, result.updated, result.incomplete) == (22, 2, 1, 0)
    assert (again.read, again.inserted, again.updated) == (22, 0, 0)
    assert rows(warehouse, "select resource -> 'meta' -> 'tag' from raw.flag where id = 'f00000'") == [
        ([{"code": "c"}],)
    ]
    assert rows(warehouse, "select distinct kind, state from raw.slice where kind = 'resweep'") == [
        ("resweep", "certified")
    ]
    assert stands is not None
    assert read_to(server.url, warehouse) >= stands


def test_a_resweep_of_what_was_never_read_reads_nothing(server: FhirServer, warehouse: Warehouse) -> None:
    server.put(20, stamp_ms=server.now_ms - 48 * HOUR_MS)
    with FhirClient(server.url) as client:
        assert resweep(client, warehouse, "Flag", HOW).read == 0
    assert slice_states(warehouse) == []


def test_verify_tells_missing_stale_gone_and_not_due_apart_and_writes_nothing(
    server: FhirServer, warehouse: Warehouse
) -> None:
    server.put(30, stamp_ms=server.now_ms - 48 * HOUR_MS)
    run(server, warehouse)
    with FhirClient(server.url) as client:
        assert verify(client, warehouse, "Flag").is_complete
        server.put(2, first=30, stamp_ms=server.now_ms - 40 * HOUR_MS)
        server.put(1, first=0, stamp_ms=server.now_ms - 30 * HOUR_MS, status="inactive")
        server.put(1, first=40, stamp_ms=server.now_ms)
        server.store.delete("Flag", "f00005")
        before = landed(warehouse)
        found = verify(client, warehouse, "Flag")
        never = verify(client, warehouse, "Basic")
    assert (found.source_count, found.missing, found.stale, found.gone, found.not_due) == (32, 2, 1, 1, 1)
    assert found.ids == {
        "missing": ["f00030", "f00031"],
        "stale": ["f00000"],
        "gone": ["f00005"],
        "not_due": ["f00040"],
    }
    assert not found.is_complete
    assert landed(warehouse) == before
    assert (never.is_complete, never.source_count) == (True, 0)
    assert rows(warehouse, "select to_regclass('raw.basic')") == [(None,)]


@pytest.mark.parametrize(
    ("before", "listed", "absent", "left", "late"),
    [(100, 100, 2, 0, 0), (100, 103, 3, 0, 3), (100, 101, 3, 0, 1), (100, 98, 0, 2, 0), (100, 100, 2, 2, 2)],
)
def test_late_are_those_beyond_what_was_counted_less_what_left(
    before: int, listed: int, absent: int, left: int, late: int
) -> None:
    assert count_late(before, listed, absent, left) == late
