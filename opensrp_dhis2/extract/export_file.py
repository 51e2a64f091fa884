"""One file of a bulk export into raw, in one transaction: resources, deletions, or what the server says it left out.

It knows when a file is worth another try; whether the slices that it belongs to are whole is for others to say.
"""

from collections import defaultdict
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field

import msgspec

from opensrp_dhis2.errors import (
    ExportRefusedError,
    FhirUnavailableError,
    IncompleteExtractError,
    OpenSrpDhis2Error,
    WarehouseUnavailableError,
)
from opensrp_dhis2.extract.extraction import Extraction
from opensrp_dhis2.extract.loading import load_pages
from opensrp_dhis2.fhir.export import BulkExport, deleted_ids
from opensrp_dhis2.fhir.page import Page
from opensrp_dhis2.warehouse import exports
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.exports import File, Job
from opensrp_dhis2.warehouse.raw_pages import Load, LoadCounts

ATTEMPTS = 4  # in one run
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


@dataclass(frozen=True)
class Loading:
    """An export whose files are being loaded."""

    bulk: BulkExport
    warehouse: Warehouse
    how: Extraction
    job: Job


def load_file(loading: Loading, file: File) -> FileResult:
    """Load one file whole or not at all; one that stays broken, or that we may not have, is given up with a row.

    Raises: ExportLostError when it has expired. FhirUnavailableError, WarehouseUnavailableError (transient).
    """
    failure: OpenSrpDhis2Error
    for attempt in range(1, ATTEMPTS + 1):
        with loading.warehouse.connect() as connection:
            exports.note_attempt(connection, file.export_file_id)
        try:
            return _load(loading, file)
        except (FhirUnavailableError, WarehouseUnavailableError) as error:
            failure = error
            if attempt == ATTEMPTS and file.attempt_count + attempt < MOST_ATTEMPTS:
                raise
        except IncompleteExtractError as error:
            failure = error
        except ExportRefusedError as error:
            failure = error
            break
    return _give_up(loading, file, failure)


def _load(loading: Loading, file: File) -> FileResult:
    kinds = {"output": _load_output, "deleted": _load_deleted, "error": _count_errors}
    with loading.warehouse.connect() as connection:
        done, line_count = kinds[file.kind](loading, file, connection)
        exports.land(connection, file.export_file_id, line_count)
        return done


def _load_output(loading: Loading, file: File, connection: Connection) -> tuple[FileResult, int]:
    job, bulk, resource_type = loading.job, loading.bulk, file.resource_type
    load = Load(connection, resource_type, source=bulk.base_url)

    def keep(page: Page) -> None:
        exports.keep_stamps(connection, job.export_job_id, resource_type, page.resources)

    pages = bulk.pages(resource_type, file.url, file.planned_count, job.requires_access_token)
    with closing(pages):
        invalid = load_pages(connection, load, resource_type, pages, loading.how.validate_share, keep)
    counts = load.counts()
    return FileResult(file, counts, invalid), counts.read


def _load_deleted(loading: Loading, file: File, connection: Connection) -> tuple[FileResult, int]:
    ids: dict[str, list[str]] = defaultdict(list)
    line_count = 0
    with closing(_lines(loading, file)) as lines:
        try:
            for line in lines:
                line_count += 1
                for resource_type, resource_id in deleted_ids(line):
                    ids[resource_type].append(resource_id)
        except msgspec.MsgspecError:
            raise IncompleteExtractError("a file of deletions holds a line that is no Bundle") from None
    marked = {one: _mark(loading, connection, one, ids[one]) for one in loading.job.resource_types if one in ids}
    return FileResult(file, deleted=marked), line_count


def _mark(loading: Loading, connection: Connection, resource_type: str, ids: list[str]) -> int:
    load_id = Load(connection, resource_type, source=loading.bulk.base_url).counts().load_id
    return exports.mark_deleted(connection, loading.job.export_job_id, resource_type, ids, load_id)


def _count_errors(loading: Loading, file: File, connection: Connection) -> tuple[FileResult, int]:
    """Count them, and keep none: their words may quote a person."""
    with closing(_lines(loading, file)) as lines:
        count = sum(1 for _ in lines)
    exports.add_errors(connection, loading.job.export_job_id, count)
    return FileResult(file, errors=count), count


def _lines(loading: Loading, file: File) -> Generator[bytes]:
    return loading.bulk.lines(file.url, file.planned_count, loading.job.requires_access_token)


def _give_up(loading: Loading, file: File, why: OpenSrpDhis2Error) -> FileResult:
    with loading.warehouse.connect() as connection:
        exports.fail(connection, file.export_file_id, str(why))
    return FileResult(file, failure=str(why))
