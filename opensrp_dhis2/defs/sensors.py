"""The sensor for late data: it asks for past periods whose totals differ from the ledger, or whose values wait."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import zip_longest
from typing import Any

import dagster as dg

from opensrp_dhis2.clock import machine_clock
from opensrp_dhis2.defs.partitions import PARTITION_TAGS, report_start, why_no_partition
from opensrp_dhis2.defs.resources import read_settings
from opensrp_dhis2.outbox.late import DuePeriod, due_periods
from opensrp_dhis2.outbox.submission_hours import SubmissionHours
from opensrp_dhis2.settings import Settings
from opensrp_dhis2.views.catalog import Catalog
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse

EVERY_SECONDS = 600
MOST_REQUESTS = 20
MOST_TOLD = 10  # in a skip reason; the tick's log has all
LONGEST_RUN = timedelta(days=1)  # what is in progress for longer is taken for dead, and keeps no period from its turn
_DONE = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def late_data_sensor(catalog: Catalog, jobs: dict[str, Any]) -> dg.SensorDefinition:
    """Make the sensor over all report jobs; at most 20 runs a tick, a period once a change, or once a day if it waits.

    The cursor has the marks of what was asked for today, one a line.
    """

    @dg.sensor(name="late_data", jobs=list(jobs.values()), minimum_interval_seconds=EVERY_SECONDS)
    def late_data(context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.SensorResult:
        settings = read_settings()
        hours = SubmissionHours.parse(settings.dhis2_submission_hours, settings.zone)
        if not hours.is_open(settings.now()):
            return dg.SensorResult(skip_reason=f"DHIS2_SUBMISSION_HOURS are {hours}: asked again when they begin")
        today, due_by_job, passed_over = settings.today(), list[list[dg.RunRequest]](), list[str]()
        asked = [mark for mark in (context.cursor or "").splitlines() if mark.endswith(f":{today}")]
        scope = {"start_on": report_start(settings), "today": today}
        for code, job in jobs.items():
            data_set = catalog.data_sets.of(code)
            with warehouse.connect() as connection:
                due = due_periods(connection, settings.dhis2_base_url, code, data_set, **scope)
            running, fresh = _in_progress(context, job.name) if due else [], list[dg.RunRequest]()
            for due_period in due:
                key = due_period.period.start_on.isoformat()
                if why := _obstacle(due_period, data_set, settings):
                    passed_over.append(
                        f"{code} {due_period.period.id} ({due_period.value_count} values) is not asked for: {why}"
                    )
                elif due_period.mark not in asked and not any(first <= key <= last for first, last in running):
                    fresh.append(_request(job.name, key, due_period))
            due_by_job.append(fresh)
        requests = in_turn(due_by_job)[:MOST_REQUESTS]
        for line in passed_over:
            context.log.warning(line)
        told = "; ".join(passed_over[:MOST_TOLD]) if passed_over and not requests else None
        cursor = "\n".join([*asked, *(str(request.run_key) for request in requests)])
        return dg.SensorResult(run_requests=requests, skip_reason=told, cursor=cursor)

    return late_data


def in_turn(due_by_job: Sequence[Sequence[dg.RunRequest]]) -> list[dg.RunRequest]:
    """Take one of each job after the other, so that one that has many lets the others have their turn."""
    return [request for turn in zip_longest(*due_by_job) for request in turn if request is not None]


def _obstacle(due: DuePeriod, data_set: DataSet, settings: Settings) -> str | None:
    """Return why a period cannot be asked for, and the remedy; else None. At a wrong key Dagster fails a whole tick."""
    why = why_no_partition(due.period, data_set.period_type, settings)
    if why is None and due.is_beyond:
        why = f"its values wait beyond open_periods: report the partition {due.period.start_on} by hand"
    return why


def _request(job_name: str, key: str, due: DuePeriod) -> dg.RunRequest:
    tags = {"opensrp_dhis2/changed_values": str(due.value_count)}
    return dg.RunRequest(job_name=job_name, partition_key=key, run_key=due.mark, tags=tags)


def _in_progress(context: dg.SensorEvaluationContext, job_name: str) -> list[tuple[str, str]]:
    """Return the first and the last partition of each run of a job that is queued or running."""
    try:
        instance = context.instance
    except dg.DagsterInvariantViolationError:  # a tick by hand, without Dagster's records
        return []
    statuses = [status for status in dg.DagsterRunStatus if status not in _DONE]
    since = machine_clock() - LONGEST_RUN  # Dagster stamps its records by the machine's clock, always
    wanted = dg.RunsFilter(job_name=job_name, statuses=statuses, created_after=since)
    asked = [[run.tags[name] for name in PARTITION_TAGS if name in run.tags] for run in instance.get_runs(wanted)]
    return [(min(keys), max(keys)) for keys in asked if keys]
