"""A FHIR server on loopback that answers as the recorded HAPI FHIR 8.8 does: search, paging, reads, history, writes.

It knows routes and what each answers; where a real HAPI would search by clinical parameters, this one refuses.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from opensrp_dhis2.clock import Clock
from opensrp_dhis2_sandbox.dated import Dated
from opensrp_dhis2_sandbox.fhir import export, write
from opensrp_dhis2_sandbox.fhir.auth import TOKEN_PATH, Auth, ClientCredentials, is_allowed, token_handler
from opensrp_dhis2_sandbox.fhir.bundle import bundle, match_entry
from opensrp_dhis2_sandbox.fhir.cursor import Cursor, Cursors
from opensrp_dhis2_sandbox.fhir.faults import Faults, FaultyAnswers, faults_route
from opensrp_dhis2_sandbox.fhir.history import instance_history, system_history, type_history
from opensrp_dhis2_sandbox.fhir.instant import http_date, instant_text
from opensrp_dhis2_sandbox.fhir.reply import (
    POWERED_BY,
    Server,
    links_of,
    pairs_of,
    refused,
    reply,
    resource_type_of,
    server_of,
)
from opensrp_dhis2_sandbox.fhir.search import Pairs, Search, integer, is_pretty, parse_search, refuse, select
from opensrp_dhis2_sandbox.fhir.store import FhirStore, Version
from opensrp_dhis2_sandbox.fhir.types import RESOURCE_TYPES

Handler = Callable[[Request], Awaitable[Response]]
INTERACTIONS = ("search-type", "update", "vread", "read", "history-type", "history-instance", "delete", "create")


def create_app(
    store: FhirStore,
    *,
    clock: Clock | None = None,
    auth: Auth | None = None,
    default_page_size: int = 20,
    max_page_size: int = 100_000,
    cursor_seconds: float = 3600.0,
    page_delay_seconds: float = 0.0,
    server_address: str | None = None,
    faults: Faults | None = None,
    exports: export.Exports | None = None,
) -> Starlette:
    """Make the server over a store, under /fhir; `app.state.server` holds its cursors.

    With `faults` it misbehaves by their plan, which POST /sandbox/faults replaces; with `exports` it has `$export`.
    """
    now = clock or store.clock
    token = []
    if isinstance(auth, ClientCredentials):
        token = [Route(TOKEN_PATH, token_handler(auth, now), methods=["POST"])]
    middleware = [Middleware(Dated, now), Middleware(GZipMiddleware, minimum_size=0, compresslevel=1)]
    if faults is not None:
        token.append(Route("/sandbox/faults", faults_route(faults), methods=["POST"]))
        middleware.append(Middleware(FaultyAnswers, faults))
    app = Starlette(routes=[*token, *_routes(auth)], exception_handlers={HTTPException: refused}, middleware=middleware)
    app.state.exports = exports
    app.state.server = Server(
        store=store,
        clock=now,
        cursors=Cursors(now, cursor_seconds),
        default_page_size=default_page_size,
        max_page_size=max_page_size,
        page_delay_seconds=page_delay_seconds,
        server_address=server_address,
    )
    return app


def _routes(auth: Auth | None) -> list[Route]:
    routes: list[tuple[str, str, Handler]] = [
        *(("GET", path, _base) for path in ("", "/")),
        *(("POST", path, write.transaction) for path in ("", "/")),
        ("GET", "/_history", system_history),
        *((method, "/$export", export.kick_off) for method in ("GET", "POST")),
        ("GET", "/$export-poll-status", export.poll),
        ("DELETE", "/$export-poll-status", export.cancel),
        ("GET", "/{resource_type}", _search),
        ("POST", "/{resource_type}/_search", _search),
        ("POST", "/{resource_type}", write.create),
        ("PUT", "/{resource_type}", write.update_without_id),
        ("GET", "/{resource_type}/_history", type_history),
        ("GET", "/{resource_type}/{id}/_history", instance_history),
        ("GET", "/{resource_type}/{id}/_history/{version}", _read),
        ("GET", "/{resource_type}/{id}", _read),
        ("PUT", "/{resource_type}/{id}", write.update),
        ("DELETE", "/{resource_type}/{id}", write.delete),
    ]
    guarded = [Route(f"/fhir{path}", _guard(auth, handler), methods=[method]) for method, path, handler in routes]
    return [Route("/fhir/metadata", _metadata), *guarded]


def _guard(auth: Auth | None, handler: Handler) -> Handler:
    async def guarded(request: Request) -> Response:
        if not is_allowed(auth, request.headers.get("Authorization", ""), server_of(request).clock()):
            return JSONResponse({"error": "unauthorized"}, 401, {"WWW-Authenticate": "Bearer"})
        return await handler(request)

    return guarded


async def _base(request: Request) -> Response:
    """Answer GET of the base: a page of a cursor, else a refusal."""
    pairs = dict(pairs_of(request))
    if "_getpages" not in pairs:
        raise refuse(
            "HAPI-0287: This is the base URL of FHIR server. Unable to handle this request, "
            "as it does not contain a resource type or operation name."
        )
    server = server_of(request)
    await server.delay()
    cursor = server.cursors.get(pairs["_getpages"])
    elements = frozenset(pairs.get("_elements", "").split(",")) - {""}
    offset = integer("_getpagesoffset", pairs.get("_getpagesoffset", "0"))
    count = server.page_size(integer("_count", pairs.get("_count", "0")))
    base = links_of(request)
    own = base.page(cursor.id, offset, count, is_pretty(list(pairs.items())), elements)
    location = {"Content-Location": f"{base.base}/Bundle/{cursor.id}"}
    return _page(request, cursor, own, offset, count, elements, location)


async def _search(request: Request) -> Response:
    """Answer a search by type, by GET or POST."""
    resource_type, server = resource_type_of(request), server_of(request)
    is_post = request.method == "POST"
    form = parse_qsl((await request.body()).decode(), keep_blank_values=True) if is_post else []
    pairs = [*pairs_of(request), *form]
    search = parse_search(resource_type, pairs)
    await server.delay()
    control = request.headers.get("Cache-Control", "")
    path = f"{resource_type}/_search" if is_post else resource_type
    own = links_of(request).own(path, pairs_of(request))
    if search.is_count_only:
        return _count_only(request, len(select(server.store, search.query)))
    if (search.query.count or 0) < 0:
        return _bundle(request, str(uuid4()), server.now_ms(), None, [("self", own)], [], search.elements)
    if "no-store" in control:
        return _truncated(request, search, own, control)
    if search.offset is not None:
        return _offset_page(request, search, own, pairs)
    cursor, is_reused = server.cursors.open(server.store, search, may_reuse="no-cache" not in control)
    headers = {"X-Cache": f"HIT from {links_of(request).base}"} if is_reused else {}
    return _page(request, cursor, own, 0, server.page_size(search.query.count), search.elements, headers)


def _page(
    request: Request,
    cursor: Cursor,
    own: str,
    offset: int,
    count: int,
    elements: frozenset[str],
    headers: dict[str, str],
) -> Response:
    store, links = server_of(request).store, links_of(request)
    was_complete, is_first = cursor.is_complete, not cursor.ids
    ids = cursor.page(store, offset, count)
    # As recorded: a page that completes the result does not know its size yet, unless it had to wait for the end.
    is_last = offset + count >= len(cursor.ids)
    total = len(cursor.ids) if was_complete or (cursor.is_complete and (is_first or is_last)) else None
    pretty = is_pretty(pairs_of(request))
    addresses = [("self", own)]
    if len(ids) == count if total is None else offset + count < total:
        addresses.append(("next", links.page(cursor.id, offset + count, count, pretty, elements)))
    if offset:
        addresses.append(("previous", links.page(cursor.id, max(0, offset - count), count, pretty, elements)))
    latest = [store.latest(cursor.query.resource_type, resource_id) for resource_id in ids]
    living = [version for version in latest if version is not None and not version.is_deleted]
    shown = cursor.total if cursor.total is not None else total
    return _bundle(request, cursor.id, cursor.created_ms, shown, addresses, living, elements, headers)


def _bundle(
    request: Request,
    bundle_id: str,
    updated_ms: int,
    total: int | None,
    links: list[tuple[str, str]],
    versions: list[Version],
    elements: frozenset[str],
    headers: dict[str, str] | None = None,
) -> Response:
    base = links_of(request).base
    entries = [match_entry(base, version, elements) for version in versions]
    body = bundle("searchset", bundle_id, updated_ms, total=total, links=links, entries=entries)
    return reply(request, body, headers={"Last-Modified": http_date(updated_ms), **(headers or {})})


def _count_only(request: Request, total: int) -> Response:
    now_ms = server_of(request).now_ms()
    body = bundle("searchset", str(uuid4()), now_ms, total=total, is_subsetted=True)
    return reply(request, body, headers={"Last-Modified": http_date(now_ms)})


def _truncated(request: Request, search: Search, own: str, control: str) -> Response:
    """Answer a no-store search: one page that looks whole."""
    server = server_of(request)
    limit = control.partition("max-results=")[2]
    count = int(limit) if limit.isdigit() else server.page_size(search.query.count)
    found = select(server.store, search.query)[:count]
    total = None if limit else len(found)
    return _bundle(request, str(uuid4()), server.now_ms(), total, [("self", own)], found, search.elements)


def _offset_page(request: Request, search: Search, own: str, pairs: Pairs) -> Response:
    """Answer a search with _offset, which is run anew for each page."""
    server, offset = server_of(request), search.offset or 0
    count = server.page_size(search.query.count)
    found = select(server.store, search.query)[offset : offset + count]
    kept = [pair for pair in pairs if pair[0] not in ("_offset", "_count")]

    def moved(to: int) -> str:
        return links_of(request).own(search.query.resource_type, [*kept, ("_count", str(count)), ("_offset", str(to))])

    addresses = [("self", own)]
    is_last = len(found) < count
    if not is_last:
        addresses.append(("next", moved(offset + count)))
    if offset:
        addresses.append(("previous", moved(max(0, offset - count))))
    total = offset + len(found) if is_last else None
    return _bundle(request, str(uuid4()), server.now_ms(), total, addresses, found, search.elements)


async def _read(request: Request) -> Response:
    """Answer a read or a read of one version: 404 for an unknown id, 410 for a deletion."""
    resource_type, resource_id = resource_type_of(request), request.path_params["id"]
    if resource_type == "Binary" and (file := export.file_answer(request, resource_id)):
        return file
    versions = server_of(request).store.versions(resource_type, resource_id)
    place = f"{resource_type}/{resource_id}"
    if not versions:
        raise refuse(f"HAPI-2001: Resource {place} is not known", 404)
    wanted = request.path_params.get("version")
    chosen = [version for version in versions if wanted is None or str(version.version_id) == wanted]
    if not chosen:
        raise refuse(f'HAPI-0979: Version "{wanted}" is not valid for resource {place}', 404)
    version = chosen[-1]
    location = f"{links_of(request).base}/{place}/_history/{version.version_id}"
    if version.body is None:
        text = f"Resource was deleted at {instant_text(version.last_updated_ms)}"
        raise HTTPException(410, text, {"Location": location})
    etag = f'W/"{version.version_id}"'
    if request.headers.get("If-None-Match") == etag:
        return Response(status_code=304, headers=POWERED_BY)
    modified = http_date(version.last_updated_ms)
    headers = {"ETag": etag, "Content-Location": location, "Last-Modified": modified}
    return reply(request, version.body, headers=headers)


async def _metadata(request: Request) -> Response:
    """Answer GET metadata with a CapabilityStatement."""
    base = links_of(request).base
    interactions = [{"code": code} for code in INTERACTIONS]
    exported = {"operation": [{"name": "export", "definition": export.DEFINITION}]} if request.app.state.exports else {}
    resources = [{"type": name, "interaction": interactions} for name in sorted(RESOURCE_TYPES)]
    statement = {
        "resourceType": "CapabilityStatement",
        "id": str(uuid4()),
        "name": "RestServer",
        "status": "active",
        "date": instant_text(server_of(request).now_ms()),
        "publisher": "Not provided",
        "kind": "instance",
        "software": {"name": "HAPI FHIR Server", "version": "8.8.0"},
        "implementation": {"description": "HAPI FHIR R4 Server (sandbox)", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [{"mode": "server", "resource": resources, **exported}],
    }
    location = {"Content-Location": f"{base}/CapabilityStatement/{statement['id']}"}
    return reply(request, msgspec.json.encode(statement), headers=location)
