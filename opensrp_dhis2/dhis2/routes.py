"""DHIS2 routes: what routes.yaml may say, bringing the server to it, and calling an upstream through one.

It knows that DHIS2 forgets every secret it is not sent again, so it never patches; it refuses to know the environment.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.alias_generators import to_camel

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.models import Reply, ServerVersion
from opensrp_dhis2.dhis2.reply import Json, check_readable, read_envelope, route_refusal
from opensrp_dhis2.errors import ConfigurationError, Dhis2Error, Dhis2UnavailableError

_PRIVATE: Json = {"public": "--------"}
_OPEN_AUTH_MEMBERS = frozenset({"type", "username", "clientId", "tokenUri"})  # the others are secrets
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Every other character of a query arrives spoilt behind some version: 2.43 does not encode again what it has decoded,
# so that a space, | or % is refused, & splits the value and + reads as a space. Source: recordings 55b2 to 55b7.
_PASSES_UNSPOILT = re.compile(r"[A-Za-z0-9\-._~:/?@!$'()*,;=]*")
_SINCE = {  # minor version -> first patch that knows the scheme; an absent minor above 41 always does
    "api-headers": {40: 7, 41: 4},
    "api-query-params": {40: 7, 41: 4},
    "oauth2-client-credentials": {40: 999, 41: 999},
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class HttpBasic(_Model):
    type: Literal["http-basic"]
    username: str
    password: SecretStr


class ApiToken(_Model):
    """Sent upstream as `Authorization: ApiToken`, which is DHIS2's own scheme and not Bearer."""

    type: Literal["api-token"]
    token: SecretStr


class ApiHeaders(_Model):
    """Any secret headers; a bearer token is `Authorization: Bearer ...` here."""

    type: Literal["api-headers"]
    headers: dict[str, SecretStr]


class ApiQueryParams(_Model):
    """Secret query parameters; such a route fails as soon as its caller sends a query of its own."""

    type: Literal["api-query-params"]
    query_params: dict[str, SecretStr]


class OAuth2ClientCredentials(_Model):
    """A bearer token that DHIS2 fetches itself; DHIS2 has no scopes here."""

    type: Literal["oauth2-client-credentials"]
    client_id: str
    client_secret: SecretStr
    token_uri: str


class Route(_Model):
    """One route by its code; no `auth` means none. Sharing not given: private when made, kept when changed."""

    code: str = Field(min_length=1, max_length=50)
    name: str = Field(min_length=1, max_length=230)
    url: str = Field(pattern=r"^https?://")
    description: str | None = None
    disabled: bool = False
    headers: dict[str, str] = {}
    auth: (
        Annotated[
            HttpBasic | ApiToken | ApiHeaders | ApiQueryParams | OAuth2ClientCredentials, Field(discriminator="type")
        ]
        | None
    ) = None
    authorities: list[str] = []
    response_timeout_seconds: int = Field(default=5, ge=1, le=60)
    sharing: dict[str, Any] | None = None

    def to_wire(self) -> Json:
        """Return the JSON that DHIS2 wants, secrets included."""
        body = self.model_dump(by_alias=True, exclude_none=True)
        return {name: _reveal(value) for name, value in body.items()}


@dataclass(frozen=True, slots=True)
class RouteResult:
    """What registering did to one route."""

    code: str
    action: Literal["created", "updated", "unchanged"]
    uid: str


@dataclass(frozen=True, slots=True)
class RouteReply:
    """What came back through a route; `is_from_dhis2` when DHIS2 itself refused or could not reach the upstream."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_from_dhis2: bool


def load_routes(path: Path, secrets: Mapping[str, str]) -> list[Route]:
    """Read routes.yaml, with each `{env: NAME}` replaced from `secrets`. Raises: ConfigurationError (terminal)."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path.name} cannot be read ({type(error).__name__}): correct the file") from error
    listed = found.get("routes") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ConfigurationError(f"{path.name} must be a mapping with a list `routes`")
    return [_load_route(route, f"{path.name}, route {number}", secrets) for number, route in enumerate(listed, 1)]


def _load_route(given: object, place: str, secrets: Mapping[str, str]) -> Route:
    if not isinstance(given, dict):
        raise ConfigurationError(f"{place} must be a mapping with code, name and url")
    auth = given.get("auth")
    if isinstance(auth, dict):
        hidden = {
            name: _resolve(value, f"{place}, auth.{name}", secrets)
            for name, value in auth.items()
            if name not in _OPEN_AUTH_MEMBERS
        }
        given = {**given, "auth": {**auth, **hidden}}
    try:
        return Route.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()
        )
        raise ConfigurationError(f"{place}: {faults}") from None


def _resolve(value: object, place: str, secrets: Mapping[str, str]) -> object:
    """Replace a reference by its secret; a secret that stands in the file is refused."""
    if isinstance(value, dict) and value.keys() == {"env"}:
        name = str(value["env"])
        if name not in secrets:
            raise ConfigurationError(f"{place} wants the environment variable {name}, which is not set")
        return secrets[name]
    if isinstance(value, dict):
        return {key: _resolve(member, f"{place}.{key}", secrets) for key, member in value.items()}
    raise ConfigurationError(f"{place} is a secret: write {{env: NAME}} and set the environment variable NAME")


def _reveal(value: object) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: _reveal(member) for key, member in value.items()}
    return value


def register_routes(client: Dhis2Client, wanted: Iterable[Route]) -> list[RouteResult]:
    """Make or change each route by its code, so that the server has what is wanted; others are left alone.

    DHIS2 never shows a secret again, so a route with one is sent whole each time and counts as updated.
    Raises: ConfigurationError (terminal) when the version lacks a scheme; Dhis2Error (terminal) when it refuses.
    """
    routes = list(wanted)
    version = client.system_info().version
    for route in routes:
        _check_version(route, version)
    return [_register(client, route) for route in routes]


