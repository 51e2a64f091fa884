"""Late data: periods whose totals are not what was planned, or whose values wait, and the periods that a run touched.

It knows which past periods a data set keeps open; it refuses to plan or to send.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from psycopg.rows import class_row

from opensrp_dhis2.dhis2.periods import Period, parse_period, period_of
from opensrp_dhis2.messages.codes import retry_rules
from opensrp_dhis2.views.catalog import Catalog
from opensrp_dhis2.views.changed_periods import touched_periods
from opensrp_dhis2.views.data_sets import DataSet
from opensrp_dhis2.warehouse.database import Connection


@dataclass(frozen=True)
class ChangedPeriod:
    """A period and how many of its values differ.

    The digest names what should be there now, and changed_at the ledger that it was compared with (None: no value).
    """

    period: str
    value_count: int
    digest: str
    changed_at: datetime | None


@dataclass(frozen=True)
class DuePeriod:
    """A period of a data set to report again.

    mark: names the cause, so that it is asked for once: of a changed total the change itself, the ledger that it was
    found in, and the day; of values that only wait the day alone, so that what cannot be sent is tried once a day.
    is_beyond: its values wait, and the open periods do not reach back so far.
    """

    period: Period
    value_count: int
    mark: str
    is_beyond: bool


@dataclass(frozen=True)
class LatePeriod:
    """A past period of a data set that the last run touched, or whose totals still differ from the ledger.

    old_count, new_count: staging rows of the period that went, and that came. is_changed: the run moved a total.
    differing_count: values that a plan would change; None when the period was never planned.
    """

    data_set: str
    period: str
    old_count: int
    new_count: int
    is_changed: bool
    differing_count: int | None


def changed_periods(
    connection: Connection,
    target: str,
    code: str,
    data_set: DataSet,
    *,
    start_on: date | None = None,
    today: date | None = None,
) -> list[ChangedPeriod]:
    """List the periods that were planned or reported and whose totals differ from the ledger.

    Those beyond the open periods too: planning them keeps the difference as one that cannot be sent, and it is seen.
    With a first day and today also the open periods that never were reported and have totals. Such a period is left to
    the night's extract and to the schedule of reports until a day after its end.
    """
    never = (max(start_on, first_open_on(data_set, today)), today - timedelta(days=1)) if start_on and today else ()
    with connection.cursor(row_factory=class_row(ChangedPeriod)) as cursor:
        return cursor.execute(
            "select * from outbox.changed_periods(%s, %s, %s, %s, %s, %s)",
            (target, code, data_set.zeros, data_set.removed_totals, *(never or (None, None))),
        ).fetchall()


def due_periods(
    connection: Connection, target: str, code: str, data_set: DataSet, *, start_on: date, today: date
) -> list[DuePeriod]:
    """List what a data set must report again, oldest first: periods whose totals changed, and those whose values wait."""
    open_from = first_open_on(data_set, today)
    due = dict[str, DuePeriod]()
    query = "select * from outbox.waiting_periods(%s, %s, %s, %s, %s, %s, %s, %s)"
    given = (target, code, open_from, data_set.completion, today, *retry_rules())
    for period_id, value_count in connection.execute(query, given).fetchall():
        period = parse_period(period_id)
        mark = f"{code}:{period_id}:{today}"
        due[period_id] = DuePeriod(period, value_count, mark, is_beyond=period.start_on < open_from)
    for changed in changed_periods(connection, target, code, data_set, start_on=start_on, today=today):
        changed_at = changed.changed_at and changed.changed_at.isoformat()
        mark = f"{code}:{changed.period}:{changed.digest}:{changed_at}:{today}"
        due[changed.period] = DuePeriod(parse_period(changed.period), changed.value_count, mark, is_beyond=False)
    return sorted(due.values(), key=lambda each: each.period.start_on)


def touched_by_last_run(connection: Connection, target: str, catalog: Catalog, code: str) -> list[LatePeriod]:
    """List the past periods that the last run touched for a data set, and those that differ, oldest first."""
    data_set = catalog.data_sets.of(code)
    changed = {each.period: each.value_count for each in changed_periods(connection, target, code, data_set)}
    differing = dict.fromkeys(_planned(connection, target, code), 0) | changed
    touched = {
        each.period: each
        for each in touched_periods(connection, [view.name for view in catalog.indicators_of(code)])
        if each.period_type == data_set.period_type
    }
    found = []
    for period in sorted(touched.keys() | changed.keys(), key=lambda each: parse_period(each).start_on):
        rows = touched.get(period)
        counts = (rows.old_count, rows.new_count, rows.is_changed) if rows else (0, 0, False)
        found.append(LatePeriod(code, period, *counts, differing.get(period)))
    return found


def _planned(connection: Connection, target: str, code: str) -> list[str]:
    query = "select distinct period from outbox.status where target = %s and data_set = %s"
    return [period for (period,) in connection.execute(query, (target, code)).fetchall()]


def first_open_on(data_set: DataSet, today: date) -> date:
    """Return the first day of the oldest period that late data may still change."""
    first = period_of(data_set.period_type, today)
    for _ in range(data_set.open_periods):
        first = period_of(data_set.period_type, first.start_on - timedelta(days=1))
    return first.start_on
