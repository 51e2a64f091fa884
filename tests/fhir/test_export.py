"""The protocol of bulk export: what is asked, how long is waited, who sees our token, and what a file must hold."""

import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest

from opensrp_dhis2.errors import (
    ExportLostError,
    ExportRefusedError,
    FhirError,
    FhirUnavailableError,
    IncompleteExtractError,
)
from opensrp_dhis2.fhir.auth import BearerAuth
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.export import BulkExport, deleted_ids, inflated, pause_seconds, split_lines
from opensrp_dhis2.fhir.manifest import Manifest, file_url_of, read_manifest, sends_token, status_url_of
from tests.support.fhir_script import Answer, Script, flag, scripted

BASE = "https://fhir.example.org/gateway/fhir"
JOB = "$export-poll-status?_jobId=6ef05f94-e634-46b2-897a-2a7af62371d4"
Asked = tuple[BulkExport, Script, list[float]]


@contextmanager
def exporting(*answers: Answer) -> Iterator[Asked]:
    """Ask a scripted server with a token; the pauses are noted and not made."""
    waits: list[float] = []
    with (
        scripted(*answers) as script,
        FhirClient(script.url, auth=BearerAuth("s3cr3t-token")) as client,
        BulkExport(client, sleep=waits.append) as bulk,
    ):
        yield bulk, script, waits


def ndjson(*resources: Any) -> bytes:
    return b"".join(msgspec.json.encode(one) + b"\n" for one in resources)


def read(bulk: BulkExport, url: str, count: int | None = None, requires: bool | None = True) -> list[bytes]:
    return list(bulk.lines(url, count, requires))


def test_15b_one_kick_off_asks_for_all_types_and_gives_the_status_url() -> None:
    located = {"Content-Location": f"http://inner:8080/fhir/{JOB}"}
    with exporting(Answer(status=202, headers=located)) as (bulk, script, _):
        assert bulk.kick_off(["Patient", "Flag"]) == f"{script.url}/{JOB}"
    [asked] = script.asked
    assert (asked.method, asked.path) == ("GET", "/fhir/$export")
    assert httpx.QueryParams(asked.query) == httpx.QueryParams(
        {"_type": "Patient,Flag", "_outputFormat": "application/fhir+ndjson"}
    )
    assert (asked.headers["prefer"], asked.headers["cache-control"]) == ("respond-async", "no-cache")
    assert asked.headers["authorization"] == "Bearer s3cr3t-token"


@pytest.mark.parametrize("status", [200, 202, 302, 400, 401, 403, 404, 405, 501])
def test_15s_a_kick_off_without_a_job_is_refused_with_its_reason(status: int) -> None:
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [{"code": "not-supported", "diagnostics": "Mary HAPI-0302"}],
    }
    with exporting(Answer(outcome, status)) as (bulk, _, _), pytest.raises(ExportRefusedError) as caught:
        bulk.kick_off(["Flag"])
    assert f"HTTP {status}, HAPI-0302 not-supported" in str(caught.value)
    assert "Mary" not in str(caught.value)


def test_a_kick_off_that_may_have_been_heard_is_not_repeated() -> None:
    for answer in (Answer(status=504), Answer(b"x" * 10, 202, sent_bytes=2)):
        with exporting(answer) as (bulk, script, _), pytest.raises(FhirUnavailableError):
            bulk.kick_off(["Flag"])
        assert len(script.asked) == 1


def test_a_kick_off_that_was_put_off_is_repeated_when_it_may_be() -> None:
    put_off = Answer(status=429, headers={"Retry-After": "7"})
    located = {"Content-Location": f"/fhir/{JOB}"}
    with exporting(put_off, Answer(status=202, headers=located)) as (bulk, script, waits):
        assert bulk.kick_off(["Flag"]) == f"{script.url}/{JOB}"
    assert waits == [7.0]


@pytest.mark.parametrize(
    ("headers", "polled", "expected"),
    [
        ({"Retry-After": "120"}, 0, 120.0),
        ({"Retry-After": "0"}, 0, 1.0),
        ({"Retry-After": "86400"}, 0, 600.0),
        ({"Retry-After": "Sat, 21 Nov 2026 02:21:30 GMT", "Date": "Sat, 21 Nov 2026 02:20:00 GMT"}, 0, 90.0),
        ({"Retry-After": "Sat, 21 Nov 2026 02:00:00 GMT", "Date": "Sat, 21 Nov 2026 02:20:00 GMT"}, 0, 1.0),
        ({"Retry-After": "soon"}, 0, 2.0),
        ({"Retry-After": "Sat, 21 Nov 2026 02:21:30 GMT"}, 1, 4.0),
        ({}, 2, 8.0),
        ({}, 5000, 60.0),
    ],
)
def test_retry_after_is_obeyed_in_seconds_and_as_a_date_of_the_server(
    headers: dict[str, str], polled: int, expected: float
) -> None:
    assert pause_seconds(httpx.Headers(headers), polled) == expected


