"""Answers that are not of this request, or not of DHIS2: no value is called delivered that is not there, none stays out."""

from collections.abc import Awaitable, Callable

import pytest

from opensrp_dhis2.errors import Dhis2UnavailableError
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.between import Answer, between, pass_on
from tests.support.dhis2_metadata import FACILITIES
from tests.support.dhis2_site import totals_of
from tests.support.foreign_answers import MADE_UP, play
from tests.support.surroundings import SetTotals


@pytest.mark.parametrize("seed", range(12))
def test_no_answer_of_another_request_or_of_nobody_is_believed(
    warehouse: Warehouse, set_totals: SetTotals, version: str, seed: int
) -> None:
    play(warehouse, set_totals, version, seed)


@pytest.mark.parametrize("kind", ["empty", "log-in page", "redirect", "junk", "forbidden by a proxy"])
def test_an_answer_that_is_no_word_of_dhis2_is_named_and_counts_as_no_attempt(
    warehouse: Warehouse, set_totals: SetTotals, version: str, kind: str
) -> None:
    set_totals(totals_of(FACILITIES[:1]))

    async def handler(method: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        return MADE_UP[kind] if method == "POST" else await ask()

    with between(warehouse, version) as (site, there):
        there.handler = handler
        for number in range(3):
            with pytest.raises(
                Dhis2UnavailableError, match=r"no answer of DHIS2: (200|302, a redirect to sso|403 text)"
            ):
                site.report(f"run-{number}")
        assert site.standings() == [("pending", "write_lost", 1)]
        there.handler = pass_on
        assert site.report("run-9").accepted == 1
