"""The extraction's promises, kept against a real HAPI FHIR 8.8; the sandbox's tests of the same are in test_extract.py."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from opensrp_dhis2.errors import CursorExpiredError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.window import BEGINNING, Window
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.sql import rows

from .conftest import Between
from .loader import Hapi
from .reading import DEAD_CURSOR, OVERLAPPING, landed, names, run, slice_states

COMMITTED_LATE = 2500  # resources of one transaction, which takes the server some seconds


def test_everything_arrives_once_and_the_second_run_reads_nothing_new(
    hapi: Hapi, warehouse: Warehouse, resource_type: str
) -> None:
    hapi.put(resource_type, names(1200))
    first = run(hapi, warehouse, resource_type)
    assert (first.read, first.inserted, first.rejected) == (1200, 1200, 0)
    assert landed(warehouse, resource_type) == hapi.versions(resource_type)
    assert slice_states(warehouse) == {"certified"}

    hapi.wait_until_past(instant=first.window_to)
    second = run(hapi, warehouse, resource_type)
    assert (second.inserted, second.updated) == (0, 0)
    # the second window begins where the first ended, less what the clock seems to have gone back: it has whole seconds
    plans = "select min(window_from), max(window_to), clock_ahead from raw.slice group by 3 order by min(slice_id)"
    [(_, ended_at, before), (began_at, _, after)] = rows(warehouse, plans)
    assert ended_at - began_at == max(timedelta(), before - after)
    third = run(hapi, warehouse, resource_type, how=OVERLAPPING)
    assert (third.read, third.inserted, third.updated, third.unchanged) == (1200, 0, 0, 1200)


def test_07_all_of_a_transaction_has_one_stamp_and_arrives_across_pages(
    hapi: Hapi, warehouse: Warehouse, resource_type: str
) -> None:
    hapi.put(resource_type, names(500))
    assert len(hapi.stamps(resource_type)) == 1
    result = run(hapi, warehouse, resource_type, page_size=7)
    assert (result.read, landed(warehouse, resource_type)) == (500, hapi.versions(resource_type))
    assert slice_states(warehouse) == {"certified"}


def test_26_what_shows_late_under_an_old_stamp_arrives_by_the_overlap(
    hapi: Hapi, warehouse: Warehouse, resource_type: str
) -> None:
    hapi.put(resource_type, ["early"])
    read_to = BEGINNING
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(hapi.put, resource_type, names(COMMITTED_LATE), size=COMMITTED_LATE)
        while not slow.done():
            done = run(hapi, warehouse, resource_type)
            read_to = done.window_to if done.window_to and not slow.done() else read_to
        slow.result()
    assert datetime.fromisoformat(max(hapi.stamps(resource_type))) < read_to
    run(hapi, warehouse, resource_type, how=OVERLAPPING)
    assert landed(warehouse, resource_type) == hapi.versions(resource_type)
    assert len(landed(warehouse, resource_type)) == COMMITTED_LATE + 1
    assert slice_states(warehouse) == {"certified"}


def test_updates_arrive_and_the_old_versions_are_kept(hapi: Hapi, warehouse: Warehouse, resource_type: str) -> None:
    hapi.put(resource_type, names(600))
    run(hapi, warehouse, resource_type)
    hapi.put(resource_type, names(50, first=100), "v2")
    hapi.put(resource_type, names(20, first=600))
    hapi.put(resource_type, names(10))  # 24b: an identical PUT makes no version
    result = run(hapi, warehouse, resource_type)
    assert (result.inserted, result.updated) == (20, 50)
    assert landed(warehouse, resource_type) == hapi.versions(resource_type)
    kept = rows(warehouse, "select count(*) from raw.superseded where version_id = 1")
    assert kept == [(50,)]


def test_05_rows_deleted_and_written_while_paging_lose_no_other_row(
    hapi: Hapi, warehouse: Warehouse, resource_type: str, between: Between
) -> None:
    hapi.put(resource_type, names(900))

    def write(number: int, query: str) -> str:
        if number == 2:
            hapi.delete(resource_type, names(40, first=0) + names(40, first=500))
            hapi.put(resource_type, names(40, first=300), "v2")
            hapi.put(resource_type, names(40, first=900))
        return query

    between.change = write
    run(hapi, warehouse, resource_type, url=between.url, page_size=50)
    untouched = set(names(900)) - set(names(40)) - set(names(40, first=500)) - set(names(40, first=300))
    assert untouched <= landed(warehouse, resource_type).keys()
    run(hapi, warehouse, resource_type, url=between.url, how=OVERLAPPING)
    found, truth = landed(warehouse, resource_type), hapi.versions(resource_type)
    assert {one: version for one, version in found.items() if one in truth} == truth
    assert found.keys() - truth.keys() <= set(names(40)) | set(names(40, first=500))
    assert slice_states(warehouse) == {"certified"}


def test_04_a_dead_cursor_restarts_its_window_and_everything_arrives(
    hapi: Hapi, warehouse: Warehouse, resource_type: str, between: Between
) -> None:
    hapi.put(resource_type, names(500))

    def kill(number: int, query: str) -> str:
        pairs = [one if number != 3 or not one.startswith("_getpages=") else f"_getpages={DEAD_CURSOR}"
                 for one in query.split("&")]  # fmt: skip
        return "&".join(pairs)

    between.change = kill
    result = run(hapi, warehouse, resource_type, url=between.url)
    assert (result.read, landed(warehouse, resource_type)) == (500, hapi.versions(resource_type))
    assert sum("_getpages" not in query for query in between.queries) == 2


def test_04_an_invented_cursor_is_answered_as_one_that_expired(hapi: Hapi) -> None:
    answer = hapi.get(f"?_getpages={DEAD_CURSOR}&_getpagesoffset=500&_count=500&_bundletype=searchset")
    assert (answer.status_code, answer.json()["resourceType"]) == (410, "OperationOutcome")
    assert "HAPI-0417" in answer.json()["issue"][0]["diagnostics"]
    with FhirClient(hapi.url) as client, pytest.raises(CursorExpiredError) as raised:
        list(client.bundles("", [("_getpages", DEAD_CURSOR), ("_getpagesoffset", "500"), ("_count", "500")]))
    assert DEAD_CURSOR not in str(raised.value)


def test_11_a_resource_deleted_and_made_again_arrives_with_its_later_version(
    hapi: Hapi, warehouse: Warehouse, resource_type: str
) -> None:
    hapi.put(resource_type, names(3))
    run(hapi, warehouse, resource_type)
    hapi.delete(resource_type, names(1))
    hapi.put(resource_type, names(1), "again")
    run(hapi, warehouse, resource_type)
    assert landed(warehouse, resource_type) == hapi.versions(resource_type)
    assert landed(warehouse, resource_type)["n00000"] > 2


def test_02_the_counts_of_two_halves_are_the_count_of_the_whole(hapi: Hapi, resource_type: str) -> None:
    hapi.put(resource_type, names(700))
    hapi.put(resource_type, names(300, first=700))
    hapi.wait_until_past()
    stamps = sorted(hapi.stamps(resource_type))
    with FhirClient(hapi.url) as client:
        whole = Window(BEGINNING, client.server_now())
        counts = [client.count(resource_type, one) for one in (whole, *_cut_at(whole, stamps[-1]))]
    assert counts == [1000, 700, 300]


def _cut_at(window: Window, stamp: str) -> tuple[Window, Window]:
    at = datetime.fromisoformat(stamp)
    return Window(window.start_at, at), Window(at, window.end_at)


def test_numbers_arrive_as_the_server_wrote_them(hapi: Hapi, warehouse: Warehouse) -> None:
    written = '{"resourceType":"MedicationStatement","id":"number","extension":[{"url":"u","valueDecimal":12.50}]}'
    answer = hapi.http.put(
        f"{hapi.url}/MedicationStatement/number", content=written, headers={"Content-Type": "application/fhir+json"}
    )
    assert answer.status_code == 201
    run(hapi, warehouse, "MedicationStatement")
    found = rows(warehouse, "select resource -> 'extension' -> 0 ->> 'valueDecimal' from raw.medication_statement")
    assert found == [("12.50",)]
