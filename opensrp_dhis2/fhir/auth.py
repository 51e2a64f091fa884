"""How a request to the FHIR server or its gateway proves who we are.

It knows HTTP Basic, a fixed bearer token, and OAuth 2 client credentials as Keycloak gives them; what a token allows it
leaves to others to judge.
"""

import re
import time
from collections.abc import Callable, Generator
from threading import Lock

import httpx
import msgspec

from opensrp_dhis2.errors import ConfigurationError, FhirAuthenticationError, FhirError, FhirUnavailableError
from opensrp_dhis2.http import MAX_ATTEMPTS, RETRIED_STATUS, wait_seconds

REFRESH_BEFORE_SECONDS = 30.0
UNTOLD_LIFE_SECONDS = (
    60.0  # of a token whose endpoint does not say how long it lives; a 401 tells when that was too long
)
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
_OAUTH_ERROR = re.compile(r"[a-z_]{1,40}")
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
        return ClientCredentialsAuth(token_url, client_id, client_secret, judge=judge)
    return None


class BearerAuth(httpx.Auth):
    """A token that somebody else keeps fresh; judged before each request, for it costs nothing."""

    def __init__(self, token: str, judge: Judge = lambda token: None) -> None:
        if not _HEADER_SAFE.fullmatch(token):
            raise ConfigurationError("FHIR_TOKEN has a space, a line break or a letter beyond ASCII: copy it again")
        self._token, self._judge = token, judge

    def auth_flow(self, request: httpx.Request) -> _Flow:
        self._judge(self._token)
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class _Given(msgspec.Struct):
    access_token: str
    expires_in: float | None = None


class _Refusal(msgspec.Struct):
    error: str = ""


class ClientCredentialsAuth(httpx.Auth):
    """A token from the token endpoint, renewed before it expires and once more when the server says 401.

    Safe to use from several threads: one of them renews the token while the others wait for it.
    """

    def __init__(
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        judge: Judge = lambda token: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._token_url, self._form = token_url, _form(client_id, client_secret)
        self._clock, self._judge, self._sleep = clock, judge, sleep
        self._token, self._expires_at, self._lock = "", 0.0, Lock()

    # Not auth_flow: httpx would read the token's answer outside of the lock, and an error there would never release it.
    def sync_auth_flow(self, request: httpx.Request) -> _Flow:
        yield from self._renew(request, refused="")
        used = self._token
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code == 401:
            yield from self._renew(request, refused=used)
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _renew(self, request: httpx.Request, refused: str) -> _Flow:
        """Get a token when there is none, it is about to expire, or it is the one that was refused."""
        with self._lock:
            if self._token not in ("", refused) and self._clock() < self._expires_at:
                return
            asked_at = self._clock()
            for attempt in range(1, MAX_ATTEMPTS + 1):
                # Its extensions carry the client's timeouts; without them this request could wait for ever.
                response = yield httpx.Request("POST", self._token_url, data=self._form, extensions=request.extensions)
                response.read()
                if not _is_passing(response) or attempt == MAX_ATTEMPTS:
                    break
                self._sleep(wait_seconds(attempt, response.headers.get("Retry-After")))
            given = self._read(response)
            self._judge(given.access_token)
            life = given.expires_in if given.expires_in and given.expires_in > 0 else UNTOLD_LIFE_SECONDS
            # Half of a short life at most: or each request would fetch a token of its own.
            self._expires_at = asked_at + life - min(REFRESH_BEFORE_SECONDS, life / 2)
            self._token = given.access_token

    def _read(self, response: httpx.Response) -> _Given:
        if _is_passing(response):
            raise self._no_token(FhirUnavailableError, response, "try again later")
        try:
            given = msgspec.json.decode(response.content, type=_Given, strict=False)
        except (msgspec.MsgspecError, RecursionError):
            given = _Given("")
        if response.status_code != 200 or not _HEADER_SAFE.fullmatch(given.access_token):
            raise self._no_token(
                FhirAuthenticationError,
                response,
                "check FHIR_TOKEN_URL, FHIR_CLIENT_ID and FHIR_CLIENT_SECRET, and that the client may use "
                "client_credentials (in Keycloak: a confidential client with a service account)",
            )
        return given

    def _no_token(self, kind: type[FhirError], response: httpx.Response, remedy: str) -> FhirError:
        said = f"HTTP {response.status_code}{_oauth_error(response)}"
        return kind(
            f"The token endpoint {self._token_url} gave no token ({said}): {remedy}",
            url=self._token_url,
            status=response.status_code,
        )


def _is_passing(response: httpx.Response) -> bool:
    return response.status_code in RETRIED_STATUS or response.status_code >= 500


def _oauth_error(response: httpx.Response) -> str:
    """Give the error code of RFC 6749, and none of the words beside it."""
    try:
        code = msgspec.json.decode(response.content, type=_Refusal).error
    except (msgspec.MsgspecError, RecursionError):
        return ""
    return f", {code}" if _OAUTH_ERROR.fullmatch(code) else ""


def _form(client_id: str, client_secret: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
