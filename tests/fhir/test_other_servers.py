"""What FHIR_BASE_URL names may be no FHIR R4 server: each kind is refused in its own words, before anything is read."""

from collections.abc import Callable

import pytest

from opensrp_dhis2.errors import FhirAuthenticationError, FhirError, FhirOutcomeError
from opensrp_dhis2.extract import Extraction, extract, resweep, verify
from opensrp_dhis2.extract.deletes import find_deletes, sweep
from opensrp_dhis2.extract.first_load import first_load
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.fhir_script import R4, Answer, bundle, flag, scripted
from tests.support.sql import rows

HOW = Extraction(lag_seconds=0, overlap_seconds=3600, threads=1, validate_share=0)
HTML = {"Content-Type": "text/html;charset=UTF-8"}
LOGIN = b'<html><title>Ministry</title><form><input name="p" type="password"></form></html>'
SPRING = {"timestamp": "2026-11-21T02:00:00Z", "status": 404, "error": "Not Found", "path": "/metadata"}


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (Answer({**R4, "fhirVersion": "5.0.0"}), FhirOutcomeError, "is no FHIR R4 server: fhirVersion is 5.0.0 (R5)"),
        (Answer({**R4, "fhirVersion": "4.3.0"}), FhirOutcomeError, "fhirVersion is 4.3.0 (R4B)"),
        (Answer({**R4, "fhirVersion": "3.0.2"}), FhirOutcomeError, "fhirVersion is 3.0.2 (STU3)"),
        (Answer({"resourceType": "Conformance", "fhirVersion": "1.0.2"}), FhirOutcomeError, "is 1.0.2 (DSTU2)"),
        (Answer({"resourceType": "CapabilityStatement"}), FhirOutcomeError, "fhirVersion is not told"),
        (Answer({**R4, "fhirVersion": "Mary Smith, 4.0"}), FhirOutcomeError, "fhirVersion is not told"),
        (Answer({"version": "2.41.9"}), FhirOutcomeError, "no CapabilityStatement: it is no FHIR server"),
        (Answer(b"<html>HAPI FHIR</html>", headers=HTML), FhirOutcomeError, "FHIR base (often /fhir)"),
        (Answer(SPRING, 404), FhirOutcomeError, "FHIR_BASE_URL must end in the FHIR base (often /fhir)"),
        (Answer(b"<html>404</html>", 404, HTML), FhirOutcomeError, "must end in the FHIR base (often /fhir)"),
        (Answer(LOGIN, headers=HTML), FhirAuthenticationError, "answered with a login page"),
        (Answer(b"", 302, {"Location": "https://sso.example/x?state=s3cr3t"}), FhirOutcomeError,
         "it redirects to https://sso.example: set FHIR_BASE_URL to where the server really is"),
        (Answer(b"", 302, {"Location": "https://id.example/realms/x/openid-connect?state=s3cr3t"}), FhirAuthenticationError,
         "a redirect to a login page"),
        (Answer(b"", 301, {"Location": "https://127.0.0.1/fhir/metadata"}), FhirOutcomeError,
         "it redirects to https://127.0.0.1: write https:// in FHIR_BASE_URL"),
        (Answer(b"<html>The plain HTTP request was sent to HTTPS port</html>", 400, HTML), FhirOutcomeError,
         "the port speaks TLS: write https:// in FHIR_BASE_URL"),
    ],
)  # fmt: skip
def test_another_kind_of_server_is_called_by_its_name(answer: Answer, kind: type[FhirError], words: str) -> None:
    with scripted(answer) as script, FhirClient(script.url) as client, pytest.raises(FhirError) as caught:
        client.server_now()
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert not caught.value.is_transient
    assert "s3cr3t" not in str(caught.value)
    assert "Mary" not in str(caught.value)


def test_what_hapi_refuses_as_fhir_is_not_taken_for_a_wrong_base() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"code": "not-supported", "diagnostics": "HAPI-0302"}]}
    failing = pytest.raises(FhirOutcomeError, match="HAPI-0302")
    with scripted(Answer(outcome, 404)) as script, FhirClient(script.url) as client, failing as caught:
        client.server_now()
    assert "must end in" not in str(caught.value)


RUNS: dict[str, Callable[[FhirClient, Warehouse], object]] = {
    "window": lambda client, warehouse: extract(client, warehouse, "Flag", HOW),
    "resweep": lambda client, warehouse: resweep(client, warehouse, "Flag", HOW),
    "export": lambda client, warehouse: first_load(client, warehouse, ["Flag"], HOW),
    "verify": lambda client, warehouse: verify(client, warehouse, "Flag"),
    "deletes": lambda client, warehouse: find_deletes(client, warehouse, "Flag"),
    "sweep": lambda client, warehouse: sweep(client, warehouse, "Flag"),
}


@pytest.mark.parametrize("run", RUNS)
def test_of_an_r5_server_nothing_is_read_and_nothing_certified(warehouse: Warehouse, run: str) -> None:
    answers = Answer({**R4, "fhirVersion": "5.0.0"}), Answer(bundle(flag("a"), total=1))
    failing = pytest.raises(FhirOutcomeError, match="no FHIR R4 server")
    with scripted(*answers) as script, FhirClient(script.url) as client, failing:
        RUNS[run](client, warehouse)
    assert [one.path for one in script.asked] == ["/fhir/metadata"]
    assert rows(warehouse, "select 1 from raw.slice") == rows(warehouse, "select 1 from raw.load") == []


def test_slices_that_an_earlier_run_left_are_not_read_from_an_r5_server(warehouse: Warehouse) -> None:
    with scripted(Answer(R4), Answer(bundle(total=1)), Answer(b"", 400)) as script:
        failing = pytest.raises(FhirOutcomeError, match="HTTP 400")
        with FhirClient(script.url) as client, failing:
            extract(client, warehouse, "Flag", HOW)
        assert len(rows(warehouse, "select 1 from raw.slice")) == 1
        script.answers = [Answer({**R4, "fhirVersion": "5.0.0"})]
        script.asked.clear()
        refused = pytest.raises(FhirOutcomeError, match="no FHIR R4 server")
        with FhirClient(script.url) as client, refused:
            extract(client, warehouse, "Flag", HOW)
        assert [one.path for one in script.asked] == ["/fhir/metadata"]


def test_a_run_over_several_types_asks_once_who_the_server_is(warehouse: Warehouse) -> None:
    with scripted(Answer(R4), Answer(bundle(total=0))) as script, FhirClient(script.url) as client:
        for resource_type in ("Flag", "Basic"):
            extract(client, warehouse, resource_type, HOW)
            find_deletes(client, warehouse, resource_type)
    assert [one.path for one in script.asked].count("/fhir/metadata") == 1


def test_where_our_server_stands_is_known_by_its_setting_and_by_its_own_word(warehouse: Warehouse) -> None:
    told = {**R4, "implementation": {"url": "http://hapi:8080/fhir/"}}
    with scripted(Answer(told), Answer(bundle(total=0))) as script, FhirClient(script.url) as client:
        extract(client, warehouse, "Flag", HOW)
    own = {script.url.removeprefix("http://"), "hapi:8080/fhir"}
    assert {address for (address,) in rows(warehouse, "select address from raw.own_address")} == own