@pytest.mark.parametrize(
    ("status", "kind", "requests"),
    [
        (404, ExportLostError, 1),
        (410, ExportLostError, 1),
        (500, ExportLostError, 4),
        (401, ExportRefusedError, 1),
        (403, ExportRefusedError, 1),
        (503, FhirUnavailableError, 4),
    ],
)
def test_a_poll_tells_a_lost_job_from_a_server_that_is_away(status: int, kind: type[FhirError], requests: int) -> None:
    with exporting(Answer({}, status)) as (bulk, script, _), pytest.raises(kind) as caught:
        bulk.poll(f"{script.url}/{JOB}", 0)
    assert len(script.asked) == requests
    assert "6ef05f94" not in str(caught.value) + caught.value.url


def test_15b_a_manifest_in_latin_1_is_read_and_its_files_moved_to_our_base() -> None:
    told = {
        "transactionTime": "2026-11-21T02:21:06.362+00:00", "request": "http://inner:8080/fhir/$export?_type=Flag",
        "requiresAccessToken": True, "message": "année",
        "output": [{"type": "Flag", "url": "http://inner:8080/fhir/Binary/x", "count": 3}], "error": [],
    }  # fmt: skip
    body = msgspec.json.encode(told).decode().encode("latin-1")
    latin = {"Content-Type": "application/json;charset=ISO-8859-1"}
    with exporting(Answer(body, headers=latin)) as (bulk, script, _):
        found = bulk.poll(f"{script.url}/{JOB}", 0)
        assert isinstance(found, Manifest)
        assert [(one.type, one.url, one.count) for one in found.output] == [("Flag", f"{script.url}/Binary/x", 3)]
        assert (found.deleted, found.requires_access_token) == ([], True)


@pytest.mark.parametrize(
    "body", [b"<html>login</html>", b"{}", b'{"transactionTime":"2026-11-21T02:21:06Z","output":1}']
)
def test_what_is_no_manifest_is_refused(body: bytes) -> None:
    with exporting(Answer(body)) as (bulk, script, _), pytest.raises(ExportRefusedError, match="manifest"):
        bulk.poll(f"{script.url}/{JOB}", 0)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (f"{BASE}/{JOB}", f"{BASE}/{JOB}"),
        (f"http://hapi.internal:8080/fhir/{JOB}", f"{BASE}/{JOB}"),
        (f"/gateway/fhir/{JOB}", f"{BASE}/{JOB}"),
        ("http://inner/gateway/fhir/bulkstatus/7?x=1", f"{BASE}/bulkstatus/7?x=1"),
        ("https://elsewhere.example.org/status/7", "https://elsewhere.example.org/status/7"),
    ],
)
def test_03h_a_status_url_is_asked_for_at_the_configured_base(location: str, expected: str) -> None:
    assert status_url_of(location, BASE) == expected


def test_where_our_base_is_the_root_of_a_host_status_and_files_are_asked_for_at_it() -> None:
    root, believed = "https://fhir.example.org", "https://fhir.example.org/fhir"
    assert (
        status_url_of(f"{believed}/{JOB}", root) == status_url_of(f"http://inner/fhir/{JOB}", root) == f"{root}/{JOB}"
    )
    assert status_url_of("http://inner/bulkstatus/7", root) == f"{root}/bulkstatus/7"
    assert file_url_of(f"{believed}/Binary/x", root, f"{believed}/$export?_type=Flag") == f"{root}/Binary/x"
    assert file_url_of(f"{believed}/r4/Binary/x", f"{believed}/r4", f"{believed}/$export") == f"{believed}/r4/Binary/x"


@pytest.mark.parametrize(
    ("url", "request_url", "expected"),
    [
        (f"{BASE}/Binary/x", f"{BASE}/$export?_type=Flag", f"{BASE}/Binary/x"),
        ("http://inner:8080/fhir/Binary/x?a=b", "http://inner:8080/fhir/$export", f"{BASE}/Binary/x?a=b"),
        ("https://bucket.example.org/gateway/fhir/x", f"{BASE}/$export", "https://bucket.example.org/gateway/fhir/x"),
        ("http://inner:9000/store/x", "http://inner:8080/fhir/$export", "http://inner:9000/store/x"),
        ("/gateway/fhir/Binary/x", "", f"{BASE}/Binary/x"),
    ],
)
def test_03h_a_file_of_the_server_is_asked_for_at_the_configured_base(
    url: str, request_url: str, expected: str
) -> None:
    assert file_url_of(url, BASE, request_url) == expected
    manifest = {"transactionTime": "2026-11-21T02:21:06Z", "request": request_url, "output": [{"url": url}]}
    assert read_manifest(msgspec.json.encode(manifest).decode(), BASE).output[0].url == expected


