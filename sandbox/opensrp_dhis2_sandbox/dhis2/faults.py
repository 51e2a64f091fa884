"""The faults that wait for the requests of the sandbox DHIS2: each is applied once, to the first request that it matches.

It knows nothing of DHIS2's rules; a real server has none of this.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from opensrp_dhis2_sandbox.dhis2.imports import RefusedRequest
from opensrp_dhis2_sandbox.faults import answer_of, hang_up, proxy_page, send_faulty

KINDS = ("hang_up_before", "hang_up_after", "status", "slow", "truncated", "lost_write")
LOST_WRITE = "is_write_lost"  # in the scope of a request whose write the server is to lose


@dataclass
class Fault:
    """One thing that goes wrong on the way of the next matching request."""

    kind: str
    path: str = "/api/dataValueSets"
    method: str = "POST"
    status: int = 502
    seconds: float = 1.0


class QueuedFaults:
    """Middleware with a queue of faults."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._waiting: deque[Fault] = deque()

    def queue(self, sent: list[dict[str, Any]]) -> None:
        """Take faults in; an unknown kind is refused."""
        for each in sent:
            if each.get("kind") not in KINDS or not each.keys() <= set(Fault.__annotations__):
                text = f"A fault has {', '.join(Fault.__annotations__)}; its kind is one of {', '.join(KINDS)}"
                raise RefusedRequest(400, text)
            self._waiting.append(Fault(**each))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._take(scope["method"], scope["path"])
        if fault is None or fault.kind == "lost_write":
            await self._app({**scope, LOST_WRITE: fault is not None}, receive, send)
        elif fault.kind in ("hang_up_before", "status"):
            await Request(scope, receive).body()
            await (hang_up(receive) if fault.kind != "status" else proxy_page(fault.status)(scope, receive, send))
        else:
            answer = await answer_of(self._app, scope, receive)
            await send_faulty(fault.kind, answer, fault.seconds, receive, send)

    def _take(self, method: str, path: str) -> Fault | None:
        for fault in self._waiting:
            if fault.method == method and path.startswith(fault.path):
                self._waiting.remove(fault)
                return fault
        return None
