"""The ways to prove to DHIS2 who we are, one typed model a kind, and what each puts on the wire.

It knows which server versions take which kind; it refuses to know where a secret comes from.
"""

import time
from collections.abc import Callable, Generator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from opensrp_dhis2.dhis2.models import ServerVersion
from opensrp_dhis2.errors import ConfigurationError, Dhis2AuthenticationError, Dhis2UnavailableError

REFRESH_BEFORE_SECONDS = 60.0


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pat(_Model):
    """A personal access token; every version."""

    kind: Literal["pat"]
    token: SecretStr


class Basic(_Model):
    """User name and password; every version."""

    kind: Literal["basic"]
    username: str
    password: SecretStr


class Bearer(_Model):
    """A token that somebody else keeps fresh."""

    kind: Literal["bearer"]
    token: SecretStr


class OAuth2Password(_Model):
    """DHIS2's own OAuth 2 server up to 2.41, by user name and password."""

    kind: Literal["oauth2_password"]
    username: str
    password: SecretStr
    client_id: str
    client_secret: SecretStr


class OAuth2Refresh(_Model):
    """DHIS2's own OAuth 2 server from 2.42, by a refresh token that a person obtained once; it changes at each use."""

    kind: Literal["oauth2_refresh"]
    token: SecretStr
    client_id: str
    client_secret: SecretStr


class ClientCredentials(_Model):
    """A token of an identity provider outside DHIS2, such as the Keycloak that OpenSRP uses."""

    kind: Literal["client_credentials"]
    token_url: str
    client_id: str
    client_secret: SecretStr


Credentials: TypeAlias = Annotated[
    Pat | Basic | Bearer | OAuth2Password | OAuth2Refresh | ClientCredentials, Field(discriminator="kind")
]
_KINDS: dict[str, type[Pat | Basic | Bearer | OAuth2Password | OAuth2Refresh | ClientCredentials]] = {
    "pat": Pat,
    "basic": Basic,
    "bearer": Bearer,
    "oauth2_password": OAuth2Password,
    "oauth2_refresh": OAuth2Refresh,
    "client_credentials": ClientCredentials,
}


def read_auth(kind: str, given: Mapping[str, str]) -> Credentials:
    """Take from the settings `username`, `password`, `token`, ... those that a kind needs; the others are left alone.

    Raises: ConfigurationError (terminal), which names what is missing and never what was given.
    """
    if kind not in _KINDS:
        raise ConfigurationError(f"DHIS2_AUTH={kind!r} is not known: use one of {', '.join(_KINDS)}")
    wanted = _KINDS[kind].model_fields.keys() - {"kind"}
    missing = sorted(f"DHIS2_{name.upper()}" for name in wanted if not given.get(name))
    if missing:
        raise ConfigurationError(f"DHIS2_AUTH={kind} needs {', '.join(missing)}: set it, or as a file with _FILE")
    return _KINDS[kind].model_validate({"kind": kind, **{name: given[name] for name in wanted}})


def check_kind(credentials: Credentials, version: ServerVersion) -> None:
    """Refuse a kind that this server version cannot know. Raises: ConfigurationError (terminal)."""
    remedy = "use DHIS2_AUTH=pat with a personal access token"
    if isinstance(credentials, OAuth2Password) and not version.has_password_grant:
        raise ConfigurationError(f"DHIS2 {version} gives no token for a password (only up to 2.41 did): {remedy}")
    if isinstance(credentials, OAuth2Refresh) and version.has_password_grant:
        raise ConfigurationError(f"DHIS2 {version} has no /oauth2 server (2.42 and above have): {remedy}")


def make_auth(
    credentials: Credentials,
    base_url: str,
    *,
    on_new_refresh_token: Callable[[str], None] = lambda token: None,
    clock: Callable[[], float] = time.monotonic,
) -> httpx.Auth:
    """Turn credentials into what httpx puts on each request.

    Args: `on_new_refresh_token` is told each refresh token that replaces the one given; it must be kept, or a person
    has to log in again. `clock` in seconds.
    """
    if isinstance(credentials, Basic):
        return httpx.BasicAuth(credentials.username, credentials.password.get_secret_value())
    if isinstance(credentials, Pat):
        return HeaderAuth(f"ApiToken {credentials.token.get_secret_value()}")
    if isinstance(credentials, Bearer):
        return HeaderAuth(f"Bearer {credentials.token.get_secret_value()}")
    return TokenAuth(credentials, base_url.rstrip("/"), on_new_refresh_token, clock)


