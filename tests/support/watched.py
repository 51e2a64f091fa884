"""A server whose requests a test sees before the server does, and may answer instead."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class Watched:
    """Show each request to `see`, whose answer, if it gives one, is given in the server's stead."""

    def __init__(self, app: ASGIApp, see: Callable[[Request], Response | None]) -> None:
        self._app, self._see = app, see

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._see(Request(scope)) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)
