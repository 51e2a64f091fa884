"""A cache between us and the server says how old its answers are: old ones are refused, by name."""

from datetime import UTC, datetime

import pytest

from opensrp_dhis2.errors import FhirOutcomeError
from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.window import BEGINNING, Window
from tests.support.fhir_script import Answer, bundle, flag, scripted

WINDOW = Window(BEGINNING, datetime(2026, 11, 21, tzinfo=UTC))


def test_an_answer_that_a_cache_kept_for_hours_is_refused_with_its_age_and_a_remedy() -> None:
    old = Answer(bundle(total=0), headers={"Age": "7200"})
    failing = pytest.raises(FhirOutcomeError, match=r"from a cache, 7200 seconds old.*Cache-Control")
    with scripted(old) as script, FhirClient(script.url) as client, failing:
        client.count("Flag", WINDOW)


@pytest.mark.parametrize("age", ["0", "60", "unknown"])
def test_an_answer_that_is_fresh_enough_is_taken(age: str) -> None:
    with scripted(Answer(bundle(flag("a")), headers={"Age": age})) as script, FhirClient(script.url) as client:
        assert [one.id for page in client.search_pages("Flag", WINDOW) for one in page.resources] == ["a"]