def _check_version(route: Route, version: ServerVersion) -> None:
    since = _SINCE.get(route.auth.type, {}) if route.auth else {}
    if (version.patch or (0,)) < (since.get(version.minor, 0),):
        raise ConfigurationError(
            f"route {route.code}: DHIS2 {version} does not know auth type {route.auth.type if route.auth else ''}; "
            "update the server or take another type (api-headers carries any fixed header)"
        )


def _register(client: Dhis2Client, route: Route) -> RouteResult:
    uid = _find(client, route.code)
    body = {name: value for name, value in route.to_wire().items() if name != "sharing"}
    action: Literal["created", "updated"] = "updated" if uid else "created"
    uid = uid or _create(client, route, body)
    current = client.get_json(f"routes/{uid}")
    shared = current.get("sharing", {})
    sharing = {**shared, **(route.sharing or ({} if action == "updated" else _PRIVATE))}  # keeps the owner
    if action == "created" and sharing == shared:
        return RouteResult(route.code, action, uid)
    if route.auth is None and sharing == shared and _is_as_wanted(body, current):
        return RouteResult(route.code, "unchanged", uid)
    # a PUT without sharing makes a route public, and one without the secret wipes it
    _write(client, "PUT", f"routes/{uid}", route, {**body, "id": uid, "sharing": sharing})
    return RouteResult(route.code, action, uid)


def _create(client: Dhis2Client, route: Route, body: Json) -> str:
    """Make the route, owned by us; servers before 40.12, 41.9 and 42.5 show it to more people than that."""
    envelope = read_envelope(_write(client, "POST", "routes", route, body))
    return str(envelope.response.get("uid")) if envelope else ""


def _is_as_wanted(body: Json, current: Json) -> bool:
    members = {to_camel(name) for name in Route.model_fields} - {"sharing"}
    return all((body.get(member) or None) == (current.get(member) or None) for member in members)


def _find(client: Dhis2Client, code: str) -> str | None:
    found = [
        route
        for route in client.get_pages("routes", "id,code", filters=[f"code:eq:{code}"])
        if route.get("code") == code
    ]
    return str(found[0]["id"]) if found else None


def _write(client: Dhis2Client, method: str, path: str, route: Route, body: Json) -> Reply:
    reply = client.send_json(method, path, json.dumps(body).encode())
    if reply.status in (200, 201):
        return reply
    envelope = read_envelope(reply)
    if envelope and reply.status == 409 and envelope.error_code == "E1004" and "not permitted" in envelope.message:
        raise Dhis2Error(
            f"DHIS2 does not allow route {route.code} to reach its server: add scheme, host and port of the URL to "
            "route.remote_servers_allowed in dhis.conf and restart DHIS2",
            url=f"{client.base_url}/api/{path}",
            status=reply.status,
        )
    reports = envelope.response.get("errorReports") if envelope else None
    if reports:
        raise Dhis2Error(
            f"DHIS2 refused route {route.code} ({reports[0].get('errorCode')}): {route_refusal(route.name, reports[0])}",
            url=f"{client.base_url}/api/{path}",
            status=reply.status,
        )
    check_readable(reply, client.base_url, f"{path} (route {route.code})")
    return reply


def run_route(
    client: Dhis2Client,
    code: str,
    *,
    method: str = "GET",
    sub_path: str = "",
    params: Mapping[str, Any] | None = None,
    body: bytes | None = None,
    content_type: str = "application/json",
) -> RouteReply:
    """Call the upstream of a route; the answer comes back whatever its status.

    A `sub_path` needs a route whose URL ends in /**. DHIS2 drops Location, Retry-After and every header of its own.
    Raises: Dhis2UnavailableError (transient) when DHIS2 itself does not answer a safe method; Dhis2Error (terminal)
    for another method, which the upstream may have heard, and for a query that DHIS2 would spoil.
    """
    _check_query(client, code, params or {})
    path = f"routes/{quote(code, safe='')}/run" + (f"/{sub_path.lstrip('/')}" if sub_path else "")
    headers = {"Content-Type": content_type} if body is not None else {}
    try:
        reply = client.send(method, path, params=params or {}, content=body, headers=headers)
    except Dhis2UnavailableError as error:
        if method.upper() in _SAFE_METHODS:
            raise
        raise Dhis2Error(
            f"{error}; the upstream may have heard the {method}: look there before sending it again", url=error.url
        ) from error
    return RouteReply(reply.status, reply.headers, reply.body, _is_from_dhis2(reply))


def _check_query(client: Dhis2Client, code: str, params: Mapping[str, Any]) -> None:
    for name, value in params.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        if not all(_PASSES_UNSPOILT.fullmatch(str(text)) for text in (name, *values)):
            raise Dhis2Error(
                f"route {code}: DHIS2 spoils the query parameter {name} on its way, for its space, |, %, &, + or other "
                "reserved character: send the query in the body of a POST (in FHIR, to [type]/_search)",
                url=f"{client.base_url}/api/routes/{code}/run",
            )


def _is_from_dhis2(reply: Reply) -> bool:
    is_bare_failure = reply.status in (502, 503, 504) and not reply.body
    return is_bare_failure or (reply.status >= 300 and (read_envelope(reply) is not None or _is_login(reply)))


def _is_login(reply: Reply) -> bool:
    return reply.status == 302 and "login" in reply.headers.get("location", "")
