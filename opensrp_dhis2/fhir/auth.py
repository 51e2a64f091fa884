"""How a request to the FHIR server or its gateway proves who we are.

It knows HTTP Basic, a fixed bearer token, and OAuth 2 client credentials as Keycloak gives them; what a token allows it
leaves to others to judge.
"""

import time
from collections.abc import Callable, Generator

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
