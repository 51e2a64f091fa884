"""The sending of one data set and period, one request after the other, until every value has a verdict.

It knows when to stop; how large a request is stands in pace.py, what became of one in request.py.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2UnavailableError, ImportRejectedError
from opensrp_dhis2.messages.codes import Reason, explain
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.ledger import Slice
from opensrp_dhis2.outbox.pacing import Pace
from opensrp_dhis2.outbox.proof import prove
from opensrp_dhis2.outbox.request import ACCEPTED, Answer, Sender
from opensrp_dhis2.warehouse.database import Connection

FIRST_BATCH_SIZE = 100  # into a period that DHIS2 has never seen
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
    of: Slice,
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
    of: Slice,
    pace: Pace,
    may_send: Callable[[], bool],
    delivery: Delivery,
    progress: Callable[[Delivery], None],
    most_in_vain: int | None,
) -> None:
    found_guilty = list[int]()
    while most_in_vain is None or delivery.in_vain < most_in_vain:
        with sender.lease.connect() as connection:
            if not may_send():
                delivery.waiting = _keep_waiting(connection, of, sender.run_id)
                return
            size, skip = pace.next_cut(ledger.count_next(connection, of))
            batch = ledger.cut_batch(connection, of, size, sender.run_id, skip=skip, fence=sender.lease.fence)
        if batch is None:
            return
        answer = sender.send(batch)
        delivery.add(answer.verdicts)
        progress(delivery)
        pace.heard(answer.outcome, batch.value_count, cause=answer.cause, accepted=answer.accepted)
        if pace.is_hopeless:
            _acquit(sender, [*found_guilty, batch.batch_id])
        found_guilty = [*found_guilty, batch.batch_id] if pace.guilty_in_a_row else []
        _stop_if_hopeless(answer, pace, of)
    return


def _keep_waiting(connection: Connection, of: Slice, run_id: str) -> int:
    """Say of each value that is left why it waits, and give how many; the next plan takes the code away again."""
    return connection.execute(
        "update outbox.value set code = %s, reason = null, run_id = %s"
        " where target = %s and data_set_id = %s and period = %s and state = 'pending'",
        (Reason.OUTSIDE_SUBMISSION_HOURS, run_id, of.target, of.data_set_id, of.period),
    ).rowcount


def _acquit(sender: Sender, batch_ids: list[int]) -> None:
    """Take back what was refused one by one before it showed that the values are not to blame."""
    with sender.lease.connect() as connection:
        ledger.acquit(connection, batch_ids, sender.run_id)


def _stop_if_hopeless(answer: Answer, pace: Pace, of: Slice) -> None:
    where = f"data set {of.data_set_id}, period {of.period}"
    why = f"{answer.cause}: {explain(answer.cause).sentence}" if answer.cause else "it stores nothing of what it takes"
    if answer.is_about_account:
        raise Dhis2AuthenticationError(
            f"DHIS2 refuses this account's values ({answer.cause}) for {where}: ask the DHIS2 administrator for "
            "data write access to the data set, its org units and category options; the values stay pending",
            url=of.target,
        )
    if pace.is_dead or (pace.is_hopeless and answer.cause == Reason.SERVER_ERROR):
        came = f"; what came last was no answer of DHIS2: {answer.foreign}" if answer.foreign else ""
        raise Dhis2UnavailableError(
            f"DHIS2 gave no usable answer several times in a row for {where}{came}. What it holds shows that nothing was "
            "stored: look into the server's log and into the proxy before it; the values stay pending and go with the "
            "next run",
            url=of.target,
        )
    if answer.is_about_all or pace.is_hopeless:
        raise ImportRejectedError(
            f"DHIS2 refuses {where} for one cause ({why}): mend that cause in DHIS2 or in the mapping; "
            "the values stay pending",
            url=of.target,
        )
