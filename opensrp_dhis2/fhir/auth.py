"""How a request to the FHIR server or its gateway proves who we are, and what to do when it is not let in.

It knows HTTP Basic, a fixed bearer token that carries its own end (RFC 7519), and OAuth 2 client credentials as Keycloak
gives them; what a token allows it leaves to others to judge.
"""

import base64
import binascii
import json
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime

import httpx

from opensrp_dhis2.errors import ConfigurationError, FhirAuthenticationError, FhirError, FhirUnavailableError
from opensrp_dhis2.http.oauth import HEADER_SAFE, Grant, NoToken, TokenAuth, refusal_remedy

_Flow = Generator[httpx.Request, httpx.Response, None]
Judge = Callable[[str], None]


def make_auth(
    kind: str,
    *,
    username: str = "",
    password: str = "",
    token: str = "",
    token_url: str = "",
    client_id: str = "",
    client_secret: str = "",
    judge: Judge = lambda token: None,
) -> httpx.Auth | None:
    """Make what httpx puts on each request, for a FHIR_AUTH of none, basic, bearer or client_credentials.

    Args: `judge` is given each token before its first use, and raises where it must not be used.
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
        return BearerAuth(token, judge)
    if kind == "client_credentials":
        return client_credentials(token_url, client_id, client_secret, judge=judge)
    return None


class BearerAuth(httpx.Auth):
    """A token that somebody else keeps fresh; judged before each request, for it costs nothing."""

    def __init__(self, token: str, judge: Judge = lambda token: None) -> None:
        if not HEADER_SAFE.fullmatch(token):
            raise ConfigurationError("FHIR_TOKEN has a space, a line break or a letter beyond ASCII: copy it again")
        self._token, self._judge = token, judge

    def auth_flow(self, request: httpx.Request) -> _Flow:
        self._judge(self._token)
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def client_credentials(
    token_url: str,
    client_id: str,
    client_secret: str,
    clock: Callable[[], float] = time.monotonic,
    *,
    judge: Judge = lambda token: None,
    sleep: Callable[[float], None] = time.sleep,
) -> TokenAuth:
    """Make tokens of a confidential client, whose secret goes in the form as Keycloak has it."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    return TokenAuth(Grant(token_url, form), _error, judge=judge, clock=clock, sleep=sleep)


def _error(answer: NoToken) -> FhirError:
    place = f"The token endpoint {answer.url} gave no token ({answer.said})"
    if answer.is_transient:
        return FhirUnavailableError(f"{place}: try again later", url=answer.url, status=answer.status)
    told = refusal_remedy(answer, "FHIR", "client_credentials")
    return FhirAuthenticationError(f"{place}: {told}", url=answer.url, status=answer.status)


def sign_in_remedy(auth: httpx.Auth | None, status: int, token: str, now: datetime) -> str:
    """Return which setting to look at, by the way in which we came and the answer: pure.

    Args: `token` is the bearer token that was refused, if one was sent; it is read, and never told.
    """
    if status == 403:
        return (
            "it knows us, and we may not read this: give the account the roles for it (behind the gateway GET_<TYPE>)"
        )
    if status != 401:
        return "check FHIR_AUTH and its settings, then FHIR_BASE_URL"
    if auth is None:
        return "it wants credentials, and FHIR_AUTH is none: set FHIR_AUTH and its settings"
    if isinstance(auth, BearerAuth):
        end = _end(token)
        if end and end <= now:
            return (
                f"the token of FHIR_TOKEN has expired on {end:%Y-%m-%d at %H:%M} UTC: get a new one, or use "
                "FHIR_AUTH=client_credentials, which renews it"
            )
        return (
            "it does not accept the token of FHIR_TOKEN, which has expired or is another realm's: get a new one, or use "
            "FHIR_AUTH=client_credentials"
        )
    if isinstance(auth, TokenAuth):
        return (
            "it does not accept a fresh token of FHIR_TOKEN_URL: the server trusts another issuer, so check the realm in "
            "FHIR_TOKEN_URL, or the issuer in the gateway's settings"
        )
    return (
        "user name or password is wrong, or the account is disabled: check FHIR_USERNAME and FHIR_PASSWORD of FHIR_AUTH"
    )


def _end(token: str) -> datetime | None:
    """Read when a token ends, from its own claim; None for one that does not say so."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.b64decode(payload + "=" * (-len(payload) % 4), b"-_"))
        return datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, OSError, binascii.Error, RecursionError):
        return None
