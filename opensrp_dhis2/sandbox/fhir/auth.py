"""Who may read the FHIR sandbox: basic, a fixed bearer token, or OAuth 2 client credentials with its token endpoint.

It knows the Authorization header and Keycloak's token path; it knows nothing of FHIR.
"""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

TOKEN_PATH = "/realms/opensrp/protocol/openid-connect/token"  # noqa: S105 - a path, not a secret


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
    """A confidential client whose tokens end soon; token_count says how many were given."""

    client_id: str
    client_secret: str
    token_seconds: float = 300.0
    token_count: int = 0
    ends_at: dict[str, datetime] = field(default_factory=dict)

    def revoke_all(self) -> None:
        """Make every token that was given worthless."""
        self.ends_at.clear()


Auth = Basic | Bearer | ClientCredentials


def is_allowed(auth: Auth | None, header: str, now: datetime) -> bool:
    """Say whether an Authorization header opens the server."""
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
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        basic = Basic(auth.client_id, auth.client_secret)
        in_form = (form.get("client_id"), form.get("client_secret")) == (auth.client_id, auth.client_secret)
        if not in_form and not is_allowed(basic, request.headers.get("Authorization", ""), clock()):
            return JSONResponse({"error": "unauthorized_client", "error_description": "Invalid client"}, 401)
        token = secrets.token_urlsafe(24)
        auth.token_count += 1
        auth.ends_at[token] = clock() + timedelta(seconds=auth.token_seconds)
        return JSONResponse({"access_token": token, "expires_in": int(auth.token_seconds), "token_type": "Bearer"})

    return give_token
