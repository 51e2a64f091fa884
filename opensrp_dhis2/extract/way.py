"""The one interface of all ways in, and each way behind it: what reads a type, and what tells its deletions where it can.

It knows functions and what they give; which way a deployment takes is for sources.py to say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from opensrp_dhis2.extract.airbyte import extract_airbyte
from opensrp_dhis2.extract.airbyte_sweep import find_airbyte_deletes, sweep_airbyte
from opensrp_dhis2.extract.airbyte_tables import AirbyteSchema
from opensrp_dhis2.extract.deletes import MAX_SHARE, DeleteResult, SweepResult, find_deletes, sweep
from opensrp_dhis2.extract.extraction import Extraction, TypeResult
from opensrp_dhis2.extract.first_load import FirstLoad, first_load
from opensrp_dhis2.extract.folder import load_folder
from opensrp_dhis2.extract.run import Progress, extract, unseen
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.ndjson import NdjsonFolder, shown_url
from opensrp_dhis2.warehouse import exports
from opensrp_dhis2.warehouse.database import Warehouse

ADDED = ("read", "inserted", "updated", "unchanged", "rejected", "invalid", "slices", "deleted")


class Sweep(Protocol):
    """Compare all ids of a type with the source, and mark what is gone: at most such a share of the type."""

    def __call__(self, resource_type: str, *, max_share: float = MAX_SHARE) -> SweepResult: ...


@dataclass(frozen=True)
class Way:
    """One way in.

    source: as rows of raw name it, without secrets; find_deletes, sweep: none where a way cannot tell deletions.
    """

    source: str
    extract: Callable[[str], TypeResult]
    find_deletes: Callable[[str], DeleteResult] | None = None
    sweep: Sweep | None = None


def search_way(client: FhirClient, warehouse: Warehouse, how: Extraction, progress: Progress = unseen) -> Way:
    """Read by REST search."""
    return Way(
        client.base_url,
        lambda resource_type: extract(client, warehouse, resource_type, how, progress),
        partial(find_deletes, client, warehouse, lag_seconds=how.lag_seconds),
        partial(sweep, client, warehouse),
    )


def export_way(
    client: FhirClient,
    warehouse: Warehouse,
    how: Extraction,
    resource_types: Sequence[str],
    progress: Progress = unseen,
) -> Way:
    """Read types that were never read by one `$export`, and go on by REST search."""

    def export_then_search(resource_type: str) -> TypeResult:
        first = first_load(client, warehouse, resource_types, how, progress)
        result = with_first_load(extract(client, warehouse, resource_type, how, progress), first)
        with warehouse.connect() as connection:
            result.note = exports.told(connection, client.base_url, resource_type)
        return result

    searching = search_way(client, warehouse, how)
    return Way(searching.source, export_then_search, searching.find_deletes, searching.sweep)


def with_first_load(result: TypeResult, first: FirstLoad) -> TypeResult:
    """Put what an export brought of a type to what the search read after it."""
    if first.state == "not_needed":
        return result
    exported = first.results.get(result.resource_type, TypeResult(result.resource_type))
    for name in ADDED:
        setattr(result, name, getattr(result, name) + getattr(exported, name))
    result.window_from = min((at for at in (result.window_from, exported.window_from) if at), default=None)
    result.seconds += first.seconds
    return result


def ndjson_way(url: str, warehouse: Warehouse, how: Extraction, *, page_size: int = 500) -> Way:
    """Read the files of a folder; a file does not tell what was deleted."""
    return Way(
        shown_url(url),
        lambda resource_type: load_folder(NdjsonFolder(url, page_size=page_size), warehouse, resource_type, how),
    )


def airbyte_way(schema: AirbyteSchema, warehouse: Warehouse, how: Extraction) -> Way:
    """Read the tables that Airbyte fills."""
    return Way(
        schema.source,
        lambda resource_type: extract_airbyte(schema, warehouse, resource_type, how),
        partial(find_airbyte_deletes, schema, warehouse),
        partial(sweep_airbyte, schema, warehouse),
    )
