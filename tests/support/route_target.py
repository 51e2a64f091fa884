"""The upstream that recorded DHIS2 routes pointed at: answers any status, gives tokens, remembers calls."""

import asyncio
import base64
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

SECRET_OF = {"client-1": "good-secret"}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Target:
    """A small upstream server; `calls` holds what reached it since it was last emptied."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        paths = [
            Route("/status/{status:int}", self._status, methods=METHODS),
            Route("/empty", self._empty),
            Route("/text", self._text),
            Route("/hang", self._hang),
            Route("/token", self._token, methods=["POST"]),
            Route("/{rest:path}", self._echo, methods=METHODS),
        ]
        self.app = Starlette(routes=paths)

    async def _note(self, request: Request) -> dict[str, Any]:
        path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
        body = (await request.body()).decode()
        headers = dict(request.headers)
        call = {
            "method": request.method,
            "path": f"{path}?{query}" if query else path,
            "headers": headers,
            "body": body,
        }
        self.calls.append(call)
        return call

    async def _echo(self, request: Request) -> Response:
        await self._note(request)
        return JSONResponse({"echo": "seen"}, headers={"ETag": '"abc"', "X-Custom": "no"})

    async def _status(self, request: Request) -> Response:
        await self._note(request)
        status = request.path_params["status"]
        headers = {"ETag": '"abc"', "Location": "/ok/elsewhere", "Retry-After": "7"}
        return JSONResponse({"target_says": status}, status, headers)

    async def _empty(self, request: Request) -> Response:
        await self._note(request)
        return Response(status_code=204, headers={"ETag": '"abc"'})

    async def _text(self, request: Request) -> Response:
        await self._note(request)
        return PlainTextResponse("plain text answer")

    async def _hang(self, request: Request) -> Response:
        await self._note(request)
        while not await request.is_disconnected():
            await asyncio.sleep(0.02)
        return PlainTextResponse("late")

    async def _token(self, request: Request) -> Response:
        call = await self._note(request)
        client, _, secret = base64.b64decode(call["headers"]["authorization"][6:]).decode().partition(":")
        if SECRET_OF.get(unquote(client)) != secret:
            return JSONResponse({"error": "invalid_client"}, 401)
        return JSONResponse({"access_token": "tok-12345", "token_type": "Bearer", "expires_in": 3600})
