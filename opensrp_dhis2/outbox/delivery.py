"""The delivery of one data set and period, one request after the other, until every value has a verdict.

What DHIS2 refused before is tried again after all others, and with few requests. It knows when to stop; how large a
request is stands in pacing.py, what became of one in request.py, when a refused value is due in
sql/functions/outbox_refusal.sql.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2UnavailableError, ImportRejectedError
from opensrp_dhis2.messages.codes import Reason, explain, retry_rules
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.ledger import DataSetPeriod
from opensrp_dhis2.outbox.pacing import Pace
from opensrp_dhis2.outbox.request import ACCEPTED, Answer, Sender
from opensrp_dhis2.outbox.settle import prove
from opensrp_dhis2.warehouse.database import Connection

FIRST_BATCH_SIZE = 100  # into a period that DHIS2 has never seen
MOST_IN_VAIN = 20  # retries of which nothing was taken: 2.43 names some causes one org unit a request
MAX_ROUNDS = 3  # of sending, while what DHIS2 holds contradicts what it answered


@dataclass
class Delivery:
    """What one delivery did, in requests and their verdicts; a value has as many as requests carried it.

    `waiting`: values left when the submission hours ended. How many values were sent, outbox.run_count says.
    """

    requests: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    in_vain: int = 0  # requests of which nothing was taken

    def add(self, verdicts: Counter[str]) -> None:
        """Count one more request and its verdicts."""
        self.requests += 1
        self.verdicts.update(verdicts)
        self.in_vain += not any(verdicts[name] for name in ACCEPTED)

    def merge(self, other: "Delivery") -> None:
        """Count what another part of the same delivery did."""
        self.requests += other.requests
        self.verdicts.update(other.verdicts)

    @property
    def accepted(self) -> int:
        """Count the values that DHIS2 took, by its answers."""
        return sum(self.verdicts[name] for name in ACCEPTED)


def push(
    sender: Sender,
    of: DataSetPeriod,
    pace: Pace,
    may_send: Callable[[], bool],
    progress: Callable[[Delivery], None] = lambda _: None,
    *,
    into: Delivery | None = None,
    most_in_vain: int | None = None,
) -> Delivery:
    """Send what is pending for one data set and period, one request after the other, and read it back in the end.

    What the answers said untruly is sent again. The caller has settled what was open, and has planned; `may_send` is asked
    before each request.

    Args: `into` what was done before, to be added to; `most_in_vain` requests of it that may be taken nothing of.

    Raises: Dhis2UnavailableError (transient) when DHIS2 stops answering, or its answers do not fit what it holds: what
        is open or not proven is settled by the next run.
        ImportRejectedError, Dhis2AuthenticationError (terminal) when the cause concerns the account, or all alike;
        what is left stays pending.
    """
    delivery = into or Delivery()
    with sender.lease.connect() as connection:
        pace.begin(None if ledger.is_period_known(connection, of) else FIRST_BATCH_SIZE)
    for _ in range(MAX_ROUNDS):
        _send_pending(sender, of, pace, may_send, delivery, progress, most_in_vain)
        if prove(sender.lease, sender.client, sender.run_id, of) == 0 or delivery.waiting:
            return delivery
    raise Dhis2UnavailableError(
        f"DHIS2 does not hold what it was said to hold, {MAX_ROUNDS} times in a row for data set {of.data_set_id}, period "
        f"{of.period}: something between us and DHIS2 mixes up its answers or keeps them in a cache. Let /api pass through "
        "untouched; the values stay pending and go with the next run",
        url=of.target,
    )


def _send_pending(
    sender: Sender,
    of: DataSetPeriod,
    pace: Pace,
    may_send: Callable[[], bool],
    delivery: Delivery,
    progress: Callable[[Delivery], None],
    most_in_vain: int | None,
) -> None:
    rejected = list[int]()
    while most_in_vain is None or delivery.in_vain < most_in_vain:
        with sender.lease.connect() as connection:
            if not may_send():
                delivery.waiting = ledger.hold_pending(connection, of, Reason.OUTSIDE_SUBMISSION_HOURS, sender.run_id)
                return
            size, skip = pace.next_cut(ledger.count_next(connection, of))
            batch = ledger.cut_batch(connection, of, size, sender.run_id, skip=skip, fence=sender.lease.fence)
        if batch is None:
            return
        answer = sender.send(batch)
        delivery.add(answer.verdicts)
        progress(delivery)
        pace.record(answer.outcome, batch.value_count, cause=answer.cause, accepted=answer.accepted)
        if pace.gave_up:  # it has shown that the values are not to blame
            with sender.lease.connect() as connection:
                ledger.restore_pending(connection, [*rejected, batch.batch_id], sender.run_id)
        rejected = [*rejected, batch.batch_id] if pace.rejected_singles else []
        _stop_if_all_fail(answer, pace, of)


def _stop_if_all_fail(answer: Answer, pace: Pace, of: DataSetPeriod) -> None:
    where = f"data set {of.data_set_id}, period {of.period}"
    why = f"{answer.cause}: {explain(answer.cause).sentence}" if answer.cause else "it stores nothing of what it takes"
    if answer.is_about_account:
        raise Dhis2AuthenticationError(
            f"DHIS2 refuses this account's values ({answer.cause}) for {where}: ask the DHIS2 administrator for "
            "data write access to the data set, its org units and category options; the values stay pending",
            url=of.target,
        )
    if pace.is_dead or (pace.gave_up and answer.cause == Reason.SERVER_ERROR):
        came = f"; what came last was no answer of DHIS2: {answer.foreign}" if answer.foreign else ""
        raise Dhis2UnavailableError(
            f"DHIS2 gave no usable answer several times in a row for {where}{came}. What it holds shows that nothing was "
            "stored: look into the server's log and into the proxy before it; the values stay pending and go with the "
            "next run",
            url=of.target,
        )
    if answer.is_about_all or pace.gave_up:
        raise ImportRejectedError(
            f"DHIS2 refuses {where} for one cause ({why}): mend that cause in DHIS2 or in the mapping; "
            "the values stay pending",
            url=of.target,
        )


def plan_refusals(connection: Connection, of: DataSetPeriod, *, today: date, is_beyond: bool) -> None:
    """Decide which refused values the next delivery tries again, and keep what this plan rests on."""
    connection.execute(
        "select outbox.plan_refusals(%s, %s, %s, %s, %s, %s, %s, %s)", (*of, today, is_beyond, *retry_rules())
    )


def end_retry(connection: Connection, of: DataSetPeriod, run_id: str) -> None:
    """Close what a run tried again, also one that was killed over it."""
    connection.execute("select outbox.end_release(%s, %s, %s, %s)", (*of, run_id))


def retry(
    sender: Sender, of: DataSetPeriod, pace: Pace, may_send: Callable[[], bool], progress: Callable[[Delivery], None]
) -> Delivery:
    """Send what is due once more, what was not tried for the longest time first.

    What DHIS2 refuses again stays refused; what had no turn is due at the next delivery.
    Raises: as `push`, but for ImportRejectedError: the values were refused before.
    """
    delivery = Delivery()
    try:
        while delivery.in_vain < MOST_IN_VAIN and _release(sender, of):
            push(sender, of, pace, may_send, progress, into=delivery, most_in_vain=MOST_IN_VAIN)
            if delivery.waiting:
                break
    except ImportRejectedError:
        pass
    finally:
        with sender.lease.connect() as connection:
            end_retry(connection, of, sender.run_id)
    return delivery


def _release(sender: Sender, of: DataSetPeriod) -> int:
    with sender.lease.connect() as connection:
        row = connection.execute("select outbox.release_refused(%s, %s, %s, %s)", (*of, sender.run_id)).fetchone()
    return int(row[0]) if row else 0
