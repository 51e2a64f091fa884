"""The client against what real HAPI servers answered, and against what stands between."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from opensrp_dhis2_sandbox.fhir.app import create_app
from opensrp_dhis2_sandbox.fhir.store import FhirStore
from opensrp_dhis2_sandbox.server import running

from opensrp_dhis2.errors import (
    ConfigurationError,
    CursorExpiredError,
    FhirAuthenticationError,
    FhirError,
    FhirOutcomeError,
    FhirUnavailableError,
    IncompleteExtractError,
    UnreadablePageError,
)
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.window import Window
from opensrp_dhis2.http.client import RetryingTransport
from tests.support.fhir_script import R4, Answer, Script, bundle, flag, scripted

WINDOW = Window(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, 0, 0, 0, 5000, tzinfo=UTC))
CURSOR = "9a2b8b0d-4270-4a25-b8b3-2f83644fd59d"
NOT_NOW = {"Retry-After": "0"}


def recorded(shared: Path, name: str) -> dict[str, Any]:
    response: dict[str, Any] = json.loads((shared / "contracts" / "hapi" / f"{name}.json").read_text())["response"]
    return response


def read(script: Script, **options: Any) -> list[str]:
    with FhirClient(script.url, **options) as client:
        return [resource.id for page in client.search_pages("Flag", WINDOW) for resource in page.resources]


def failure(*answers: Answer) -> FhirError:
    with scripted(*answers) as script, pytest.raises(FhirError) as caught:
        read(script)
    return caught.value


def test_search_asks_for_a_half_open_window_in_full_instants_and_never_for_no_store() -> None:
    with scripted(Answer(bundle())) as script:
        assert read(script, page_size=250) == []
    asked = script.asked[0]
    assert sorted(httpx.QueryParams(asked.query).multi_items()) == [
        ("_count", "250"),
        ("_lastUpdated", "ge2026-11-20T00:00:00.000Z"),
        ("_lastUpdated", "lt2026-11-21T00:00:00.005Z"),
        ("_pretty", "false"),
        ("_sort", "_lastUpdated,_id"),
    ]
    assert asked.headers["cache-control"] == "no-cache"
    assert asked.headers["accept"] == "application/fhir+json"
    assert "gzip" in asked.headers["accept-encoding"]


def test_07_ties_of_500_resources_in_one_millisecond_all_arrive() -> None:
    store = FhirStore()
    for number in range(500):
        store.put({"resourceType": "Flag", "id": f"f{number}"}, stamp_ms=1_795_200_000_000)
    window = Window(datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))
    with running(create_app(store)) as url, FhirClient(f"{url}/fhir", page_size=100) as client:
        pages = [[resource.id for resource in page.resources] for page in client.search_pages("Flag", window)]
        assert client.count("Flag", window) == 500
    assert len(pages) == 5
    assert len({one for page in pages for one in page}) == 500


def test_06_window_includes_its_first_millisecond_and_excludes_its_last() -> None:
    store = FhirStore()
    for name, milliseconds in (("before", -1), ("first", 0), ("last", 86_400_004), ("after", 86_400_005)):
        stamp_ms = round(WINDOW.start_at.timestamp() * 1000) + milliseconds
        store.put({"resourceType": "Flag", "id": name}, stamp_ms=stamp_ms)
    with running(create_app(store)) as url, FhirClient(f"{url}/fhir") as client:
        assert [r.id for page in client.search_pages("Flag", WINDOW) for r in page.resources] == ["first", "last"]


def test_03h_next_link_is_asked_at_the_configured_base_with_its_query_verbatim(shared: Path) -> None:
    first = recorded(shared, "03h-next-link-host")["body"]
    link = next(link["url"] for link in first["link"] if link["relation"] == "next")
    with scripted(Answer(first), Answer(bundle())) as script, FhirClient(script.url) as client:
        assert [len(page.resources) for page in client.search_pages("Encounter", WINDOW)] == [1, 0]
    assert link.startswith("http://127.0.0.1:8092/fhir?_getpages=")
    assert script.asked[1].path == "/fhir"
    assert script.asked[1].query == link.partition("?")[2]


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("http://internal:8080/fhir?_getpages=a%7Cb&x=1", "/fhir"),
        ("http://internal:8080/hapi-fhir-jpaserver/fhir?_getpages=a%7Cb&x=1", "/fhir"),
        ("http://internal:8080/fhir/Flag?page=a%7Cb&x=1", "/fhir/Flag"),
        ("http://internal:8080/r4/Flag?page=a%7Cb&x=1", "/fhir/Flag"),
        ("http://internal:8080/fhirs/?_getpages=a%7Cb&x=1", "/fhir"),
    ],
)
def test_next_link_keeps_our_prefix_whatever_prefix_the_server_believes_in(link: str, path: str) -> None:
    with scripted(Answer(bundle(next_url=link)), Answer(bundle(flag("a")))) as script:
        assert read(script) == ["a"]
    assert (script.asked[1].path, script.asked[1].query) == (path, link.partition("?")[2])


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("http://internal:8080/fhir?_getpages=a%7Cb&x=1", ""),
        ("http://internal:8080/fhir/Flag?page=a%7Cb&x=1", "/Flag"),
        ("http://internal:8080/cursor/7?x=1", "/cursor/7"),
    ],
)
def test_next_link_is_found_where_our_base_is_the_root_of_a_host(link: str, path: str) -> None:
    with scripted(Answer(bundle(next_url=link)), Answer(bundle(flag("a")))) as script:
        script.url = script.url.removesuffix("/fhir")
        assert read(script) == ["a"]
    assert (script.asked[1].path.rstrip("/"), script.asked[1].query) == (path, link.partition("?")[2])


def test_03e_empty_or_short_page_is_not_the_end_while_there_is_a_next_link() -> None:
    pages = [
        bundle(next_url="http://h/fhir?_getpages=1", total=9),
        bundle(flag("a"), next_url="http://h/fhir?_getpages=2"),
    ]
    with scripted(*map(Answer, pages), Answer(bundle(flag("b")))) as script:
        assert read(script) == ["a", "b"]


def test_page_loop_is_told_as_an_incomplete_extract() -> None:
    error = failure(Answer(bundle(flag("a"), next_url=f"http://h/fhir?_getpages={CURSOR}")))
    assert isinstance(error, IncompleteExtractError)
    assert "circle" in str(error)


@pytest.mark.parametrize("name", ["04a-getpages-unknown", "04b-getpages-malformed"])
def test_04_dead_cursor_is_told_apart_and_its_id_kept_out_of_the_message(shared: Path, name: str) -> None:
    dead = Answer(recorded(shared, name)["body"], 410)
    error = failure(Answer(bundle(next_url=f"http://h/fhir?_getpages={CURSOR}")), dead)
    assert isinstance(error, CursorExpiredError)
    assert CURSOR not in f"{error} {error.url}"


@pytest.mark.parametrize(
    ("answer", "kind", "remedy"),
    [
        (Answer(b"<html>Sign in</html>", 200, {"Content-Type": "text/html"}), FhirOutcomeError, "login page"),
        (Answer({"resourceType": "CapabilityStatement"}), FhirOutcomeError, "FHIR_BASE_URL"),
        (Answer({"hello": 1}), FhirOutcomeError, "FHIR_BASE_URL"),
        (Answer(b'{"resourceType":"Bundle","entry":[{"resource":{"id'), FhirUnavailableError, "cut off"),
        (Answer(b'{"resourceType":"Bundle","entry":[' + b"[" * 5000 + b"]" * 5000 + b"]}"), UnreadablePageError, "malf"),
        (Answer(b"", 302, {"Location": "https://keycloak/auth"}), FhirAuthenticationError, "FHIR_AUTH"),
        (Answer({"error": "unauthorized"}, 401), FhirAuthenticationError, "FHIR_AUTH"),
        (Answer({"resourceType": "OperationOutcome"}, 403), FhirAuthenticationError, "roles"),
        (Answer(b"busy", 429, NOT_NOW), FhirUnavailableError, "later"),
        (Answer(b"<h1>Bad gateway</h1>", 502, NOT_NOW), FhirUnavailableError, "later"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_page_is_one_clear_error(answer: Answer, kind: type[FhirError], remedy: str) -> None:
    error = failure(answer)
    assert type(error) is kind
    assert "http://127.0.0.1" in str(error)
    assert remedy in str(error)
    assert "_lastUpdated" not in f"{error} {error.url}"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("13a-unknown-type", FhirOutcomeError),
        ("13c-unknown-param", FhirOutcomeError),
        ("06c-lastupdated-bad-date", FhirOutcomeError),
        ("14m-outside-fhir-base", FhirOutcomeError),
        ("14p-database-down-search", FhirUnavailableError),
    ],
)
def test_a_refusal_that_hapi_gave_becomes_the_right_error(shared: Path, name: str, kind: type[FhirError]) -> None:
    response = recorded(shared, name)
    error = failure(Answer(response["body"], response["status"]))
    assert type(error) is kind
    assert error.status == response["status"]
    assert error.is_transient is (kind is FhirUnavailableError)


def test_503_is_asked_again_after_the_seconds_that_the_server_names() -> None:
    slept: list[float] = []
    answers = [Answer(b"", 503, {"Retry-After": "7"}), Answer(b"", 429, {"Retry-After": "3"}), Answer(bundle())]
    with scripted(*answers) as script, RetryingTransport(httpx.HTTPTransport(), sleep=slept.append) as transport:
        answer = httpx.Client(transport=transport).get(script.url)
    assert (answer.status_code, slept, len(script.asked)) == (200, [7.0, 3.0], 3)


@pytest.mark.parametrize(
    "broken",
    [
        Answer(bundle(flag("a")), sent_bytes=40),
        Answer(b"this is no gzip", headers={"Content-Encoding": "gzip"}),
    ],
    ids=["cut off", "broken gzip"],
)
def test_a_body_that_breaks_off_is_asked_for_again(broken: Answer) -> None:
    slept: list[float] = []
    with scripted(broken, broken, Answer(bundle(flag("a")))) as script:
        transport = RetryingTransport(httpx.HTTPTransport(), sleep=slept.append)
        with httpx.Client(transport=transport, base_url=script.url) as client:
            assert client.get("/Flag").json()["entry"][0]["resource"]["id"] == "a"
    assert len(slept) == 2


def test_a_server_that_cannot_be_reached_is_named_with_its_setting() -> None:
    with FhirClient("http://127.0.0.1:9/fhir") as client, pytest.raises(FhirUnavailableError) as caught:
        client.server_now()
    assert "http://127.0.0.1:9/fhir" in str(caught.value)
    assert "FHIR_BASE_URL" in str(caught.value)
    assert caught.value.is_transient


def test_a_base_that_is_no_url_names_the_setting() -> None:
    with pytest.raises(ConfigurationError, match="FHIR_BASE_URL"):
        FhirClient("http://host:port/fhir")


def test_numbers_and_text_keep_the_bytes_that_the_server_sent() -> None:
    body = b'{"resourceType":"Flag","id":"a","meta":{"versionId":"3","lastUpdated":"2026-11-20T10:00:00Z"},"v": 12.50}'
    page = Answer(b'{"resourceType":"Bundle","entry":[{"resource":%s}]}' % body)
    with scripted(page) as script, FhirClient(script.url) as client:
        pages = list(client.search_pages("Flag", WINDOW))
    assert [(r.id, r.version_id, r.body) for r in pages[0].resources] == [("a", 3, body)]


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("08a-elements", ["SUBSETTED"]),
        ("09a-include", ["it is a Patient"]),
    ],
)
def test_a_page_with_partial_or_foreign_entries_rejects_them_with_a_reason(
    shared: Path, name: str, reasons: list[str]
) -> None:
    body = recorded(shared, name)["body"]
    body["link"] = []
    types = [entry["resource"]["resourceType"] for entry in body["entry"]]
    with scripted(Answer(body)) as script, FhirClient(script.url) as client:
        page = next(client.search_pages(types[0], WINDOW))
    assert len(page) == len(types)
    assert page.rejected
    assert all(any(reason in one.reason for reason in reasons) for one in page.rejected)
    assert not any("SUBSETTED" in resource.body.decode() for resource in page.resources)


def test_count_without_a_total_is_an_error_and_not_zero() -> None:
    failing = pytest.raises(FhirOutcomeError, match="gave no total")
    with scripted(Answer(bundle())) as script, FhirClient(script.url) as client, failing:
        client.count("Flag", WINDOW)
    assert "_summary=count" in script.asked[0].query


def test_the_clock_is_the_servers() -> None:
    at = {"Date": "Sat, 21 Nov 2026 02:47:47 GMT"}
    answer = Answer(R4, headers=at)
    with scripted(answer) as script, FhirClient(f"{script.url}/") as client:
        assert client.server_now() == datetime(2026, 11, 21, 2, 47, 47, tzinfo=UTC)
    assert script.asked[0].path == "/fhir/metadata"


def test_a_server_without_a_date_is_refused_rather_than_read_by_our_clock() -> None:
    answer = Answer(R4, has_date=False)
    failing = pytest.raises(FhirOutcomeError, match="no Date header")
    with scripted(answer) as script, FhirClient(script.url) as client, failing:
        client.server_now()


def test_no_log_of_ours_or_of_httpx_carries_a_page_cursor(caplog: pytest.LogCaptureFixture) -> None:
    first = bundle(next_url=f"http://h/fhir?_getpages={CURSOR}")
    with caplog.at_level("INFO"), scripted(Answer(first), Answer(bundle())) as script:
        read(script)
    assert len(script.asked) == 2
    assert CURSOR not in caplog.text
