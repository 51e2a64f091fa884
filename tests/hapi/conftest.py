"""One real HAPI for the session, a type that nobody wrote yet for each test, and a way to stand between it and us."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from opensrp_dhis2_sandbox.server import running
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .loader import Hapi
from .server import hapi_server, what_is_missing

TYPES = (
    "Flag", "Basic", "Encounter", "Observation", "Condition", "Procedure", "List", "Group", "Task", "Goal", "Media",
    "Account", "Slot", "Schedule", "Invoice", "Person", "Device", "Library", "Coverage", "Claim", "Contract", "Endpoint",
    "Location", "Patient", "Practitioner", "Organization", "Questionnaire", "Specimen", "Substance", "Composition",
    "CarePlan", "CareTeam", "Consent", "Immunization", "Medication", "ServiceRequest", "SupplyDelivery",
)  # fmt: skip
unwritten = iter(TYPES)


@pytest.fixture(scope="session")
def hapi() -> Iterator[Hapi]:
    """A real HAPI FHIR 8.8, empty at first."""
    if os.environ.get("HAPI_TESTS") != "1":
        pytest.skip("starts a real HAPI FHIR server: run `make test-hapi`")
    missing = what_is_missing()
    if missing:
        pytest.skip(f"needs {missing}, which is not on this machine")
    with hapi_server() as url, closing(Hapi(url)) as opened:
        yield opened


@pytest.fixture
def resource_type() -> str:
    """A type of this test alone."""
    return next(unwritten)


@dataclass
class Between:
    """A server of our own before HAPI; `change` sees each query for a page, by its number from 1, and may rewrite it."""

    url: str = ""
    change: Callable[[int, str], str] = lambda number, query: query
    queries: list[str] = field(default_factory=list)

    def changed(self, query: str) -> str:
        self.queries.append(query)
        return self.change(len(self.queries), query)


@pytest.fixture
def between(hapi: Hapi) -> Iterator[Between]:
    """HAPI seen through a server that a test watches; its next links name HAPI, and must be followed here."""
    seen = Between()
    with _forwarding(hapi, seen) as url:
        seen.url = f"{url}/fhir"
        yield seen


@contextmanager
def _forwarding(hapi: Hapi, seen: Between) -> Iterator[str]:
    async def forward(request: Request) -> Response:
        query = request.url.query
        if "_count" in query:
            query = await run_in_threadpool(seen.changed, query)
        wanted = httpx.URL(f"{hapi.url}{request.path_params['path']}").copy_with(query=query.encode())
        headers = {"Accept": "application/fhir+json", "Cache-Control": "no-cache"}
        answer = await request.state.http.get(wanted, headers=headers)
        return Response(answer.content, answer.status_code, media_type=answer.headers["Content-Type"])

    @asynccontextmanager
    async def opened(_: Starlette) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
        async with httpx.AsyncClient(timeout=60) as http:
            yield {"http": http}

    with running(Starlette(routes=[Route("/fhir{path:path}", forward)], lifespan=opened)) as url:
        yield url
