"""The faults of transport that both sandbox servers have: a proxy's page, a slow, a cut or a missing answer.

It knows ASGI and uvicorn; which request meets which fault is the servers' affair.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PROXY_PAGE = "<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center><hr>nginx</body></html>"


@dataclass
class Answer:
    """What the application said, before a fault is applied to it."""

    start: Message
    body: bytes

    @property
    def status(self) -> int:
        return int(self.start["status"])

    async def send(self, send: Send, *, share: float = 1.0) -> None:
        """Send the answer, or only the first share of its body, as if the rest were to come."""
        await send(self.start)
        cut = self.body[: round(len(self.body) * share)]
        await send({"type": "http.response.body", "body": cut, "more_body": share < 1.0})


async def answer_of(app: ASGIApp, scope: Scope, receive: Receive) -> Answer:
    """Have the application answer, and keep what it says."""
    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, keep)
    return Answer(sent[0], b"".join(message.get("body", b"") for message in sent[1:]))


async def send_faulty(kind: str, answer: Answer, seconds: float, receive: Receive, send: Send) -> None:
    """Send what is left of an answer under a fault: slow, truncated, or none and a closed connection."""
    if kind == "slow":
        await asyncio.sleep(seconds)
        await answer.send(send)
        return
    if kind == "truncated":
        await answer.send(send, share=0.5)
    await hang_up(receive)


def proxy_page(status: int, headers: dict[str, str] | None = None) -> Response:
    """Make the page with which a proxy refuses."""
    return Response(PROXY_PAGE.format(status=status), status, {"Content-Type": "text/html", **(headers or {})})


async def hang_up(receive: Receive) -> None:
    """Close the connection. ASGI has no word for that, so uvicorn's own transport is taken hold of."""
    cycle: Any = receive.__self__  # type: ignore[attr-defined]
    cycle.transport.close()
    while not cycle.disconnected:
        await asyncio.sleep(0)
