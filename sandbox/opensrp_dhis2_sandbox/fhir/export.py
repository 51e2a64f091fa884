"""Bulk export as the recorded HAPI FHIR plays it: kick-off, polls that tell to wait, a manifest, files as Binary.

It knows jobs and files; which resources a server holds it asks the store.
"""

import base64
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from opensrp_dhis2_sandbox.fhir.bundle import outcome
from opensrp_dhis2_sandbox.fhir.instant import instant_text, parse_instant, to_ms
from opensrp_dhis2_sandbox.fhir.reply import POWERED_BY, links_of, reply, server_of
from opensrp_dhis2_sandbox.fhir.search import refuse
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.fhir.types import RESOURCE_TYPES

DEFINITION = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"
FORMATS = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
NDJSON = "application/fhir+ndjson"


@dataclass
class Job:
    """One export: queued, then with its files, then cancelled or expired.

    It holds what was first written before its transaction time, at the version that is the newest when it is read.
    """

    request_url: str
    resource_types: list[str]
    queued_at: datetime
    ready_at: datetime
    since_ms: int | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    is_filled: bool = False
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    is_cancelled: bool = False

    @property
    def transaction_time(self) -> datetime:
        """Return the first tick of the job, some time after it was queued."""
        return self.queued_at + (self.ready_at - self.queued_at) / 8


@dataclass
class Exports:
    """The jobs of a server; the starter has them only where bulk export is switched on.

    Args: `job_seconds` a job takes by the server's clock; its files live for `retention_seconds` then.
    """

    job_seconds: float = 0.0
    retention_seconds: float = 7200.0
    retry_after: str = "120"
    lines_per_file: int = 1000
    jobs: dict[str, Job] = field(default_factory=dict)

    def of(self, job_id: str, now: datetime) -> Job:
        """Return a job. Raises 404 when it is unknown, cancelled or expired."""
        job = self.jobs.get(job_id)
        if job and now >= job.ready_at + timedelta(seconds=self.retention_seconds):
            job = None
        if job is None:
            text = f"HAPI-2040: Unknown instance ID: {job_id}. Please check if the input job ID is valid."
            raise refuse(text, 404)
        return job

    def file(self, file_id: str, now: datetime) -> tuple[Job, bytes] | None:
        """Return a file that has not expired, and its job."""
        for job in self.jobs.values():
            if file_id in job.files and now < job.ready_at + timedelta(seconds=self.retention_seconds):
                return job, job.files[file_id][1]
        return None

    def fill(self, job: Job, store: FhirStore) -> None:
        """Make the files of a job, once."""
        if not job.is_filled:
            job.is_filled = True
            for resource_type in job.resource_types:
                bodies = _bodies(store, resource_type, job)
                for first in range(0, len(bodies), self.lines_per_file):
                    content = b"".join(body + b"\n" for body in bodies[first : first + self.lines_per_file])
                    job.files[uuid4().hex] = (resource_type, content)


def _bodies(store: FhirStore, resource_type: str, job: Job) -> list[bytes]:
    until = to_ms(job.transaction_time)
    return [
        version.body
        for version in store.current(resource_type)
        if version.body
        and version.last_updated_ms >= (job.since_ms or 0)
        and (version.last_updated_ms < until or store.versions(resource_type, version.id)[0].last_updated_ms < until)
    ]


def exports_of(request: Request) -> Exports:
    """Return the jobs of the server that was asked. Raises 400 where bulk export is not switched on, as the starter is."""
    exports: Exports | None = request.app.state.exports
    if exports is None:
        operation = request.url.path.rpartition("/")[2]
        raise refuse(
            "Invalid request: The FHIR endpoint on this server does not know how to handle "
            f"{request.method} operation[{operation}] with parameters [[{', '.join(request.query_params)}]]"
        )
    return exports


