"""One interface for all sources: the settings choose, the rows are the same, and each says what it cannot tell."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opensrp_dhis2.connections import open_source
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.extract import TypeResult
from opensrp_dhis2.extract.export_file import FirstLoad
from opensrp_dhis2.extract.source import Source, with_first_load
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.airbyte import Airbyte
from tests.support.fhir_server import FhirServer, fhir_server

HOUR_MS = 3_600_000
EVERY = "select id, version_id, last_updated, resource from raw.flag where not is_deleted order by id"


@pytest.fixture
def server() -> Iterator[FhirServer]:
    with fhir_server() as running:
        running.put(700, stamp_ms=running.now_ms - 48 * HOUR_MS)
        running.put(50, stamp_ms=running.now_ms - 24 * HOUR_MS, status="inactive")
        yield running


@pytest.fixture
def client(server: FhirServer) -> Iterator[FhirClient]:
    with FhirClient(server.url) as opened:
        yield opened


def source_of(source: str, client: FhirClient, warehouse: Warehouse, **more: str) -> Source:
    settings = Settings(fhir_source=source, fhir_resource_types=["Flag"], fhir_validate_share=0, **more)  # type: ignore[arg-type]
    return open_source(settings, warehouse, client)


def rows(warehouse: Warehouse) -> list[Any]:
    with warehouse.connect() as connection:
        return connection.execute(EVERY).fetchall()


def test_all_sources_bring_the_same_rows(
    client: FhirClient, warehouse: Warehouse, empty_database_url: str, tmp_path: Path
) -> None:
    searched = source_of("search", client, warehouse).extract("Flag")
    truth = rows(warehouse)
    resources = [resource for *_, resource in truth]
    (tmp_path / "Flag.ndjson").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in resources))
    airbyte = Airbyte(empty_database_url)
    airbyte.write(*resources)
    assert (searched.inserted, len(truth)) == (700, 700)
    for source, more in {
        "export": {},
        "ndjson": {"fhir_ndjson_url": str(tmp_path)},
        "airbyte": {"fhir_airbyte_url": empty_database_url},
    }.items():
        with warehouse.connect() as connection:
            connection.execute("drop table raw.flag; truncate raw.watermark, raw.slice")
        assert source_of(source, client, warehouse, **more).extract("Flag").inserted == 700
        assert rows(warehouse) == truth


def test_an_export_that_the_server_does_not_give_is_told_and_searched(client: FhirClient, warehouse: Warehouse) -> None:
    first, second = (source_of("export", client, warehouse).extract("Flag") for _ in range(2))
    assert first.inserted == 700
    assert re.match(r"\$export of [0-9: -]+ UTC: refused: .*, 0 lines", first.note)
    assert (second.inserted, second.note) == (0, first.note)


def test_what_an_export_brought_counts_with_what_the_search_read_after_it() -> None:
    export = {"state": "loaded", "reason": "", "file_reason": None}
    first = FirstLoad({"Flag": TypeResult("Flag", read=600, inserted=600, slices=3)}, export, seconds=2.0)
    result = with_first_load(TypeResult("Flag", read=100, inserted=90, updated=10, slices=1, seconds=1.0), first)
    assert (result.read, result.inserted, result.updated, result.slices) == (700, 690, 10, 4)
    assert result.seconds == 3.0


def test_where_nothing_waited_for_a_first_load_nothing_is_said_of_one() -> None:
    assert with_first_load(TypeResult("Flag", read=5), FirstLoad()) == TypeResult("Flag", read=5)


def test_files_alone_cannot_tell_deletions(client: FhirClient, warehouse: Warehouse, tmp_path: Path) -> None:
    folder = source_of("ndjson", client, warehouse, fhir_ndjson_url=str(tmp_path))
    assert folder.find_deletes("Flag") is None
    with pytest.raises(ConfigurationError, match="does not tell which resources were deleted"):
        folder.sweep("Flag")
    for source in ("search", "export"):
        assert source_of(source, client, warehouse).find_deletes("Flag") is not None


def test_ndjson_without_a_folder_names_the_setting(client: FhirClient, warehouse: Warehouse) -> None:
    with pytest.raises(ConfigurationError, match="set FHIR_NDJSON_URL"):
        source_of("ndjson", client, warehouse)


def test_airbyte_without_a_url_is_looked_for_in_the_warehouse(
    client: FhirClient, warehouse: Warehouse, database_url: str
) -> None:
    Airbyte(database_url).write({"resourceType": "Flag", "id": "a", "meta": {"lastUpdated": "2026-11-01T00:00:00Z"}})
    assert source_of("airbyte", client, warehouse).extract("Flag").inserted == 1


def test_no_source_carries_a_secret(client: FhirClient, warehouse: Warehouse) -> None:
    urls = {
        "fhir_ndjson_url": "memory://exporter:hunter2@store/x?token=hunter2",
        "fhir_airbyte_url": "postgresql://reader:hunter2@db/echis",
    }
    names = [source_of(source, client, warehouse, **urls).name for source in ("ndjson", "airbyte")]
    assert names == ["memory://store/x", "airbyte db:5432/echis/airbyte"]
