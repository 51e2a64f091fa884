"""The whole chain in a ministry's network: both servers only by name, behind a proxy with a password and a private CA."""

import os
from pathlib import Path

import pytest
import trustme

from tests.defs.conftest import MONTHS, Chain
from tests.support.network_servers import forward_proxy, tls_before


def test_extract_and_report_through_a_proxy_and_a_private_authority(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("*.moh.example")
    fhir_url = os.environ["FHIR_BASE_URL"].removesuffix("/fhir")
    with (
        tls_before(fhir_url, certificate) as fhir_port,
        tls_before(chain.dhis2_url, certificate) as dhis2_port,
        forward_proxy(
            {"fhir.moh.example": fhir_port, "dhis2.moh.example": dhis2_port}, credentials="Basic dTpzM2NyM3Q="
        ) as proxy,
    ):
        for name, value in {
            "FHIR_BASE_URL": "https://fhir.moh.example/fhir",
            "DHIS2_BASE_URL": "https://dhis2.moh.example",
            "HTTPS_PROXY": proxy.url.replace("//", "//u:s3cr3t@"),
            "CA_BUNDLE": str(tmp_path / "ca.pem"),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("REPORT_NOW")  # a DHIS2 beyond this machine has the machine's day
        assert chain.run("extract").success
        assert chain.run("report_chw_m", MONTHS[0]).success
        assert set(proxy.asked) == {"fhir.moh.example", "dhis2.moh.example"}
    [(sent, accepted)] = chain.query("select sum(sent), sum(accepted) from outbox.delivery")
    assert sent == accepted == len(chain.stored()) > 10
