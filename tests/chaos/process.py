"""Processes that can be killed at once: the report's, and a sandbox DHIS2 whose state outlives it in SQLite.

They are forked from a warm one, so that a start costs milliseconds.
"""

import multiprocessing
import socket
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from opensrp_dhis2_sandbox.dhis2.app import create_app

from tests.support.dhis2_site import ADMIN, NOW

_one_at_a_time = threading.Lock()  # starting a process also looks after those of other threads


def start(target: Callable[..., None], *args: object) -> BaseProcess:
    """Fork a process from the warm one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.chaos.reporter", "tests.chaos.process", "pytest"])
    process = context.Process(target=target, args=args, daemon=True)
    with _one_at_a_time:
        process.start()
    return process


def ended(process: BaseProcess) -> int | None:
    """Wait until a process has ended; give its exit code, -9 when it was killed."""
    wait([process.sentinel])
    with _one_at_a_time:
        process.join()
    return process.exitcode


class Sandbox:
    """A sandbox DHIS2 behind a socket that stays when the server is killed: who connects meanwhile waits."""

    def __init__(self, metadata: dict[str, Any], version: str, store: Path) -> None:
        self._metadata, self._version, self._store = metadata, version, store
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}/sandbox/", auth=ADMIN, timeout=30, verify=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )  # fmt: skip
        self._unassigned = frozenset[str]()
        self._process = self._start()

    def _start(self) -> BaseProcess:
        metadata = _without(self._metadata, self._unassigned)
        return start(_serve, self._listener, metadata, self._version, self._store)

    def restart(self) -> None:
        """Kill the server and start it again over what it had stored."""
        self._process.kill()
        ended(self._process)
        self._process = self._start()

    def unassign(self, units: frozenset[str]) -> None:
        """Take org units out of the data set, which needs another start; DHIS2 would tell nobody."""
        if units != self._unassigned:
            self._unassigned = units
            self.restart()

    def clear(self) -> None:
        """Forget every stored value."""
        self._ask("POST", "state", [])

    def lose_next_write(self) -> None:
        """Let the database fail at the next import, as the recordings 38-concurrent and 49n show it."""
        self._ask("POST", "faults", [{"kind": "lost_write"}])

    def forget_value(self, cell: tuple[str, str, str]) -> None:
        """Take one stored value away behind everybody's back."""
        rows = [row for row in self._ask("GET", "state").json() if (row[1], row[0], row[2]) != cell]
        self._ask("POST", "state", rows)

    def stored(self) -> dict[tuple[str, str, str], str]:
        """Give what stands there, by period, data element and org unit."""
        return {(row[1], row[0], row[2]): row[5] for row in self._ask("GET", "state").json() if not row[8]}

    def stop(self) -> None:
        self._process.kill()
        ended(self._process)
        self._listener.close()
        self._http.close()

    def _ask(self, method: str, door: str, body: Any = None) -> httpx.Response:
        return self._http.request(method, door, json=body).raise_for_status()


def _serve(listener: socket.socket, metadata: dict[str, Any], version: str, store: Path) -> None:
    app = create_app(metadata, version=version, clock=lambda: NOW, store_path=store)
    uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="on")).run(sockets=[listener])


def _without(metadata: dict[str, Any], units: frozenset[str]) -> dict[str, Any]:
    def kept(data_set: dict[str, Any]) -> dict[str, Any]:
        return data_set | {"organisationUnits": [u for u in data_set["organisationUnits"] if u["id"] not in units]}

    return {
        "stages": [
            stage | ({"dataSets": [kept(each) for each in stage["dataSets"]]} if "dataSets" in stage else {})
            for stage in metadata["stages"]
        ]
    }
