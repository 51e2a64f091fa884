"""The probe as a run and a person meet it: Dagster's resource, and the command `extract probe`."""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from opensrp_dhis2_sandbox.fhir.auth import opensrp_claims
from opensrp_dhis2_sandbox.fhir.gateway import PREFIX

from opensrp_dhis2.cli.extract import extract as command
from opensrp_dhis2.connections import open_fhir
from opensrp_dhis2.defs.resources import FhirResource
from opensrp_dhis2.errors import ConfigurationError, FhirAuthenticationError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.settings import Settings
from tests.support.fhir_script import R4, Answer, bundle, scripted
from tests.support.gateway_site import SECRET, Site, gateway_site


@pytest.fixture
def site() -> Iterator[Site]:
    with gateway_site() as running:
        running.put(60)
        yield running


def asked(site: Site, *words: str, **settings: str) -> Result:
    result = CliRunner().invoke(command, ["probe", *words], env=site.settings(**settings))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert SECRET not in result.output
    return result


def test_probe_prints_a_row_a_type_and_ends_with_zero_when_all_is_well(site: Site) -> None:
    result = asked(site, FHIR_EXPECTED_COUNTS="Flag=60")
    assert result.exit_code == 0
    assert "the gateway does not filter" in result.stdout
    row = next(line.split() for line in result.stdout.splitlines() if "Flag" in line)
    assert row == ["Flag", "yes", "(GET_FLAG)", "60", "60", "yes", "no", "(HTTP", "403)"]


def test_probe_ends_with_one_and_says_what_to_do(site: Site) -> None:
    site.keycloak.claims = opensrp_claims("ANDROID_CLIENT", "GET_FLAG")
    result = asked(site, "Flag", "Patient", "--json", FHIR_EXPECTED_COUNTS="Flag=60")
    assert result.exit_code == 1
    flag, patient = (json.loads(line) for line in result.stdout.splitlines())
    assert (flag["counted"], flag["expected"], patient["counted"], patient["expected"]) == (30, 60, None, None)
    assert "WEB_CLIENT" in flag["what_to_do"]
    assert "GET_PATIENT for Patient" in patient["what_to_do"]


def test_probe_begins_no_export_and_reads_no_resource(site: Site) -> None:
    asked(site)
    assert [path.removeprefix(PREFIX) for path in site.paths[1:]] == [
        "/metadata",
        "/$export",
        "/Flag",
        "/Flag/_history",
    ]
    assert "_summary=count" in site.queries[3]
    assert "_count=1" in site.queries[4]


def test_weekly_types_are_probed_and_judged_too(site: Site) -> None:
    assert "GET_TASK for Task" in asked(site, FHIR_WEEKLY_TYPES="Task").stdout
    settings = Settings.from_mapping(site.settings(FHIR_WEEKLY_TYPES="Task"))
    with open_fhir(settings) as client, pytest.raises(FhirAuthenticationError, match="GET_TASK for Task"):
        client.server_now()


@dg.op
def touch(fhir: dg.ResourceParam[FhirClient]) -> None:
    fhir.server_now()


@dg.job(executor_def=dg.in_process_executor)
def touching() -> None:
    touch()


def run(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]) -> tuple[bool, str]:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    result = touching.execute_in_process(resources={"fhir": FhirResource()}, raise_on_error=False)
    errors = [event.event_specific_data for event in result.all_events if event.is_failure]
    return result.success, " ".join(str(getattr(error, "error", "")) for error in errors)


def test_a_run_that_is_shown_too_little_ends_before_its_first_step(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    is_success, said = run(monkeypatch, site.settings(FHIR_EXPECTED_COUNTS="Flag=61"))
    assert not is_success
    assert "Flag 60 of 61" in said
    assert f"{PREFIX}/metadata" not in site.paths


def test_a_run_that_is_shown_enough_asks_one_count_and_goes_on(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    assert run(monkeypatch, site.settings(FHIR_EXPECTED_COUNTS="Flag=60"))[0]
    assert [path.removeprefix(PREFIX) for path in site.paths[1:]] == ["/Flag", "/metadata"]


def test_a_run_without_expectations_asks_nothing_more(monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    assert run(monkeypatch, site.settings())[0]
    assert [path.removeprefix(PREFIX) for path in site.paths[1:]] == ["/metadata"]


def test_a_server_that_stumbles_at_the_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answer(b"", 500), Answer(b"", 500), Answer(bundle(total=7)), Answer(R4)
    with scripted(*answers) as script:
        settings = {"FHIR_BASE_URL": script.url, "FHIR_AUTH": "none", "RETRY_WAIT_SECONDS": "0"}
        assert run(monkeypatch, {**settings, "FHIR_EXPECTED_COUNTS": "Flag=7"})[0]
    assert len(script.asked) == 4


def test_a_server_that_stays_down_at_the_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(Answer(b"", 500)) as script:
        settings = {"FHIR_BASE_URL": script.url, "FHIR_AUTH": "none", "RETRY_WAIT_SECONDS": "0"}
        is_success, said = run(monkeypatch, {**settings, "FHIR_EXPECTED_COUNTS": "Flag=7"})
    assert (is_success, len(script.asked)) == (False, 4)
    assert "HTTP 500" in said


def test_expected_counts_are_read_by_type() -> None:
    given: dict[str, Any] = {"FHIR_EXPECTED_COUNTS": "Patient=48210, Encounter=120000,"}
    assert Settings.from_mapping(given).fhir_expected_counts == {"Patient": 48210, "Encounter": 120000}


@pytest.mark.parametrize("value", ["Patient", "Patient=", "Patient=-1", "Patient=many", "Patient=1,Patient=2", "=5"])
def test_expected_counts_that_are_no_numbers_by_type_are_named(value: str) -> None:
    with pytest.raises(ConfigurationError, match="FHIR_EXPECTED_COUNTS must name each type once"):
        Settings.from_mapping({"FHIR_EXPECTED_COUNTS": value})
