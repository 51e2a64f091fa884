"""The header Date of every answer of a server, by that server's own clock: readers cut their windows by it."""

from datetime import UTC
from email.utils import format_datetime

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opensrp_dhis2.clock import Clock


class Dated:
    """Middleware that says the time where the application below has not."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app, self._clock = app, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                now = format_datetime(self._clock().astimezone(UTC), usegmt=True)
                MutableHeaders(scope=message).setdefault("Date", now)
            await send(message)

        await self._app(scope, receive, dated)
