"""OpenSRP's gateway before the FHIR sandbox, with the token endpoint of its Keycloak: roles, filters, refusals.

It knows what the gateway lets pass, adds and drops, by the source of its plugin; FHIR is the business of what it hides.
"""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opensrp_dhis2.clock import Clock
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.auth import (
    APP_ID_CLAIM,
    TOKEN_PATH,
    ClientCredentials,
    claims_of,
    is_allowed,
    token_handler,
)
from opensrp_dhis2_sandbox.fhir.bundle import outcome
from opensrp_dhis2_sandbox.fhir.store import FhirStore

PREFIX = "/gateway/fhir"
INNER_BASE = "http://hapi.internal:8080/fhir"
CLIENT_ROLES = ("WEB_CLIENT", "ANDROID_CLIENT")
# What passes on the way in; Cache-Control does not, so that HAPI's cache of searches cannot be bypassed from outside.
FORWARDED = frozenset({b"content-type", b"accept-encoding", b"prefer", b"if-none-match", b"if-match"})
RETURNED = frozenset(
    {b"last-modified", b"date", b"expires", b"content-location", b"content-encoding", b"etag", b"location"}
    | {b"x-progress", b"x-request-id", b"content-length", b"vary"}
)
JSON_TYPE = b"application/json; charset=UTF-8"
OPEN_TYPES = frozenset({"Binary", "Composition"})
LOGIN_URL = "http://keycloak.internal/realms/opensrp/protocol/openid-connect/auth?state=s3cr3t-state"
LOGIN_PAGE = "<html><body><form action='/auth'><input name='password' type='password'></form></body></html>"


@dataclass
class Gateway:
    """How one gateway is set up; all of it may be changed while it runs.

    Args: `sync_tag` is what a practitioner's assignment lets the app see, as system|code. `history_status` refuses a
        type's history. `login` stands before everything, as a proxy that sends browsers to Keycloak does.
    """

    keycloak: ClientCredentials
    prefix: str = PREFIX
    sync_tag: str = ""
    history_status: int | None = None
    login: Literal["page", "redirect"] | None = None


def create_gateway(store: FhirStore, gateway: Gateway, *, clock: Clock | None = None) -> ASGIApp:
    """Make HAPI over a store with the gateway before it and Keycloak beside it; HAPI's links name its inner host."""
    now = clock or store.clock
    hapi = create_app(store, clock=clock, server_address=INNER_BASE)
    tokens = Starlette(routes=[Route(TOKEN_PATH, token_handler(gateway.keycloak, now), methods=["POST"])])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await hapi(scope, receive, send)
        elif f"{scope['path']}/".startswith(f"{gateway.prefix}/"):
            await _pass(gateway, hapi, now, scope, receive, send)
        else:
            await tokens(scope, receive, send)

    return app


async def _pass(gateway: Gateway, hapi: ASGIApp, now: Clock, scope: Scope, receive: Receive, send: Send) -> None:
    request, path = Request(scope), scope["path"].removeprefix(gateway.prefix)
    answer = _login(gateway) or _refusal(gateway, request, path.strip("/"), now)
    if answer is not None:
        await answer(scope, receive, send)
        return
    query = scope["query_string"]
    if _is_filtered(request, path.strip("/")):
        query += f"{'&' if query else ''}_tag={quote(gateway.sync_tag, safe='')}".encode()
    headers = [(name, value) for name, value in scope["headers"] if name in FORWARDED]
    inner = {**scope, "path": f"/fhir{path}", "raw_path": None, "query_string": query, "headers": headers}
    await hapi(inner, receive, _returning(send))


def _returning(send: Send) -> Send:
    async def kept(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(name, value) for name, value in message["headers"] if name in RETURNED]
            message = {**message, "headers": [*headers, (b"content-type", JSON_TYPE)]}
        await send(message)

    return kept


def _login(gateway: Gateway) -> Response | None:
    if gateway.login == "page":
        return HTMLResponse(LOGIN_PAGE)
    if gateway.login == "redirect":
        return RedirectResponse(LOGIN_URL, 302)
    return None


def _refusal(gateway: Gateway, request: Request, path: str, now: Clock) -> Response | None:
    """Say no where the gateway does: by token, by client role, by verb and type; what names no type is refused."""
    resource_type = path.split("/")[0]
    if path == "metadata" or _is_open(request, path):
        return None
    if not is_allowed(gateway.keycloak, request.headers.get("Authorization", ""), now()):
        return _no(401, "JWT verification failed or no Authorization header")
    if APP_ID_CLAIM not in _claims(request):
        return _no(401, f"no claim {APP_ID_CLAIM}")
    roles = _roles(request)
    if len(roles.intersection(CLIENT_ROLES)) != 1:
        return _no(403, f"exactly one of the roles {', '.join(CLIENT_ROLES)} is needed")
    wanted = {f"{request.method}_{resource_type.upper()}", f"MANAGE_{resource_type.upper()}"}
    if not resource_type[:1].isalpha() or request.method == "PATCH" or not roles & wanted:
        return _no(403, f"not authorized to {request.method} {request.url}")  # it quotes the whole address
    if gateway.history_status and path.endswith("/_history"):
        return _no(gateway.history_status, "no history here")
    if _is_filtered(request, path) and not gateway.sync_tag:
        return _no(403, "assignment or sync strategy not configured correctly")
    return None


def _is_open(request: Request, path: str) -> bool:
    """Tell what the shipped allow-list opens without a token: page cursors, Bundles, Binary and Composition."""
    if not path:
        return request.method == "POST" or (request.method == "GET" and "_getpages" in request.query_params)
    return request.method == "GET" and path.split("/")[0] in OPEN_TYPES


def _is_filtered(request: Request, path: str) -> bool:
    sections = path.split("/")
    is_search = len(sections) == 1 or (len(sections) == 2 and sections[1].startswith("_"))
    names_type = path[:1].isupper()  # metadata and the base do not
    return is_search and names_type and request.method == "GET" and "ANDROID_CLIENT" in _roles(request)


def _claims(request: Request) -> dict[str, object]:
    return claims_of(request.headers.get("Authorization", "").removeprefix("Bearer "))


def _roles(request: Request) -> frozenset[str]:
    """Read the realm's roles; those of single clients (resource_access) are not looked at."""
    realm = _claims(request).get("realm_access")
    return frozenset(realm["roles"]) if isinstance(realm, dict) else frozenset()


def _no(status: int, diagnostics: str) -> Response:
    return Response(outcome(diagnostics), status, media_type="application/fhir+json")
