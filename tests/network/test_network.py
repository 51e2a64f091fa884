"""Which requests go through which proxy: pure, by the settings and the address."""

from pathlib import Path

import httpx
import pytest
import trustme

from opensrp_dhis2.connections import network
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.http.network import Network
from opensrp_dhis2.settings import Settings

PROXY, SECURE_PROXY = "http://proxy.example:3128", "http://secure.example:3129"


@pytest.mark.parametrize(
    ("url", "no_proxy", "proxy"),
    [
        ("http://fhir.example/fhir", "", PROXY),
        ("https://fhir.example/fhir", "", SECURE_PROXY),
        ("https://fhir.example/fhir", "fhir.example", ""),
        ("https://fhir.example/fhir", "other.example, .EXAMPLE", ""),
        ("https://fhir.example/fhir", "*.example", ""),
        ("https://fhir.example/fhir", "ir.example", SECURE_PROXY),
        ("https://fhir.example:8443/fhir", "fhir.example:8443", ""),
        ("https://fhir.example:8443/fhir", "fhir.example:443", SECURE_PROXY),
        ("https://fhir.example/fhir", "fhir.example:443", ""),
        ("https://fhir.example/fhir", "localhost,*", ""),
        ("http://10.20.30.40/fhir", "10.0.0.0/8", ""),
        ("http://11.20.30.40/fhir", "10.0.0.0/8", PROXY),
        ("http://[fd00::1]/fhir", "fd00::/8", ""),
    ],
)
def test_no_proxy_names_hosts_domains_ports_and_networks(url: str, no_proxy: str, proxy: str) -> None:
    assert Network(None, PROXY, SECURE_PROXY, no_proxy).proxy_for(httpx.URL(url)) == proxy


@pytest.mark.parametrize("host", ["127.0.0.1:8180", "127.9.9.9", "localhost:1", "fhir.localhost", "[::1]:8180"])
def test_this_machine_is_never_asked_through_a_proxy(host: str) -> None:
    assert Network(None, PROXY, SECURE_PROXY, "").proxy_for(httpx.URL(f"http://{host}/fhir")) == ""


def test_settings_take_proxies_in_capitals_and_small_letters_and_without_a_scheme() -> None:
    found = network(Settings.from_mapping({"HTTPS_PROXY": "proxy.example:3128", "no_proxy": "a.example"}))
    assert (found.https_proxy, found.no_proxy) == (PROXY, "a.example")
    assert network(Settings.from_mapping({"HTTP_PROXY": "x.example:1", "http_proxy": PROXY})).http_proxy == PROXY


@pytest.mark.parametrize("value", ["socks5://u:s3cr3t@proxy.example:1080", "http://", "http://u:s3cr3t@:80", "a b:1"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(value: str) -> None:
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY must be http://host:port") as caught:
        Settings.from_mapping({"HTTPS_PROXY": value})
    assert "s3cr3t" not in str(caught.value)


def test_the_password_of_a_proxy_is_in_no_picture_of_the_network() -> None:
    assert "s3cr3t" not in repr(Network(None, "http://u:s3cr3t@proxy.example:1", "http://u:s3cr3t@proxy.example:1"))


def test_a_ca_bundle_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "der.crt").write_bytes(trustme.CA().cert_pem.bytes()[30:60])
    with pytest.raises(ConfigurationError, match=r"CA_BUNDLE .*no certificate in PEM form.*der\.crt"):
        Network(tmp_path / "der.crt").trust()
    with pytest.raises(ConfigurationError, match=r"CA_BUNDLE .*No such file"):
        Network(tmp_path / "nothing.pem").trust()
