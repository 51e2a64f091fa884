"""Keeps DHIS2 routes: create, read, replace, patch, delete, with the traps that real servers set.

It knows the Route object and who may touch it; running one is elsewhere.
"""

import re
from urllib.parse import urlsplit

from opensrp_dhis2_sandbox.dhis2.http import Call, Dhis2, Reply, envelope_reply, object_report
from opensrp_dhis2_sandbox.dhis2.imports import Json, RefusedRequest

KLASS = "org.hisp.dhis.route.Route"
AUTH_BEFORE_2_42 = ("api-headers", "api-query-params", "api-token", "http-basic")
SECRETS = {"password", "token", "headers", "queryParams", "clientSecret"}
AUTH_MEMBERS = SECRETS | {"type", "username", "clientId", "tokenUri"}
KNOWN = {
    "id",
    "name",
    "code",
    "description",
    "disabled",
    "url",
    "headers",
    "auth",
    "authorities",
    "responseTimeoutSeconds",
    "sharing",
}
TIMEOUT_TEXT = "Route response timeout must be greater than 0 seconds and less than or equal to 60 seconds"


def find_route(server: Dhis2, name: str) -> Json | None:
    """Find a route by id or code."""
    routes = server.store.documents("route").values()
    return next((route for route in routes if name in (route["id"], route.get("code"))), None)


def shown(route: Json, base_url: str) -> Json:
    """Write a route as the API shows it: without any secret."""
    visible = {name: value for name, value in route.items() if value is not None}
    visible["href"] = f"{base_url}/api/routes/{route['id']}"
    if route.get("auth"):
        visible["auth"] = {name: value for name, value in route["auth"].items() if name not in SECRETS}
    return visible


def post_route(server: Dhis2, call: Call) -> Reply:
    """Create a route; without sharing it is private."""
    if not call.user.has("F_ROUTE_PUBLIC_ADD", "F_ROUTE_PRIVATE_ADD"):
        return envelope_reply(403, "You don't have the proper permissions to create this object.", "E1006")
    sent = call.json()
    check_auth_type(server, sent)
    _check_target(server, sent)
    route = new_route(server, call, sent, public="--------")
    if errors := _errors(server, route):
        return object_report(409, KLASS, route["id"], is_atomic=server.is_atomic, errors=errors)
    server.store.put_document("route", route["id"], route)
    reply = object_report(201, KLASS, route["id"], is_atomic=server.is_atomic)
    reply.headers["location"] = f"{call.base_url}/api/routes/{route['id']}"
    return reply


def new_route(server: Dhis2, call: Call, sent: Json, *, public: str) -> Json:
    """Complete what was sent to a stored route."""
    name = f"{server.metadata.objects['users'][call.user.id].get('firstName', '')} Test".strip()
    person = {"id": call.user.id, "code": None, "name": name, "displayName": name, "username": call.user.username}
    kept = {member: value for member, value in sent.items() if member in KNOWN}
    if kept.get("auth"):
        kept["auth"] = {member: value for member, value in kept["auth"].items() if member in AUTH_MEMBERS}
    return {
        "translations": [], "favorites": [], "disabled": False, "headers": {}, "authorities": [],
        "responseTimeoutSeconds": 5, "attributeValues": [], "favorite": False,
        "sharing": {"owner": call.user.id, "users": {}, "userGroups": {}, "public": public},
        "createdBy": person, "lastUpdatedBy": person, "user": person, "created": server.timestamp(),
        "lastUpdated": server.timestamp(), **kept, "id": sent.get("id") or server.new_id(),
        "displayName": sent.get("name"),
    }  # fmt: skip


def check_auth_type(server: Dhis2, sent: Json) -> None:
    """Refuse an auth type that the version does not know."""
    known = [*AUTH_BEFORE_2_42, "oauth2-client-credentials"] if server.is_atomic else list(AUTH_BEFORE_2_42)
    kind = (sent.get("auth") or {}).get("type", known[0])
    if kind not in known:
        text = (
            f"Could not resolve type id '{kind}' as a subtype of `org.hisp.dhis.common.auth.AuthScheme`: "
            f"known type ids = [{', '.join(known)}] (for POJO property 'auth')"
        )
        raise RefusedRequest(409 if server.is_atomic else 500, text)


