"""Runs a job of this code location in this process, in Dagster's own records, and tells what became of its steps."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import dagster as dg
from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry

from opensrp_dhis2.definitions import defs


@dataclass
class Run:
    """One finished run: seconds by stage (the first part of the asset keys), and what failed."""

    job: str
    run_id: str
    is_success: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def open_instance(home: Path) -> dg.DagsterInstance:
    """Open Dagster's records in a folder (SQLite), the same that `make dev` shows."""
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        config.write_text("telemetry:\n  enabled: false\n")
    return dg.DagsterInstance.from_config(str(home))


def run_job(
    instance: dg.DagsterInstance, job: str, keys: Sequence[str] = (), on_step: Callable[[str], None] = print
) -> Run:
    """Execute a job, over a range of partition keys if given; a failed step is in the result, not an exception."""
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    run, started = Run(job, str(uuid4())), dict[str, float]()

    def listen(entry: EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None or event.step_key is None:
            return
        stage = event.step_key.partition("__")[0]
        if event.event_type is DagsterEventType.STEP_START:
            started[event.step_key] = time.monotonic()
            on_step(event.step_key.replace("__", "/"))
        elif event.event_type in (DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_FAILURE):
            taken = time.monotonic() - started.get(event.step_key, time.monotonic())
            run.seconds[stage] = run.seconds.get(stage, 0) + taken
        if event.event_type is DagsterEventType.STEP_FAILURE:
            failure = event.step_failure_data
            said = (failure.user_failure_data.description if failure.user_failure_data else None) or (
                failure.error.message if failure.error else "failed"
            )
            run.failures.append(f"{event.step_key.replace('__', '/')}: {said.strip()}")

    instance.add_event_listener(run.run_id, listen)
    tags = (
        {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]} if keys else {}
    )
    result = (
        defs()
        .resolve_job_def(job)
        .execute_in_process(
            instance=instance, run_id=run.run_id, tags=tags, raise_on_error=False
        )
    )
    run.is_success = result.success
    return run
