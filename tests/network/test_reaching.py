"""FHIR, DHIS2 and token endpoints through TLS and proxies that are really there, and the words for what goes wrong."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from opensrp_dhis2.connections import open_dhis2, open_fhir
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.errors import (
    Dhis2Error,
    Dhis2UnavailableError,
    FhirError,
    FhirUnavailableError,
    OpenSrpDhis2Error,
)
from opensrp_dhis2.fhir.auth import client_credentials
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.export import BulkExport
from opensrp_dhis2.http.network import Network
from opensrp_dhis2.settings import Settings
from tests.support.fhir_script import R4, Answer, Script, scripted
from tests.support.network_servers import ForwardProxy, forward_proxy, tls_before

PAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
FUTURE = datetime(2090, 1, 1, tzinfo=UTC), datetime(2091, 1, 1, tzinfo=UTC)
HOST = "fhir.moh.example"


@dataclass
class Ministry:
    """A server that answers as both FHIR and DHIS2, TLS before it, and the authority that signed it."""

    script: Script
    authority: trustme.CA
    bundle: Path
    stack: ExitStack

    @property
    def plain(self) -> str:
        return self.script.url.removesuffix("/fhir")

    @property
    def plain_port(self) -> int:
        return int(self.plain.rpartition(":")[2])

    def tls(self, *names: str, by: trustme.CA | None = None, life: tuple[datetime, datetime] | None = None) -> int:
        dates = {"not_before": life[0], "not_after": life[1]} if life else {}
        certificate = (by or self.authority).issue_cert(*(names or ("127.0.0.1",)), **dates)
        return self.stack.enter_context(tls_before(self.plain, certificate))

    def proxy(self, names: dict[str, int], **more: Any) -> ForwardProxy:
        return self.stack.enter_context(forward_proxy(names, **more))


@pytest.fixture
def ministry(tmp_path: Path) -> Iterator[Ministry]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    body = {**R4, "version": "2.41.9", "access_token": "opaque", "expires_in": 300}
    with ExitStack() as stack:
        script = stack.enter_context(scripted(Answer(body, headers={"Content-Type": "application/json"})))
        yield Ministry(script, authority, tmp_path / "ca.pem", stack)


def fhir_error(url: str, how: Network) -> FhirError:
    with FhirClient(f"{url}/fhir", network=how) as client, pytest.raises(FhirError) as caught:
        client.server_now()
    return caught.value


def dhis2_error(url: str, how: Network) -> Dhis2Error:
    with Dhis2Client(url, network=how) as client, pytest.raises(Dhis2Error) as caught:
        client.system_info()
    return caught.value


def test_a_private_authority_is_believed_once_it_is_named_for_fhir_its_export_dhis2_and_tokens(
    ministry: Ministry,
) -> None:
    url = f"https://127.0.0.1:{ministry.tls()}"
    settings = Settings.from_mapping({
        "FHIR_BASE_URL": f"{url}/fhir", "FHIR_AUTH": "client_credentials", "FHIR_TOKEN_URL": f"{url}/token",
        "FHIR_CLIENT_ID": "a", "FHIR_CLIENT_SECRET": "b", "DHIS2_BASE_URL": url, "DHIS2_AUTH": "client_credentials",
        "DHIS2_TOKEN_URL": f"{url}/token", "DHIS2_CLIENT_ID": "a", "DHIS2_CLIENT_SECRET": "b",
        "CA_BUNDLE": str(ministry.bundle),
    })  # fmt: skip
    with open_fhir(settings) as client, BulkExport(client) as bulk:
        client.server_now()
        bulk.delete(f"{url}/fhir/$export-poll-status")
    with open_dhis2(settings) as dhis2:
        assert str(dhis2.system_info().version).startswith("2.41.9")
    assert [one.path for one in ministry.script.asked] == [
        "/token", "/fhir/metadata", "/token", "/api/system/info",
    ]  # fmt: skip


def test_the_systems_own_trust_store_is_asked(ministry: Ministry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ministry.bundle))  # where OpenSSL then has the system's store
    with FhirClient(f"https://127.0.0.1:{ministry.tls()}/fhir") as client:
        client.server_now()


def test_an_unknown_issuer_is_called_so(ministry: Ministry) -> None:
    url = f"https://127.0.0.1:{ministry.tls(by=trustme.CA())}"
    for error in (fhir_error(url, Network(ministry.bundle)), dhis2_error(url, Network(ministry.bundle))):
        assert "from an issuer that this machine does not know: set CA_BUNDLE" in str(error)
        assert not error.is_transient


@pytest.mark.parametrize(
    ("life", "words"),
    [(PAST, "the certificate of 127.0.0.1 has expired"), (FUTURE, "the certificate of 127.0.0.1 is not valid yet")],
    ids=["expired", "not yet"],
)
def test_a_certificate_outside_its_dates_is_called_so(
    ministry: Ministry, life: tuple[datetime, datetime], words: str
) -> None:
    url = f"https://127.0.0.1:{ministry.tls(life=life)}"
    for error in (fhir_error(url, Network(ministry.bundle)), dhis2_error(url, Network(ministry.bundle))):
        assert words in str(error)
        assert not error.is_transient


def test_a_certificate_for_another_host_is_called_so(ministry: Ministry) -> None:
    port = ministry.tls("dhis2.moh.example")
    for url in (f"https://127.0.0.1:{port}", f"https://localhost:{port}"):
        for error, setting in (
            (fhir_error(url, Network(ministry.bundle)), "FHIR_BASE_URL"),
            (dhis2_error(url, Network(ministry.bundle)), "DHIS2_BASE_URL"),
        ):
            assert f"is for another host: write the name that it is for into {setting}" in str(error)
            assert not error.is_transient


def test_https_to_a_port_without_tls_is_called_so(ministry: Ministry) -> None:
    url = f"https://127.0.0.1:{ministry.plain_port}"
    for error, setting in ((fhir_error(url, Network()), "FHIR_"), (dhis2_error(url, Network()), "DHIS2_")):
        assert f"127.0.0.1:{ministry.plain_port} does not speak TLS: write http:// in {setting}BASE_URL" in str(error)
        assert not error.is_transient


def test_http_to_a_port_with_tls_says_to_try_https(ministry: Ministry) -> None:
    url = f"http://127.0.0.1:{ministry.tls()}"
    with Dhis2Client(url) as client, pytest.raises(Dhis2Error, match="write https:// in DHIS2_BASE_URL"):
        client.post_data_value_set(b"{}")


def test_a_fault_of_the_token_endpoint_names_its_own_setting(ministry: Ministry) -> None:
    auth = client_credentials(f"https://127.0.0.1:{ministry.plain_port}/token", "id", "s3cr3t")
    with FhirClient(f"{ministry.plain}/fhir", auth=auth) as client, pytest.raises(FhirError) as caught:
        client.server_now()
    assert "does not speak TLS: write http:// in FHIR_TOKEN_URL" in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_carries_fhir_and_dhis2(ministry: Ministry, scheme: str) -> None:
    port = ministry.plain_port if scheme == "http" else ministry.tls(HOST)
    proxy = ministry.proxy({HOST: port}, credentials="Basic dTpzM2NyM3Q=")
    with_password = proxy.url.replace("//", "//u:s3cr3t@")
    settings = Settings.from_mapping({
        "FHIR_BASE_URL": f"{scheme}://{HOST}/fhir", "DHIS2_BASE_URL": f"{scheme}://{HOST}", "HTTP_PROXY": with_password,
        "HTTPS_PROXY": with_password, "CA_BUNDLE": str(ministry.bundle),
    })  # fmt: skip
    with open_fhir(settings) as fhir, open_dhis2(settings) as dhis2, BulkExport(fhir) as bulk:
        fhir.server_now()
        dhis2.system_info()
        with pytest.raises(FhirError):
            bulk.kick_off(["Flag"])
    assert set(proxy.asked) == {HOST}
    assert [one.path for one in ministry.script.asked] == ["/fhir/metadata", "/api/system/info", "/fhir/$export"]


def test_this_machine_is_asked_directly_whatever_the_proxy(ministry: Ministry) -> None:
    proxy = ministry.proxy({}, status=403)
    with FhirClient(f"{ministry.plain}/fhir", network=Network(None, proxy.url, proxy.url)) as client:
        client.server_now()
    assert proxy.asked == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (407, "wants a user and password that it accepts (HTTP 407)"),
        (403, f"refuses to connect us to {HOST}:443 (HTTP 403): have it allowed there, or name {HOST} in NO_PROXY"),
    ],
)
def test_what_a_proxy_refuses_is_told_as_the_proxys_word(ministry: Ministry, status: int, words: str) -> None:
    proxy = ministry.proxy({}, status=status)
    how = Network(None, "", proxy.url.replace("//", "//u:s3cr3t@"), "")
    for error in (fhir_error(f"https://{HOST}", how), dhis2_error(f"https://{HOST}", how)):
        assert f"the proxy 127.0.0.1:{proxy.port} " in str(error)
        assert words in str(error)
        assert not error.is_transient
        assert "s3cr3t" not in f"{error} {error.__cause__!r}"


def test_a_proxy_that_wants_a_password_for_a_plain_request_is_told_alike(ministry: Ministry) -> None:
    proxy = ministry.proxy({}, status=407)
    how = Network(None, proxy.url.replace("//", "//u:s3cr3t@"))
    for error in (fhir_error(f"http://{HOST}", how), dhis2_error(f"http://{HOST}", how)):
        assert f"the proxy 127.0.0.1:{proxy.port} wants a user and password that it accepts (HTTP 407)" in str(error)
        assert not error.is_transient
        assert "s3cr3t" not in str(error)


def closed_port() -> int:
    with scripted(Answer(b"")) as script:
        return int(script.url.removesuffix("/fhir").rpartition(":")[2])


@pytest.fixture(params=["fhir", "dhis2"])
def posted(request: pytest.FixtureRequest) -> Any:
    """Send one request that is not repeated, so that nothing waits."""

    def post(url: str, how: Network) -> OpenSrpDhis2Error:
        if request.param == "fhir":
            with FhirClient(f"{url}/fhir", network=how) as client, BulkExport(client) as bulk:
                with pytest.raises(FhirUnavailableError) as caught:
                    bulk.kick_off(["Flag"])
                return caught.value
        with Dhis2Client(url, network=how) as dhis2, pytest.raises(Dhis2UnavailableError) as refused:
            dhis2.post_data_value_set(b"{}")
        return refused.value

    return post


def test_a_closed_port_and_an_unknown_name_are_told_apart(posted: Any) -> None:
    port = closed_port()
    assert f"127.0.0.1:{port} is closed: check that the server runs" in str(
        posted(f"http://127.0.0.1:{port}", Network())
    )
    said = str(posted("http://nobody.invalid", Network()))
    assert "nobody.invalid is a name that nobody knows" in said or "nobody.invalid cannot be looked up" in said


def test_a_proxy_that_is_away_is_not_taken_for_the_server(posted: Any) -> None:
    port = closed_port()
    said = str(posted(f"http://{HOST}", Network(None, f"http://u:s3cr3t@127.0.0.1:{port}")))
    assert f"the proxy 127.0.0.1:{port} is closed: check that the server runs, and the port in HTTP_PROXY" in said
    assert "s3cr3t" not in said


def test_a_write_with_a_tls_fault_stays_one_that_may_have_been_heard(ministry: Ministry) -> None:
    url = f"https://127.0.0.1:{ministry.tls(by=trustme.CA())}"
    with Dhis2Client(url) as client, pytest.raises(Dhis2UnavailableError, match="set CA_BUNDLE"):
        client.post_data_value_set(b"{}")
