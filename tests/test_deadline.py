"""Every request ends, whatever the server does, and no answer is unpacked into more memory than it may have."""

import gzip
import socket
import threading
from typing import Any

import httpx
import pytest

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.errors import (
    Dhis2Error,
    Dhis2TimeoutError,
    Dhis2UnavailableError,
    ExportRefusedError,
    FhirUnavailableError,
    IncompleteExtractError,
    PageTooLargeError,
)
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.export import BulkExport
from opensrp_dhis2.http.client import RetryingTransport
from opensrp_dhis2.http.deadline import DEADLINE, DeadlineError, DeadlineTransport, Limits
from opensrp_dhis2.http.network import DIRECT
from tests.dhis2.conftest import Answer as Dhis2Answer
from tests.dhis2.conftest import CannedDhis2
from tests.support.fhir_script import Answer, bundle, scripted
from tests.support.keycloak import ALWAYS
from tests.support.slow_server import SLOWNESS, slow_server

SHORT = Limits(seconds=0.3)
SMALL = Limits(most_bytes=1 << 20)
BOMB = gzip.compress(b" " * (64 << 20))
PACKED = {"Content-Encoding": "gzip", "Content-Type": "application/json"}


@pytest.mark.parametrize("how", SLOWNESS)
def test_a_fhir_server_without_an_end_is_given_up(how: str) -> None:
    with (
        slow_server(*SLOWNESS[how]) as (url, asked),
        FhirClient(f"{url}/fhir", limits=SHORT) as client,
        pytest.raises(FhirUnavailableError, match=r"no whole answer within 0\.3 s.*check FHIR_BASE_URL"),
    ):
        client.count("Flag", ALWAYS)
    assert len(asked) == 1  # all attempts share the time


