"""OAuth 2 access tokens: fetched, kept, renewed before they end and when one is refused; for FHIR and for DHIS2.

It knows what a token endpoint asks and answers (RFC 6749), Keycloak's and DHIS2's words beside its error codes, and
which setting mends a refusal; nothing of an answer but its code is told. Which error a refusal is, its user says.
"""

import re
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import httpx
import msgspec

from opensrp_dhis2.errors import HttpError
from opensrp_dhis2.http.deadline import DEADLINE, Deadline
from opensrp_dhis2.http.retry import MAX_ATTEMPTS, is_transient, wait_seconds

REFRESH_BEFORE_SECONDS = 60.0
UNTOLD_LIFE_SECONDS = (
    60.0  # of a token whose endpoint does not say how long it lives; a 401 tells when that was too long
)
TOKEN_SECONDS = 60.0  # for one request of a token, whatever time its client gives to others
HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
_CODE = re.compile(r"[a-z_]{1,40}")
_MAY_NOT = re.compile(r"service account|public client|grant type|not enabled|not allowed", re.IGNORECASE)
_GRANTS = {"client_credentials": "client_credentials", "password": "a password", "refresh_token": "a refresh token"}
_Flow = Generator[httpx.Request, httpx.Response, None]
_Asked = Generator[httpx.Request, httpx.Response, httpx.Response]


@dataclass(frozen=True)
class Grant:
    """What a token is asked for with: a refresh token first, where there is one, then the form.

    Args: `form` is empty where there is only the refresh token; `client` goes as HTTP Basic where it is not in the form.
    """

    url: str
    form: Mapping[str, str]
    client: httpx.BasicAuth | None = None
    refresh_token: str = ""

    @property
    def takes_refresh_tokens(self) -> bool:
        return self.form.get("grant_type") != "client_credentials"


@dataclass(frozen=True)
class NoToken:
    """What a token endpoint answered instead of a usable token; `code` is RFC 6749's.

    The `words` beside it are for telling causes apart, and never for a message: they may repeat what was sent.
    """

    url: str
    status: int
    code: str
    words: str = field(default="", repr=False)

    @classmethod
    def read(cls, url: str, response: httpx.Response) -> "NoToken":
        code, words = _refusal(response)
        return cls(url, response.status_code, code, words)

    @property
    def is_transient(self) -> bool:
        return is_transient(self.status)

    @property
    def said(self) -> str:
        return f"HTTP {self.status}" + (f", {self.code}" if self.code else "")


class _Given(msgspec.Struct):
    access_token: str
    expires_in: float | None = None
    refresh_token: Any = None


class _Refusal(msgspec.Struct):
    error: Any = None
    error_description: Any = None


