"""The calendar of periods in Postgres: lookup.period, for the period types that the data sets report.

It knows days; which type a data set has stands in data_sets.yaml.
"""

from collections.abc import Iterable
from datetime import date, timedelta

from opensrp_dhis2.dhis2.periods import periods_between
from opensrp_dhis2.warehouse.database import Connection

AHEAD = timedelta(days=366)


def fill_periods(connection: Connection, period_types: Iterable[str], start_on: date, today: date) -> int:
    """Replace the calendar by every period of these types from the start to a year ahead; give its rows."""
    rows = [
        (period.period_type, period.id, period.start_on, period.end_on)
        for period_type in sorted(set(period_types))
        for period in periods_between(period_type, start_on, today + AHEAD)
    ]
    connection.execute("delete from lookup.period")
    with connection.cursor().copy("copy lookup.period from stdin") as copy:
        for row in rows:
            copy.write_row(row)
    return len(rows)
