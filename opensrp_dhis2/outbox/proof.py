"""What was told of a request held against what DHIS2 holds: an answer may be another request's, and a lost one may act late.

It knows when a word is believed; it refuses to send.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.errors import Dhis2Error
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.lease import Lease
from opensrp_dhis2.outbox.ledger import Slice
from opensrp_dhis2.outbox.settle import Reading, cell, read_back


@dataclass(frozen=True)
class UnprovenValue:
    """A value whose state rests on an answer alone (`is_told`), or that a request without an answer may have changed."""

    value_id: int
    data_element_id: str
    org_unit_id: str
    category_option_combo_id: str
    attribute_option_combo_id: str
    wanted: str | None
    acknowledged: str | None
    state: str
    is_told: bool
    late_values: list[str | None]

    def is_contradicted(self, there: str | None) -> bool:
        """Return whether what DHIS2 holds shows that this row is wrong: pure."""
        if self.state == "dropped":
            return there not in (None, self.wanted)
        if there != self.acknowledged and there in self.late_values:
            return True
        if self.state == "refused":
            return self.is_told and there == self.wanted
        return self.is_told and there != self.wanted


def prove(lease: Lease, client: Dhis2Client, run_id: str, of: Slice | None = None) -> int:
    """Read back what rests on answers alone, of one slice or of the whole server; give how many values were otherwise.

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
    for each in [Slice(lease.target, data_set_id, period) for data_set_id, period in found]:
        if of not in (None, each):
            continue
        try:
            wrong += _prove_slice(lease, client, run_id, each, row[0])
        except Dhis2Error as error:
            if error.is_transient or of is not None:
                raise
    return wrong


def _prove_slice(lease: Lease, client: Dhis2Client, run_id: str, of: Slice, until: datetime) -> int:
    with lease.connect() as connection, connection.cursor(row_factory=class_row(UnprovenValue)) as cursor:
        key = (of.target, of.data_set_id, of.period)
        rows = cursor.execute("select * from outbox.unproven_value(%s, %s, %s, %s)", (*key, until)).fetchall()
    reading = read_back(client, of.data_set_id, of.period, rows) if rows else Reading({}, {})
    there = {row.value_id: reading.there.get(cell(row)) for row in rows if cell(row) not in reading.unread}
    wrong = [row for row in rows if row.value_id in there and row.is_contradicted(there[row.value_id])]
    with lease.connect() as connection:
        connection.execute(
            "select outbox.settle_proof(%s, %s, %s, %s::bigint[], %s::text[], %s, make_interval(secs => %s), %s, %s)",
            (
                *key,
                [row.value_id for row in wrong],
                [there[row.value_id] for row in wrong],
                any(row.is_told for row in wrong),
                client.request_seconds,
                *(until, run_id),
            ),
        )
    return len(wrong)


def await_late_writes(
    lease: Lease, of: Slice, *, pause: Callable[[float], None] = time.sleep, say: Callable[[str], None] = lambda _: None
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
