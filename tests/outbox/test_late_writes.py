"""A request without an answer that DHIS2 stores later than anybody thought: other values wait for it, or go once more."""

from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.between import Answer, Ask, Between, between
from tests.support.dhis2_metadata import FACILITIES
from tests.support.dhis2_site import report_beside, totals_of
from tests.support.sql import execute, rows
from tests.support.surroundings import SetTotals

OLD, NEW = totals_of(FACILITIES[:5]), {("visits", unit): 900 for unit in FACILITIES[:5]}
NO_ANSWER = Answer.of(502, b"<html>", content_type="text/html")


class Delayed:
    """Keeps the first import back, and lets it through when a test says so."""

    def __init__(self, there: Between) -> None:
        self.held: list[Ask] = []
        self.is_due = False
        there.handler = self.handle

    async def handle(self, method: str, ask: Ask) -> Answer:
        if method == "POST" and not self.held:
            self.held.append(ask)
            return NO_ANSWER
        answer = await ask()
        if self.is_due:
            await self.held[0]()
            self.is_due = False
        return answer


def test_other_values_wait_until_a_request_without_an_answer_is_dead(
    warehouse: Warehouse, set_totals: SetTotals, version: str
) -> None:
    set_totals(OLD)
    with between(warehouse, version) as (site, there):
        Delayed(there)
        assert report_beside(site, "run-1", 3600.0) == []  # it sends the same values again at once
        execute(warehouse, "update outbox.batch set alive_until = clock_timestamp() + interval '1 s'"
                           " where alive_until is not null")  # fmt: skip
        assert report_beside(site, "run-2", 3600.0) == []
        set_totals(NEW)
        [said] = report_beside(site, "run-3", 3600.0)
        assert "was never answered and may still be stored: waiting" in said
        assert set(site.stored().values()) == {"900"}


def test_an_old_value_that_came_last_is_read_and_sent_over(
    warehouse: Warehouse, set_totals: SetTotals, version: str
) -> None:
    set_totals(OLD)
    with between(warehouse, version) as (site, there):
        delayed = Delayed(there)
        report_beside(site, "run-1", 3600.0)
        set_totals(NEW)
        # it should be dead, and is not; it is not yet time to look once more
        execute(warehouse, "update outbox.batch set alive_until = now()")
        report_beside(site, "run-2", 3600.0)
        delayed.is_due = True
        assert set(site.stored().values()) == {"900"}
        assert set(site.stored().values()) != {"900"}
        execute(warehouse, "update outbox.batch set read_again_at = now()")
        report_beside(site, "run-3", 3600.0)
        assert set(site.stored().values()) == {"900"}
        assert site.standings() == [("delivered", None, 5)]
        assert rows(warehouse, "select count(*) from outbox.late_write") == [(0,)]
