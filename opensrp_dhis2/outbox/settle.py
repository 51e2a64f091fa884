"""What DHIS2 holds decides: of requests without a verdict, and of answers, which may be another request's.

It knows how to compare, when an answer is believed, and that a lost request may act late; it refuses to send.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.imports.job import FORGOTTEN_AFTER_SECONDS, await_reply
from opensrp_dhis2.dhis2.models import ServerVersion
from opensrp_dhis2.errors import Dhis2Error
from opensrp_dhis2.messages.codes import Reason
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.lease import Lease
from opensrp_dhis2.outbox.ledger import Batch, DataSetPeriod, RecordedVerdict, SentRow
from opensrp_dhis2.outbox.read_back import StoredValues, cell, read_back

DEAD_AFTER_SECONDS = 86_400.0  # of a job
LONGEST_PAUSE_SECONDS = 30.0  # between two looks at what an unanswered request has stored


def settle_unfinished(
    lease: Lease,
    client: Dhis2Client,
    version: ServerVersion,
    run_id: str,
    *,
    pause: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Settle every request that left without a verdict; return how many there were.

    What is read while an import job or another run's request may still be alive is not final, so that it is waited for;
    a job that DHIS2 calls running for more than a day has died.
    Raises: Dhis2UnavailableError (transient) while DHIS2 does not answer; the batches stay open.
    """
    with lease.connect() as connection:
        batches = ledger.unsettled_batches(connection, lease.target)
    for batch in batches:
        if batch.job_id and batch.age_seconds < DEAD_AFTER_SECONDS:
            await_reply(client, batch.job_id, pause=pause)
        elif batch.job_id == "":  # DHIS2 may have begun a job and never told us its id
            pause(max(0.0, FORGOTTEN_AFTER_SECONDS - batch.age_seconds))
        left = max(0.0, client.request_seconds - batch.age_seconds) if batch.job_id is None else 0.0
        settle_by_reading(lease, client, batch, version, run_id, wait_seconds=left, pause=pause, say=say)
    return len(batches)


def settle_by_reading(
    lease: Lease,
    client: Dhis2Client,
    batch: Batch,
    version: ServerVersion,
    run_id: str,
    *,
    wait_seconds: float = 0.0,
    pause: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = lambda _: None,
    note: str = "no answer",
) -> list[RecordedVerdict]:
    """Settle one batch by what DHIS2 holds, and return the verdicts; what is not there yet is waited for so long.

    What is not there in the end may come all the same: it is kept as a late write, and read once more (prove).
    """
    with lease.connect() as connection:
        rows = ledger.sent_rows(connection, batch)
    for turn, wait in enumerate((*_pauses(wait_seconds), None)):
        verdicts = compare(rows, read_back(client, batch.data_set_id, batch.period, rows), version)
        is_all_there = all(verdict.verdict != "lost" for verdict in verdicts)
        if wait is None or is_all_there:
            break
        if turn == 0:
            say(
                f"A request of {batch.value_count} values for data set {batch.data_set_id}, period {batch.period} has no "
                f"answer and may still be stored: it is waited for up to {wait_seconds:.0f} s"
            )
        pause(wait)
    with lease.connect() as connection:
        if not is_all_there:
            ledger.keep_late_writes(connection, batch, client.request_seconds)
        note = f"{note}; settled by reading DHIS2 back"
        ledger.settle(connection, batch, verdicts, http_status=None, note=note, run_id=run_id, is_proven=True)
    return verdicts


def _pauses(seconds: float) -> Iterator[float]:
    """Part a time into pauses of 1, 2, 4 ... seconds."""
    pause = 1.0
    while seconds > 0:
        yield min(pause, seconds)
        seconds, pause = seconds - pause, min(2 * pause, LONGEST_PAUSE_SECONDS)


def compare(rows: list[SentRow], stored: StoredValues, version: ServerVersion) -> list[RecordedVerdict]:
    """Judge each value by what DHIS2 holds: pure."""
    return [_judged(row, stored, row.is_dropped_by(version)) for row in rows]