def _check_target(server: Dhis2, sent: Json) -> None:
    url = urlsplit(sent.get("url") or "")
    if not url.scheme or not url.netloc:
        raise RefusedRequest(409, "Malformed route URL", "E1004")
    if url.scheme not in {"http", "https"}:
        raise RefusedRequest(409, "Route URL scheme must be either http or https", "E1004")
    # As with route.remote_servers_allowed = http://127.0.0.1*,https://*
    if server.is_atomic and url.scheme == "http" and not re.match(r"127\.0\.0\.1", url.netloc):
        raise RefusedRequest(409, "Route URL is not permitted", "E1004")
    if not 1 <= sent.get("responseTimeoutSeconds", 5) <= 60:
        raise RefusedRequest(409, TIMEOUT_TEXT, "E1004")


def _errors(server: Dhis2, route: Json) -> list[Json]:
    if not route.get("name"):
        place = {"mainKlass": KLASS, "errorCode": "E4000", "errorKlass": "java.lang.String", "errorProperty": "name"}
        return [{"message": "Missing required property `name`", "args": ["name"], **place, "errorProperties": ["name"]}]
    errors = []
    for other in server.store.documents("route").values():
        for member in ("name", "code"):
            if other["id"] != route["id"] and route.get(member) and other.get(member) == route[member]:
                args = [member, route[member], f"{route['name']} [{route['id']}] (Route)", other["id"]]
                text = (
                    f"Property `{member}` with value `{args[1]}` on object {args[2]} already exists on object {args[3]}"
                )
                place = {"mainKlass": KLASS, "errorCode": "E5003", "mainId": other["id"], "errorProperty": member}
                errors.append({"message": text, "args": args, **place, "errorProperties": args})
    return errors


def change_route(server: Dhis2, call: Call, uid: str) -> Reply:
    """Replace, patch or delete a route. PUT and PATCH lose every secret that is not sent along."""
    route = server.store.documents("route").get(uid)
    if route is None or not call.user.may(route["sharing"], 1):
        return envelope_reply(404, f"Route with id {uid} could not be found.", "E1005")
    if call.method == "DELETE":
        server.store.drop_document("route", uid)
    elif call.method == "PUT":
        sent = call.json()
        check_auth_type(server, sent)
        _check_target(server, sent)
        # A PUT that leaves sharing out opens the route to everybody.
        replaced = new_route(server, call, {**sent, "id": uid}, public="rw------")
        server.store.put_document("route", uid, replaced | {"created": route["created"]})
    else:
        server.store.put_document(
            "route", uid, patched(shown(route, call.base_url), call.json()) | {"lastUpdated": server.timestamp()}
        )
    if call.method != "PATCH":
        forget_tokens(server)
    return object_report(200, KLASS, uid, is_atomic=server.is_atomic)


def patched(route: Json, operations: list[Json]) -> Json:
    """Apply a JSON patch to the top members of a route."""
    changed = dict(route)
    for operation in operations:
        name = operation["path"].strip("/")
        if operation["op"] == "remove":
            changed.pop(name, None)
        else:
            changed[name] = operation["value"]
    return changed | {"displayName": changed.get("name")}


def forget_tokens(server: Dhis2) -> None:
    """Drop the OAuth2 tokens kept for routes."""
    for name in server.store.documents("route_token"):
        server.store.drop_document("route_token", name)


def import_routes(server: Dhis2, call: Call, routes: list[Json]) -> Reply:
    """Take routes from a metadata import."""
    for sent in routes:
        check_auth_type(server, sent)
        route = new_route(server, call, sent, public="rw------")
        server.store.put_document("route", route["id"], route)
    stats = {"created": len(routes), "updated": 0, "deleted": 0, "ignored": 0, "total": len(routes)}
    types = {"typeReports": [{"klass": KLASS, "stats": stats, "objectReports": []}]}
    kind, status = {"responseType": "ImportReport"}, {"status": "OK"}
    report = status | types | {"stats": stats} | kind if server.is_atomic else kind | status | {"stats": stats} | types
    envelope = {"httpStatus": "OK", "httpStatusCode": 200, "status": "OK", "response": report}
    return Reply(envelope)
