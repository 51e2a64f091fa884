"""One data set reported to one DHIS2 server, period by period, under the server's lock; and what to tell people of it.

It knows the steps of a report; planning and sending stand in ledger.py and delivery.py.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property

from psycopg.rows import dict_row

from opensrp_dhis2.clock import Clock, machine_clock
from opensrp_dhis2.dhis2.client import Dhis2Client, SystemInfo
from opensrp_dhis2.dhis2.periods import Period
from opensrp_dhis2.errors import OpenSrpDhis2Error
from opensrp_dhis2.messages.catalogue import catalogue
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.completion import Completed, complete_units
from opensrp_dhis2.outbox.data_entry_window import DataEntryWindow, server_day
from opensrp_dhis2.outbox.delivery import Delivery, end_retry, plan_refusals, push, retry
from opensrp_dhis2.outbox.late import first_open_on
from opensrp_dhis2.outbox.lease import Lease, take_lease
from opensrp_dhis2.outbox.ledger import DataSetPeriod
from opensrp_dhis2.outbox.pacing import Pace
from opensrp_dhis2.outbox.request import Sender
from opensrp_dhis2.outbox.score import Score, score
from opensrp_dhis2.outbox.settle import await_late_writes, prove, settle_unfinished
from opensrp_dhis2.outbox.submission_hours import ANY_HOUR, SubmissionHours
from opensrp_dhis2.plain_text import markdown_table
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Warehouse


@dataclass(frozen=True)
class Report:
    """What one run did for one data set and period, and where the rest stands: each value once.

    accepted + refused + unchanged + withheld + waiting are all of the ledger but those withdrawn before.
    """

    data_set: str
    period: str
    sent: int  # however many requests carried it, in whichever try of the run
    accepted: int  # of those sent
    refused: int
    unchanged: int
    withheld: int
    waiting: int  # the submission hours ended before their turn came
    request_count: int
    seconds: float
    score: Score = field(default_factory=lambda: Score(()))
    completed: Completed = field(default_factory=Completed)

    def counts(self) -> dict[str, int]:
        """Return the counts of values, and of units told to be complete."""
        names = ("sent", "accepted", "refused", "unchanged", "withheld", "waiting")
        return {name: getattr(self, name) for name in names} | {"completed": self.completed.registered}

    def line(self) -> str:
        counts = ", ".join(f"{name} {number}" for name, number in self.counts().items())
        return f"{self.data_set} {self.period}: {counts} ({self.request_count} requests)"


class Reporter:
    """Plans and delivers the periods of one data set for one run."""

    def __init__(
        self,
        warehouse: Warehouse,
        client: Dhis2Client,
        code: str,
        data_set: DataSet,
        *,
        run_id: str,
        batch_size: int,
        hours: SubmissionHours = ANY_HOUR,
        is_async: bool = False,
        say: Callable[[str], None] = lambda _: None,
        clock: Clock = machine_clock,
    ) -> None:
        self._warehouse, self._client, self._code, self._policy = warehouse, client, code, data_set
        self._run_id, self._pace, self._say = run_id, Pace(batch_size), say
        self._hours, self._clock = hours, clock
        self.target, self._is_async = client.base_url, is_async

    def plan(self, period: Period) -> ledger.States:
        """Bring the ledger up to the indicators for one period; nothing is sent. Return the number of values by state."""
        with self._leased() as lease:
            window, of = self._window, self._of(period)
            is_open, is_beyond = self._is_open(period), period.start_on < first_open_on(self._policy, window.today)
            lock_exception_unit_ids = window.lock_exception_units(self._client, period)
            with lease.connect() as connection:
                window.keep(connection, self.target)
                end_retry(connection, of, self._run_id)
                states = ledger.plan(
                    connection,
                    of,
                    zeros=self._policy.zeros,
                    removed_totals=self._policy.removed_totals,
                    is_period_open=is_open,
                    is_beyond=is_beyond,
                    lock_exception_unit_ids=lock_exception_unit_ids,
                    run_id=self._run_id,
                )
                plan_refusals(connection, of, today=window.today, is_beyond=is_beyond)
                return states

    def deliver(self, period: Period, progress: Callable[[Delivery], None] = lambda _: None) -> Report:
        """Send what is pending for one period until every value has a verdict."""
        started, of = time.monotonic(), self._of(period)
        with self._leased() as lease:
            window = self._window
            with lease.connect() as connection:
                connection.execute("select outbox.transfer_cells(%s, %s, %s, %s)", (*of, self._run_id))
                obstacle = window.find_obstacle(connection, of, self._run_id)
            if obstacle:
                raise obstacle
            await_late_writes(lease, of, say=self._say)
            sender = Sender(lease, self._client, self._system.version, self._run_id, self._is_async, self._say)
            try:
                delivery = push(sender, of, self._pace, self._may_send, progress)
                if not delivery.waiting:
                    delivery.merge(retry(sender, of, self._pace, self._may_send, progress))
                self._close_discrepancies(lease, of)
                completed = Completed() if delivery.waiting else self._complete(lease, period)
            except OpenSrpDhis2Error:
                self._keep(of, started)
                raise
            with lease.connect() as connection:
                scored = score(connection, of, self._run_id)
            return replace(self._keep(of, started), score=scored, completed=completed)

    def _may_send(self) -> bool:
        return self._hours.is_open(self._clock())

    def _keep(self, of: DataSetPeriod, started: float) -> Report:
        """Keep what the run did so far, in all its tries, and return it."""
        took = round(time.monotonic() - started, 3)
        names = "sent, accepted, refused, unchanged, withheld, waiting, request_count, seconds"
        query = f"select {names} from outbox.keep_delivery(%s, %s, %s, %s, %s)"  # noqa: S608 - written above
        with self._warehouse.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            kept = cursor.execute(query, (self._run_id, *of, took)).fetchone()
        return Report(self._code, of.period, **kept or {})

    def _close_discrepancies(self, lease: Lease, of: DataSetPeriod) -> None:
        with lease.connect() as connection:
            connection.execute("select outbox.close_discrepancies(%s, %s, %s, %s)", (*of, self._run_id))

    def _complete(self, lease: Lease, period: Period) -> Completed:
        return complete_units(
            lease,
            self._client,
            self._of(period),
            policy=self._policy.completion,
            is_period_open=self._is_open(period),
            run_id=self._run_id,
        )

    def _is_open(self, period: Period) -> bool:
        """Return whether DHIS2 takes values of the period from this account."""
        return self._window.closing_code(period) is None

    @cached_property
    def _system(self) -> SystemInfo:
        return self._client.system_info()

    @cached_property
    def _cached(self) -> DataEntryWindow:
        with self._warehouse.connect() as connection:
            return DataEntryWindow.cached(connection, self._code, server_day(self._system))

    @cached_property
    def _window(self) -> DataEntryWindow:
        return DataEntryWindow.live(self._client, self._system, self._cached.data_set_id, instead=self._cached)

    @contextmanager
    def _leased(self) -> Iterator[Lease]:
        """Hold the server's lease, with everything settled that an earlier run left open."""
        with take_lease(self._warehouse, self.target, self._run_id) as lease:
            settle_unfinished(lease, self._client, self._system.version, self._run_id, say=self._say)
            prove(lease, self._client, self._run_id)
            yield lease

    def _of(self, period: Period) -> DataSetPeriod:
        return DataSetPeriod(self.target, self._cached.data_set_id, period.id)


def markdown(reports: Iterable[Report], language: str = "en") -> str:
    """Draw the verdicts of some periods as a Markdown table."""
    names = ("data_set", "period", "sent", "accepted", "refused", "unchanged", "withheld", "waiting", "request_count")
    rows = [[getattr(report, name) for name in names] for report in reports]
    heads = catalogue(language).columns(*names[:-1], "requests")
    return markdown_table(heads, rows, numbers=range(2, len(names)))


def completions_markdown(reports: Iterable[Report], language: str = "en") -> str:
    """Draw which units are not registered as complete, and why, period by period; empty when all are, or none should be."""
    return "\n\n".join(f"{r.period}\n\n{said}" for r in reports if (said := r.completed.markdown(language)))
