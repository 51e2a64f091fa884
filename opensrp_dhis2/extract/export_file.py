"""One file of a bulk export into raw, in one transaction: resources, deletions, or what the server says it left out.

It knows when a file is worth another try; whether the slices that it belongs to are whole is for others to say.
"""

from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import msgspec

from opensrp_dhis2.errors import (
    ExportRefusedError,
    FhirUnavailableError,
    IncompleteExtractError,
    OpenSrpDhis2Error,
    WarehouseUnavailableError,
)
from opensrp_dhis2.extract.extraction import Extraction, ReportProgress, SearchRun, TypeResult, TypeRun, load_pages
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.export import BulkExport, deleted_ids
from opensrp_dhis2.fhir.page import Page
from opensrp_dhis2.warehouse import exports
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.exports import File, Job
from opensrp_dhis2.warehouse.load import Load, LoadCounts

ATTEMPTS = 4  # in one run
Sleep = Callable[[float], None]
MOST_ATTEMPTS = 12  # in all runs: a file that only ever breaks must not stop the others for ever


@dataclass(frozen=True)
class FileResult:
    """What one file brought: resources, tombstones by type, errors of the server; `failure` why it brought nothing."""

    file: File
    counts: LoadCounts = field(default_factory=LoadCounts)
    invalid: int = 0
    deleted: dict[str, int] = field(default_factory=dict)
    errors: int = 0
    failure: str = ""


@dataclass
class FirstLoad:
    """What one run made of a first load: resources by type, and the last export as raw.export_status has it."""

    results: dict[str, TypeResult] = field(default_factory=dict)
    export: dict[str, Any] | None = None
    seconds: float = 0.0

    @property
    def state(self) -> str:
        """Return loaded, refused, failed or lost; not_needed when no type waited for its first load."""
        return str(self.export["state"]) if self.export else "not_needed"

    @property
    def reason(self) -> str:
        """Return why the search reads everything, or why a file did not come; empty when all went well."""
        return str((self.export or {}).get("reason") or (self.export or {}).get("file_reason") or "")


@dataclass(frozen=True)
class ExportRun:
    """One run of a first load over all types."""

    client: FhirClient
    warehouse: Warehouse
    how: Extraction
    bulk: BulkExport
    sleep: Sleep
    result: FirstLoad
    progress: ReportProgress

    @property
    def source(self) -> str:
        return self.client.base_url

    def of(self, resource_type: str) -> SearchRun:
        return TypeRun(self.client, self.source, self.warehouse, resource_type, self.how)

    def result_of(self, resource_type: str) -> TypeResult:
        return self.result.results.setdefault(resource_type, TypeResult(resource_type))


def load_file(run: ExportRun, job: Job, file: File) -> FileResult:
    """Load one file whole or not at all; one that stays broken, or that we may not have, is given up with a row.

    Raises: ExportLostError when it has expired. FhirUnavailableError, WarehouseUnavailableError (transient).
    """
    failure: OpenSrpDhis2Error
    for attempt in range(1, ATTEMPTS + 1):
        with run.warehouse.connect() as connection:
            exports.note_attempt(connection, file.export_file_id)
        try:
            return _load(run, job, file)
        except (FhirUnavailableError, WarehouseUnavailableError) as error:
            failure = error
            if attempt == ATTEMPTS and file.attempt_count + attempt < MOST_ATTEMPTS:
                raise
        except IncompleteExtractError as error:
            failure = error
        except ExportRefusedError as error:
            failure = error
            break
    return _give_up(run, file, failure)


def _load(run: ExportRun, job: Job, file: File) -> FileResult:
    kinds = {"output": _load_output, "deleted": _load_deleted, "error": _count_errors}
    with run.warehouse.connect() as connection:
        done, line_count = kinds[file.kind](run, job, file, connection)
        exports.keep_loaded(connection, file.export_file_id, line_count)
        return done


def _load_output(run: ExportRun, job: Job, file: File, connection: Connection) -> tuple[FileResult, int]:
    bulk, resource_type = run.bulk, file.resource_type
    load = Load(connection, resource_type, source=bulk.base_url)

    def keep(page: Page) -> None:
        exports.keep_stamps(connection, job.export_job_id, resource_type, page.resources)

    pages = bulk.pages(resource_type, file.url, file.planned_count, job.requires_access_token)
    with closing(pages):
        invalid = load_pages(connection, load, run.of(resource_type), pages, keep)
    counts = load.counts()
    return FileResult(file, counts, invalid), counts.read


def _load_deleted(run: ExportRun, job: Job, file: File, connection: Connection) -> tuple[FileResult, int]:
    ids: dict[str, list[str]] = defaultdict(list)
    line_count = 0
    with closing(_lines(run, job, file)) as lines:
        try:
            for line in lines:
                line_count += 1
                for resource_type, resource_id in deleted_ids(line):
                    ids[resource_type].append(resource_id)
        except msgspec.MsgspecError:
            raise IncompleteExtractError("a file of deletions holds a line that is no Bundle") from None
    marked = {name: _mark(run, job, connection, name, ids[name]) for name in job.resource_types if name in ids}
    return FileResult(file, deleted=marked), line_count


def _mark(run: ExportRun, job: Job, connection: Connection, resource_type: str, ids: list[str]) -> int:
    load_id = Load(connection, resource_type, source=run.bulk.base_url).load_id
    return exports.mark_deleted(connection, job.export_job_id, resource_type, ids, load_id)


def _count_errors(run: ExportRun, job: Job, file: File, connection: Connection) -> tuple[FileResult, int]:
    """Count them, and keep none: their words may quote a person."""
    with closing(_lines(run, job, file)) as lines:
        count = sum(1 for _ in lines)
    exports.add_errors(connection, job.export_job_id, count)
    return FileResult(file, errors=count), count


def _lines(run: ExportRun, job: Job, file: File) -> Generator[bytes]:
    return run.bulk.lines(file.url, file.planned_count, job.requires_access_token)


def _give_up(run: ExportRun, file: File, why: OpenSrpDhis2Error) -> FileResult:
    with run.warehouse.connect() as connection:
        exports.fail(connection, file.export_file_id, str(why))
    return FileResult(file, failure=str(why))
