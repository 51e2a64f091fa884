"""Reading a real HAPI FHIR, and what landed of it."""

from opensrp_dhis2.extract import Extraction, TypeResult, extract
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.load import table_name
from tests.support.sql import rows

from .loader import Hapi

LONG_AGO = "_since=2020-01-01T00:00:00.000Z"
OVERLAPPING = Extraction(lag_seconds=0, overlap_seconds=3600, threads=4, validate_share=0)
EXACT = Extraction(lag_seconds=0, overlap_seconds=0, threads=4, validate_share=0)
DEAD_CURSOR = "11111111-2222-3333-4444-555555555555"


def names(count: int, first: int = 0) -> list[str]:
    return [f"n{number:05}" for number in range(first, first + count)]


def run(
    hapi: Hapi,
    warehouse: Warehouse,
    resource_type: str,
    *,
    how: Extraction = EXACT,
    url: str = "",
    page_size: int = 100,
) -> TypeResult:
    hapi.wait_until_past(url)
    with FhirClient(url or hapi.url, page_size=page_size) as client:
        return extract(client, warehouse, resource_type, how)


def landed(warehouse: Warehouse, resource_type: str) -> dict[str, int]:
    query = f"select id, version_id from raw.{table_name(resource_type)} where not is_deleted"
    return dict(rows(warehouse, query))


def slice_states(warehouse: Warehouse) -> set[str]:
    with warehouse.connect() as connection:
        return {state for (state,) in connection.execute("select state from raw.slice").fetchall()}
