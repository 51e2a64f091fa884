"""PUT, POST, DELETE and transaction Bundles, with the version numbers and outcomes that HAPI gives.

It knows how a write is asked for and answered; numbering and stamping are the store's.
"""

from typing import Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from opensrp_dhis2_sandbox.fhir.bundle import success
from opensrp_dhis2_sandbox.fhir.folder import relink_bundle
from opensrp_dhis2_sandbox.fhir.instant import http_date, instant_text
from opensrp_dhis2_sandbox.fhir.reply import links_of, reply, resource_type_of, server_of
from opensrp_dhis2_sandbox.fhir.search import refuse
from opensrp_dhis2_sandbox.fhir.store import FhirStore, Version

DELETED = "SUCCESSFUL_DELETE"
NOT_FOUND = "Delete succeeded: No existing resource was found so no action was taken."
ALREADY = "Delete succeeded: Resource was already deleted so no action was taken."
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Request(msgspec.Struct):
    method: str
    url: str


class _Entry(msgspec.Struct, rename="camel"):
    request: _Request
    full_url: str = ""
    resource: msgspec.Raw = msgspec.Raw()


class _Transaction(msgspec.Struct):
    type: str
    entry: list[_Entry] = []


async def create(request: Request) -> Response:
    """Answer POST [type]: a resource under an id of the server's making."""
    resource_type, store = resource_type_of(request), server_of(request).store
    body = await _body(request, resource_type, "CREATE")
    version = store.put({**body, "id": store.new_id()})
    return _written(request, version, 201, with_location=True)


async def update(request: Request) -> Response:
    """Answer PUT [type]/[id]: 201 for a new or deleted id, 200 else."""
    resource_type, resource_id, store = resource_type_of(request), request.path_params["id"], server_of(request).store
    body = await _body(request, resource_type, "UPDATE")
    body_id = msgspec.json.decode(body["id"]) if "id" in body else None
    if body_id != resource_id:
        raise refuse(
            "HAPI-0420: Can not update resource, resource body must contain an ID element which matches the request "
            f'URL for update (PUT) operation - Resource body ID of "{body_id}" does not match URL ID of "{resource_id}"'
        )
    latest = store.latest(resource_type, resource_id)
    expected = request.headers.get("If-Match", "").removeprefix("W/").strip('"')
    if expected and (latest is None or expected != str(latest.version_id)):
        place = f"{resource_type}/{resource_id}/_history/{expected}"
        raise refuse(f"HAPI-0550: HAPI-0989: Trying to update {place} but this is not the current version", 409)
    is_new = latest is None or latest.is_deleted
    return _written(request, store.put(body), 201 if is_new else 200)


async def update_without_id(request: Request) -> Response:
    """Refuse PUT [type]."""
    raise refuse(
        "HAPI-0418: Can not update resource, request URL must contain an ID element for update (PUT) operation "
        "(it must be of the form [base]/[resource type]/[id])"
    )


async def delete(request: Request) -> Response:
    """Answer DELETE [type]/[id], which is 200 whether or not there was something to delete."""
    resource_type, resource_id, store = resource_type_of(request), request.path_params["id"], server_of(request).store
    before = store.latest(resource_type, resource_id)
    after = store.delete(resource_type, resource_id)
    place = f"{resource_type}/{resource_id}"
    if after is None:
        body = success(f"{DELETED}_NOT_FOUND", NOT_FOUND, f"Not deleted, resource {place} does not exist.")
        return reply(request, body, headers={"Content-Location": f"{links_of(request).base}/{place}"})
    version = f"{place}/_history/{after.version_id}"
    body = success(DELETED, "Delete succeeded.", "Successfully deleted 1 resource(s). Took 1ms.")
    if after is before:
        body = success(f"{DELETED}_ALREADY_DELETED", ALREADY, f"Not deleted, resource {version} was already deleted.")
    return reply(request, body, headers={"Content-Location": f"{links_of(request).base}/{version}"})


