"""The _history of a resource, a type or the server, with HAPI's own way of counting and paging it.

It knows _since, _at and _offset; a deletion shows as an entry without resource and without time.
"""

from collections.abc import Sequence
from urllib.parse import urlencode
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from opensrp_dhis2_sandbox.fhir.bundle import bundle, history_entry
from opensrp_dhis2_sandbox.fhir.instant import http_date
from opensrp_dhis2_sandbox.fhir.reply import Server, links_of, pairs_of, reply, resource_type_of, server_of
from opensrp_dhis2_sandbox.fhir.search import ALWAYS, NEVER, parse_search, parse_window, refuse
from opensrp_dhis2_sandbox.fhir.store import Version

COUNT_CACHE_MS = 60_000


async def type_history(request: Request) -> Response:
    """Answer GET [type]/_history."""
    resource_type = resource_type_of(request)
    return await _answer(request, f"{resource_type}/_history", server_of(request).store.history(resource_type))


async def system_history(request: Request) -> Response:
    """Answer GET _history."""
    return await _answer(request, "_history", server_of(request).store.history())


async def instance_history(request: Request) -> Response:
    """Answer GET [type]/[id]/_history; 404 when the id was never used."""
    resource_type, resource_id = resource_type_of(request), request.path_params["id"]
    versions = server_of(request).store.versions(resource_type, resource_id)
    if not versions:
        raise refuse(f"HAPI-2001: Resource {resource_type}/{resource_id} is not known", 404)
    return await _answer(request, f"{resource_type}/{resource_id}/_history", versions[::-1])


async def _answer(request: Request, path: str, versions: Sequence[Version]) -> Response:
    server, links, pairs = server_of(request), links_of(request), pairs_of(request)
    await server.delay()
    own = [pair for pair in pairs if pair[0] not in ("_since", "_at", "_sort")]
    search = parse_search("", own)
    first_ms, last_ms = _window(pairs)
    found = [version for version in versions if first_ms <= version.last_updated_ms <= last_ms]
    is_windowed = (first_ms, last_ms) != (ALWAYS, NEVER)
    total = None if is_windowed else _cached_count(server, path, len(found))
    count, offset = server.page_size(search.query.count), search.offset or 0
    page = [] if search.is_count_only else found[offset : offset + count]
    addresses = [("self", links.own(path, pairs))]
    if len(page) == count if total is None else offset + count < total:
        addresses.append(("next", _moved(links.base, path, pairs, count, offset + count)))
    if offset:
        addresses.append(("previous", _moved(links.base, path, pairs, count, max(0, offset - count))))
    bundle_id, now_ms = str(uuid4()), server.now_ms()
    body = bundle(
        "history",
        bundle_id,
        now_ms,
        total=total,
        links=() if search.is_count_only else addresses,
        entries=[history_entry(links.base, version, search.elements) for version in page],
        is_subsetted=search.is_count_only,
    )
    headers = {"Content-Location": f"{links.base}/Bundle/{bundle_id}", "Last-Modified": http_date(now_ms)}
    return reply(request, body, headers=headers)


def _window(pairs: Sequence[tuple[str, str]]) -> tuple[int, int]:
    since = [f"ge{value}" for name, value in pairs if name == "_since"]
    return parse_window([*since, *(value for name, value in pairs if name == "_at")])


def _cached_count(server: Server, path: str, count: int) -> int:
    """Return the total as HAPI knows it: up to a minute old, so that paging ends early on a busy type."""
    if path.count("/") > 1:
        return count
    now_ms = server.now_ms()
    counted_ms, cached = server.history_counts.get(path, (ALWAYS, 0))
    if now_ms - counted_ms >= COUNT_CACHE_MS:
        server.history_counts[path] = (now_ms, count)
        return count
    return cached


def _moved(base: str, path: str, pairs: Sequence[tuple[str, str]], count: int, offset: int) -> str:
    kept = [pair for pair in pairs if pair[0] not in ("_offset", "_count")]
    moved = sorted([*kept, ("_count", str(count)), ("_offset", str(offset))], key=lambda pair: pair[0])
    return f"{base}/{path}?{urlencode(moved)}"
