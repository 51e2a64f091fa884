"""Version numbers that begin anew: a resource expunged and made again, a server restored, files without numbers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opensrp_dhis2.extract import Extraction, extract, load_folder, verify
from opensrp_dhis2.extract.deletes import find_deletes, sweep
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.ndjson import NdjsonFolder
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.fhir_server import FhirServer, fhir_server
from tests.support.sql import execute

HOW = Extraction(lag_seconds=0, overlap_seconds=3600, threads=1, validate_share=0)
HOUR_MS = 3_600_000


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with fhir_server() as running:
        running.put(5, stamp_ms=running.now_ms - 48 * HOUR_MS)
        yield running


@pytest.fixture
def client(server: FhirServer) -> Iterator[FhirClient]:
    with FhirClient(server.url) as opened:
        yield opened


def here(warehouse: Warehouse) -> dict[str, tuple[int, str]]:
    with warehouse.connect() as connection:
        query = "select id, version_id, resource ->> 'status' from raw.flag where not is_deleted"
        return {one: (version_id, status) for one, version_id, status in connection.execute(query)}


def there(server: FhirServer) -> dict[str, tuple[int, Any]]:
    return {one.id: (one.version_id, msgspec.json.decode(one.body)["status"]) for one in server.store.current("Flag")}


def rewrite(server: FhirServer, number: int, hours_ago: float, status: str) -> None:
    server.put(1, first=number, stamp_ms=server.now_ms - int(hours_ago * HOUR_MS), status=status)


def test_a_resource_that_was_expunged_and_made_again_is_read_and_its_deletion_believed(
    server: FhirServer, client: FhirClient, warehouse: Warehouse
) -> None:
    rewrite(server, 1, 47, "draft")
    rewrite(server, 1, 46, "inactive")
    extract(client, warehouse, "Flag", HOW)
    find_deletes(client, warehouse, "Flag")
    server.store.expunge("Flag", "f00001")
    rewrite(server, 1, 0.5, "entered-in-error")
    assert extract(client, warehouse, "Flag", HOW).updated == 1
    assert here(warehouse) == there(server)
    assert here(warehouse)["f00001"] == (1, "entered-in-error")
    assert verify(client, warehouse, "Flag").is_complete
    execute(warehouse, "update raw.flag set version_id = 9 where id = 'f00001'")
    server.store.delete("Flag", "f00001", stamp_ms=server.now_ms)
    assert find_deletes(client, warehouse, "Flag").deleted == 1
    assert here(warehouse) == there(server)


def test_a_deletion_of_which_the_history_tells_an_old_one_is_not_believed(
    server: FhirServer, client: FhirClient, warehouse: Warehouse
) -> None:
    extract(client, warehouse, "Flag", HOW)
    find_deletes(client, warehouse, "Flag")
    server.store.delete("Flag", "f00001", stamp_ms=server.now_ms - 60_000)
    rewrite(server, 1, 0.005, "inactive")
    extract(client, warehouse, "Flag", HOW)
    assert find_deletes(client, warehouse, "Flag").deleted == 0
    assert here(warehouse) == there(server)


def test_a_server_that_was_put_back_to_a_backup_is_followed_by_the_sweep(
    server: FhirServer, client: FhirClient, warehouse: Warehouse
) -> None:
    for number in (1, 2):
        rewrite(server, number, 30, "inactive")
    extract(client, warehouse, "Flag", HOW)
    find_deletes(client, warehouse, "Flag")
    server.store.delete("Flag", "f00001", stamp_ms=server.now_ms)
    find_deletes(client, warehouse, "Flag")
    for number in (1, 2):
        server.store.expunge("Flag", f"f0000{number}")
        rewrite(server, number, 48, "active")
    assert not verify(client, warehouse, "Flag").is_complete
    assert sweep(client, warehouse, "Flag").loaded == 2
    assert here(warehouse) == there(server)
    assert verify(client, warehouse, "Flag").is_complete


def test_files_without_version_numbers_do_not_stand_in_the_way_of_a_server(
    server: FhirServer, client: FhirClient, warehouse: Warehouse, tmp_path: Path
) -> None:
    bodies = [msgspec.json.decode(one.body) for one in server.store.current("Flag")]
    for one in bodies:
        one["meta"] = {"lastUpdated": one["meta"]["lastUpdated"]}
    (tmp_path / "Flag.ndjson").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in bodies))
    load_folder(NdjsonFolder(tmp_path), warehouse, "Flag", HOW)
    rewrite(server, 1, 0.5, "inactive")
    assert extract(client, warehouse, "Flag", HOW).incomplete == 0
    find_deletes(client, warehouse, "Flag")
    server.store.delete("Flag", "f00004", stamp_ms=server.now_ms)
    find_deletes(client, warehouse, "Flag")
    assert here(warehouse) == there(server)
