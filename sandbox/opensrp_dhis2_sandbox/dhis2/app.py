"""The sandbox DHIS2 server as an application: which path leads to which handler, and who is let in.

It knows paths; the answers are made by the handlers.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from opensrp_dhis2.clock import Clock
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2_sandbox.dated import Dated
from opensrp_dhis2_sandbox.dhis2 import auth, completions, objects, routes, values
from opensrp_dhis2_sandbox.dhis2.admin_routes import admin_routes
from opensrp_dhis2_sandbox.dhis2.faults import LOST_WRITE, QueuedFaults
from opensrp_dhis2_sandbox.dhis2.http import VERSIONS, Call, Dhis2, Reply, envelope_reply
from opensrp_dhis2_sandbox.dhis2.imports import Json, RefusedRequest
from opensrp_dhis2_sandbox.dhis2.metadata import DATA_WRITE, Metadata, User
from opensrp_dhis2_sandbox.dhis2.reading import get_data_value_set
from opensrp_dhis2_sandbox.dhis2.route_run import run_route
from opensrp_dhis2_sandbox.dhis2.store import Store

Handler = Callable[..., Reply]
UID_SHAPE = re.compile(r"[A-Za-z][A-Za-z0-9]{10}")


def create_app(
    metadata: dict[str, Any], *, version: str, clock: Clock, zone: tzinfo = UTC, store_path: Path | None = None
) -> Starlette:
    """Build a sandbox DHIS2 over a metadata document, on a machine of some zone; with a store path its state outlives it.

    Raises ConfigurationError for an unknown version or a document without data sets (terminal).
    """
    if version not in VERSIONS:
        raise ConfigurationError(f"DHIS2 sandbox version {version!r} is not known: give one of {', '.join(VERSIONS)}")
    server = Dhis2(Metadata(metadata), Store(store_path), version, lambda: _local(clock(), zone), zone)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        server.store.close()

    return Starlette(routes=[Mount("/", app=Dated(_Application(server), lambda: _instant(clock())))], lifespan=lifespan)


def _local(told: datetime, zone: tzinfo) -> datetime:
    """Tell DHIS2's time, which is that of its machine and carries no zone."""
    return _instant(told).astimezone(zone).replace(tzinfo=None)


def _instant(told: datetime) -> datetime:
    return told if told.tzinfo else told.replace(tzinfo=UTC)


