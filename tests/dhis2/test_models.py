"""The value objects."""

import pytest

from opensrp_dhis2.dhis2.models import DataValue, ServerVersion, ValueKey
from opensrp_dhis2.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("2.40.12", "row"), ("2.41.9.1", "row"), ("2.42.5.2", "row"), ("2.43", "atomic"), ("2.43.0", "atomic"),
        ("2.44-SNAPSHOT", "atomic"),
    ],
)  # fmt: skip
def test_a_version_says_which_engine_it_has(text: str, engine: str) -> None:
    version = ServerVersion.parse(text)
    assert (version.import_engine, str(version)) == (engine, text)


def test_versions_are_in_order() -> None:
    ordered = ["2.40.12", "2.41", "2.41.4", "2.41.9.1", "2.41.10", "2.43.1"]
    assert [str(one) for one in sorted(map(ServerVersion.parse, reversed(ordered)))] == ordered


@pytest.mark.parametrize("text", ["", "None", "43.1", "3.0"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a version of DHIS2"):
        ServerVersion.parse(text)


def test_the_cell_of_a_value_is_its_five_ids() -> None:
    value = DataValue("De", "202401", "Ou", "Coc", "Aoc", "5")
    assert value.key == ValueKey("De", "202401", "Ou", "Coc", "Aoc")
