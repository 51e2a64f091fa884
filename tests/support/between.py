"""What may stand between us and DHIS2: something that holds a request, loses it, or gives an answer of its own."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.dhis2_site import Dhis2Site, site

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
    """In front of the sandbox: every request for values goes by the handler, which a test sets.

    Without one it goes straight to the sandbox, which can then hang up.
    """

    app: ASGIApp
    handler: Handler | None = pass_on
    notes: dict[str, bytes] = field(default_factory=dict)  # beginning of a path -> what a proxy answers to its GETs
    imports: list[tuple[dict[str, list[str]], dict[str, Any]]] = field(default_factory=list)  # that reached DHIS2
    kept: list[Answer] = field(default_factory=list)  # what was answered to imports
    under_way: int = 0
    most_at_once: int = 0

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for _, body in self.imports for row in body["dataValues"]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        noted = [note for path, note in self.notes.items() if scope.get("path", "").startswith(path)]
        if noted and scope["method"] == "GET":
            await _send(Answer.of(200, noted[0], content_type="application/json"), send)
        elif self.handler and scope["type"] == "http" and scope["path"] == VALUES:
            await self._handle(self.handler, scope, await Request(scope, receive).body(), send)
        else:
            await self.app(scope, receive, send)

    async def _handle(self, handler: Handler, scope: Scope, body: bytes, send: Send) -> None:
        async def ask() -> Answer:
            answer = await _ask(self.app, scope, body)
            if scope["method"] == "POST":
                text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
                self.imports.append((parse_qs(scope["query_string"].decode()), json.loads(text)))
                self.kept.append(answer)
            return answer

        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        answer = await handler(scope["method"], ask)
        self.under_way -= 1
        await _send(answer, send)

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


async def _send(answer: Answer, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
    await send({"type": "http.response.body", "body": answer.body})


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
def between(
    warehouse: Warehouse, version: str, document: dict[str, Any] | None = None
) -> Iterator[tuple[Dhis2Site, Between]]:
    """Open a site with something in between."""
    fronts: list[Between] = []

    def front(app: ASGIApp) -> Between:
        fronts.append(Between(app))
        return fronts[0]

    with site(warehouse, version, document, front=front) as opened:
        yield opened, fronts[0]
