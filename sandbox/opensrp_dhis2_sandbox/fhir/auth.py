"""Who may read the FHIR sandbox: basic, a fixed bearer token, or OAuth 2 client credentials with its token endpoint.

It knows the Authorization header, Keycloak's token path and claims; it knows nothing of FHIR.
"""

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

TOKEN_PATH = "/realms/opensrp/protocol/openid-connect/token"  # noqa: S105 - a path, not a secret
APP_ID_CLAIM = "fhir_core_app_id"


@dataclass(frozen=True)
class Basic:
    """A user name and a password."""

    username: str
    password: str


@dataclass(frozen=True)
class Bearer:
    """One token that never changes."""

    token: str


@dataclass
class ClientCredentials:
    """A confidential client whose tokens end soon; token_count says how many were given.

    With `claims` a token looks like Keycloak's, signed by nobody; without, it is opaque. `statuses` are what the
    endpoint answers next instead of a token.
    """

    client_id: str
    client_secret: str
    token_seconds: float = 300.0
    claims: Mapping[str, Any] | None = None
    token_count: int = 0
    ends_at: dict[str, datetime] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)

    def revoke_all(self) -> None:
        """Make every token that was given worthless."""
        self.ends_at.clear()

    def issue(self, now: datetime) -> str:
        """Return a token that is good for token_seconds."""
        end = now + timedelta(seconds=self.token_seconds)
        token = secrets.token_urlsafe(24)
        if self.claims is not None:
            times = {"iat": int(now.timestamp()), "exp": int(end.timestamp()), "jti": token}
            token = unsigned_jwt({**times, "azp": self.client_id, **self.claims})
        self.token_count += 1
        self.ends_at[token] = end
        return token


Auth = Basic | Bearer | ClientCredentials


def opensrp_claims(
    *realm_roles: str, client_roles: Mapping[str, list[str]] | None = None, app_id: str | None = "quest"
) -> dict[str, Any]:
    """Make the claims of a service account in OpenSRP's realm: the gateway reads its realm roles and its app id."""
    resource_access = {client: {"roles": roles} for client, roles in (client_roles or {}).items()}
    claims: dict[str, Any] = {
        "iss": "http://keycloak.internal/realms/opensrp",
        "sub": "2f0b1c0e-5d1c-4f0e-8a55-2d6a3c1e9b77",
        "typ": "Bearer",
        "realm_access": {"roles": ["default-roles-opensrp", "offline_access", *realm_roles]},
        "resource_access": {"account": {"roles": ["view-profile"]}, **resource_access},
    }
    return claims | ({APP_ID_CLAIM: app_id} if app_id else {})


def unsigned_jwt(claims: Mapping[str, Any]) -> str:
    """Write a token in the form of RFC 7519 whose signature is noise."""
    header = {"alg": "RS256", "typ": "JWT", "kid": "sandbox"}
    return f"{_part(header)}.{_part(claims)}.{secrets.token_urlsafe(64)}"


def claims_of(token: str) -> dict[str, Any]:
    """Read the claims of a token made here; none of an opaque one."""
    if token.count(".") != 2:
        return {}
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _part(content: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def is_allowed(auth: Auth | None, header: str, now: datetime) -> bool:
    """Return whether an Authorization header opens the server."""
    if auth is None:
        return True
    scheme, _, value = header.partition(" ")
    if isinstance(auth, Basic):
        expected = base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()
        return scheme.lower() == "basic" and secrets.compare_digest(value, expected)
    if isinstance(auth, Bearer):
        return scheme.lower() == "bearer" and secrets.compare_digest(value, auth.token)
    return scheme.lower() == "bearer" and value in auth.ends_at and now < auth.ends_at[value]


def token_handler(auth: ClientCredentials, clock: Callable[[], datetime]) -> Callable[[Request], object]:
    """Make the handler of the token endpoint: the client in the form or in a basic header."""

    async def give_token(request: Request) -> Response:
        if auth.statuses:
            return JSONResponse({"error": "unknown_error"}, auth.statuses.pop(0))
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        basic = Basic(auth.client_id, auth.client_secret)
        in_form = (form.get("client_id"), form.get("client_secret")) == (auth.client_id, auth.client_secret)
        if not in_form and not is_allowed(basic, request.headers.get("Authorization", ""), clock()):
            return JSONResponse({"error": "unauthorized_client", "error_description": "Invalid client"}, 401)
        token = auth.issue(clock())
        return JSONResponse({"access_token": token, "expires_in": int(auth.token_seconds), "token_type": "Bearer"})

    return give_token
