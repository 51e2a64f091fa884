"""Bulk export of a FHIR server: kick-off, polls, manifest, and files as pages that are streamed line by line.

It knows the protocol and HAPI's habits; it refuses to know what becomes of the pages. Whoever has a status URL or the
URL of a file may read patients: neither stands in a message.
"""

import time
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from email.utils import parsedate_to_datetime
from itertools import chain
from types import TracebackType
from typing import Self

import httpx
import msgspec

from opensrp_dhis2.errors import (
    ExportLostError,
    ExportRefusedError,
    FhirError,
    FhirUnavailableError,
    IncompleteExtractError,
)
from opensrp_dhis2.fhir.client import FhirClient, no_answer
from opensrp_dhis2.fhir.manifest import Manifest, read_manifest, sends_token, status_url_of
from opensrp_dhis2.fhir.page import BUNDLE, MOST_BYTES, Page, outcome_text
from opensrp_dhis2.http.client import read_whole
from opensrp_dhis2.http.deadline import DeadlineError, TooLargeError
from opensrp_dhis2.http.retry import is_repeated, is_transient, send_again, was_not_read

PAGE_LINES = 2_000  # bounds the memory
UNPACKED_BYTES = 1 << 20  # at a time: a few bytes of gzip may hold gigabytes
LONGEST_PAUSE_SECONDS = 600.0  # whatever Retry-After says
FIRST_PAUSE_SECONDS, USUAL_PAUSE_SECONDS = 2.0, 60.0  # where it says nothing
NDJSON = "application/fhir+ndjson"
# no-cache: some HAPI versions give an equal kick-off the job of an earlier one. gzip only: `inflated` knows no other.
HEADERS = {"Accept-Encoding": "gzip", "Cache-Control": "no-cache"}
KICK_OFF, STATUS, FILE = "the kick-off of $export", "the status of the export", "a file of the export"
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS


