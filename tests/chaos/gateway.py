"""Stands between the run and DHIS2: writes down every data value that passes, breaks what the seed says, kills.

It knows HTTP/1.1 on loopback; whether what passed was right is said in agreement.py.
"""

import gzip
import http.client
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.chaos.agreement import Cell
from tests.chaos.process import Sandbox
from tests.chaos.reaper import Reaper

VALUES_PATH = "/api/dataValueSets"
FAULTS = {
    "POST": (
        "hang_up_before", "hang_up_after", "status_before", "status_after", "slow", "late", "truncated", "lost_write",
        "restart_before", "restart_after",
    ),
    "GET": ("hang_up_before", "status_before", "slow", "truncated", "restart_before"),
}  # fmt: skip
UNHEARD = frozenset({"hang_up_before", "status_before", "late", "restart_before"})
PAGE = b"<html><head><title>%d</title></head><body><center><h1>%d</h1></center><hr>nginx</body></html>"


@dataclass
class Weather:
    """The faults of one point: each request for data values meets one with a chance, until they are used up."""

    random: Random = field(default_factory=Random)
    chance: float = 0.0
    left: int = 0
    kinds: tuple[str, ...] | None = None  # such as "POST slow"; None: any

    def next(self, method: str) -> str | None:
        kinds = [kind for kind in FAULTS[method] if self.kinds is None or f"{method} {kind}" in self.kinds]
        if not self.left or not kinds or self.random.random() >= self.chance:
            return None
        self.left -= 1
        return self.random.choice(kinds)


@dataclass(frozen=True)
class Passing:
    """One request with data values on its way to DHIS2."""

    is_delete: bool
    values: dict[Cell, str]


@dataclass(frozen=True)
class Request:
    """A request as it came, to be passed on as it is."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def is_about_values(self) -> bool:
        return urlsplit(self.path).path == VALUES_PATH

    def passing(self) -> Passing:
        plain = gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body
        rows = json.loads(plain)["dataValues"]
        strategy = parse_qs(urlsplit(self.path).query)["importStrategy"]
        values = {(row["period"], row["dataElement"], row["orgUnit"]): row["value"] for row in rows}
        assert len(values) == len(rows), "a request carries one cell twice"
        return Passing(strategy == ["DELETE"], values)


class Gateway:
    """The server that the run takes for DHIS2."""

    def __init__(self, sandbox: Sandbox, note: Callable[[Passing], None]) -> None:
        self.sandbox, self._note = sandbox, note
        self.reaper, self.weather = Reaper(), Weather()
        self._one_at_a_time = threading.RLock()
        self._held: list[Request] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.gateway = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.faults_seen: list[str] = []

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def drain(self) -> None:
        """Wait for the request in work, and let through what was held back."""
        with self._one_at_a_time:
            self._release()

    def handle(self, request: Request, client: socket.socket) -> bool:
        """Answer one request; tell whether the connection lives on."""
        with self._one_at_a_time:
            if request.method == "POST" and request.is_about_values:
                self._note(request.passing())
            death = self.reaper.stage("http")
            fault = self.weather.next(request.method) if request.is_about_values and not death else None
            if fault:
                self.faults_seen.append(f"{request.method} {fault}")
            if death == "before":
                self.reaper.kill()
                return False
            raw = b"" if fault in UNHEARD else self._passed_on(request, fault)
            if fault is None and request.method == "GET" and request.is_about_values:
                self._release()
            if death:
                return self._die(death, raw, client)
            if fault in ("restart_before", "restart_after"):
                self.sandbox.restart()
            if fault == "late":
                self._held.append(request)
        return _answer(fault, raw, client, self.weather.random)

    def _die(self, death: str, raw: bytes, client: socket.socket) -> bool:
        client.sendall({"stored": b"", "half": raw[: len(raw) // 2], "all": raw}[death])
        self.reaper.kill()
        return False

    def _passed_on(self, request: Request, fault: str | None) -> bytes:
        if fault == "lost_write":
            self.sandbox.lose_next_write()
        return forward(self.sandbox.port, request)

    def _release(self) -> None:
        held, self._held = self._held, []
        for request in held:
            forward(self.sandbox.port, request)


def forward(port: int, request: Request) -> bytes:
    """Pass a request on and give the answer as bytes of HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(request.method, request.path, request.body or None, request.headers)
        answer = connection.getresponse()
        body = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in ("date", "server")}
        return _raw(answer.status, kept | {"content-length": str(len(body))}, body)
    finally:
        connection.close()


def _answer(fault: str | None, raw: bytes, client: socket.socket, random: Random) -> bool:
    if fault in ("slow", "late"):
        client.settimeout(30)
        client.recv(1)  # nothing comes but the end, when the client has lost patience
    elif fault in ("status_before", "status_after"):
        status = 504 if fault == "status_after" else random.choice((502, 503, 504))
        client.sendall(_raw(status, {"content-type": "text/html"}, PAGE % (status, status)))
    elif fault == "truncated":
        client.sendall(raw[: -len(raw) // 4])
    elif fault in (None, "lost_write"):
        client.sendall(raw)
        return True
    return False


def _raw(status: int, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}"]
    lines += [f"{name}: {value}" for name, value in ({"content-length": str(len(body))} | headers).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Server(ThreadingHTTPServer):
    daemon_threads, block_on_close, request_queue_size = True, False, 64
    gateway: Gateway


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle(self) -> None:
        with suppress(OSError):  # the run is dead, or has hung up
            super().handle()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() != "connection"}
        request = Request(self.command, self.path, headers, body)
        self.close_connection = not self.server.gateway.handle(request, self.connection)

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""
