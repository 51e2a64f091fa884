"""A DHIS2 whose value requests a test can read as they arrived on the wire."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opensrp_dhis2.warehouse.database import Warehouse
from tests.outbox.test_push import NOW, Dhis2Site, metadata


class Wire:
    """In front of the server: remembers the parameters and body of every import, and how many were under way at once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._under_way = app, 0
        self.imports: list[tuple[dict[str, list[str]], dict[str, Any]]] = []
        self.most_at_once = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != "/api/dataValueSets":
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        self.imports.append((parse_qs(scope["query_string"].decode()), json.loads(text)))
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return parts.pop() if parts else await receive()

        await self._app(scope, again, send)
        self._under_way -= 1

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for _, body in self.imports for row in body["dataValues"]]


@contextmanager
def watched(warehouse: Warehouse, version: str) -> Iterator[tuple[Dhis2Site, Wire]]:
    """Open a site whose imports are remembered."""
    wire = Wire(create_app(metadata(), version=version, clock=lambda: NOW))
    with running(wire) as url:
        site = Dhis2Site(url, warehouse)
        with site.client:
            yield site, wire