async def kick_off(request: Request) -> Response:
    """Answer $export: a job, or a refusal as recorded."""
    server, exports = server_of(request), exports_of(request)
    given = await _parameters(request)
    if "respond-async" not in request.headers.get("Prefer", ""):
        raise refuse("HAPI-0513: Must request async processing for $export")
    types = [name for name in given.get("_type", "").split(",") if name] or sorted(server.store.counts())
    problems = [
        f"Resource type {name} is not a supported resource type!" for name in types if name not in RESOURCE_TYPES
    ]
    if given.get("_outputFormat", NDJSON) not in FORMATS:
        problems.append(f"The allowed formats for Bulk Export are {NDJSON}, application/ndjson and ndjson")
    if problems:
        text = "".join(f"\n * {problem}" for problem in problems)
        raise refuse(f"HAPI-2039: Failed to validate parameters for job of type BULK_EXPORT: {text}")
    now, since = server.clock(), given.get("_since")
    base = links_of(request).base
    query = f"?{request.url.query}" if request.url.query else ""
    ready_at = now + timedelta(seconds=exports.job_seconds)
    since_ms = parse_instant(since) if since else None
    job = Job(f"{base}/$export{query}", types, now, ready_at, since_ms)
    exports.jobs[job.id] = job
    location = f"{base}/$export-poll-status?_jobId={job.id}"
    return Response(status_code=202, headers={**POWERED_BY, "Content-Location": location})


async def _parameters(request: Request) -> dict[str, str]:
    given = dict(request.query_params)
    if request.method == "POST" and (body := await request.body()):
        given |= {
            parameter["name"]: str(value)
            for parameter in msgspec.json.decode(body)["parameter"]
            for name, value in parameter.items()
            if name.startswith("value")
        }
    return given


async def poll(request: Request) -> Response:
    """Answer a poll of a job: to wait, or the manifest."""
    server, exports = server_of(request), exports_of(request)
    now = server.clock()
    job = exports.of(request.query_params.get("_jobId", ""), now)
    if job.is_cancelled:
        return _remark(request, f"Job instance <{job.id}> was cancelled.  No status to report.", 404, "not-found")
    if now < job.ready_at:
        queued = f"Build in progress - Status set to QUEUED at {instant_text(to_ms(job.queued_at))}"
        told = {"X-Progress": queued, "Retry-After": exports.retry_after}
        return Response(status_code=202, headers={**POWERED_BY, **told})
    exports.fill(job, server.store)
    base = links_of(request).base
    manifest = {
        "transactionTime": instant_text(to_ms(job.transaction_time)),
        "request": job.request_url,
        "requiresAccessToken": True,
        "output": [{"type": of_type, "url": f"{base}/Binary/{name}"} for name, (of_type, _) in job.files.items()],
        "error": [],
    }
    if not job.files:
        manifest["message"] = f"Export complete, but no data to generate report for job instance: {job.id}"
    body = msgspec.json.encode(manifest)
    return Response(body, headers={**POWERED_BY, "Content-Type": "application/json;charset=ISO-8859-1"})


async def cancel(request: Request) -> Response:
    """Answer DELETE of a job: one that runs is cancelled, one that has ended is not found."""
    job = exports_of(request).of(request.query_params.get("_jobId", ""), server_of(request).clock())
    if job.is_cancelled or job.is_filled:
        text = f"Job instance <{job.id}> was already cancelled or has completed.  Nothing to do."
        return _remark(request, text, 404, "not-found")
    job.is_cancelled = True
    text = f"Job instance <{job.id}> successfully cancelled."
    issue = {"severity": "information", "code": "informational", "diagnostics": text}
    return reply(request, msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [issue]}), 202)


def file_answer(request: Request, file_id: str) -> Response | None:
    """Answer a read of a file: NDJSON, but a Binary with base64 where application/fhir+json is asked for."""
    exports: Exports | None = request.app.state.exports
    found = exports.file(file_id, server_of(request).clock()) if exports else None
    if found is None:
        return None
    job, content = found
    location = f"{links_of(request).base}/Binary/{file_id}/_history/1"
    told = {"ETag": 'W/"1"', "Content-Location": location}
    if "application/fhir+json" not in request.headers.get("Accept", ""):
        shown = {"Content-Disposition": "Attachment;", "Content-Type": NDJSON}
        return Response(content, headers={**POWERED_BY, **told, **shown})
    stamp = instant_text(to_ms(job.transaction_time))
    binary = {
        "resourceType": "Binary", "id": file_id, "meta": {"versionId": "1", "lastUpdated": stamp},
        "contentType": NDJSON, "data": base64.b64encode(content).decode(),
    }  # fmt: skip
    return reply(request, msgspec.json.encode(binary), headers=told)


def _remark(request: Request, text: str, status: int, code: str) -> Response:
    return reply(request, outcome(text, code=code), status)
