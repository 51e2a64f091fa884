"""From a FHIR server over HTTP into raw tables, with everything that goes wrong on the way."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from opensrp_dhis2_sandbox.fhir.folder import load_folder as fill_store
from starlette.requests import Request

from opensrp_dhis2.errors import IncompleteExtractError, WarehouseUnavailableError
from opensrp_dhis2.extract import Extraction, TypeResult, extract, load_folder
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.ndjson import NdjsonFolder
from opensrp_dhis2.warehouse import state
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.clock import AFTER_RECORDINGS, START
from tests.support.fhir_server import FhirServer, fhir_server
from tests.support.raw import landed, read_to
from tests.support.sql import execute, rows

HOW = Extraction(lag_seconds=600, overlap_seconds=3600, threads=4, validate_share=0)
HOUR_MS = 3_600_000


def run(server: FhirServer, warehouse: Warehouse, *, page_size: int = 100, how: Extraction = HOW) -> TypeResult:
    with FhirClient(server.url, page_size=page_size) as client:
        return extract(client, warehouse, "Flag", how)


def test_first_run_reads_everything_once_and_the_second_changes_nothing(
    server: FhirServer, warehouse: Warehouse
) -> None:
    server.put(900, stamp_ms=server.now_ms - 48 * HOUR_MS)
    server.put(100, first=900, stamp_ms=server.now_ms - HOUR_MS // 2)
    told: list[tuple[int, int]] = []
    with FhirClient(server.url) as client:
        first = extract(client, warehouse, "Flag", HOW, lambda done, planned: told.append((done, planned)))
    assert (first.read, first.inserted, first.updated, first.rejected, told) == (1000, 1000, 0, 0, [(1000, 1000)])
    assert landed(warehouse) == server.truth()
    assert read_to(server.url, warehouse) == first.window_to

    second = run(server, warehouse)
    assert (second.read, second.inserted, second.updated, second.unchanged) == (100, 0, 0, 100)
    assert first.window_to is not None
    assert second.window_from == first.window_to - timedelta(seconds=3600)


def test_a_type_without_resources_moves_its_watermark(server: FhirServer, warehouse: Warehouse) -> None:
    result = run(server, warehouse)
    assert (result.read, read_to(server.url, warehouse)) == (0, result.window_to)


def test_a_changed_resource_arrives_and_its_old_version_is_kept(server: FhirServer, warehouse: Warehouse) -> None:
    server.put(3, stamp_ms=server.now_ms - 48 * HOUR_MS, weight=12.5)
    run(server, warehouse)
    server.put(1, first=1, stamp_ms=server.now_ms - HOUR_MS // 2, status="inactive")
    result = run(server, warehouse)
    assert (result.inserted, result.updated) == (0, 1)
    assert landed(warehouse) == {"f00000": 1, "f00001": 2, "f00002": 1}
    assert rows(warehouse, "select id, version_id, resource ->> 'status' from raw.superseded") == [
        ("f00001", 1, "active")
    ]


def test_26_a_row_that_commits_late_is_caught_by_lag_and_by_overlap(server: FhirServer, warehouse: Warehouse) -> None:
    server.put(1, first=0, stamp_ms=server.now_ms - 5 * HOUR_MS)
    server.put(1, first=1, stamp_ms=server.now_ms - 60_000)  # younger than the lag: the next run's
    run(server, warehouse)
    assert list(landed(warehouse)) == ["f00000"]
    server.put(1, first=2, stamp_ms=server.now_ms - 50 * 60_000)  # stamped before the watermark, visible only now
    run(server, warehouse, how=Extraction(lag_seconds=0, threads=1, validate_share=0))
    assert landed(warehouse) == server.truth()


def test_large_windows_are_cut_so_that_threads_share_them_and_nothing_is_lost(
    server: FhirServer, warehouse: Warehouse
) -> None:
    server.put(9000, stamp_ms=server.now_ms - 2000 * HOUR_MS, step_ms=600_000)
    result = run(server, warehouse, page_size=1000)
    assert (result.inserted, landed(warehouse)) == (9000, server.truth())
    cut = rows(warehouse, "select window_from, window_to, read_count from raw.load order by window_from")
    assert len(cut) >= HOW.threads
    assert [one[0] for one in cut[1:]] == [one[1] for one in cut[:-1]]
    assert max(one[2] for one in cut) < 9000 / HOW.threads


def test_04_a_dead_cursor_restarts_its_window_and_everything_arrives(server: FhirServer, warehouse: Warehouse) -> None:
    server.put(500, stamp_ms=server.now_ms - 48 * HOUR_MS)

    def forget(request: Request, number: int) -> None:
        if number in (3, 6):
            server.forget_cursors()

    server.watch = forget
    result = run(server, warehouse)
    assert (result.read, result.inserted) == (500, 500)
    assert landed(warehouse) == server.truth()
    assert sum("_getpages" not in query for query in server.queries) == 3


def test_04_a_cursor_that_always_dies_ends_the_run_and_leaves_the_watermark(
    server: FhirServer, warehouse: Warehouse
) -> None:
    server.put(500, stamp_ms=server.now_ms - 48 * HOUR_MS)

    def forget(request: Request, number: int) -> None:
        server.forget_cursors()

    server.watch = forget
    with pytest.raises(IncompleteExtractError, match="FHIR_PAGE_SIZE"):
        run(server, warehouse)
    assert (landed(warehouse), read_to(server.url, warehouse)) == ({}, None)


def test_05_rows_written_while_paging_are_taken_or_left_to_the_next_run(
    server: FhirServer, warehouse: Warehouse
) -> None:
    server.put(700, stamp_ms=server.now_ms - 48 * HOUR_MS, step_ms=1)

    def write(request: Request, number: int) -> None:
        if number == 2:
            server.put(50, first=300, stamp_ms=server.now_ms - HOUR_MS // 2, status="inactive")
            server.put(50, first=700, stamp_ms=server.now_ms - HOUR_MS // 2)

    server.watch = write
    run(server, warehouse)
    run(server, warehouse)
    assert landed(warehouse) == server.truth()


def test_a_crash_between_the_last_row_and_the_watermark_loses_nothing(server: FhirServer, warehouse: Warehouse) -> None:
    server.put(300, stamp_ms=server.now_ms - 48 * HOUR_MS)
    execute(
        warehouse,
        "create function crash() returns trigger language plpgsql as"
        " $$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$",
    )
    execute(warehouse, "create trigger crash before insert or update on raw.watermark execute function crash()")
    with pytest.raises(WarehouseUnavailableError):
        run(server, warehouse)
    assert (landed(warehouse), read_to(server.url, warehouse)) == ({}, None)

    execute(warehouse, "drop trigger crash on raw.watermark")
    assert run(server, warehouse).inserted == 300
    assert landed(warehouse) == server.truth()


def test_a_watermark_ahead_of_the_servers_clock_is_not_believed(server: FhirServer, warehouse: Warehouse) -> None:
    server.put(10, stamp_ms=server.now_ms - 48 * HOUR_MS)
    with warehouse.connect() as connection:
        state.move_watermark(connection, server.url, "Flag", START + timedelta(days=30))
    result = run(server, warehouse)
    assert (result.inserted, read_to(server.url, warehouse)) == (10, result.window_to)


def test_a_sample_is_validated_and_reported_and_nothing_is_changed_for_it(
    server: FhirServer, warehouse: Warehouse
) -> None:
    server.put(
        5,
        stamp_ms=server.now_ms - HOUR_MS,
        code={"text": "x"},
        subject={"reference": "Patient/1"},
        period=["no period"],
    )
    how = Extraction(threads=1, validate_share=1)
    assert [run(server, warehouse, how=how).invalid for _ in range(2)] == [5, 5]
    found = rows(warehouse, "select resource_type, id, version_id, problem from raw.invalid where id = 'f00000'")
    assert [one[:3] for one in found] == [("Flag", "f00000", 1)]
    assert found[0][3].startswith("period")
    assert rows(warehouse, "select distinct resource -> 'period' from raw.flag") == [(["no period"],)]


def test_numbers_arrive_as_the_server_wrote_them(server: FhirServer, warehouse: Warehouse) -> None:
    body = b'{"resourceType":"Flag","id":"a","meta":{"versionId":"1","lastUpdated":"2020-01-01T00:00:00Z"},"v":12.50}'
    server.store.keep("Flag", "a", 1, 1_577_836_800_000, body)
    run(server, warehouse)
    assert rows(warehouse, "select resource ->> 'v' from raw.flag") == [("12.50",)]


def test_11_a_resource_that_is_deleted_and_made_again_arrives_with_its_later_version(
    server: FhirServer, warehouse: Warehouse
) -> None:
    server.put(1, stamp_ms=server.now_ms - 3 * HOUR_MS)
    run(server, warehouse)
    server.store.delete("Flag", "f00000", stamp_ms=server.now_ms - 2 * HOUR_MS)
    server.put(1, stamp_ms=server.now_ms - HOUR_MS // 2, status="inactive")
    run(server, warehouse)
    assert landed(warehouse) == server.truth() == {"f00000": 4}


@pytest.fixture
def after_recordings() -> Iterator[FhirServer]:
    with fhir_server(AFTER_RECORDINGS) as running:
        yield running


def test_files_and_the_server_that_serves_them_give_the_same_rows(
    shared: Path, after_recordings: FhirServer, warehouse: Warehouse
) -> None:
    folder = shared / "data" / "hapi-export"
    fill_store(after_recordings.store, folder)
    every = "select id, version_id, last_updated, resource from raw.{} order by id"
    for resource_type, table in (("Location", "location"), ("QuestionnaireResponse", "questionnaire_response")):
        from_files = load_folder(NdjsonFolder(folder), warehouse, resource_type, HOW)
        rows_of_files = rows(warehouse, every.format(table))
        execute(warehouse, f"truncate raw.{table}")
        with FhirClient(after_recordings.url) as client:
            from_server = extract(client, warehouse, resource_type, HOW)
        assert from_files.inserted == from_server.inserted == len(rows_of_files) > 100
        assert rows(warehouse, every.format(table)) == rows_of_files


def test_loading_files_again_changes_nothing(tmp_path: Path, warehouse: Warehouse) -> None:
    line = '{"resourceType":"Flag","id":"f%d","meta":{"versionId":"1","lastUpdated":"2026-01-01T00:00:00Z"}}\n'
    (tmp_path / "Flag.ndjson").write_text("".join(line % number for number in range(3000)) + "{broken\n")
    results = [load_folder(NdjsonFolder(tmp_path), warehouse, "Flag", HOW) for _ in range(2)]
    assert [(one.read, one.inserted, one.unchanged, one.rejected) for one in results] == [
        (3001, 3000, 0, 1),
        (0, 0, 0, 0),
    ]
    assert rows(warehouse, "select count(*) from raw.rejected") == [(1,)]
