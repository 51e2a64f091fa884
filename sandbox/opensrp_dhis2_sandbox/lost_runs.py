"""Runs that Dagster's records show as under way and whose process is gone: killed, or the machine stopped.

It knows runs of this machine only; a deployment has Dagster's own run monitoring (deploy/dagster.yaml).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import psutil
from dagster._core.events import DagsterEventType

from opensrp_dhis2.clock import machine_clock

BEGUN = [
    dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING,
]  # fmt: skip
PID_TAG = "opensrp_dhis2/pid"
TIME_TO_START = timedelta(minutes=5)  # a run that has no process yet may still be given one
LOST = "The process of this run is gone: it was killed, or the machine stopped. What was done is kept; run it again."


def end_lost_runs(instance: dg.DagsterInstance, message: str = LOST) -> list[str]:
    """Mark each lost run as failed, and give the jobs' names; what waits in the queue is left there."""
    records = instance.get_run_records(dg.RunsFilter(statuses=BEGUN))
    lost = [record.dagster_run for record in records if _is_lost(instance, record.dagster_run, record.create_timestamp)]
    for run in lost:
        instance.report_run_failed(run, message)
    return [run.job_name for run in lost]


def _is_lost(instance: dg.DagsterInstance, run: dg.DagsterRun, created_at: datetime) -> bool:
    pids = set(_pids(instance, run))
    if not pids:
        return machine_clock() - created_at.astimezone(UTC) > TIME_TO_START
    return not any(_runs_since(pid, created_at) for pid in pids)


def _pids(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[int]:
    """Yield the processes that the run has told of: by its tag, and by Dagster's own events."""
    if PID_TAG in run.tags:
        yield int(run.tags[PID_TAG])
    for entry in instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        said = event.engine_event_data.metadata.get("pid") if event else None
        if said is not None and str(said.value).isdigit():
            yield int(str(said.value))


def _runs_since(pid: int, created_at: datetime) -> bool:
    """Return whether a process lives and is a run's own: a number is given again, to a process that began later."""
    try:
        began_at = datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC)
    except psutil.Error:
        return bool(psutil.pid_exists(pid))
    return began_at <= created_at.astimezone(UTC) + TIME_TO_START
