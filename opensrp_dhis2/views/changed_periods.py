"""What a run touched: the periods of the staging rows that went or came, and those of which a total moved.

It knows which dates count for which indicator; whether a period is sent again is decided by its totals alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from psycopg.rows import class_row
from psycopg.sql import SQL, Composable, Composed, Identifier

from opensrp_dhis2.views.catalog import Catalog, View
from opensrp_dhis2.views.event_date import event_origins
from opensrp_dhis2.views.relation import relation
from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.queries import query

_COMMA = SQL(", ")
WRITTEN_AT = "updated_at"  # when the server wrote the version: alone, it is no change of what happened
HASHED = ("text", "text[]", "date", "boolean", "numeric", "integer", "bigint", "timestamp with time zone")


@dataclass(frozen=True)
class Reader:
    """An indicator that takes its date from a staging table: from the first of these columns that is not null."""

    indicator: str
    period_type: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class ChangeTracking:
    """What upkeep returns of each row that goes or comes, and for whom."""

    returned: Composed
    readers: Sequence[Reader]


@dataclass(frozen=True)
class PastPeriod:
    """A past period that the last run touched.

    old_count, new_count: staging rows of its days that went, and that came. is_changed: a total moved.
    """

    period_type: str
    period: str
    old_count: int
    new_count: int
    is_changed: bool


def track_changes(connection: Connection, catalog: Catalog, staging: View) -> ChangeTracking | None:
    """Make the temporary table `moved` for one upkeep of a staging table; None where nobody takes a date from it."""
    table = relation(staging.name)
    of = {"table": table.as_string(connection)}
    types: dict[str, str] = dict(connection.execute(query("touched_period", "columns"), of).fetchall())
    readers = [each for each in _readers(catalog, staging) if all(types.get(name) == "date" for name in each.columns)]
    if not readers:
        return None
    connection.execute(query("touched_period", "track_changes"))
    content = [_hashable(name, kind) for name, kind in types.items() if name != WRITTEN_AT]
    days = [SQL("coalesce({})").format(_COMMA.join(map(Identifier, columns))) for columns in _days(readers)]
    returned = SQL("hash_record_extended(row({}), 0) as digest, array[{}] as days")
    return ChangeTracking(returned.format(_COMMA.join(content), _COMMA.join(days)), readers)


def keep_periods(connection: Connection, staging: View, readers: Sequence[Reader]) -> tuple[str, ...]:
    """Keep the periods of the rows that are not as before, for the indicators; give those that are past."""
    days = _days(readers)
    rows = connection.execute(
        "select warehouse.keep_periods(%s, %s, %s, %s, 'moved')",
        (
            staging.name,
            [each.indicator for each in readers],
            [each.period_type for each in readers],
            [days.index(each.columns) + 1 for each in readers],
        ),
    ).fetchall()
    return tuple(period for (period,) in rows)


def touch_periods(connection: Connection, indicator: str) -> tuple[str, ...]:
    """Close a run for an indicator: give the past periods that were touched since it was built before."""
    connection.execute("select warehouse.touch_periods(%s)", (indicator,))
    return tuple(each.period for each in touched_periods(connection, [indicator]))


def touched_periods(connection: Connection, indicators: Collection[str]) -> list[PastPeriod]:
    """List the past periods that the last run touched for some indicators, oldest first."""
    with connection.cursor(row_factory=class_row(PastPeriod)) as cursor:
        return cursor.execute("select * from warehouse.touched_past(%s)", (list(indicators),)).fetchall()


def _readers(catalog: Catalog, staging: View) -> list[Reader]:
    return [
        Reader(view.name, period_type, columns)
        for view in catalog.indicators
        for table, columns in sorted(event_origins(catalog, view))
        if table == staging.name
        for period_type in catalog.period_types(view)
    ]


def _days(readers: Sequence[Reader]) -> list[tuple[str, ...]]:
    return list(dict.fromkeys(each.columns for each in readers))


def _hashable(column: str, kind: str) -> Composable:
    """Return a column that Postgres can hash: not every type it can, and text is three times slower."""
    return SQL("{}" if kind in HASHED else "{}::text").format(Identifier(column))
