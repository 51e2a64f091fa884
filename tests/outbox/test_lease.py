"""A lost lock never means a second writer: the run that lost it stops, and the next one waits for what it left behind."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Literal

import pytest

from opensrp_dhis2.errors import LeaseLostError
from opensrp_dhis2.outbox.lease import take_lease
from opensrp_dhis2.outbox.reporter import Reporter
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.between import Between, between
from tests.support.dhis2_metadata import FACILITIES
from tests.support.dhis2_site import MONTHLY, SEPTEMBER, Dhis2Site, open_client, totals_of
from tests.support.sql import execute
from tests.support.surroundings import SetTotals

Moment = Literal["before", "during", "after"]
LIFE_SECONDS = {"before": 1.0, "during": 30.0, "after": 30.0}  # of a request: so long the second run waits for it


def end_locks(warehouse: Warehouse) -> None:
    """End every Postgres session that holds an advisory lock, as a failover or a firewall would."""
    execute(
        warehouse,
        "select pg_terminate_backend(l.pid) from pg_locks l where l.locktype = 'advisory' and l.pid <> pg_backend_pid()"
        " and l.database = (select oid from pg_database where datname = current_database())",
    )


def second_run(site: Dhis2Site, life_seconds: float = 0.0, run_id: str = "run-2") -> None:
    """Report as another process would, with a client of its own that gives requests time to live."""
    with open_client(site.url, seconds=life_seconds) as client:
        reporter = Reporter(site.warehouse, client, "DS_M", MONTHLY, run_id=run_id, batch_size=100)
        reporter.plan(SEPTEMBER)
        reporter.deliver(SEPTEMBER)


def play(site: Dhis2Site, there: Between, moment: Moment, change: Callable[[], None]) -> BaseException | None:
    """Let a run lose its lock at a moment, and another one report meanwhile; give how the first one ended."""
    held, second = threading.Event(), threading.Thread(target=second_run, args=(site, LIFE_SECONDS[moment]))

    def interrupt() -> None:
        end_locks(site.warehouse)
        change()
        second.start()
        second.join(2 if moment == "during" else 60)  # what does not wait for the first run is at its end by then
        held.set()

    reporter = site.reporter("run-1")
    reporter.plan(SEPTEMBER)
    ended = []
    if moment == "before":

        def progress(_: object) -> None:
            if not held.is_set():
                interrupt()

        run: Callable[[], object] = lambda: reporter.deliver(SEPTEMBER, progress)  # noqa: E731
    else:
        there.hold(interrupt, is_after=moment == "after")
        run = lambda: reporter.deliver(SEPTEMBER)  # noqa: E731
    try:
        run()
    except LeaseLostError as error:
        ended.append(error)
    second.join(60)
    assert not second.is_alive()
    return ended[0] if ended else None


@pytest.mark.parametrize("is_changed", [True, False], ids=["changed", "unchanged"])
@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_a_lost_lock_leaves_no_wrong_value_and_sends_none_twice(
    warehouse: Warehouse, set_totals: SetTotals, version: str, moment: Moment, is_changed: bool
) -> None:
    play_and_judge(warehouse, set_totals, version, moment, is_changed)


def play_and_judge(warehouse: Warehouse, set_totals: SetTotals, version: str, moment: Moment, is_changed: bool) -> None:
    units = FACILITIES[:130]
    set_totals(totals_of(units))
    changed = {("visits", unit): number + 1000 * is_changed for number, unit in enumerate(units, 1)}
    with between(warehouse, version) as (site, there):
        error = play(site, there, moment, lambda: set_totals(changed))
        assert error is not None
        second_run(site, run_id="run-3")
        assert site.stored() == {("DeVisits001", unit): str(value) for (_, unit), value in changed.items()}
        assert site.standings() == [("delivered", None, 130)]
        assert max(Counter((row["orgUnit"], row["value"]) for row in there.rows).values()) == 1


def test_who_held_an_older_lease_can_neither_cut_nor_settle_nor_send(warehouse: Warehouse) -> None:
    with take_lease(warehouse, "https://dhis2.example.org", "run-1") as first:
        first.check()
        end_locks(warehouse)
        with take_lease(warehouse, "https://dhis2.example.org", "run-2") as second:
            assert second.fence == first.fence + 1
            with pytest.raises(LeaseLostError, match="Another run has taken over"), first.connect():
                pass
            with pytest.raises(LeaseLostError, match="has ended; nothing more is sent"):
                first.check()
            second.check()


def test_a_lock_whose_session_ended_is_let_go_without_an_error(warehouse: Warehouse) -> None:
    with take_lease(warehouse, "https://dhis2.example.org", "run-1"):
        end_locks(warehouse)
    with take_lease(warehouse, "https://dhis2.example.org", "run-2") as again:
        again.check()