class HeaderAuth(httpx.Auth):
    """The same Authorization header on every request."""

    def __init__(self, header: str) -> None:
        self._header = header

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._header
        yield request


class TokenAuth(httpx.Auth):
    """A bearer token, fetched when there is none, before it expires, and once more when it is not accepted."""

    requires_response_body = True

    def __init__(
        self,
        credentials: OAuth2Password | OAuth2Refresh | ClientCredentials,
        base_url: str,
        on_new_refresh_token: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._credentials = credentials
        self._url = _token_url(credentials, base_url)
        self._on_new_refresh_token = on_new_refresh_token
        self._clock = clock
        self._access_token = ""
        self._expires_at = 0.0
        self._refresh_token = credentials.token.get_secret_value() if isinstance(credentials, OAuth2Refresh) else ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if not self._access_token or self._clock() >= self._expires_at:
            yield from self._fetch()
        request.headers["Authorization"] = f"Bearer {self._access_token}"
        response = yield request
        if response.status_code == 401:  # revoked, or the server's keys changed
            yield from self._fetch()
            request.headers["Authorization"] = f"Bearer {self._access_token}"
            yield request

    def _fetch(self) -> Generator[httpx.Request, httpx.Response, None]:
        response = yield self._token_request(self._grant())
        if response.status_code in (400, 401) and self._refresh_token and isinstance(self._credentials, OAuth2Password):
            self._refresh_token = ""  # it has expired; the password has not
            response = yield self._token_request(self._grant())
        self._take(response)

    def _grant(self) -> dict[str, str]:
        if self._refresh_token:
            return {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
        if isinstance(self._credentials, OAuth2Password):
            password = self._credentials.password.get_secret_value()
            return {"grant_type": "password", "username": self._credentials.username, "password": password}
        return {"grant_type": "client_credentials"}

    def _token_request(self, grant: dict[str, str]) -> httpx.Request:
        client = httpx.BasicAuth(self._credentials.client_id, self._credentials.client_secret.get_secret_value())
        request = httpx.Request("POST", self._url, data=grant, headers={"Accept": "application/json"})
        return next(client.auth_flow(request))

    def _take(self, response: httpx.Response) -> None:
        if response.status_code >= 500 or response.status_code == 429:
            raise Dhis2UnavailableError(
                f"the token endpoint {self._url} answered {response.status_code}: try later",
                url=self._url,
                status=response.status_code,
            )
        body = _json_object(response)
        if response.status_code != 200 or not isinstance(body.get("access_token"), str):
            raise Dhis2AuthenticationError(self._refusal(response, body), url=self._url, status=response.status_code)
        self._access_token = body["access_token"]
        self._expires_at = self._clock() + float(body.get("expires_in", 3600)) - REFRESH_BEFORE_SECONDS
        renewed = body.get("refresh_token")
        if (
            isinstance(renewed, str)
            and renewed != self._refresh_token
            and self._credentials.kind != "client_credentials"
        ):
            self._refresh_token = renewed
            self._on_new_refresh_token(renewed)

    def _refusal(self, response: httpx.Response, body: dict[str, Any]) -> str:
        said = f"answered {response.status_code}" + (f" {body['error']}" if isinstance(body.get("error"), str) else "")
        place = f"the token endpoint {self._url} {said}"
        if "error" in body or self._credentials.kind == "client_credentials":
            return f"{place}: check DHIS2_CLIENT_ID, DHIS2_CLIENT_SECRET and the credentials of DHIS2_AUTH"
        versions = "2.41" if self._credentials.kind == "oauth2_password" else "2.42"
        only = "up to" if versions == "2.41" else "from"
        return (
            f"{place}: DHIS2_AUTH={self._credentials.kind} works {only} DHIS2 {versions}; use pat, which always works"
        )


def _token_url(credentials: OAuth2Password | OAuth2Refresh | ClientCredentials, base_url: str) -> str:
    if isinstance(credentials, ClientCredentials):
        return credentials.token_url
    return f"{base_url}/uaa/oauth/token" if isinstance(credentials, OAuth2Password) else f"{base_url}/oauth2/token"


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
