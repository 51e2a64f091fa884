"""What may stand between us and DHIS2: something that holds a request, loses it, or gives the answer of another one."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opensrp_dhis2_sandbox.dhis2.app import create_app
from opensrp_dhis2_sandbox.server import running
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opensrp_dhis2.warehouse.database import Warehouse
from tests.outbox.test_push import NOW, Dhis2Site, metadata

VALUES = "/api/dataValueSets"


@dataclass(frozen=True)
class Answer:
    """An answer as it goes back."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @classmethod
    def of(cls, status: int, body: bytes = b"", **headers: str) -> "Answer":
        """Make one up."""
        named = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
        return cls(status, (*named, (b"content-length", str(len(body)).encode())), body)


Ask = Callable[[], Awaitable[Answer]]
Handler = Callable[[str, Ask], Awaitable[Answer]]  # the method of a request for values, and how DHIS2 is asked


async def pass_on(method: str, ask: Ask) -> Answer:
    """Let it through untouched."""
    return await ask()


@dataclass
class Between:
    """In front of the sandbox: every request for values goes by the handler, which a test sets."""

    app: ASGIApp
    handler: Handler = pass_on
    rows: list[dict[str, Any]] = field(default_factory=list)  # of all imports that reached DHIS2
    kept: list[Answer] = field(default_factory=list)  # what was answered to imports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != VALUES:
            await self.app(scope, receive, send)
            return
        body = await Request(scope, receive).body()

        async def ask() -> Answer:
            answer = await _ask(self.app, scope, body)
            if scope["method"] == "POST":
                text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
                self.rows += json.loads(text)["dataValues"]
                self.kept.append(answer)
            return answer

        answer = await self.handler(scope["method"], ask)
        await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
        await send({"type": "http.response.body", "body": answer.body})

    def hold(self, hook: Callable[[], None], *, is_after: bool) -> None:
        """Let something happen while the next import is under way: before DHIS2 has it, or before its answer is out."""
        waiting = [hook]

        async def handler(method: str, ask: Ask) -> Answer:
            first = waiting.pop() if method == "POST" and waiting else None
            if first and not is_after:
                await asyncio.to_thread(first)
            answer = await ask()
            if first and is_after:
                await asyncio.to_thread(first)
            return answer

        self.handler = handler


async def _ask(app: ASGIApp, scope: Scope, body: bytes) -> Answer:
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    got: list[Any] = []

    async def receive() -> Message:
        return parts.pop() if parts else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        got.append(message)

    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in got[1:])
    return Answer(got[0]["status"], tuple(got[0]["headers"]), content)


@contextmanager
def between(warehouse: Warehouse, version: str) -> Iterator[tuple[Dhis2Site, Between]]:
    """Open a site with something in between."""
    there = Between(create_app(metadata(), version=version, clock=lambda: NOW))
    with running(there) as url:
        site = Dhis2Site(url, warehouse)
        with site.client:
            yield site, there
