"""The sandbox's own doors outside /api: seed and show stored values, queue faults of transport.

It knows nothing of DHIS2's rules; a real server has none of this.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from opensrp_dhis2_sandbox.dhis2.http import Call, Dhis2, Reply, envelope_reply
from opensrp_dhis2_sandbox.dhis2.imports import DataValue, Key, RefusedRequest

PROXY_PAGE = "<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center><hr>nginx</body></html>"
KINDS = ("hang_up_before", "hang_up_after", "status", "slow", "truncated", "lost_write")


@dataclass
class Fault:
    """One thing that goes wrong on the way of the next matching request."""

    kind: str
    path: str = "/api/dataValueSets"
    method: str = "POST"
    status: int = 502
    seconds: float = 1.0


class Faults:
    """The queue of faults; each strikes once, at the first request that it matches."""

    def __init__(self) -> None:
        self._waiting: deque[Fault] = deque()

    def queue(self, sent: list[dict[str, Any]]) -> None:
        """Take faults in; an unknown kind is refused."""
        for each in sent:
            if each.get("kind") not in KINDS or not each.keys() <= set(Fault.__annotations__):
                text = f"A fault has {', '.join(Fault.__annotations__)}; its kind is one of {', '.join(KINDS)}"
                raise RefusedRequest(400, text)
            self._waiting.append(Fault(**each))

    def strike(self, method: str, path: str) -> Fault | None:
        """Take the fault that the request has coming, if any."""
        for fault in self._waiting:
            if fault.method == method and path.startswith(fault.path):
                self._waiting.remove(fault)
                return fault
        return None


async def send_faulty(fault: Fault, reply: Reply, receive: Receive, send: Send) -> None:
    """Send what is left of a reply under a fault."""
    if fault.kind == "lost_write":  # the import knows it already
        await send_reply(reply, send)
    elif fault.kind == "status":
        body = PROXY_PAGE.format(status=fault.status).encode()
        await send_reply(Reply(body, fault.status, {"content-type": "text/html"}), send)
    elif fault.kind == "slow":
        await asyncio.sleep(fault.seconds)
        await send_reply(reply, send)
    else:
        if fault.kind == "truncated":
            content = reply.content()
            await send(_start(reply, len(content)))
            await send({"type": "http.response.body", "body": content[: len(content) // 2], "more_body": True})
        await _hang_up(receive)


async def _hang_up(receive: Receive) -> None:
    """Close the connection. ASGI has no word for that, so uvicorn's own transport is taken hold of."""
    cycle: Any = receive.__self__  # type: ignore[attr-defined]
    cycle.transport.close()
    while not cycle.disconnected:
        await asyncio.sleep(0)


async def send_reply(reply: Reply, send: Send) -> None:
    """Send a reply whole."""
    content = reply.content()
    await send(_start(reply, len(content)))
    await send({"type": "http.response.body", "body": content})


def _start(reply: Reply, length: int) -> Message:
    headers = [
        (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in reply.all_headers().items()
    ]
    if reply.status not in {204, 304}:
        headers.append((b"content-length", str(length).encode()))
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


def sandbox_doors(server: Dhis2, faults: Faults, call: Call) -> Reply:
    """Answer /sandbox/state and /sandbox/faults, to a superuser only."""
    if not call.user.is_superuser:
        return envelope_reply(403, "Access is denied")
    if call.path == "/sandbox/faults" and call.method == "POST":
        faults.queue(call.json())
        return Reply(None, 204)
    if call.path == "/sandbox/state" and call.method == "POST":
        with server.store.transaction():
            server.store.clear_values(call.all("period"))
            server.store.put_values(dict(_seed(server, row) for row in call.json()))
            server.store.see_periods(row[1] for row in call.json())
        return Reply(None, 204)
    if call.path == "/sandbox/state" and call.method == "GET":
        return Reply([_shown(key, stored) for key, stored in server.store.values()])
    return envelope_reply(404, "The sandbox has only /sandbox/state and /sandbox/faults")


def _seed(server: Dhis2, row: list[Any]) -> tuple[Key, DataValue]:
    value, comment, follow_up, is_deleted = row[5:9]
    now = server.timestamp()
    return Key(*row[:5]), DataValue(value, comment, follow_up, bool(is_deleted), "sandbox", now, now)


def _shown(key: Key, stored: DataValue) -> list[Any]:
    return [*key, stored.value, stored.comment, stored.follow_up, True if stored.is_deleted else None]


async def read_body(receive: Receive) -> bytes:
    """Read a request's body whole."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def header_map(scope: Scope) -> dict[str, str]:
    """Return a request's headers by lower-case name."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
