"""Facts of contracts/hapi/FINDINGS.md, section 1, about searches and their pages; test_recorded_facts.py has the others."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import msgspec
import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.faults import Faults, Plan
from opensrp_dhis2_sandbox.server import running
from starlette.requests import Request

from opensrp_dhis2.extract import Extraction
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.ids import read_stamps
from opensrp_dhis2.fhir.page import BUNDLE, page_of
from opensrp_dhis2.fhir.unreadable import read_window
from opensrp_dhis2.fhir.window import BEGINNING, Window, next_window
from tests.support.clock import AFTER_RECORDINGS
from tests.support.fhir_recording import read_recording
from tests.support.fhir_script import Answer, scripted
from tests.support.fhir_server import FhirServer, fhir_server

EVERYTHING = Window(BEGINNING, datetime(2100, 1, 1, tzinfo=UTC))
HOW = Extraction(threads=1, validate_share=0)
DAY_MS = 86_400_000
PAST_MS = 1_790_000_000_000


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with fhir_server(AFTER_RECORDINGS) as started:
        yield started


def read(
    url: str, resource_type: str = "Flag", *, page_size: int = 500, window: Window = EVERYTHING
) -> list[list[str]]:
    """Give the ids of each page."""
    with FhirClient(url, page_size=page_size) as client:
        return [[one.id for one in page.resources] for page in client.search_pages(resource_type, window)]


def test_07_ties_500_same_lastupdated_are_all_in_the_window_that_begins_with_them(
    shared: Path, server: FhirServer
) -> None:
    observed = read_recording(shared, "07-ties-500-same-lastupdated").observed
    stamp = datetime.fromisoformat(observed["stamp"])
    server.put(500, stamp_ms=round(stamp.timestamp() * 1000))
    pages = read(server.url, page_size=100, window=Window(stamp, stamp + timedelta(days=1)))
    assert len({one for page in pages for one in page}) == observed["restart with ge<last seen>"] == 500


def test_22d_offset_loses_rows_and_our_pages_follow_the_servers_links_only(shared: Path, server: FhirServer) -> None:
    observed = read_recording(shared, "22d-offset-loses-rows").observed
    server.put(200, stamp_ms=PAST_MS)

    def write(request: Request, number: int) -> None:
        if number == 2:
            server.put(10, stamp_ms=PAST_MS + 1, status="inactive")
            for one in range(10, 15):
                server.store.delete("Flag", f"f{one:05}", stamp_ms=PAST_MS + 1)

    server.watch = write
    seen = {one for page in read(server.url, page_size=50) for one in page}
    lost = server.truth().keys() - seen
    assert len(lost) == observed["cursor, _sort=_lastUpdated"]["never read though alive all the time"] == 0
    assert not [query for query in server.queries if "_offset" in dict(parse_qsl(query))]


def test_27c_no_store_is_never_asked_so_that_all_pages_come(shared: Path, server: FhirServer) -> None:
    cut = read_recording(shared, "27c-no-store").response["body"]
    assert (cut["total"], len(cut["entry"]), [link["relation"] for link in cut["link"]]) == (1, 1, ["self"])
    controls: list[str] = []
    server.watch = lambda request, number: controls.append(request.headers["cache-control"])
    server.put(3, stamp_ms=PAST_MS)
    assert read(server.url, page_size=1) == [["f00000"], ["f00001"], ["f00002"]]
    assert set(controls) == {"no-cache"}


def test_27b_search_reused_headers_our_search_is_fresh_where_an_equal_one_is_a_hit(
    shared: Path, server: FhirServer
) -> None:
    recorded = read_recording(shared, "27b-search-reused-headers").response["headers"]["x-cache"]
    server.put(1, stamp_ms=PAST_MS)
    assert read(server.url) == [["f00000"]]
    asked = f"{server.url}/Flag?{server.queries[0]}"
    httpx.get(asked)
    server.put(1, first=1, stamp_ms=PAST_MS)
    reused = httpx.get(asked)
    assert reused.headers["x-cache"].split()[0] == recorded.split()[0] == "HIT"
    assert len(reused.json()["entry"]) == 1
    assert read(server.url) == [["f00000", "f00001"]]


def pages_while_writing(
    server: FhirServer, observed: dict[str, Any], count: int, page_size: int, deleted: Sequence[int]
) -> list[list[str]]:
    """Read pages as they were read for 05: after the first, others update, add and delete."""
    server.put(count, stamp_ms=PAST_MS)

    def write(request: Request, number: int) -> None:
        if number == 2:
            for name in observed["updated_body_seen"]:
                server.put(1, first=int(name[-4:]), stamp_ms=PAST_MS + 1, status="inactive")
            server.put(5, first=count, stamp_ms=PAST_MS + 1)
            for one in deleted:
                server.store.delete("Flag", f"f{one:05}", stamp_ms=PAST_MS + 1)

    server.watch = write
    return read(server.url, page_size=page_size)


def test_05_big700_paging_while_writing_brings_all_that_live_and_none_twice(shared: Path, server: FhirServer) -> None:
    observed = read_recording(shared, "05-big700-paging-while-writing").observed
    pages = pages_while_writing(server, observed, 700, 50, range(400, 404))
    assert [len(page) for page in pages] == observed["pages"]
    assert sorted(one for page in pages for one in page) == sorted(server.truth())


def test_05_small60_paging_while_writing_a_short_page_and_a_wrong_total_end_nothing(
    shared: Path, server: FhirServer
) -> None:
    observed = read_recording(shared, "05-small60-paging-while-writing").observed
    assert observed["totals"][-1] > observed["entries"]
    pages = pages_while_writing(server, observed, 60, 10, (10, 30, 31, 32))
    assert [len(page) for page in pages] == observed["pages"]
    assert sorted(one for page in pages for one in page) == sorted(server.truth())


def test_02a_search_page1_count500_has_no_total_and_the_count_is_asked_for(shared: Path) -> None:
    page = read_recording(shared, "02a-search-page1-count500").response["body"]
    assert "total" not in page
    counted = read_recording(shared, "02k-summary-count-window").response["body"]
    with scripted(Answer({**page, "link": []}), Answer(counted)) as script, FhirClient(script.url) as client:
        assert [len(one) for one in client.search_pages("Observation", EVERYTHING)] == [len(page["entry"])]
        assert client.count("Encounter", EVERYTHING) == counted["total"] == 5656
    assert dict(parse_qsl(script.asked[1].query))["_summary"] == "count"


def test_03e_page_past_the_end_an_empty_page_ends_nothing_that_has_a_next_link(shared: Path) -> None:
    first, last = (read_recording(shared, name).response["body"] for name in ("03a-page-first", "03c-page-last"))
    empty = read_recording(shared, "03e-page-past-the-end").response["body"]
    assert "entry" not in empty
    assert [link["relation"] for link in empty["link"]] == ["self", "previous"]
    more = {**empty, "link": [{"relation": "next", "url": "http://h/fhir?_getpages=x"}]}
    with scripted(Answer(first), Answer(more), Answer(last)) as script:
        pages = read(script.url, "Condition")
    assert [len(page) for page in pages] == [len(first["entry"]), 0, len(last["entry"])]


def test_06a_lastupdated_prefix_matrix_a_date_alone_is_fuzzy_and_ours_are_full_instants(
    shared: Path, server: FhirServer
) -> None:
    recording = read_recording(shared, "06a-lastupdated-prefix-matrix")
    row, day = recording.observed["date-only rows"], datetime(2026, 11, 21, tzinfo=UTC)
    assert (row["lt+0d"], row["eq-1d"], row["le-1d"]) == (1, 1, 1)  # of 02:20 on the 21st
    stamp = datetime.fromisoformat(recording.observed["lastUpdated"])
    server.put(1, stamp_ms=round(stamp.timestamp() * 1000))
    assert read(server.url, window=Window(day - timedelta(days=1), day)) == [[]]
    assert read(server.url, window=Window(day, day + timedelta(days=1))) == [["f00000"]]
    asked = [value for query in server.queries for name, value in parse_qsl(query) if name == "_lastUpdated"]
    assert len(asked) == 4
    assert all(re.fullmatch(r"(ge|lt)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value) for value in asked)


def test_06d_lastupdated_window_is_ours_to_the_millisecond(shared: Path, server: FhirServer) -> None:
    recorded = read_recording(shared, "06d-lastupdated-window")
    observed = read_recording(shared, "06a-lastupdated-prefix-matrix").observed
    (entry,) = recorded.response["body"]["entry"]
    stamp, millisecond = datetime.fromisoformat(entry["resource"]["meta"]["lastUpdated"]), timedelta(milliseconds=1)
    window = Window(stamp, stamp + millisecond)
    assert window.parameters() == [one for one in parse_qsl(recorded.request["query"]) if one[0] == "_lastUpdated"]
    server.put(1, stamp_ms=round(stamp.timestamp() * 1000))
    with FhirClient(server.url) as client:
        around = [client.count("Flag", Window(window.start_at + n * millisecond, window.end_at + n * millisecond))
                  for n in (-1, 0, 1)]  # fmt: skip
    assert around == [observed["ltT"], observed["window ge T lt T+1ms"], observed["geT+1ms"]] == [0, 1, 0]
    planned = next_window(None, stamp + timedelta(microseconds=999), lag_seconds=0, overlap_seconds=0)
    assert planned is not None
    assert planned.end_at == stamp


def test_07b_sort_lastupdated_id_is_a_total_order_at_any_page_size(shared: Path, server: FhirServer) -> None:
    observed = read_recording(shared, "07-ties-500-same-lastupdated").observed
    assert observed["count 7 vs count 100 same order"] is False
    sort = dict(parse_qsl(read_recording(shared, "07b-sort-lastupdated-id").request["query"]))["_sort"]
    for number in (3, 1, 2, 0):
        server.put(1, first=number, stamp_ms=PAST_MS)
    orders = [[one for page in read(server.url, page_size=size) for one in page] for size in (1, 3, 100)]
    with FhirClient(server.url) as client:
        orders.append([one.id for page in read_stamps(client, "Flag") for one in page])
    assert orders == [[f"f{number:05}" for number in range(4)]] * 4
    first = [dict(parse_qsl(query)) for query in server.queries if "_getpages" not in query]
    assert {one["_sort"] for one in first} == {sort}


def test_08f_summary_lost_on_page_2_so_ids_are_read_by_elements_and_no_part_is_a_resource(shared: Path) -> None:
    assert read_recording(shared, "08f-summary-lost-on-page-2").observed["_elements=id page2 keys"] == [
        "id", "meta", "resourceType",
    ]  # fmt: skip
    for name in ("08a-elements", "08c-summary-true", "08c-summary-data"):
        body = read_recording(shared, name).response["body"]
        page = page_of(body["entry"][0]["resource"]["resourceType"], BUNDLE.decode(msgspec.json.encode(body)))
        assert (page.resources, {one.reason[-11:] for one in page.rejected}) == ([], {"(SUBSETTED)"})
    ids = read_recording(shared, "08b-elements-id-meta").response["body"]
    with scripted(Answer(ids), Answer({**ids, "link": []})) as script, FhirClient(script.url) as client:
        found = [[(one.id, one.version_id) for one in page] for page in read_stamps(client, "Observation")]
    assert found == [[(entry["resource"]["id"], 1) for entry in ids["entry"]]] * 2
    assert [dict(parse_qsl(one.query)).get("_elements") for one in script.asked] == ["id", "id,meta"]
    assert "_summary" not in script.asked[0].query


@pytest.mark.parametrize("guilty", [frozenset[str](), frozenset({"f00300"})], ids=["all given", "one HTTP 500"])
def test_02m_capped_paging_reads_every_page_by_its_real_size(
    shared: Path, server: FhirServer, guilty: frozenset[str]
) -> None:
    observed, faults = read_recording(shared, "02m-capped-paging").observed, Faults(Plan(cannot_give=guilty))
    server.put(sum(observed["pages"]), stamp_ms=PAST_MS)
    with (
        running(create_app(server.store, max_page_size=200, faults=faults)) as url,
        FhirClient(f"{url}/fhir") as client,
    ):
        pages = list(read_window(client, "Flag", EVERYTHING))
        assert sum(len(page) for page in read_stamps(client, "Flag")) == 450
    assert {one.id for page in pages for one in page.resources} == server.truth().keys() - guilty
    assert guilty or [len(page) for page in pages] == observed["pages"] == [200, 200, 50]


def test_03h_next_link_host_is_replaced_by_our_base_and_pages_are_not_indented(shared: Path) -> None:
    first = read_recording(shared, "03h-next-link-host").response["body"]
    (link,) = [link["url"] for link in first["link"] if link["relation"] == "next"]
    with scripted(Answer(first), Answer({**first, "link": []})) as script:
        assert [len(page) for page in read(script.url, "Encounter")] == [1, 1]
    assert not link.startswith(script.url)
    assert f"{script.asked[1].path}?{script.asked[1].query}" == link.partition("8092")[2]
    assert dict(parse_qsl(script.asked[0].query))["_pretty"] == "false"