@pytest.mark.parametrize("how", SLOWNESS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_dhis2_without_an_end_is_given_up(method: str, how: str) -> None:
    with (
        slow_server(*SLOWNESS[how]) as (url, asked),
        Dhis2Client(url, limits=SHORT) as client,
        pytest.raises(Dhis2TimeoutError, match=r"no whole answer within 0\.3 s.*DHIS2_BASE_URL"),
    ):
        client.send(method, "dataValueSets", content=b"{}")
    assert len(asked) == 1


def test_a_dhis2_that_does_not_take_a_request_in_is_given_up() -> None:
    with (
        slow_server(b"", b"", reads=False) as (url, _),
        Dhis2Client(url, limits=SHORT) as client,
        pytest.raises(Dhis2TimeoutError, match="no whole answer"),
    ):
        client.send("POST", "dataValueSets", content=bytes(64 << 20))


@pytest.mark.parametrize("how", SLOWNESS)
def test_an_export_without_an_end_is_given_up(how: str) -> None:
    with (
        slow_server(*SLOWNESS[how]) as (url, asked),
        FhirClient(f"{url}/fhir", limits=SHORT) as client,
        BulkExport(client, sleep=lambda _: None) as bulk,
    ):
        with pytest.raises(FhirUnavailableError, match="no whole answer within"):
            bulk.kick_off(["Flag"])
        with pytest.raises((FhirUnavailableError, IncompleteExtractError), match="no whole answer within"):
            list(bulk.lines(f"{url}/file", None, None))
        with pytest.raises(FhirUnavailableError, match="no whole answer within"):
            bulk.poll(f"{url}/status", 0)
        bulk.delete(f"{url}/status")
    assert {line.split()[0] for line in asked} == {b"GET", b"DELETE"}


def test_an_answer_that_goes_on_coming_is_given_more_time() -> None:
    with scripted(Answer(b"x" * 10_000)) as script, DIRECT.transport(Limits(slowest=1.0)) as transport:
        request = httpx.Request("GET", script.url)
        transport.handle_request(request).read()
        assert request.extensions[DEADLINE].left > 10_000
        request = httpx.Request("POST", script.url)  # how long it may live is known beforehand
        transport.handle_request(request).read()
        assert request.extensions[DEADLINE].left <= 600


@pytest.mark.parametrize(("seconds", "pauses"), [(600.0, 3), (30.0, 0)])
def test_a_pause_that_is_longer_than_what_is_left_is_not_begun(seconds: float, pauses: int) -> None:
    slept: list[float] = []
    busy, limits = Answer(b"busy", 503, {"Retry-After": "60"}), Limits(seconds=seconds)
    with scripted(busy) as script, RetryingTransport(DIRECT.transport(limits), limits, sleep=slept.append) as transport:
        assert transport.handle_request(httpx.Request("GET", script.url)).status_code == 503
    assert slept == [60.0] * pauses


def resolving(*addresses: str) -> Any:
    return lambda host, port: [(socket.AF_INET, 0, 0, "", (address, port)) for address in addresses]


def ask(url: str, resolve: Any) -> int:
    with DeadlineTransport(httpx.HTTPTransport(), SHORT, resolve=resolve) as transport:
        return transport.handle_request(httpx.Request("GET", url)).status_code


def test_a_name_that_is_looked_up_without_an_end_is_given_up() -> None:
    over = threading.Event()
    with pytest.raises(DeadlineError):
        ask("http://dhis2.invalid/", lambda host, port: over.wait())
    over.set()


def test_a_name_that_nobody_knows_is_told_by_its_cause() -> None:
    def unknown(host: str, port: int) -> list[Any]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(httpx.ConnectError, match="Name or service not known") as caught:
        ask("http://dhis2.invalid/", unknown)
    assert isinstance(caught.value.__cause__.__context__, socket.gaierror)  # type: ignore[union-attr]


def test_every_address_of_a_name_is_tried() -> None:
    with scripted(Answer(bundle())) as script:
        port = httpx.URL(script.url).port
        assert ask(f"http://dhis2.invalid:{port}/", resolving("127.0.0.2", "127.0.0.1")) == 200
        with pytest.raises(httpx.ConnectError):
            ask(f"http://dhis2.invalid:{port}/", resolving("127.0.0.2"))
        with pytest.raises(httpx.ConnectError, match="no address"):
            ask(f"http://dhis2.invalid:{port}/", resolving())


def test_a_page_of_gigabytes_in_a_few_bytes_is_one_clear_error() -> None:
    with (
        scripted(Answer(BOMB, headers=PACKED)) as script,
        FhirClient(script.url, limits=SMALL) as client,
        pytest.raises(PageTooLargeError, match=r"/Flag gave an answer of more than 1 MiB: lower FHIR_PAGE_SIZE"),
    ):
        list(client.search_pages("Flag", ALWAYS))
    assert len(script.asked) == 1


def test_a_page_that_is_packed_twice_is_not_unpacked() -> None:
    twice = Answer(gzip.compress(BOMB), headers={"Content-Encoding": "gzip, gzip"})
    with scripted(twice) as script, FhirClient(script.url) as client, pytest.raises(FhirUnavailableError):
        client.count("Flag", ALWAYS)


def test_a_manifest_of_gigabytes_leaves_everything_to_the_search() -> None:
    with (
        scripted(Answer(BOMB, headers=PACKED)) as script,
        FhirClient(script.url, limits=SMALL) as client,
        BulkExport(client) as bulk,
        pytest.raises(ExportRefusedError, match="more than 1 MiB"),
    ):
        bulk.poll(f"{script.url}/status", 0)


def test_a_manifest_that_is_packed_twice_is_no_answer() -> None:
    twice = Answer(gzip.compress(BOMB), headers={"Content-Encoding": "gzip, gzip"})
    with (
        scripted(twice) as script,
        FhirClient(script.url) as client,
        BulkExport(client, sleep=lambda _: None) as bulk,
        pytest.raises(FhirUnavailableError, match="DecodingError"),
    ):
        bulk.poll(f"{script.url}/status", 0)


def test_an_answer_of_dhis2_of_gigabytes_ends_a_read_and_leaves_a_write_to_be_read_back(server: CannedDhis2) -> None:
    server.on("GET", "/api/me", Dhis2Answer(200, BOMB, PACKED))
    server.on("POST", "/api/dataValueSets", Dhis2Answer(200, BOMB, PACKED))
    with Dhis2Client(server.url, limits=SMALL) as client:
        with pytest.raises(Dhis2Error, match="me: an answer of more than 1 MiB") as caught:
            client.me()
        assert not caught.value.is_transient
        with pytest.raises(Dhis2UnavailableError, match="more than 1 MiB"):
            client.post_data_value_set(b"{}")


@pytest.fixture
def server() -> Any:
    canned = CannedDhis2()
    yield canned
    canned.close()
