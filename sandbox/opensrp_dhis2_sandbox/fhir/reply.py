"""What every handler of the FHIR sandbox shares: the server's state, and the one way to answer.

It knows headers, indentation and addresses; what is answered is the handlers' business.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from opensrp_dhis2.clock import Clock
from opensrp_dhis2_sandbox.fhir.bundle import Links, outcome
from opensrp_dhis2_sandbox.fhir.cursor import Cursors
from opensrp_dhis2_sandbox.fhir.instant import to_ms
from opensrp_dhis2_sandbox.fhir.search import Pairs, is_pretty, refuse
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.fhir.types import RESOURCE_TYPES

POWERED_BY = {"X-Powered-By": "HAPI FHIR 8.8.0 REST Server (FHIR Server; FHIR 4.0.1/R4)"}
CONTENT_TYPE = "application/fhir+json;charset=UTF-8"


@dataclass
class Server:
    """The state and the settings of one sandbox."""

    store: FhirStore
    clock: Clock
    cursors: Cursors
    default_page_size: int
    max_page_size: int
    page_delay_seconds: float
    server_address: str | None
    history_counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def now_ms(self) -> int:
        return to_ms(self.clock())

    def page_size(self, asked: int | None) -> int:
        """Cap the page size without a word, as HAPI does."""
        return min(asked if asked and asked > 0 else self.default_page_size, self.max_page_size)

    async def delay(self) -> None:
        """Take as long over a page as the server was told to."""
        if self.page_delay_seconds:
            await asyncio.sleep(self.page_delay_seconds)


def server_of(request: Request) -> Server:
    """Return the state of the sandbox that a request came to."""
    server: Server = request.app.state.server
    return server


def links_of(request: Request) -> Links:
    """Return the writer of addresses: the configured one's, else the host asked."""
    return Links(server_of(request).server_address or f"{request.url.scheme}://{request.url.netloc}/fhir")


def pairs_of(request: Request) -> Pairs:
    """Return the query's parameters in order."""
    return parse_qsl(request.url.query, keep_blank_values=True)


def resource_type_of(request: Request) -> str:
    """Return the resource type in the path. Raises 404 for an unknown one."""
    name: str = request.path_params["resource_type"]
    if name.startswith("$"):
        raise refuse(
            "Invalid request: The FHIR endpoint on this server does not know how to handle "
            f"{request.method} operation[{name}] with parameters [[]]"
        )
    if name not in RESOURCE_TYPES:
        known = ", ".join(sorted(RESOURCE_TYPES))
        raise refuse(f"HAPI-0302: Unknown resource type '{name}' - Server knows how to handle: [{known}]", 404)
    return name


def reply(request: Request, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with FHIR JSON, indented unless the request says otherwise."""
    content = msgspec.json.format(body, indent=2) if is_pretty(pairs_of(request)) else body
    return Response(content, status, {**POWERED_BY, **(headers or {})}, CONTENT_TYPE)


async def refused(request: Request, error: Any) -> Response:
    """Answer a refusal as an OperationOutcome, or as Spring does outside the FHIR base."""
    assert isinstance(error, HTTPException)
    if not request.url.path.startswith("/fhir"):
        body = {"status": error.status_code, "error": "Not Found", "path": request.url.path}
        return Response(msgspec.json.encode(body), error.status_code, media_type="application/json")
    code = "not-supported" if "does not know how to handle" in error.detail else "processing"
    return reply(request, outcome(error.detail, code=code), error.status_code, error.headers)