class TokenAuth(httpx.Auth):
    """A bearer token from a token endpoint; safe to use from several threads: one renews it while the others wait.

    Args: `error` makes the error of a refusal. `judge` is given each token before its first use, and raises where it
    must not be used. `keep` is told each refresh token that replaces the one given.
    """

    def __init__(
        self, grant: Grant, error: Callable[[NoToken], HttpError], *,
        judge: Callable[[str], None] = lambda token: None, keep: Callable[[str], None] = lambda token: None,
        clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep,
        seconds: float = TOKEN_SECONDS,
    ) -> None:  # fmt: skip
        self._grant, self._error, self._judge, self._keep = grant, error, judge, keep
        self._clock, self._sleep, self._seconds, self._lock = clock, sleep, seconds, Lock()
        self._refresh_token, self._token, self._expires_at = grant.refresh_token, "", 0.0

    # Not auth_flow: httpx would read the token's answer outside of the lock, and an error there would never release it.
    def sync_auth_flow(self, request: httpx.Request) -> _Flow:
        yield from self._renew(refused="")
        used = self._token
        request.headers["Authorization"] = f"Bearer {used}"
        response = yield request
        if response.status_code == 401:  # revoked, or the server's keys changed
            yield from self._renew(refused=used)
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _renew(self, refused: str) -> _Flow:
        """Get a token when there is none, it is about to expire, or it is the one that was refused."""
        with self._lock:
            if self._token not in ("", refused) and self._clock() < self._expires_at:
                return
            asked_at = self._clock()
            form = {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
            response = yield from self._ask(form if self._refresh_token else self._grant.form)
            if response.status_code in (400, 401) and self._refresh_token and self._grant.form:
                self._refresh_token = ""  # it has expired; the password has not
                response = yield from self._ask(self._grant.form)
            self._take(self._read(response), asked_at)

    def _ask(self, form: Mapping[str, str]) -> _Asked:
        """Ask for a token, and again when the endpoint stumbles; each time within its own time."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            limits = {"timeout": httpx.Timeout(self._seconds).as_dict(), DEADLINE: Deadline(self._seconds)}
            headers = {"Accept": "application/json"}
            request = httpx.Request("POST", self._grant.url, data=dict(form), headers=headers, extensions=limits)
            response = yield next(self._grant.client.auth_flow(request)) if self._grant.client else request
            response.read()
            if not is_transient(response.status_code) or attempt == MAX_ATTEMPTS:
                break
            self._sleep(wait_seconds(attempt, response.headers.get("Retry-After")))
        return response

    def _read(self, response: httpx.Response) -> _Given:
        try:
            given = msgspec.json.decode(response.content, type=_Given, strict=False)
        except (msgspec.MsgspecError, RecursionError):
            given = _Given("")
        if response.status_code != 200 or not HEADER_SAFE.fullmatch(given.access_token):
            raise self._error(NoToken.read(self._grant.url, response))
        return given

    def _take(self, given: _Given, asked_at: float) -> None:
        self._judge(given.access_token)
        life = given.expires_in if given.expires_in and given.expires_in > 0 else UNTOLD_LIFE_SECONDS
        # Half of a short life at most: or each request would fetch a token of its own.
        self._expires_at = asked_at + life - min(REFRESH_BEFORE_SECONDS, life / 2)
        self._token, renewed = given.access_token, given.refresh_token
        if self._grant.takes_refresh_tokens and isinstance(renewed, str) and renewed != self._refresh_token:
            self._refresh_token = renewed
            self._keep(renewed)


def _refusal(response: httpx.Response) -> tuple[str, str]:
    """Return the error code of RFC 6749, and the words beside it; a code that is none is not repeated."""
    try:
        found = msgspec.json.decode(response.content, type=_Refusal)
    except (msgspec.MsgspecError, RecursionError):
        return "", ""
    words = found.error_description if isinstance(found.error_description, str) else ""
    if found.error is None:
        return "", words
    return found.error if isinstance(found.error, str) and _CODE.fullmatch(found.error) else "some error", words


def refusal_remedy(answer: NoToken, prefix: str, grant: str) -> str:
    """Say what is wrong and what to do: pure.

    Args: `prefix` is FHIR or DHIS2, as the settings begin; `grant` is the grant_type that was sent.
    """
    client = f"{prefix}_CLIENT_ID and {prefix}_CLIENT_SECRET"
    if answer.code in ("invalid_client", "unauthorized_client"):
        if _MAY_NOT.search(answer.words):
            return f"the client may not get a token for {_GRANTS[grant]}: {_allow(prefix, grant)}"
        return f"the client is not known there, is disabled, or its secret is another one: check {client}"
    if answer.code == "invalid_grant":
        return _refused_grant(prefix, grant)
    if answer.code == "unsupported_grant_type":
        return f"this endpoint gives no token for {_GRANTS[grant]}: {_allow(prefix, grant)}"
    if "HTTPS required" in answer.words:
        return f"it wants https: write {prefix}_TOKEN_URL with https"
    if answer.status == 404:
        return (
            f"there is no token endpoint at this address: check {prefix}_TOKEN_URL (in Keycloak it names the realm: "
            "/realms/<realm>/protocol/openid-connect/token)"
        )
    return (
        f"check {prefix}_TOKEN_URL, {client}, and that the client may use {grant}"
        " (in Keycloak: a confidential client with a service account)"
    )


def _refused_grant(prefix: str, grant: str) -> str:
    if grant == "password":
        return f"user name or password is wrong, or the account is disabled: check {prefix}_USERNAME, {prefix}_PASSWORD"
    if grant == "refresh_token":
        return (
            f"the refresh token has expired, was used before or was revoked: let a person log in once more and set "
            f"{prefix}_TOKEN to the new one"
        )
    return f"the account of the client is disabled or locked: look at the client of {prefix}_CLIENT_ID"


def _allow(prefix: str, grant: str) -> str:
    if grant == "client_credentials":
        return (
            f"make {prefix}_CLIENT_ID a confidential client with a service account (in Keycloak), or take another one"
        )
    return f"allow it in the client of {prefix}_CLIENT_ID, or use {prefix}_AUTH=pat, which always works"