def _judged(row: SentRow, stored: StoredValues, is_droppable: bool) -> RecordedVerdict:
    held, code = stored.stored.get(cell(row)), stored.unread.get(cell(row))
    if code is not None:
        return RecordedVerdict(
            row.row_index, "blocked", code, "it cannot be read back; the next plan looks whether it may go"
        )
    if row.wanted == held:
        return RecordedVerdict(row.row_index, "deleted" if row.wanted is None else "stored")
    if held is None and is_droppable:
        return RecordedVerdict(row.row_index, "dropped")
    return RecordedVerdict(row.row_index, "lost", Reason.WRITE_LOST, "not stored; it will be sent again")


@dataclass(frozen=True)
class UnprovenValue:
    """A value whose state rests on an answer alone (`is_reported`), or that a request without an answer may have changed."""

    value_id: int
    data_element_id: str
    org_unit_id: str
    category_option_combo_id: str
    attribute_option_combo_id: str
    wanted: str | None
    acknowledged: str | None
    state: str
    is_reported: bool
    late_values: list[str | None]

    def is_contradicted(self, stored: str | None) -> bool:
        """Return whether what DHIS2 holds shows that this row is wrong: pure."""
        if self.state == "dropped":
            return stored not in (None, self.wanted)
        if stored != self.acknowledged and stored in self.late_values:
            return True
        if self.state == "refused":
            return self.is_reported and stored == self.wanted
        return self.is_reported and stored != self.wanted


def prove(lease: Lease, client: Dhis2Client, run_id: str, of: DataSetPeriod | None = None) -> int:
    """Read back what rests on answers alone, of one slice or of the whole server; return how many values were otherwise.

    These are pending again. One read of a data set and period serves all requests that carried its values. What another
    data set holds that the account may no longer read stays unproven, and stops nothing.
    Raises: Dhis2UnavailableError (transient): what is not proven is read by the next run; of the slice asked for, another
        Dhis2Error (terminal) when the account may read nothing of it.
    """
    with lease.connect() as connection:
        row = connection.execute("select clock_timestamp()").fetchone()
        assert row is not None
        found = connection.execute("select * from outbox.unproven_slice(%s, %s)", (lease.target, row[0])).fetchall()
    wrong = 0
    for each in [DataSetPeriod(lease.target, data_set_id, period) for data_set_id, period in found]:
        if of not in (None, each):
            continue
        try:
            wrong += _prove_slice(lease, client, run_id, each, row[0])
        except Dhis2Error as error:
            if error.is_transient or of is not None:
                raise
    return wrong


def _prove_slice(lease: Lease, client: Dhis2Client, run_id: str, of: DataSetPeriod, until: datetime) -> int:
    with lease.connect() as connection, connection.cursor(row_factory=class_row(UnprovenValue)) as cursor:
        rows = cursor.execute("select * from outbox.unproven_value(%s, %s, %s, %s)", (*of, until)).fetchall()
    read = read_back(client, of.data_set_id, of.period, rows) if rows else StoredValues({}, {})
    stored = {row.value_id: read.stored.get(cell(row)) for row in rows if cell(row) not in read.unread}
    wrong = [row for row in rows if row.value_id in stored and row.is_contradicted(stored[row.value_id])]
    with lease.connect() as connection:
        connection.execute(
            "select outbox.settle_proof(%s, %s, %s, %s::bigint[], %s::text[], %s, make_interval(secs => %s), %s, %s)",
            (
                *of,
                [row.value_id for row in wrong],
                [stored[row.value_id] for row in wrong],
                any(row.is_reported for row in wrong),
                client.request_seconds,
                *(until, run_id),
            ),
        )
    return len(wrong)


def await_late_writes(
    lease: Lease,
    of: DataSetPeriod,
    *,
    pause: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Wait until no request without an answer can overwrite what is to be sent now with another value."""
    with lease.connect() as connection:
        seconds = ledger.seconds_to_wait(connection, of)
    if seconds > 0:
        say(
            f"An earlier request for data set {of.data_set_id}, period {of.period} was never answered and may still be "
            f"stored: waiting {seconds:.0f} s before other values are sent"
        )
        pause(seconds)
