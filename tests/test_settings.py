"""Settings: every one is documented, and a wrong one is named without its value."""

import re
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
