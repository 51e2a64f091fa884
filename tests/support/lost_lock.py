"""A run that loses its lock at some moment, and another one that reports meanwhile."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Literal

from opensrp_dhis2.errors import LeaseLostError
from opensrp_dhis2.warehouse.database import Warehouse
from tests.support.between import Between, between
from tests.support.dhis2_metadata import FACILITIES
from tests.support.dhis2_site import SEPTEMBER, Dhis2Site, report_beside, totals_of
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


def play(site: Dhis2Site, there: Between, moment: Moment, change: Callable[[], None]) -> BaseException | None:
    """Let a run lose its lock at a moment, and another one report meanwhile; give how the first one ended."""
    held, second = threading.Event(), threading.Thread(target=report_beside, args=(site, "run-2", LIFE_SECONDS[moment]))

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


def play_and_judge(warehouse: Warehouse, set_totals: SetTotals, version: str, moment: Moment, is_changed: bool) -> None:
    units = FACILITIES[:130]
    set_totals(totals_of(units))
    changed = {("visits", unit): number + 1000 * is_changed for number, unit in enumerate(units, 1)}
    with between(warehouse, version) as (site, there):
        error = play(site, there, moment, lambda: set_totals(changed))
        assert error is not None
        report_beside(site, "run-3")
        assert site.stored() == {("DeVisits001", unit): str(value) for (_, unit), value in changed.items()}
        assert site.standings() == [("delivered", None, 130)]
        assert max(Counter((row["orgUnit"], row["value"]) for row in there.rows).values()) == 1
