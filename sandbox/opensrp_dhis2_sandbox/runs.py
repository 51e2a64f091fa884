"""Runs a job of this code location in this process, in Dagster's own records, and tells what became of its steps."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster_shared.error import SerializableErrorInfo

from opensrp_dhis2 import errors
from opensrp_dhis2.definitions import defs
from opensrp_dhis2_sandbox.lost_runs import PID_TAG

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Run:
    """One finished run: seconds by stage (the first part of the asset keys), what failed, and whether it was stopped."""

    job: str
    run_id: str
    is_success: bool = False
    is_stopped: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def prepare_home(home: Path) -> None:
    """Make a folder for Dagster's records; without a dagster.yaml of its own, Dagster tells nothing to its makers."""
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        config.write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")


def open_instance(home: Path) -> dg.DagsterInstance:
    """Open Dagster's records in a folder (SQLite), the same that `make dev` shows."""
    prepare_home(home)
    return dg.DagsterInstance.from_config(str(home))


def run_job(
    instance: dg.DagsterInstance, job: str, keys: Sequence[str] = (), on_step: Callable[[str], None] = print
) -> Run:
    """Execute a job, over a range of partition keys if given; what fails is in the result, not an exception."""
    run, started = Run(job, str(uuid4())), dict[str, float]()

    def listen(entry: EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            return
        step = (event.step_key or job).replace("__", "/", 1)
        if event.event_type is DagsterEventType.STEP_START:
            started[step] = time.monotonic()
            on_step(step)
        elif event.event_type in (DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_FAILURE):
            stage = step.partition("/")[0]
            run.seconds[stage] = run.seconds.get(stage, 0) + time.monotonic() - started.get(step, time.monotonic())
        if _is_interruption(event):
            run.is_stopped = True
        elif failure := _failure(event):
            run.failures.append(f"{step}: {failure}")

    instance.add_event_listener(run.run_id, listen)
    tags = {PID_TAG: str(os.getpid())}
    if keys:
        tags |= {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    definition = defs().resolve_job_def(job)
    try:
        result = definition.execute_in_process(
            instance=instance, run_id=run.run_id, tags=tags, raise_on_error=False, run_config=QUIET
        )
    except KeyboardInterrupt:  # before its first step; after that Dagster itself records the end
        run.is_stopped = True
        _end(instance, run)
        return run
    run.is_success = result.success
    return run


def _end(instance: dg.DagsterInstance, run: Run) -> None:
    known = instance.get_run_by_id(run.run_id)
    if known and not known.is_finished:
        instance.report_run_canceled(known, "Stopped by hand before its first step.")


def _is_interruption(event: DagsterEvent) -> bool:
    if event.event_type is DagsterEventType.STEP_FAILURE:
        error = event.step_failure_data.error
    elif event.event_type is DagsterEventType.RUN_FAILURE:
        error = event.job_failure_data.error
    else:
        return False
    return any(cause.cls_name == "DagsterExecutionInterruptedError" for cause in _causes(error))


def _failure(event: DagsterEvent) -> str | None:
    """Return our own words for a failed step, or for a run that failed before its first step."""
    if event.event_type is DagsterEventType.STEP_FAILURE:
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            return data.user_failure_data.description
        error = data.error
    elif event.event_type is DagsterEventType.RESOURCE_INIT_FAILURE:
        error = event.engine_event_data.error
    else:
        return None
    causes = list(_causes(error))
    ours = [cause for cause in causes if cause.cls_name in vars(errors)]
    told = next(iter(ours or causes[-1:]), None)
    return told.message.strip().partition(": ")[2] if told else "failed"


def _causes(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    while error:
        yield error
        error = error.cause
