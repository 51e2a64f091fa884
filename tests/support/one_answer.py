"""A server that answers everything alike."""

from collections.abc import Iterator
from contextlib import contextmanager

from opensrp_dhis2_sandbox.server import running
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.support.fhir_script import R4


@contextmanager
def answering(body: str, status: int = 200, content_type: str = "text/html") -> Iterator[str]:
    """Serve one answer to everything, but for /metadata, where it says that it is a FHIR server."""

    async def answer(request: Request) -> Response:
        if request.url.path.endswith("/metadata"):
            return JSONResponse(R4)
        return PlainTextResponse(body, status, media_type=content_type)

    with running(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])) as url:
        yield url