class _Application:
    """The ASGI side: reads the request and sends the reply, through the queue of faults."""

    def __init__(self, server: Dhis2) -> None:
        self._server, self._faults = server, QueuedFaults(self._answer)
        self._catalog = objects.Catalog(server.metadata)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._faults(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        reply = await run_in_threadpool(self._reply, scope, body, scope.get(LOST_WRITE, False))
        await reply.response()(scope, receive, send)

    def _reply(self, scope: Scope, body: bytes, is_write_lost: bool) -> Reply:
        headers, method, path = dict(Headers(scope=scope)), scope["method"], scope["path"]
        base_url = f"http://{headers.get('host', 'localhost')}"
        if path == "/api/ping":
            return Reply(b"", 200)
        peer = scope["client"][0] if scope.get("client") else ""
        user = auth.authenticate(self._server, method, headers, base_url, peer)
        if isinstance(user, Reply):
            return user
        raw_query = scope["query_string"].decode("latin-1")
        query = parse_qsl(raw_query, keep_blank_values=True)
        call = Call(method, path, query, raw_query, headers, body, base_url, peer, user, is_write_lost)
        try:
            reply = self._dispatch(call)
        except RefusedRequest as refused:
            reply = Reply(refused.envelope, refused.status)
        if headers.get("authorization", "").startswith("Basic"):
            reply.headers.setdefault("set-cookie", auth.session_cookie(self._server, user))
        return reply

    def _dispatch(self, call: Call) -> Reply:
        if call.path.startswith("/sandbox/"):
            return admin_routes(self._server, self._faults, call)
        parts = call.path.strip("/").split("/")
        if parts[0] != "api":
            return Reply(b"", 404)
        parts = parts[2:] if len(parts) > 1 and parts[1].isdigit() else parts[1:]
        name = re.sub(r"\.(json|csv)$", "", parts[0]) if parts else ""
        own: dict[str, Callable[[Call, list[str]], Reply]] = {
            "me": self._me,
            "system": self._system,
            "routes": self._routes,
            "apiToken": self._tokens,
            "metadata": self._import,
        }
        if name in own:
            return own[name](call, parts[1:])
        handlers = PLAIN.get(name)
        if handlers:
            return handlers[call.method](self._server, call) if call.method in handlers else self._no_method(call)
        found = self._catalog.collections.get(name)
        return self._metadata(call, name, found, parts[1:]) if found is not None else Reply(b"", 404)

    def _no_method(self, call: Call) -> Reply:
        verb = "is not supported" if self._server.is_atomic else "not supported"
        return envelope_reply(405, f"Request method '{call.method}' {verb}")

    def _metadata(self, call: Call, name: str, found: dict[str, Json], rest: list[str]) -> Reply:
        if call.method != "GET":
            return self._no_method(call)
        if rest:
            return objects.get_object(self._server, call, name, found.get(rest[0]), rest[0], self._catalog)
        return objects.list_objects(self._server, call, name, found.values(), self._catalog)

    def _me(self, call: Call, rest: list[str]) -> Reply:
        if rest[:1] == ["authorization"]:
            return Reply(call.user.has(rest[1]))
        fields = objects.parse_fields(call.one("fields") or "*")
        return Reply(objects.select(me(self._server, call.user), fields, self._catalog))

    def _system(self, call: Call, rest: list[str]) -> Reply:
        if rest == ["info"]:
            return Reply(system_info(self._server, call))
        if len(rest) == 3 and rest[:2] == ["tasks", values.JOB]:
            return values.get_task(self._server, call, rest[2])
        if len(rest) == 3 and rest[:2] == ["taskSummaries", values.JOB]:
            return values.get_task_summary(self._server, call, rest[2])
        return Reply(b"", 404)

    def _routes(self, call: Call, rest: list[str]) -> Reply:
        server = self._server
        if not rest:
            if call.method == "POST":
                return routes.post_route(server, call)
            every = (routes.shown(each, call.base_url) for each in server.store.documents("route").values())
            return objects.list_objects(server, call, "routes", every, self._catalog)
        if rest[1:2] == ["run"]:
            return run_route(server, call, rest[0], "/".join(rest[2:]))
        if call.method != "GET":
            return routes.change_route(server, call, rest[0])
        if server.is_atomic and not UID_SHAPE.fullmatch(rest[0]):
            return self._no_method(call)
        route = server.store.documents("route").get(rest[0])
        visible = routes.shown(route, call.base_url) if route else None
        return objects.get_object(server, call, "routes", visible, rest[0], self._catalog)

    def _tokens(self, call: Call, rest: list[str]) -> Reply:
        if call.method == "POST":
            return auth.post_token(self._server, call)
        own = auth.own_tokens(self._server, call.user)
        if not rest:
            return objects.list_objects(self._server, call, "apiToken", own.values(), self._catalog)
        reply = auth.delete_token(self._server, call, rest[0]) if call.method == "DELETE" else None
        return reply or objects.get_object(self._server, call, "apiToken", own.get(rest[0]), rest[0], self._catalog)

    def _import(self, call: Call, rest: list[str]) -> Reply:
        if call.method != "POST" or rest:
            return self._no_method(call)
        return routes.import_routes(self._server, call, call.json().get("routes") or [])


def me(server: Dhis2, user: User) -> Json:
    """Describe the calling user."""
    every = server.metadata.data_sets.values()
    return {
        **{name: value for name, value in server.metadata.objects["users"][user.id].items() if name != "password"},
        "userGroups": [{"id": uid} for uid in sorted(user.group_ids)],
        "organisationUnits": [{"id": uid} for uid in sorted(user.capture_unit_ids)],
        "dataViewOrganisationUnits": [{"id": uid} for uid in sorted(user.view_unit_ids)],
        "authorities": sorted(user.authorities),
        "dataSets": [each.id for each in every if user.may(each.sharing, DATA_WRITE)],
        "settings": {"keyUiLocale": "en"},
        "patTokens": [{"id": uid} for uid in auth.own_tokens(server, user)],
    }


def system_info(server: Dhis2, call: Call) -> Json:
    """Describe the server."""
    version, revision = VERSIONS[server.version]
    now = server.timestamp()
    return {
        "contextPath": call.base_url,
        "userAgent": call.headers.get("user-agent", ""),
        "calendar": "iso8601",
        "dateFormat": "yyyy-mm-dd",
        "serverDate": now,
        "serverTimeZoneId": "Etc/UTC" if server.zone is UTC else str(server.zone),
        "serverTimeZoneDisplayName": "Coordinated Universal Time" if server.zone is UTC else str(server.zone),
        **({"sessionTimeout": 3600} if server.is_atomic else {}),
        "databaseInfo": {"spatialSupport": True, "time": now},
        "version": version,
        "revision": revision,
        "encryption": False,
        "emailConfigured": False,
        "redisEnabled": False,
        "systemId": "5f64f9b1-ff00-4cbd-b703-3cfc7fd6830f",
        "systemName": "DHIS 2",
        "isMetadataVersionEnabled": False,
    }


PLAIN: dict[str, dict[str, Handler]] = {
    "dataValueSets": {"POST": values.post_data_value_set, "GET": get_data_value_set},
    "dataValues": {
        "GET": values.get_single_value,
        "POST": values.post_single_value,
        "DELETE": values.delete_single_value,
    },
    "completeDataSetRegistrations": {
        "POST": completions.post_completions,
        "GET": completions.get_completions,
        "DELETE": completions.delete_completions,
    },
    "lockExceptions": dict.fromkeys(("GET", "POST", "DELETE"), values.lock_exceptions),
    "dataApprovals": {"POST": values.approvals, "DELETE": values.approvals},
}
