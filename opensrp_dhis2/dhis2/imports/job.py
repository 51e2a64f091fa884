"""An import that DHIS2 runs as a job of its own: begun by one request, asked after by others.

It knows where a job is heard of and when it has ended; what became of the values, `interpret` reads from its summary.
"""

import json
import time
from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.imports.interpret import foreign_answer
from opensrp_dhis2.dhis2.models import Reply
from opensrp_dhis2.dhis2.reply import check_readable, read_envelope
from opensrp_dhis2.errors import Dhis2TimeoutError, Dhis2UnavailableError

JOB_TYPE = "DATAVALUE_IMPORT"
PAUSE_SECONDS = 2.0
FORGOTTEN_AFTER_SECONDS = 600.0  # DHIS2 begins one import in 20 s, and others may stand before ours
GIVE_UP_AFTER_SECONDS = 3600.0
_NO_PARAMS: Mapping[str, str] = MappingProxyType({})


class JobStage(Enum):
    """How far a job is that has not ended."""

    SILENT = auto()  # not begun, or forgotten by a server that started anew: DHIS2 answers both alike (29f)
    RUNNING = auto()


def start(client: Dhis2Client, body: bytes, params: Mapping[str, str] = _NO_PARAMS) -> str | Reply:
    """Have DHIS2 import a data value set as a job, and give its id; or the answer, where it took no job.

    Such an answer is read as any import's is. Keep the id before anything else is done.
    Raises: Dhis2UnavailableError (transient) when there is no whole answer: a job may have begun, so that what is read
    back is final only after FORGOTTEN_AFTER_SECONDS. A proxy's 5xx says as little.
    Source: recording 29.
    """
    reply = client.post_data_value_set(body, params={**params, "async": "true"})
    envelope = read_envelope(reply)
    job = envelope.response if envelope and reply.status == 200 else {}
    if job.get("jobType") == JOB_TYPE and job.get("id"):
        return str(job["id"])
    if reply.status >= 500 or foreign_answer(reply) is not None:
        raise Dhis2UnavailableError(
            f"DHIS2 at {client.base_url} was to begin an import job and {reply.status} came back: the job may run; the "
            f"next run waits for {FORGOTTEN_AFTER_SECONDS / 60:.0f} minutes and reads DHIS2 back",
            url=f"{client.base_url}/api/dataValueSets", status=reply.status,
        )  # fmt: skip
    return reply


def poll(client: Dhis2Client, job_id: str) -> Reply | JobStage:
    """Ask for a job's summary: a reply for `interpret` once it has ended, and its stage before that.

    A job that ended without a summary gives an empty reply, which leaves every value unknown: read back.
    Raises: as `Dhis2Client.get_json`; Dhis2UnavailableError (transient) loses nothing.
    Source: recordings 29b to 29f.
    """
    summary = _summary(client, job_id)
    if summary.body.strip():
        return summary
    path = f"system/tasks/{JOB_TYPE}/{job_id}"
    reply = client.send("GET", path)
    check_readable(reply, client.base_url, path)
    messages: Any = json.loads(reply.body)
    if not isinstance(messages, list) or not messages:
        return JobStage.SILENT
    is_done = any(isinstance(message, dict) and message.get("completed") is True for message in messages)
    return _summary(client, job_id) if is_done else JobStage.RUNNING


def _summary(client: Dhis2Client, job_id: str) -> Reply:
    """Read the bare summary; its body is empty until there is one, and its status is 200 whatever it says."""
    path = f"system/taskSummaries/{JOB_TYPE}/{job_id}"
    reply = client.send("GET", path)
    if reply.status != 200 or reply.body.strip():
        check_readable(reply, client.base_url, path)
    return reply


def await_reply(
    client: Dhis2Client,
    job_id: str,
    *,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Reply | None:
    """Ask after a job until it has ended; None when DHIS2 knows nothing of it for long: read back.

    Raises: Dhis2TimeoutError (transient) when it takes more than an hour: ask again by its id; else as `poll`.
    """
    started, heard = clock(), clock()
    while True:
        stage = poll(client, job_id)
        if isinstance(stage, Reply):
            return stage
        now = clock()
        heard = now if stage is JobStage.RUNNING else heard
        if now - heard > FORGOTTEN_AFTER_SECONDS:
            return None
        if now - started > GIVE_UP_AFTER_SECONDS:
            raise Dhis2TimeoutError(
                f"DHIS2 at {client.base_url} still runs import job {job_id} after "
                f"{GIVE_UP_AFTER_SECONDS / 60:.0f} minutes: look into its log; the next run asks after the job again",
                url=f"{client.base_url}/api/system/tasks/{JOB_TYPE}",
            )
        pause(PAUSE_SECONDS)
