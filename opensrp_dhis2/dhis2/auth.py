"""How we prove to DHIS2 who we are: the settings that each kind of DHIS2_AUTH needs, and what it puts on the wire.

It knows what a refused token means; it refuses to know where a secret comes from.
"""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial

import httpx

from opensrp_dhis2.errors import ConfigurationError, Dhis2AuthenticationError, Dhis2Error, Dhis2UnavailableError
from opensrp_dhis2.http.oauth import Grant, NoToken, TokenAuth, refusal_remedy

_NEEDED = {
    "pat": ("token",),  # a personal access token; every version
    "basic": ("username", "password"),  # every version
    "bearer": ("token",),  # a token that somebody else keeps fresh
    # DHIS2's own OAuth 2 server up to 2.41
    "oauth2_password": ("username", "password", "client_id", "client_secret"),
    # DHIS2's own OAuth 2 server from 2.42, by a token that a person obtained once; it changes at each use
    "oauth2_refresh": ("token", "client_id", "client_secret"),
    # a token of an identity provider outside DHIS2, such as the Keycloak that OpenSRP uses
    "client_credentials": ("token_url", "client_id", "client_secret"),
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A kind of DHIS2_AUTH and the settings that it needs; the others are empty."""

    kind: str
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_url: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)


def read_auth(kind: str, given: Mapping[str, str]) -> Credentials:
    """Take from the settings `username`, `password`, `token`, ... those that a kind needs; the others are left alone.

    Raises: ConfigurationError (terminal), which names what is missing and never what was given.
    """
    if kind not in _NEEDED:
        raise ConfigurationError(f"DHIS2_AUTH={kind!r} is not known: use one of {', '.join(_NEEDED)}")
    missing = sorted(f"DHIS2_{name.upper()}" for name in _NEEDED[kind] if not given.get(name))
    if missing:
        raise ConfigurationError(f"DHIS2_AUTH={kind} needs {', '.join(missing)}: set it, or as a file with _FILE")
    return Credentials(kind, **{name: given[name] for name in _NEEDED[kind]})


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
    if credentials.kind == "basic":
        return httpx.BasicAuth(credentials.username, credentials.password)
    if credentials.kind == "pat":
        return HeaderAuth(f"ApiToken {credentials.token}")
    if credentials.kind == "bearer":
        return HeaderAuth(f"Bearer {credentials.token}")
    grant = _grant(credentials, base_url.rstrip("/"))
    return TokenAuth(grant, partial(_error, credentials.kind), keep=on_new_refresh_token, clock=clock, sleep=sleep)


class HeaderAuth(httpx.Auth):
    """The same Authorization header on every request."""

    def __init__(self, header: str) -> None:
        self._header = header

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._header
        yield request


def _grant(credentials: Credentials, base_url: str) -> Grant:
    client = httpx.BasicAuth(credentials.client_id, credentials.client_secret)
    if credentials.kind == "oauth2_refresh":
        return Grant(f"{base_url}/oauth2/token", {}, client, credentials.token)
    if credentials.kind == "oauth2_password":
        form = {"grant_type": "password", "username": credentials.username, "password": credentials.password}
        return Grant(f"{base_url}/uaa/oauth/token", form, client)
    return Grant(credentials.token_url, {"grant_type": "client_credentials"}, client)


def _error(kind: str, answer: NoToken) -> Dhis2Error:
    place = f"the token endpoint {answer.url} gave no token ({answer.said})"
    if answer.is_transient:
        return Dhis2UnavailableError(f"{place}: try later", url=answer.url, status=answer.status)
    return Dhis2AuthenticationError(f"{place}: {_token_remedy(kind, answer)}", url=answer.url, status=answer.status)


def _token_remedy(kind: str, answer: NoToken) -> str:
    """Return what a refused token means for a DHIS2_AUTH, and what to do: pure."""
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