class BulkExport:
    """The `$export` of one server; safe to use from several threads.

    Its requests are its own: a kick-off that may have been heard is not repeated, and a file is never held whole.
    """

    def __init__(self, client: FhirClient, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.base_url, self._limits, self._network, self._sleep = client.base_url, client.limits, client.network, sleep
        self._http = httpx.Client(
            auth=client.auth, headers=HEADERS, timeout=httpx.Timeout(30.0, read=120.0),
            transport=client.network.transport(client.limits),
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def kick_off(self, resource_types: Sequence[str]) -> str:
        """Ask for one export of all these types.

        Returns: the status URL, a secret.
        Raises: ExportRefusedError when there is none to be had. FhirUnavailableError (transient) without an answer, or
            with one that does not tell whether a job was begun.
        """
        query = {"_type": ",".join(resource_types), "_outputFormat": NDJSON}
        url = str(httpx.URL(f"{self.base_url}/$export", params=query))
        headers = {"Accept": "application/fhir+json", "Prefer": "respond-async"}
        response = self._ask(KICK_OFF, url, headers, again=was_not_read)
        location = response.headers.get("Content-Location", "")
        if response.status_code == 202 and location:
            with suppress(ValueError, httpx.InvalidURL):
                return str(httpx.URL(status_url_of(location, self.base_url)))
        if is_transient(response.status_code) and response.status_code != 501:
            raise self._said(FhirUnavailableError, KICK_OFF, response)
        raise self._said(ExportRefusedError, KICK_OFF, response)

    def poll(self, status_url: str, polled: int) -> Manifest | float:
        """Ask how a job stands, for the time after `polled` earlier ones.

        Returns: the manifest, or the seconds to wait before the next poll.
        Raises: ExportLostError when the job is unknown, expired or failed. ExportRefusedError when we may not ask, or
            the answer is no manifest. FhirUnavailableError (transient).
        """
        headers = {"Accept": "application/json"}
        response = self._ask(STATUS, status_url, headers, again=lambda status: status in (500, 502, 503, 504))
        status = response.status_code
        if status in (202, 429):
            return pause_seconds(response.headers, polled)
        if status == 200:
            try:
                return read_manifest(response.text, self.base_url)  # HAPI serves it as ISO-8859-1
            except (msgspec.MsgspecError, ValueError, httpx.InvalidURL):
                raise self._said(ExportRefusedError, "the manifest of the export", response) from None
        if is_repeated(status):
            raise self._said(FhirUnavailableError, STATUS, response)
        kind = ExportLostError if status in (404, 410) or status >= 500 else ExportRefusedError
        raise self._said(kind, STATUS, response)

    def delete(self, status_url: str) -> None:
        """Let the server drop the job and its files; it may refuse, for they expire by themselves."""
        request = self._http.build_request("DELETE", status_url, headers={"Accept": "application/fhir+json"})
        with suppress(httpx.HTTPError, FhirError):
            self._http.send(request, auth=self._auth(status_url, None), stream=True).close()

    def pages(
        self, resource_type: str, url: str, planned_count: int | None, requires_access_token: bool | None
    ) -> Generator[Page]:
        """Yield the lines of a file of one type as pages. Raises: as `lines`."""
        page = Page()
        with closing(self.lines(url, planned_count, requires_access_token)) as lines:
            for line in lines:
                page.add(resource_type, line)
                if len(page) == PAGE_LINES:
                    yield page
                    page = Page()
        yield page

    def lines(self, url: str, planned_count: int | None, requires_access_token: bool | None) -> Generator[bytes]:
        """Yield the lines of a file that are not empty.

        Raises: IncompleteExtractError for a file that ends before its end, or holds another number of lines than the
            manifest tells. ExportLostError when it has expired, ExportRefusedError when we may not have it,
            FhirUnavailableError (transient).
        """
        count = 0
        response = self._ask(FILE, url, {"Accept": NDJSON}, is_repeated, requires_access_token, stream=True)
        with closing(response):
            if response.status_code != 200:
                raise self._file_error(response)
            try:
                for line in split_lines(inflated(inflated(response.iter_raw()))):
                    count += 1
                    yield line
            except httpx.HTTPError as error:
                why = str(error) if isinstance(error, DeadlineError) else type(error).__name__
                raise self._incomplete(f"was cut off after {count} lines ({why})") from None
            except (EOFError, zlib.error, msgspec.DecodeError) as error:
                raise self._incomplete(f"was cut off after {count} lines ({type(error).__name__})") from None
        if planned_count is not None and count != planned_count:
            raise self._incomplete(f"holds {count} lines, and the manifest tells {planned_count}")

    def _ask(
        self, place: str, url: str, headers: Mapping[str, str], again: Callable[[int], bool],
        requires_access_token: bool | None = None, *, stream: bool = False,
    ) -> httpx.Response:  # fmt: skip
        """Send a GET; with these statuses again, after what Retry-After says."""
        request = self._http.build_request("GET", url, headers=headers)
        auth = self._auth(url, requires_access_token)

        def send() -> httpx.Response:
            response = self._http.send(request, auth=auth, stream=True)
            return response if stream else read_whole(response, response.request, self._limits.most_bytes)

        try:  # a kick-off that broke off may have been heard
            return send_again(send, again=again, repeats_errors=place != KICK_OFF, sleep=self._sleep)
        except TooLargeError as error:
            raise ExportRefusedError(f"FHIR server {self.base_url}, {place}: {error}", url=self.base_url) from None
        except httpx.HTTPError as error:
            raise self._silent(place, error) from None

    def _auth(self, url: str, requires_access_token: bool | None) -> httpx.Auth | None:
        return self._http.auth if sends_token(url, self.base_url, requires_access_token) else None

    def _file_error(self, response: httpx.Response) -> FhirError:
        status = response.status_code
        try:
            response = read_whole(response, response.request, self._limits.most_bytes)
        except httpx.HTTPError as error:
            return self._silent(FILE, error)
        if status in (404, 410):
            return self._said(ExportLostError, FILE, response)
        return self._said(FhirUnavailableError if is_transient(status) else ExportRefusedError, FILE, response)

    def _silent(self, place: str, error: httpx.HTTPError) -> FhirError:
        return no_answer(error, self._network, self.base_url, f", {place}")

    def _said(self, kind: type[FhirError], place: str, response: httpx.Response) -> FhirError:
        try:
            said = outcome_text(response.json())
        except ValueError:
            said = "no reason given"
        text = f"FHIR server {self.base_url}, {place}: HTTP {response.status_code}, {said}"
        return kind(text, url=self.base_url, status=response.status_code)

    def _incomplete(self, what: str) -> IncompleteExtractError:
        return IncompleteExtractError(f"A file of the export of {self.base_url} {what}", url=self.base_url)


def pause_seconds(headers: Mapping[str, str], polled: int) -> float:
    """Return the seconds to wait before the next poll: Retry-After in seconds or as a date of the server's clock: pure."""
    said = headers.get("Retry-After", "").strip()
    asked = min(FIRST_PAUSE_SECONDS * 2.0 ** min(polled, 10), USUAL_PAUSE_SECONDS)
    if said.isdigit():
        asked = float(said)
    elif said:
        with suppress(ValueError, TypeError):
            asked = (parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("Date", ""))).total_seconds()
    return min(max(asked, 1.0), LONGEST_PAUSE_SECONDS)


def inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip if it begins like it: pure. Raises: EOFError, zlib.error where it does not end like it."""
    head, rest = _begun(chunks, len(_GZIP_MAGIC))
    whole = chain([head], rest)
    return _gunzipped(whole) if head.startswith(_GZIP_MAGIC) else whole


def _begun(chunks: Iterable[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """Return at least so many bytes of the beginning, where there are, and what follows."""
    rest = iter(chunks)
    head = b""
    while len(head) < size and (chunk := next(rest, None)) is not None:
        head += chunk
    return head, rest


def _gunzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    unpack = zlib.decompressobj(_GZIP)
    for chunk in chunks:
        while chunk:
            if unpack.eof:
                unpack = zlib.decompressobj(_GZIP)  # a file may be several, one after another
            yield unpack.decompress(chunk, UNPACKED_BYTES)
            chunk = unpack.unconsumed_tail or unpack.unused_data
    while rest := unpack.decompress(b"", UNPACKED_BYTES):  # what the last bytes still hold
        yield rest
    if not unpack.eof:
        raise EOFError


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that are not empty, without a byte order mark before the first; of one that is too long a part: pure.

    Raises: msgspec.DecodeError for an end that no line break proves.
    """
    head, following = _begun(chunks, len(BOM_UTF8))
    rest, held = list[bytes](), 0
    for chunk in chain([head.removeprefix(BOM_UTF8)], following):
        *ended, last = chunk.split(b"\n")
        for line in ended:
            if whole := b"".join([*rest, line]).strip():
                yield whole
            rest, held = [], 0
        if held <= MOST_BYTES:  # of more than that no page takes a line
            rest.append(last)
            held += len(last)
    if tail := b"".join(rest).strip():
        msgspec.json.decode(tail)
        yield tail


def deleted_ids(line: bytes) -> Iterator[tuple[str, str]]:
    """Yield type and id of what a line of deletions names, a Bundle of DELETE requests: pure. Raises: MsgspecError."""
    for entry in BUNDLE.decode(line).entry:
        path, _, query = entry.request.url.partition("?")
        resource_type, _, resource_id = path.rpartition("/")
        if entry.request.method == "DELETE" and resource_type and not query:
            yield resource_type.rpartition("/")[2], resource_id