@pytest.mark.parametrize(
    ("url", "requires", "expected"),
    [
        (f"{BASE}/Binary/x", True, True),
        (f"{BASE}/Binary/x", None, True),
        (f"{BASE}/Binary/x", False, False),
        ("https://files.example.org/x", True, True),
        ("http://files.example.org/x", True, False),
        ("https://files.example.org/x", None, False),
        ("https://files.example.org/x", False, False),
        ("https://fhir.example.org:8443/x", None, False),
    ],
)
def test_our_token_goes_to_another_host_only_where_the_manifest_requires_it(
    url: str, requires: bool | None, expected: bool
) -> None:
    assert sends_token(url, BASE, requires) is expected


def test_files_on_another_host_are_asked_for_without_our_token() -> None:
    with scripted(Answer(ndjson(flag("a")))) as store, exporting(Answer()) as (bulk, _, _):
        assert len(read(bulk, f"{store.url}/a", requires=None)) == 1
        assert len(read(bulk, f"{store.url}/a", requires=True)) == 1
    assert [one.headers.get("authorization") for one in store.asked] == [None, "Bearer s3cr3t-token"]


def test_15c_ndjson_is_asked_for() -> None:
    with exporting(Answer(ndjson(flag("a"), flag("b")))) as (bulk, script, _):
        [page] = bulk.pages("Flag", f"{script.url}/Binary/x", 2, True)
    assert [one.id for one in page.resources] == ["a", "b"]
    assert script.asked[0].headers["accept"] == "application/fhir+ndjson"


GZIPPED = gzip.compress(ndjson(flag("a"))) + gzip.compress(ndjson(flag("b")))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (GZIPPED, {"Content-Encoding": "gzip"}),
        (GZIPPED, {"Content-Type": "application/gzip"}),
        (gzip.compress(GZIPPED), {"Content-Encoding": "gzip"}),
    ],
)
def test_15z_a_gzipped_file_is_unpacked_however_it_is_told(body: bytes, headers: dict[str, str]) -> None:
    with exporting(Answer(body, headers=headers)) as (bulk, script, _):
        assert len(read(bulk, f"{script.url}/Binary/x")) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Answer(ndjson(flag("a"), flag("b")), sent_bytes=150),
        Answer(ndjson(flag("a"), flag("b"))[:-20]),
        Answer(GZIPPED[:-20], headers={"Content-Encoding": "gzip"}),
        Answer(GZIPPED[:-20]),
        Answer(GZIPPED[:40] + b"x" * 40),
        Answer(ndjson(flag("a"))),
    ],
    ids=["connection", "line", "encoding", "gzip", "broken gzip", "count"],
)
def test_a_file_that_is_cut_off_is_told(answer: Answer) -> None:
    with exporting(answer) as (bulk, script, _), pytest.raises(IncompleteExtractError) as caught:
        read(bulk, f"{script.url}/Binary/x", count=2)
    assert "Binary/x" not in str(caught.value) + caught.value.url


@pytest.mark.parametrize(
    ("status", "kind", "requests"),
    [
        (404, ExportLostError, 1),
        (410, ExportLostError, 1),
        (403, ExportRefusedError, 1),
        (302, ExportRefusedError, 1),
        (500, FhirUnavailableError, 1),
        (503, FhirUnavailableError, 4),
    ],
)
def test_a_file_tells_expired_from_refused_and_away(status: int, kind: type[FhirError], requests: int) -> None:
    with exporting(Answer({}, status)) as (bulk, script, _), pytest.raises(kind):
        read(bulk, f"{script.url}/Binary/x")
    assert len(script.asked) == requests


def chunks(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("cut", [lambda text: [text], lambda text: chunks(text, 1), lambda text: chunks(text, 7)])
def test_lines_do_not_depend_on_how_they_were_cut_into_chunks(cut: Callable[[bytes], list[bytes]]) -> None:
    text = b'\n{"a":1}\r\n\n  {"b":"\\n"}\n{"c":3}'
    expected = [b'{"a":1}', b'{"b":"\\n"}', b'{"c":3}']
    assert list(split_lines(cut(text))) == list(split_lines(cut(b"\xef\xbb\xbf" + text))) == expected
    assert list(split_lines(inflated(inflated(cut(gzip.compress(gzip.compress(text))))))) == expected
    assert list(split_lines(inflated([]))) == []


def test_deletions_are_named_by_type_and_id() -> None:
    urls = ["Patient/1", "https://host/fhir/Flag/f-2", "Flag?identifier=x"]
    entries = [{"request": {"method": "DELETE", "url": url}} for url in urls]
    line = msgspec.json.encode(
        {"resourceType": "Bundle", "entry": [*entries, {"request": {"method": "PUT", "url": "A/1"}}]}
    )
    assert list(deleted_ids(line)) == [("Patient", "1"), ("Flag", "f-2")]


def test_a_file_is_never_held_whole() -> None:
    body = ndjson(*(flag(f"f{number:06}", note="x" * 1000) for number in range(40_000)))
    with exporting(Answer(body)) as (bulk, script, _):
        tracemalloc.start()
        count = sum(len(page) for page in bulk.pages("Flag", f"{script.url}/Binary/x", None, True))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (count, peak < len(body) / 4) == (40_000, True)