async def transaction(request: Request) -> Response:
    """Answer POST of a transaction Bundle of PUT, POST and DELETE: all or nothing, one stamp for all rows."""
    store = server_of(request).store
    content = await request.body()
    try:
        bundle = msgspec.json.decode(relink_bundle(content), type=_Transaction)
    except ValueError as error:
        raise refuse(f"HAPI-0450: Failed to parse request body as JSON resource. Error was: {error}") from error
    if bundle.type != "transaction":
        raise refuse(f"HAPI-0522: This sandbox takes Bundles of type transaction, not {bundle.type}")
    for entry in bundle.entry:
        _check_entry(entry)
    with store.transaction():
        stamp_ms = store.stamp_ms()
        entries = [{"response": _apply(store, entry, stamp_ms)} for entry in bundle.entry]
    bundle_id, base = str(uuid4()), links_of(request).base
    answer = {"resourceType": "Bundle", "id": bundle_id, "type": "transaction-response"}
    links = [{"relation": "self", "url": base}]
    location = f"{base}/Bundle/{bundle_id}"
    body = msgspec.json.encode({**answer, "link": links, "entry": entries})
    return reply(request, body, headers={"Content-Location": location, "Location": location})


def _check_entry(entry: _Entry) -> None:
    method = entry.request.method
    if method not in ("PUT", "POST", "DELETE"):
        raise refuse(f"HAPI-0527: Unable to process method in transaction: {method}")
    if method != "DELETE" and not entry.resource:
        raise refuse(f"HAPI-0528: {method} in a transaction must have a resource: {entry.request.url.split('?')[0]}")


def _apply(store: FhirStore, entry: _Entry, stamp_ms: int) -> dict[str, Any]:
    resource_type, _, resource_id = entry.request.url.partition("/")
    if entry.request.method == "DELETE":
        deleted = store.delete(resource_type, resource_id, stamp_ms=stamp_ms)
        return {"status": "204 No Content", **({"etag": str(deleted.version_id)} if deleted else {})}
    resource_id = resource_id or entry.full_url.removeprefix(f"{resource_type}/") or store.new_id()
    latest = store.latest(resource_type, resource_id)
    version = store.put({**_decode_fields(entry.resource), "id": resource_id}, stamp_ms=stamp_ms)
    is_new = latest is None or latest.is_deleted
    return {
        "status": "201 Created" if is_new else "200 OK",
        "location": f"{resource_type}/{version.id}/_history/{version.version_id}",
        "etag": str(version.version_id),
        "lastModified": instant_text(version.last_updated_ms),
    }


async def _body(request: Request, resource_type: str, operation: str) -> dict[str, Any]:
    kind = request.headers.get("Content-Type", "")
    if "json" not in kind:
        raise refuse(
            f'HAPI-0449: Incorrect Content-Type header value of "{kind}" was provided in the request. '
            f'A FHIR Content-Type is required for "{operation}" operation'
        )
    failed = "HAPI-0450: Failed to parse request body as JSON resource. Error was: "
    try:
        fields = _decode_fields(await request.body())
    except msgspec.DecodeError as error:
        raise refuse(f"{failed}HAPI-1861: Failed to parse JSON encoded FHIR content: {error}") from error
    found = msgspec.json.decode(fields.get("resourceType", b"null"))
    if found != resource_type:
        text = f'HAPI-1814: Incorrect resource type found, expected "{resource_type}" but found "{found}"'
        raise refuse(failed + text)
    return dict(fields)


def _written(request: Request, version: Version, status: int, *, with_location: bool = False) -> Response:
    location = f"{links_of(request).base}/{version.resource_type}/{version.id}/_history/{version.version_id}"
    headers = {
        "ETag": f'W/"{version.version_id}"',
        "Content-Location": location,
        "Last-Modified": http_date(version.last_updated_ms),
    }
    if with_location:
        headers["Location"] = location
    return reply(request, version.body or b"", status, headers)
