"""A DHIS2 on loopback that answers what a test tells it to, and remembers what it was asked."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from opensrp_dhis2.dhis2.client import Dhis2Client
from tests.support import dhis2_recordings as recordings


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    params: dict[str, list[str]]
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> bytes:
        return gzip.decompress(self.raw) if self.raw[:2] == b"\x1f\x8b" else self.raw

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What the server says; `is_cut` breaks the connection off before the body is whole."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    is_cut: bool = False


Said = Answer | Callable[[Asked], Answer]


def said(body: object, status: int = 200) -> Answer:
    """Answer with JSON."""
    return Answer(status, json.dumps(body).encode())


def recorded(version: str, name: str) -> Answer:
    """Answer as a real server did."""
    reply = recordings.reply_of(recordings.load(version, name))
    kept = {n: v for n, v in reply.headers.items() if n not in ("transfer-encoding", "content-length", "set-cookie")}
    return Answer(reply.status, b"" if reply.body == b'""' else reply.body, kept)


class CannedDhis2:
    """The server: answers by method and path, the last of a list for ever."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._answers: dict[tuple[str, str], list[Said]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def on(self, method: str, path: str, *answers: Said) -> None:
        self._answers[method, path] = list(answers)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        queue = self._answers.get((asked.method, asked.path), [said({"no": "such path"}, 404)])
        found = queue.pop(0) if len(queue) > 1 else queue[0]
        return found if isinstance(found, Answer) else found(asked)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        canned = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer

            def handle_any(self) -> None:
                parts = urlsplit(self.path)
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = canned.answer(Asked(self.command, parts.path, parse_qs(parts.query), headers, raw))
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body[: len(answer.body) // 2] if answer.is_cut else answer.body)
                self.close_connection = answer.is_cut

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@pytest.fixture
def server() -> Iterator[CannedDhis2]:
    """A server that knows nothing yet."""
    canned = CannedDhis2()
    yield canned
    canned.close()


@pytest.fixture
def client(server: CannedDhis2) -> Iterator[Dhis2Client]:
    """A client of that server, without credentials."""
    with Dhis2Client(server.url) as opened:
        yield opened
