"""Late data: periods once reported whose totals have changed since.

It knows which past periods a data set keeps open; it refuses to plan or to send.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from psycopg.rows import class_row

from opensrp_dhis2.dhis2.periods import period_of
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Connection


@dataclass(frozen=True)
class ChangedPeriod:
    """A period and how many of its values differ; the digest names this very change, so that it is asked for once."""

    period: str
    value_count: int
    digest: str


def changed_periods(connection: Connection, target: str, code: str, data_set: DataSet) -> list[ChangedPeriod]:
    """List the periods of the ledger whose totals differ from it.

    Those beyond the open periods too: planning them keeps the difference as one that cannot be sent, and it is seen.
    """
    with connection.cursor(row_factory=class_row(ChangedPeriod)) as cursor:
        return cursor.execute(
            "select * from outbox.changed_periods(%s, %s, %s, %s)", (target, code, data_set.zeros, data_set.vanished)
        ).fetchall()


def first_open_on(data_set: DataSet, today: date) -> date:
    """Give the first day of the oldest period that late data may still change."""
    first = period_of(data_set.period_type, today)
    for _ in range(data_set.open_periods):
        first = period_of(data_set.period_type, first.start_on - timedelta(days=1))
    return first.start_on
