"""A FHIR R4 server by REST search: pages of one type in a window, counts, and the server's own clock.

It knows HAPI's habits (../docs/upstream-quirks.md); it refuses to know what becomes of the pages. No message of its
errors carries a page cursor: whoever has one may read patients.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import msgspec

from opensrp_dhis2.clock import machine_clock
from opensrp_dhis2.errors import (
    ConfigurationError,
    CursorExpiredError,
    FhirAuthenticationError,
    FhirError,
    FhirOutcomeError,
    FhirUnavailableError,
    IncompleteExtractError,
    PageTooLargeError,
    UnreadablePageError,
)
from opensrp_dhis2.fhir.auth import sign_in_remedy
from opensrp_dhis2.fhir.page import BUNDLE, MOST_BYTES, Bundle, Page, is_outcome, outcome_text, page_of
from opensrp_dhis2.fhir.release import Introduction, read_capability, refusal
from opensrp_dhis2.fhir.window import Window
from opensrp_dhis2.http.client import make_client
from opensrp_dhis2.http.deadline import Limits, TooLargeError
from opensrp_dhis2.http.diagnosis import (
    is_lasting,
    is_login_address,
    is_login_page,
    redirect_words,
    wants_tls,
    why_unanswered,
)
from opensrp_dhis2.http.network import DIRECT, Network
from opensrp_dhis2.http.retry import is_transient

# no-cache: HAPI answers a repeated search from a cache for a minute. Never no-store: it silently gives one page only.
HEADERS = {"Accept": "application/fhir+json", "Cache-Control": "no-cache"}
MOST_AGE_SECONDS = 60  # as long as HAPI itself answers from its cache; a run's overlap forgives it
LIMITS = Limits(most_bytes=MOST_BYTES)
CLOCK_SECONDS = 300.0  # as long as the server's clock is reckoned on by ours
CUT_OFF_ATTEMPTS = 3  # for an answer whose length is right and whose end is missing


class FhirClient:
    """One FHIR server; safe to use from several threads."""

    def __init__(
        self, base_url: str, *, auth: httpx.Auth | None = None, page_size: int = 500, connections: int = 8,
        limits: Limits = LIMITS, network: Network = DIRECT,
    ) -> None:  # fmt: skip
        self.base_url = base_url.rstrip("/")
        self.page_size = page_size
        self.auth, self.limits, self.network = auth, limits, network
        self._introduction: Introduction | None = None
        self._introducing = Lock()
        try:
            # One connection more: while threads read, another one counts what comes next.
            self._http = make_client(
                self.base_url, auth=auth, headers=HEADERS, connections=connections + 1, limits=limits, network=network
            )
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"FHIR_BASE_URL is no URL ({error}): write https://host/fhir") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def server_now(self) -> datetime:
        """Return the server's time: windows are cut by its clock, not by ours.

        What it said minutes ago is reckoned on, in whole seconds as it tells them: never later than it would say now.
        """
        told = self.introduction()
        return told.at + timedelta(seconds=int(time.monotonic() - told.heard_at))

    def introduction(self) -> Introduction:
        """Ask the server who it is, once a run; again after CLOCK_SECONDS, for its clock may have been set.

        Raises: FhirOutcomeError (terminal) when it is no FHIR R4 server, or tells no time. Others as any request.
        """
        with self._introducing:
            told = self._introduction
            if told is None or time.monotonic() - told.heard_at > CLOCK_SECONDS:
                told = self._introduction = self._ask_who()
            return told

    def _ask_who(self) -> Introduction:
        response = self._get("/metadata", [("_summary", "true")])
        heard_at = time.monotonic()
        if not _is_json(response):
            raise self._no_fhir(response, _content_type(response), "CapabilityStatement")
        capability = read_capability(response.content)
        if refused := refusal(capability, self.base_url):
            raise FhirOutcomeError(refused, url=f"{self.base_url}/metadata", status=response.status_code)
        try:
            at = parsedate_to_datetime(response.headers.get("Date", "")).astimezone(UTC)
            return Introduction(at, heard_at, capability.implementation.url.rstrip("/"))
        except ValueError:
            raise FhirOutcomeError(
                f"{self.base_url}/metadata has no Date header, so no window can be cut by the server's clock: let the "
                "proxy before it pass the header on",
                url=f"{self.base_url}/metadata", status=response.status_code,
            ) from None  # fmt: skip

    def count(self, resource_type: str, window: Window) -> int:
        """Count the resources of a type in a window; the server counts afresh each time."""
        asked = [*window.parameters(), ("_summary", "count"), ("_pretty", "false")]
        total = self._bundle(f"/{resource_type}", asked).total
        if total is None:
            raise FhirOutcomeError(
                f"{self.base_url}/{resource_type}?_summary=count gave no total: the server or its gateway does not "
                "count, so nothing can be divided or reconciled",
                url=f"{self.base_url}/{resource_type}",
            )
        return total

    def search_pages(self, resource_type: str, window: Window, page_size: int | None = None) -> Iterator[Page]:
        """Yield every page of a type in a window. Raises: as `bundles`."""
        size = page_size or self.page_size
        parameters = [*window.parameters(), ("_count", str(size)), ("_sort", "_lastUpdated,_id")]
        for bundle in self.bundles(resource_type, parameters):
            yield page_of(resource_type, bundle)

    def bundles(self, path: str, parameters: Sequence[tuple[str, str]]) -> Iterator[Bundle]:
        """Yield every Bundle of a search or a history, by the server's own next links, until there is none.

        Raises: CursorExpiredError when the server has forgotten the search: begin the window again.
            IncompleteExtractError when its links go in a circle. PageTooLargeError. Others as for any request.
        """
        bundle = self._bundle(f"/{path}", [*parameters, ("_pretty", "false")])
        seen: set[str] = set()
        while True:
            yield bundle
            link = bundle.next_url
            if link is None:
                return
            if link in seen:
                raise IncompleteExtractError(
                    f"{self.base_url} gives the same next link twice for {path}: its paging goes in a circle; "
                    "look at the server or the proxy before it",
                    url=f"{self.base_url}/{path}",
                )
            seen.add(link)
            bundle = self._follow(path, link)

    def _follow(self, asked: str, link: str) -> Bundle:
        """Ask for a next link at the configured base, whatever host and prefix the server believes to have."""
        parts = urlsplit(link)
        path, base_path = parts.path.rstrip("/"), urlsplit(self.base_url).path
        is_asked = path.endswith(f"/{asked}")
        if "_getpages=" in parts.query:
            path = ""  # HAPI pages at its base
        elif f"{path}/".startswith(f"{base_path}/") and (base_path or not is_asked):
            path = path[len(base_path) :]
        else:
            path = f"/{asked}" if is_asked else ""
        return self._bundle(path, parts.query)

    def _get(self, path: str, query: Sequence[tuple[str, str]] | str) -> httpx.Response:
        url = httpx.URL(self.base_url + path)
        url = url.copy_with(query=query.encode()) if isinstance(query, str) else url.copy_merge_params(tuple(query))
        try:
            response = self._http.get(url)
        except TooLargeError as error:
            raise PageTooLargeError(
                f"{self.base_url}{path} gave {error}: lower FHIR_PAGE_SIZE, or look for a resource that large",
                url=self.base_url + path,
            ) from None
        except httpx.HTTPError as error:
            raise no_answer(error, self.network, self.base_url, path) from None
        if response.status_code != 200:
            raise self._error(response, path)
        age = response.headers.get("Age", "")
        if age.isdecimal() and int(age) > MOST_AGE_SECONDS:
            raise FhirOutcomeError(
                f"{self.base_url}{path} was answered from a cache, {age} seconds old, though no-cache was asked for: what "
                "was written since would be missed; let the proxy before the server pass Cache-Control on",
                url=self.base_url + path, status=response.status_code,
            )  # fmt: skip
        return response

    def _error(self, response: httpx.Response, path: str) -> FhirError:
        url, status = self.base_url + path, response.status_code
        said = outcome_text(_json(response))
        where = f"FHIR server {self.base_url}, {path or 'a next page'}: HTTP {status}"
        if status == 410:
            return CursorExpiredError(f"{where}: the page cursor has expired", url=url, status=status)
        location = response.headers.get("Location", "")
        if 300 <= status < 400 and location and not is_login_address(location):
            told = redirect_words(location, self.base_url, "FHIR_BASE_URL")
            return FhirOutcomeError(f"{where}: {told}", url=url, status=status)
        if wants_tls(status, response.content):
            told = "the port speaks TLS: write https:// in FHIR_BASE_URL"
            return FhirOutcomeError(f"{where}: {told}", url=url, status=status)
        if 300 <= status < 400:
            where = f"{where}, a redirect to a login page"
        if status in (401, 403) or 300 <= status < 400:
            token = response.request.headers.get("Authorization", "").partition(" ")[2]
            remedy = sign_in_remedy(self.auth, status, token, machine_clock())
            return FhirAuthenticationError(f"{where}: the server does not let us in; {remedy}", url=url, status=status)
        if is_transient(status):
            return FhirUnavailableError(f"{where}: {said}; try again later", url=url, status=status)
        if status == 404 and not is_outcome(response.content):
            said = "nothing of FHIR is there, for FHIR_BASE_URL must end in the FHIR base (often /fhir)"
        return FhirOutcomeError(f"{where}: {said}; check FHIR_BASE_URL and the type's name", url=url, status=status)

    def _bundle(self, path: str, query: Sequence[tuple[str, str]] | str) -> Bundle:
        response = self._whole(path, query)
        try:
            bundle = BUNDLE.decode(response.content)
        except (msgspec.MsgspecError, RecursionError):
            raise self._unreadable(response) from None
        if bundle.resource_type != "Bundle":
            raise self._no_fhir(response, bundle.resource_type)
        return bundle

    def _whole(self, path: str, query: Sequence[tuple[str, str]] | str) -> httpx.Response:
        """Ask again for JSON without an end: something on the way cut it off, and gave it a fitting length."""
        for _ in range(CUT_OFF_ATTEMPTS):
            response = self._get(path, query)
            if not _is_json(response) or response.content.rstrip().endswith((b"}", b"]")):
                return response
        raise FhirUnavailableError(
            f"{self.base_url}{path} was cut off {CUT_OFF_ATTEMPTS} times, after {len(response.content)} bytes at last: "
            "look at the proxy before the server, or lower FHIR_PAGE_SIZE",
            url=self.base_url + path, status=response.status_code,
        )  # fmt: skip

    def _unreadable(self, response: httpx.Response) -> FhirError:
        if not _is_json(response):
            return self._no_fhir(response, _content_type(response))
        url = str(response.url.copy_with(query=None))
        error = UnreadablePageError(
            f"{url} answered with {len(response.content)} bytes of malformed JSON: look for the resource at fault",
            url=url, status=response.status_code,
        )  # fmt: skip
        error.body = response.content
        return error

    def _no_fhir(self, response: httpx.Response, kind: str, wanted: str = "Bundle") -> FhirError:
        url = str(response.url.copy_with(query=None))
        if is_login_page(_content_type(response), response.content):
            return FhirAuthenticationError(
                f"{url} answered with a login page, no FHIR {wanted}: something before the server wants people to log in; "
                "have this account let past it, or set FHIR_BASE_URL to the server behind it",
                url=url, status=response.status_code,
            )  # fmt: skip
        return FhirOutcomeError(
            f"{url} answered with {kind or 'some JSON'}, no FHIR {wanted}: check that FHIR_BASE_URL ends in the FHIR base "
            "(often /fhir) and that no login page stands before it",
            url=url, status=response.status_code,
        )  # fmt: skip


def no_answer(error: httpx.HTTPError, network: Network, base_url: str, place: str) -> FhirError:
    """Make the error for a request that got no answer: transient unless only a person can mend the cause."""
    asked, setting = f"FHIR server {base_url}{place}", "FHIR_BASE_URL"
    if error.request.method == "POST":
        asked, setting = f"The token endpoint {error.request.url}", "FHIR_TOKEN_URL"
    kind = FhirError if is_lasting(error) else FhirUnavailableError
    why = why_unanswered(error, network, setting)
    return kind(f"{asked} gave no answer: {why}. The watermark stays and the next run reads on", url=base_url)


def _content_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", "no content type")).split(";")[0]


def _is_json(response: httpx.Response) -> bool:
    return "json" in _content_type(response)


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
