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

from tests.support.clock import START, TickingClock
from tests.support.watched import Watched

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

    def see(self, request: Request) -> Response | None:
        """Note a request for resources, and let the test answer it."""
        if request.url.path == "/fhir/metadata" or "_summary" in request.url.query:
            return None
        self.queries.append(request.url.query)
        return self.watch(request, len(self.queries))

    def truth(self) -> dict[str, int]:
        """Give the version of each living Flag."""
        return {version.id: version.version_id for version in self.store.current("Flag")}


@contextmanager
def fhir_server(start: datetime = START) -> Iterator[FhirServer]:
    """Run an empty sandbox."""
    store = FhirStore(TickingClock(start))
    server = FhirServer(store, create_app(store), round(start.timestamp() * 1000))
    with running(Watched(server.app, server.see)) as url:
        server.url = f"{url}/fhir"
        yield server
