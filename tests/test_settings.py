"""Settings: every one is documented, and a wrong one is named without its value."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.settings import Settings
from tests.conftest import ROOT


def documented() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    found = (re.fullmatch(r"([A-Z0-9_]+)=(\S*)(?:\s+#.*)?", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def test_env_example_lists_exactly_the_settings_of_the_code() -> None:
    assert sorted(documented()) == sorted(name.upper() for name in Settings.model_fields)


def test_env_example_shows_the_defaults() -> None:
    assert Settings.from_mapping(documented()) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FHIR_BASE_URL", "fhir.example"),
        ("FHIR_AUTH", "kerberos"),
        ("FHIR_PAGE_SIZE", "many"),
        ("REPORT_TIMEZONE", "Atlantis/Capital"),
        ("REPORT_START", "last year"),
        ("DHIS2_AUTH", "kerberos5"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Settings.from_mapping({name: value})
    assert name in str(error.value)
    assert value not in str(error.value)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("d2p_secret\n")
    assert Settings.from_mapping({"DHIS2_TOKEN_FILE": str(tmp_path / "token")}).dhis2_token == "d2p_secret"


def test_a_secret_file_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigurationError, match="DHIS2_TOKEN_FILE"):
        Settings.from_mapping({"DHIS2_TOKEN_FILE": "/nowhere/token"})


@pytest.mark.parametrize("url", ["http://127.0.0.1:8181", "http://localhost:8181/api", "http://[::1]:8080"])
def test_a_day_is_rehearsed_against_a_dhis2_on_this_machine(url: str) -> None:
    settings = Settings.from_mapping({"DHIS2_BASE_URL": url, "REPORT_NOW": "2026-12-31T23:30Z"})
    assert settings.now() == datetime(2026, 12, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize("url", ["https://dhis2.example.org", "http://10.0.0.7:8080", "http://localhost.example.org"])
def test_no_day_is_rehearsed_against_any_other(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match="REPORT_NOW is for rehearsals, and DHIS2_BASE_URL names a server beyond"
    ):
        Settings.from_mapping({"DHIS2_BASE_URL": url, "REPORT_NOW": "2026-12-31T23:30Z"})


@pytest.mark.parametrize("text", ["2026-12-31", "2026-12-31T23:30", "2026", "tomorrow"])
def test_an_instant_has_its_zone(text: str) -> None:
    with pytest.raises(ConfigurationError, match="REPORT_NOW must be an instant with its zone: write for example 2026"):
        Settings.from_mapping({"REPORT_NOW": text})
