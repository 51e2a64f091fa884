"""A server that answers what a test tells it, one answer a request, and remembers what it was asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

from tests.support.http_server import serving

BASE = "/fhir"
R4 = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}  # what /metadata must say


@dataclass
class Answer:
    """One answer; `sent_bytes` cuts its body off, `headers` may name a Date or Content-Type of its own."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    sent_bytes: int | None = None
    has_date: bool = True

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else msgspec.json.encode(self.body)


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Script:
    """The answers still to give, the last one for ever, and the requests so far."""

    answers: list[Answer]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def scripted(*answers: Answer) -> Iterator[Script]:
    """Serve the answers on loopback."""
    script = Script(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append(Asked(self.command, path, query, {k.lower(): v for k, v in self.headers.items()}, body))
            self._give(script.next())

        do_POST = do_GET

        def _give(self, answer: Answer) -> None:
            headers = {"Content-Type": "application/fhir+json;charset=UTF-8"}
            headers |= {"Date": self.date_time_string()} if answer.has_date else {}
            headers |= {"Content-Length": str(len(answer.content)), **answer.headers}
            self.send_response_only(answer.status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content[: answer.sent_bytes])
            self.close_connection = answer.sent_bytes is not None

        def log_message(self, format: str, *args: Any) -> None:
            return None

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        script.url = f"http://127.0.0.1:{port}{BASE}"
        yield script


def bundle(*resources: Any, next_url: str | None = None, **more: Any) -> dict[str, Any]:
    """Make a searchset."""
    links = [{"relation": "self", "url": "http://elsewhere/fhir/Flag"}]
    links += [{"relation": "next", "url": next_url}] if next_url else []
    return {
        "resourceType": "Bundle", "type": "searchset", "link": links,
        "entry": [{"resource": one, "search": {"mode": "match"}} for one in resources], **more,
    }  # fmt: skip


def flag(
    resource_id: str, version_id: int = 1, at: str = "2026-11-20T10:00:00.123+00:00", **more: Any
) -> dict[str, Any]:
    """Make a Flag as a server gives it."""
    meta = {"versionId": str(version_id), "lastUpdated": at}
    return {"resourceType": "Flag", "id": resource_id, "meta": meta, **more}
