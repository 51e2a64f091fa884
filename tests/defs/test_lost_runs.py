"""Runs that were begun and never ended are marked as failed; those of a living process are left."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.test_utils import create_run_for_test
from opensrp_dhis2_sandbox.lost_runs import LOST, PID_TAG, end_lost_runs
from opensrp_dhis2_sandbox.runs import open_instance

STARTED, FAILURE = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE


def dead_pid() -> int:
    """Give the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    return ended.pid


@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_a_run_whose_process_is_gone_is_marked_as_failed_with_what_to_do(tmp_path: Path, status: str) -> None:
    with open_instance(tmp_path) as instance:
        run = create_run_for_test(
            instance, "extract", status=dg.DagsterRunStatus(status), tags={PID_TAG: str(dead_pid())}
        )
        assert end_lost_runs(instance) == ["extract"]
        ended = instance.get_run_by_id(run.run_id)
        assert ended is not None
        assert ended.status is FAILURE
        said = [entry.dagster_event.message for entry in instance.all_logs(run.run_id) if entry.dagster_event]
        assert LOST in said
        assert end_lost_runs(instance) == []


def test_a_run_that_is_alive_was_just_launched_or_has_ended_is_left_alone(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        runs = [
            create_run_for_test(instance, "alive", status=STARTED, tags={PID_TAG: str(os.getpid())}),
            create_run_for_test(instance, "launched", status=dg.DagsterRunStatus.STARTING),
            create_run_for_test(instance, "done", status=dg.DagsterRunStatus.SUCCESS, tags={PID_TAG: str(dead_pid())}),
        ]
        assert end_lost_runs(instance) == []
        assert [instance.get_run_by_id(run.run_id).status for run in runs] == [run.status for run in runs]  # type: ignore[union-attr]


def test_a_worker_is_known_by_dagsters_own_event(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        run = create_run_for_test(instance, "launched", status=dg.DagsterRunStatus.STARTING)
        instance.report_engine_event(
            "Started process", run, EngineEventData({"pid": dg.MetadataValue.text(str(dead_pid()))})
        )
        assert end_lost_runs(instance) == ["launched"]
