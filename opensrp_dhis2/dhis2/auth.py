"""The ways to prove to DHIS2 who we are, one typed model a kind, and what each puts on the wire.

It knows which server versions take which kind; it refuses to know where a secret comes from.
"""

import time
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Annotated, Literal, TypeAlias

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from opensrp_dhis2.dhis2.models import ServerVersion
from opensrp_dhis2.errors import ConfigurationError, Dhis2AuthenticationError, Dhis2Error, Dhis2UnavailableError
from opensrp_dhis2.http.oauth import Grant, NoToken, TokenAuth, refusal_remedy


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
    sleep: Callable[[float], None] = time.sleep,
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
    grant = _grant(credentials, base_url.rstrip("/"))
    return TokenAuth(grant, partial(_error, credentials.kind), keep=on_new_refresh_token, clock=clock, sleep=sleep)


class HeaderAuth(httpx.Auth):
    """The same Authorization header on every request."""

    def __init__(self, header: str) -> None:
        self._header = header

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._header
        yield request


def _grant(credentials: OAuth2Password | OAuth2Refresh | ClientCredentials, base_url: str) -> Grant:
    client = httpx.BasicAuth(credentials.client_id, credentials.client_secret.get_secret_value())
    url = _token_url(credentials, base_url)
    if isinstance(credentials, OAuth2Refresh):
        return Grant(url, {}, client, credentials.token.get_secret_value())
    if isinstance(credentials, OAuth2Password):
        password = credentials.password.get_secret_value()
        return Grant(url, {"grant_type": "password", "username": credentials.username, "password": password}, client)
    return Grant(url, {"grant_type": "client_credentials"}, client)


def _error(kind: str, answer: NoToken) -> Dhis2Error:
    place = f"the token endpoint {answer.url} gave no token ({answer.said})"
    if answer.is_transient:
        return Dhis2UnavailableError(f"{place}: try later", url=answer.url, status=answer.status)
    return Dhis2AuthenticationError(f"{place}: {token_remedy(kind, answer)}", url=answer.url, status=answer.status)


def token_remedy(kind: str, answer: NoToken) -> str:
    """Say what a refused token means for a DHIS2_AUTH, and what to do: pure."""
    if kind == "client_credentials":
        return refusal_remedy(answer, "DHIS2", "client_credentials")
    if answer.code:
        return refusal_remedy(answer, "DHIS2", "password" if kind == "oauth2_password" else "refresh_token")
    if kind == "oauth2_password":  # up to 2.41 so too where the client or its secret is wrong
        return (
            "check DHIS2_CLIENT_ID and DHIS2_CLIENT_SECRET; from DHIS2 2.42 there is no token for a password at all, and "
            "DHIS2_AUTH=pat always works"
        )
    return (
        "there is no OAuth 2 server here: up to DHIS2 2.41 it has none of this kind, from 2.42 it must be switched on "
        "(oauth2.server.enabled in dhis.conf); DHIS2_AUTH=pat always works"
    )


def _token_url(credentials: OAuth2Password | OAuth2Refresh | ClientCredentials, base_url: str) -> str:
    if isinstance(credentials, ClientCredentials):
        return credentials.token_url
    return f"{base_url}/uaa/oauth/token" if isinstance(credentials, OAuth2Password) else f"{base_url}/oauth2/token"
