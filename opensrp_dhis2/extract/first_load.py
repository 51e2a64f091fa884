"""The first load of types by one bulk export, and where the REST search goes on.

It plans each type's slices before the export, as the search does, and certifies those that came whole; the search reads
the others, and everything from the end of the plan on, which lies before the export's transactionTime. So whatever
becomes of an export, nothing is lost, and what it brought is not read again.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

from opensrp_dhis2.errors import (
    ExportLostError,
    ExportRefusedError,
    FhirAuthenticationError,
    FhirOutcomeError,
    FhirUnavailableError,
)
from opensrp_dhis2.extract.export_file import ExportRun, FileResult, FirstLoad, Sleep, load_file
from opensrp_dhis2.extract.extraction import Extraction, ReportProgress, run_in_pool, unseen
from opensrp_dhis2.extract.search import choose_next, plan_slices
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.export import BulkExport
from opensrp_dhis2.fhir.manifest import Manifest
from opensrp_dhis2.fhir.window import Window
from opensrp_dhis2.warehouse import exports, state
from opensrp_dhis2.warehouse.database import Warehouse
from opensrp_dhis2.warehouse.exports import EndState, FileKind, Job
from opensrp_dhis2.warehouse.state import Slice

MOST_JOBS = 3  # asked for, one after another, until the search takes over
PATIENCE_SECONDS = 6 * 3600.0  # a job that takes longer is stuck (HAPI issue 4511)
NOT_EXPORTED = frozenset({"Binary"})  # the files of an export are Binary resources themselves


def first_load(
    client: FhirClient,
    warehouse: Warehouse,
    resource_types: Sequence[str],
    how: Extraction,
    progress: ReportProgress = unseen,
    *,
    sleep: Sleep = time.sleep,
) -> FirstLoad:
    """Load the types that were never read by one bulk export; safe to kill and to run again at any point.

    To be called before `extract`, which goes on where this ends, and reads what this leaves. Where no type waits for
    its first load it costs a query. A job that lives at the server is gone on with; none is asked for beside it.
    Returns: what came of it; a server or gateway that gives no export is no error, but a state with its reason.
    Raises: FhirUnavailableError (transient): the next run goes on with the same job. Others as the warehouse.
    """
    started, result = time.monotonic(), FirstLoad()
    client.introduction()  # before anything is read: of another release it would read as empty
    with (
        warehouse.lock(f"export of {client.base_url}", wait_seconds=PATIENCE_SECONDS),
        BulkExport(client, sleep=sleep) as bulk,
    ):
        run = ExportRun(client, warehouse, how, bulk, sleep, result, progress)
        _forget_unanswered(run)
        while job := _alive(run) or _begin(run, resource_types):
            _go_on(run, job)
    result.seconds = time.monotonic() - started
    return result


def _alive(run: ExportRun) -> Job | None:
    with run.warehouse.connect() as connection:
        return exports.alive(connection, run.source)


def _forget_unanswered(run: ExportRun) -> None:
    """A process that died between the kick-off and its answer left a job that nobody can ask for: it expires there."""
    job = _alive(run)
    if job and job.state == "asked":
        _lose(run, job.export_job_id, "the run ended before the answer to the kick-off was kept")


def _begin(run: ExportRun, resource_types: Sequence[str]) -> Job | None:
    """Plan the slices of the types that wait, and ask for an export of them; none when none waits or none is given."""
    with run.warehouse.connect() as connection:
        able = [name for name in resource_types if name not in NOT_EXPORTED]
        wanted = [name for name in able if exports.is_needed(connection, run.source, name)]
    with ThreadPoolExecutor(run.how.threads, thread_name_prefix="plan") as pool:
        planned = [name for name in wanted if _plan(run, name, pool)]
    if not planned:
        return None
    with run.warehouse.connect() as connection:
        export_job_id = exports.ask(connection, run.source, planned)
    try:
        status_url = run.bulk.kick_off(planned)
    except ExportRefusedError as error:
        _end(run, export_job_id, "refused", f"{error}; everything is read by search")
        return None
    except FhirUnavailableError as error:
        if _lose(run, export_job_id, str(error)):
            raise
        return None
    with run.warehouse.connect() as connection:
        exports.begin(connection, export_job_id, status_url)
    return _alive(run)


def _plan(run: ExportRun, resource_type: str, pool: Executor) -> bool:
    """Count a type and cut it into slices before the export; one that the server refuses is left to the search."""
    of = run.of(resource_type)
    with run.warehouse.lock(f"window of {resource_type} at {run.source}"):
        with run.warehouse.connect() as connection:
            if not exports.is_needed(connection, run.source, resource_type):
                return False  # read by search meanwhile
            state.forget(connection, *of.of)
            connection.execute("select raw.ensure_table(%s)", (of.table,))
        try:
            return bool(plan_slices(of, "window", partial(choose_next, of), pool))
        except (FhirOutcomeError, FhirAuthenticationError):
            return False


def _go_on(run: ExportRun, job: Job) -> None:
    """Bring a job to its end: loaded, lost, or given up."""
    try:
        if job.state == "running":
            _keep_manifest(run, job, _await(run, job))
            job = _alive(run) or job
        _load_files(run, job)
    except ExportLostError as error:
        run.bulk.delete(job.status_url)
        _lose(run, job.export_job_id, str(error))
        return
    except ExportRefusedError as error:
        run.bulk.delete(job.status_url)
        _end(run, job.export_job_id, "failed", f"{error}; everything is read by search")
        return
    for resource_type in job.resource_types:
        _certify(run, job, resource_type)
    run.bulk.delete(job.status_url)
    _end(run, job.export_job_id, "loaded")


def _await(run: ExportRun, job: Job) -> Manifest:
    waited, polled = job.age_seconds, 0
    while True:
        asked_at = time.monotonic()
        answer = run.bulk.poll(job.status_url, polled)
        if isinstance(answer, Manifest):
            return answer
        waited, polled = waited + time.monotonic() - asked_at, polled + 1  # a slow answer counts too
        if waited > PATIENCE_SECONDS:
            raise ExportLostError(
                f"FHIR server {run.source}: the export has not ended in {PATIENCE_SECONDS / 3600:.0f} hours",
                url=run.source,
            )
        run.sleep(answer)
        waited += answer


def _keep_manifest(run: ExportRun, job: Job, manifest: Manifest) -> None:
    files: list[tuple[FileKind, str, str, int | None]] = [
        *(("deleted", "Bundle", file.url, file.count) for file in manifest.deleted),
        *(("output", file.type, file.url, file.count) for file in manifest.output if file.type in job.resource_types),
        *(("error", "OperationOutcome", file.url, file.count) for file in manifest.error),
    ]
    with run.warehouse.connect() as connection:
        exports.keep_manifest(
            connection, job.export_job_id, manifest.transaction_time, manifest.requires_access_token, files
        )


def _load_files(run: ExportRun, job: Job) -> None:
    """Load what is not here yet: deletions first, for what was written again comes after them."""
    with run.warehouse.connect() as connection:
        files = exports.files_to_read(connection, job.export_job_id)
    planned = sum(part.planned_count for name in job.resource_types for part in _planned(run, name))
    load = partial(load_file, run, job)
    for file in files:
        if file.kind == "deleted":
            _add(run, planned, load(file))
    with ThreadPoolExecutor(run.how.threads, thread_name_prefix="export") as pool:
        others = [file for file in files if file.kind != "deleted"]
        run_in_pool(pool, load, others, partial(_add, run, planned))


def _add(run: ExportRun, planned: int, done: FileResult) -> None:
    if done.file.kind == "output":
        run.result_of(done.file.resource_type).add(done.counts, done.invalid)
        run.progress(done.counts.read, planned)
    for resource_type, count in done.deleted.items():
        run.result_of(resource_type).deleted += count


def _planned(run: ExportRun, resource_type: str) -> list[Slice]:
    with run.warehouse.connect() as connection:
        found = state.unfinished(connection, run.source, resource_type, "window")
    return [part for part in found if part.state == "planned"]


def _certify(run: ExportRun, job: Job, resource_type: str) -> None:
    """Count each slice at the source once more, and certify those that came whole; the search reads the others."""
    planned, result = _planned(run, resource_type), run.result_of(resource_type)
    with ThreadPoolExecutor(run.how.threads, thread_name_prefix="count") as pool:
        windows = [Window(part.window_from, part.window_to) for part in planned]
        counts = list(pool.map(lambda window: run.client.count(resource_type, window), windows))
    counted = dict(zip((part.slice_id for part in planned), counts, strict=True))
    with run.warehouse.connect() as connection:
        certified = set(exports.certify(connection, job.export_job_id, resource_type, counted))
    for part in planned:
        if part.slice_id in certified:
            result.slices += 1
            result.add_window(part)


def _end(run: ExportRun, job_id: int, state: EndState, reason: str = "") -> None:
    """End a job, and keep what came of it, of earlier runs too."""
    with run.warehouse.connect() as connection:
        exports.end(connection, job_id, state, reason)
    _keep_export(run)


def _lose(run: ExportRun, job_id: int, reason: str) -> bool:
    """End a job that is lost; return whether another may be asked for."""
    with run.warehouse.connect() as connection:
        is_asked_again = exports.lose(connection, job_id, reason, MOST_JOBS)
    _keep_export(run)
    return is_asked_again


def _keep_export(run: ExportRun) -> None:
    with run.warehouse.connect() as connection:
        run.result.export = exports.latest(connection, run.source)
