"""The one interface of all sources, and each source behind it: what reads a type, and what finds its deletions.

It knows functions and what they return; which source a deployment has is for connections.py to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.extract.airbyte import extract_airbyte, find_airbyte_deletes, sweep_airbyte
from opensrp_dhis2.extract.airbyte_tables import AirbyteSchema
from opensrp_dhis2.extract.deletes import MAX_SHARE, DeleteResult, SweepResult, find_deletes, sweep
from opensrp_dhis2.extract.export_file import FirstLoad
from opensrp_dhis2.extract.extraction import Extraction, ReportProgress, TypeResult, unseen
from opensrp_dhis2.extract.first_load import first_load
from opensrp_dhis2.extract.folder import load_folder
from opensrp_dhis2.extract.search import extract
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.ndjson import NdjsonFolder, shown_url
from opensrp_dhis2.warehouse import exports
from opensrp_dhis2.warehouse.database import Warehouse

ADDED = ("read", "inserted", "updated", "unchanged", "rejected", "invalid", "slices", "deleted")


class Source(Protocol):
    """Where resources come from; rows of raw name it by `name`, which holds no secret."""

    @property
    def name(self) -> str: ...

    def extract(self, resource_type: str) -> TypeResult:
        """Read what is new of a type."""

    def find_deletes(self, resource_type: str) -> DeleteResult | None:
        """Mark what was deleted of a type; none where the source does not tell it."""

    def sweep(self, resource_type: str, max_share: float = MAX_SHARE) -> SweepResult:
        """Compare all ids of a type, and mark what is gone: at most such a share of it.

        Raises: ConfigurationError (terminal) where the source does not tell what was deleted.
        """


@dataclass(frozen=True)
class SearchSource:
    """A FHIR server, by REST search."""

    client: FhirClient
    warehouse: Warehouse
    how: Extraction
    progress: ReportProgress = unseen

    @property
    def name(self) -> str:
        return self.client.base_url

    def extract(self, resource_type: str) -> TypeResult:
        return extract(self.client, self.warehouse, resource_type, self.how, self.progress)

    def find_deletes(self, resource_type: str) -> DeleteResult:
        return find_deletes(self.client, self.warehouse, resource_type, lag_seconds=self.how.lag_seconds)

    def sweep(self, resource_type: str, max_share: float = MAX_SHARE) -> SweepResult:
        return sweep(self.client, self.warehouse, resource_type, max_share=max_share)


@dataclass(frozen=True)
class ExportSource:
    """A FHIR server: types that were never read by one `$export`, and everything after that by REST search."""

    search: SearchSource
    resource_types: Sequence[str]

    @property
    def name(self) -> str:
        return self.search.name

    def extract(self, resource_type: str) -> TypeResult:
        search = self.search
        first = first_load(search.client, search.warehouse, self.resource_types, search.how, search.progress)
        result = with_first_load(search.extract(resource_type), first)
        with search.warehouse.connect() as connection:
            result.note = exports.describe(connection, self.name, resource_type)
        return result

    def find_deletes(self, resource_type: str) -> DeleteResult:
        return self.search.find_deletes(resource_type)

    def sweep(self, resource_type: str, max_share: float = MAX_SHARE) -> SweepResult:
        return self.search.sweep(resource_type, max_share)


@dataclass(frozen=True)
class FolderSource:
    """A folder of NDJSON; a file does not tell what was deleted."""

    url: str
    warehouse: Warehouse
    how: Extraction
    page_size: int = 500

    @property
    def name(self) -> str:
        return shown_url(self.url)

    def extract(self, resource_type: str) -> TypeResult:
        return load_folder(NdjsonFolder(self.url, page_size=self.page_size), self.warehouse, resource_type, self.how)

    def find_deletes(self, resource_type: str) -> None:
        return None

    def sweep(self, resource_type: str, max_share: float = MAX_SHARE) -> SweepResult:
        raise ConfigurationError(f"{self.name} does not tell which resources were deleted: nothing to compare")


@dataclass(frozen=True)
class AirbyteSource:
    """The tables that Airbyte fills."""

    schema: AirbyteSchema
    warehouse: Warehouse
    how: Extraction

    @property
    def name(self) -> str:
        return self.schema.source

    def extract(self, resource_type: str) -> TypeResult:
        return extract_airbyte(self.schema, self.warehouse, resource_type, self.how)

    def find_deletes(self, resource_type: str) -> DeleteResult:
        return find_airbyte_deletes(self.schema, self.warehouse, resource_type)

    def sweep(self, resource_type: str, max_share: float = MAX_SHARE) -> SweepResult:
        return sweep_airbyte(self.schema, self.warehouse, resource_type, max_share=max_share)


def with_first_load(result: TypeResult, first: FirstLoad) -> TypeResult:
    """Add what an export brought of a type to what the search read after it."""
    if first.state == "not_needed":
        return result
    exported = first.results.get(result.resource_type, TypeResult(result.resource_type))
    for name in ADDED:
        setattr(result, name, getattr(result, name) + getattr(exported, name))
    result.window_from = min((at for at in (result.window_from, exported.window_from) if at), default=None)
    result.seconds += first.seconds
    return result
