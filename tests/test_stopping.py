"""`make run` and `make dev` when somebody stops them, when a port is taken, and in a folder with a space."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from opensrp_dhis2_sandbox.runs import open_instance

from opensrp_dhis2.settings import Settings
from tests.conftest import ROOT

DEADLINE_SECONDS = 300.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a space that the embedded Postgres may enter, whoever runs the tests."""
    made = Path(tempfile.mkdtemp(prefix="opensrp-dhis2-test-"))
    made.chmod(0o755)
    yield made / "a b"
    shutil.rmtree(made, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def start(folder: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """Start the command line in a working folder of its own, as make does."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = {name: str(free_port()) for name in ("SANDBOX_FHIR_PORT", "SANDBOX_DHIS2_PORT", "DEV_PORT")}
    return subprocess.Popen(
        [sys.executable, "-m", "opensrp_dhis2", *arguments], cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "500", **ports, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} never came"
        time.sleep(0.1)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_stopped_says_so_and_leaves_no_run_under_way(folder: Path, sent: signal.Signals) -> None:
    demo = start(folder, "demo")
    wait_for(folder / ".data" / "dagster" / "history" / "runs.db")
    wait_for(folder / ".data" / "postgres" / "postmaster.pid")
    demo.send_signal(sent)
    said, _ = demo.communicate(timeout=DEADLINE_SECONDS)
    assert demo.returncode == 130, said
    assert "Stopped. The run and the sandbox servers have ended" in said
    assert "Traceback" not in said
    assert not (folder / ".data" / "postgres" / "postmaster.pid").exists()
    with open_instance(folder / ".data" / "dagster") as instance:
        assert [run.status.value for run in instance.get_runs() if not run.is_finished] == []


@pytest.mark.parametrize(
    ("command", "setting"), [("demo", "SANDBOX_FHIR_PORT"), ("demo", "SANDBOX_DHIS2_PORT"), ("dev", "DEV_PORT")]
)
def test_a_port_that_is_taken_is_told_with_the_setting_that_takes_another(
    folder: Path, command: str, setting: str
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = start(folder, command, **{setting: port})
        said, _ = done.communicate(timeout=DEADLINE_SECONDS)
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 cannot be had (Address already in use)" in said
    assert f"set {setting} to another port" in said
    assert "Traceback" not in said


def test_the_sandbox_is_where_its_ports_say() -> None:
    settings = Settings.from_mapping({"SANDBOX_FHIR_PORT": "9180", "SANDBOX_DHIS2_PORT": "9181"})
    assert (settings.fhir_base_url, settings.dhis2_base_url) == ("http://127.0.0.1:9180/fhir", "http://127.0.0.1:9181")
    named = Settings.from_mapping({"DHIS2_BASE_URL": "https://dhis2.example.org", "SANDBOX_DHIS2_PORT": "9181"})
    assert named.dhis2_base_url == "https://dhis2.example.org"


PROGRAM = """
import pathlib, signal, subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", deaf])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""
STOPPED = """
import sys; from opensrp_dhis2_sandbox.program import run_until_stopped, take_signals
take_signals()
try:
    run_until_stopped([sys.executable, "-c", sys.argv[1], sys.argv[2]], lambda: print("stopping"))
except KeyboardInterrupt:
    print("stopped")
"""


def test_a_program_that_is_stopped_leaves_none_of_its_processes_behind(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    runner = subprocess.Popen(
        [sys.executable, "-c", STOPPED, PROGRAM, str(told)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    wait_for(told)
    while not (pid := told.read_text()):
        time.sleep(0.05)
    runner.send_signal(signal.SIGTERM)
    said, _ = runner.communicate(timeout=DEADLINE_SECONDS)
    assert said.split() == ["stopping", "stopped"]
    assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE


def test_a_data_folder_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    for command in ("demo", "dev"):
        done = start(tmp_path, command, DATA_DIR=str(tmp_path / "data"))
        said, _ = done.communicate(timeout=DEADLINE_SECONDS)
        assert done.returncode == 1
        assert "data cannot be written by this user: work as its owner, or let DATA_DIR name" in said
        assert "Traceback" not in said
