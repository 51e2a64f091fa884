"""A FHIR sandbox that a test watches: it sees each request before the server does, and may answer instead."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.clock import START, TickingClock

Watch = Callable[[Request, int], Response | None]


@dataclass
class FhirServer:
    """A running sandbox; `watch` is called with each request for resources and its number, counted from 1."""

    store: FhirStore
    app: Starlette
    now_ms: int
    url: str = ""
    watch: Watch = lambda request, number: None
    queries: list[str] = field(default_factory=list)

    def forget_cursors(self) -> None:
        self.app.state.server.cursors.forget_all()

    def put(self, count: int, *, first: int = 0, stamp_ms: int, step_ms: int = 0, **more: Any) -> None:
        """Write Flags f00000 and up."""
        for number in range(first, first + count):
            flag = {"resourceType": "Flag", "id": f"f{number:05}", "status": "active", **more}
            self.store.put(flag, stamp_ms=stamp_ms + number * step_ms)

    def truth(self) -> dict[str, int]:
        """Give the version of each living Flag."""
        return {version.id: version.version_id for version in self.store.current("Flag")}


class _Watched:
    def __init__(self, server: FhirServer, app: ASGIApp) -> None:
        self._server, self._app = server, app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: Response | None = None
        if scope["type"] == "http" and scope["path"] != "/fhir/metadata" and b"_summary" not in scope["query_string"]:
            self._server.queries.append(scope["query_string"].decode())
            answer = self._server.watch(Request(scope), len(self._server.queries))
        await (answer or self._app)(scope, receive, send)


@contextmanager
def fhir_server(start: datetime = START) -> Iterator[FhirServer]:
    """Run an empty sandbox."""
    store = FhirStore(TickingClock(start))
    server = FhirServer(store, create_app(store), round(start.timestamp() * 1000))
    with running(_Watched(server, server.app)) as url:
        server.url = f"{url}/fhir"
        yield server
