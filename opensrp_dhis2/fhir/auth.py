"""How a request to the FHIR server or its gateway proves who we are.

It knows HTTP Basic, a fixed bearer token, and OAuth 2 client credentials as Keycloak gives them.
"""

import time
from collections.abc import Callable, Generator

import httpx
import msgspec

from opensrp_dhis2.errors import ConfigurationError, FhirAuthenticationError, FhirUnavailableError
from opensrp_dhis2.http import RETRIED_STATUS

REFRESH_BEFORE_SECONDS = 30.0


def make_auth(
    kind: str,
    *,
    username: str = "",
    password: str = "",
    token: str = "",
    token_url: str = "",
    client_id: str = "",
    client_secret: str = "",
) -> httpx.Auth | None:
    """Make what httpx puts on each request, for a FHIR_AUTH of none, basic, bearer or client_credentials.

    Raises: ConfigurationError (terminal) naming the setting that is missing.
    """
    needed = {
        "none": {},
        "basic": {"FHIR_USERNAME": username, "FHIR_PASSWORD": password},
        "bearer": {"FHIR_TOKEN": token},
        "client_credentials": {
            "FHIR_TOKEN_URL": token_url, "FHIR_CLIENT_ID": client_id, "FHIR_CLIENT_SECRET": client_secret,
        },
    }[kind]  # fmt: skip
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise ConfigurationError(f"FHIR_AUTH={kind} needs {', '.join(missing)}: set it, or its _FILE")
    if kind == "basic":
        return httpx.BasicAuth(username, password)
    if kind == "bearer":
        return BearerAuth(token)
    return ClientCredentialsAuth(token_url, client_id, client_secret) if kind == "client_credentials" else None


class BearerAuth(httpx.Auth):
    """A token that somebody else keeps fresh."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._header
        yield request


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 60.0


class ClientCredentialsAuth(httpx.Auth):
    """A token from the token endpoint, renewed before it expires and once more when the server says 401."""

    requires_response_body = True

    def __init__(
        self, token_url: str, client_id: str, client_secret: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._token_url, self._form, self._clock = token_url, _form(client_id, client_secret), clock
        self._token, self._expires_at = "", 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._clock() >= self._expires_at:
            yield from self._renew(request)
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == 401:
            yield from self._renew(request)
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _renew(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        # The extensions of the request carry the client's timeouts; without them this one could wait for ever.
        response = yield httpx.Request("POST", self._token_url, data=self._form, extensions=request.extensions)
        if response.status_code in RETRIED_STATUS or response.status_code >= 500:
            raise FhirUnavailableError(
                f"The token endpoint {self._token_url} gave no token (HTTP {response.status_code}); try again later",
                url=self._token_url,
                status=response.status_code,
            )
        try:
            given = msgspec.json.decode(response.content, type=_Token)
        except msgspec.MsgspecError:
            raise FhirAuthenticationError(
                f"The token endpoint {self._token_url} gave no token (HTTP {response.status_code}): check FHIR_TOKEN_URL, "
                "FHIR_CLIENT_ID and FHIR_CLIENT_SECRET, and that the client may use client_credentials",
                url=self._token_url,
                status=response.status_code,
            ) from None
        self._token = given.access_token
        self._expires_at = self._clock() + max(0.0, given.expires_in - REFRESH_BEFORE_SECONDS)


def _form(client_id: str, client_secret: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
