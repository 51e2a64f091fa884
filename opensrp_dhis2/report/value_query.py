"""What a person asks of the ledger: which values there are by code, state and place, and all that befell one of them.

It knows the functions of sql/functions/outbox_named.sql; it refuses to change anything.
"""

from dataclasses import astuple, dataclass
from typing import Any

from psycopg.rows import dict_row

from opensrp_dhis2.warehouse.database import Connection

Row = dict[str, Any]
_WANTED = ", ".join(["%s"] * 9)


@dataclass(frozen=True)
class Wanted:
    """What to look for: DHIS2 codes or ids; None: any. Combos by id."""

    data_set: str | None = None
    period: str | None = None
    state: str | None = None
    code: str | None = None
    org_unit: str | None = None
    data_element: str | None = None
    category_option_combo: str | None = None
    attribute_option_combo: str | None = None


def count_values(connection: Connection, target: str, wanted: Wanted) -> int:
    """Count the values of one DHIS2 server that fit."""
    query = f"select count(*) from outbox.find_value({_WANTED})"  # noqa: S608 - only placeholders
    row = connection.execute(query, (target, *astuple(wanted))).fetchone()
    return int(row[0]) if row else 0


def find_values(connection: Connection, target: str, wanted: Wanted, limit: int) -> list[Row]:
    """Return the first values that fit, each with the names that people know."""
    query = f"select * from outbox.find_named_value({_WANTED}, %s)"  # noqa: S608 - only placeholders
    return _rows(connection, query, (target, *astuple(wanted), limit))


def read_value(connection: Connection, value_id: int) -> list[Row]:
    """Return the one value of this id, of whichever server; or none."""
    return _rows(connection, "select * from outbox.named_value where value_id = %s", (value_id,))


def read_history(connection: Connection, value_id: int) -> list[Row]:
    """Return every change of one value, the first one first."""
    return _rows(connection, "select * from outbox.history where value_id = %s order by changed_at", (value_id,))


def read_batches(connection: Connection, value_id: int) -> list[Row]:
    """Return the requests that carried one value."""
    return _rows(connection, "select * from outbox.batch_of_value(%s)", (value_id,))


def count_completions(connection: Connection, target: str, data_set: str | None, period: str | None) -> list[Row]:
    """Count the units of the data sets that are told to be complete, by where their completion stands."""
    return _rows(connection, "select * from outbox.completion_standing(%s, %s, %s)", (target, data_set, period))


def count_elsewhere(connection: Connection, target: str) -> dict[str, int]:
    """Count the values that the ledger holds for other DHIS2 servers."""
    return dict(
        connection.execute("select target, count(*) from outbox.value where target <> %s group by 1", (target,))
    )


def _rows(connection: Connection, query: str, parameters: tuple[object, ...]) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()
