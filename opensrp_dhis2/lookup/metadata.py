"""The lookup tables that are replaced whole: DHIS2's metadata by one reading of the server, and the calendar of periods.

It knows tables; how the server is asked stands in dhis2/metadata.py, what a period is in dhis2/periods.py.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from opensrp_dhis2.dhis2.client import Me
from opensrp_dhis2.dhis2.metadata import DataSetState, Metadata
from opensrp_dhis2.dhis2.periods import periods_between
from opensrp_dhis2.errors import ConfigurationError
from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.queries import query

TABLES = (
    "org_unit",
    "category_combo",
    "category_option_combo",
    "category_option",
    "data_element",
    "data_set",
    "data_set_element",
    "data_set_org_unit",
    "compulsory_operand",
)
ISO_CALENDARS = {"iso8601", "gregorian"}
AHEAD = timedelta(days=366)


def replace_metadata(connection: Connection, metadata: Metadata, target: str) -> dict[str, int]:
    """Replace every metadata table in the caller's transaction; return the number of rows by table.

    Raises: ConfigurationError (terminal) when the server counts its periods in another calendar.
    """
    if metadata.calendar not in ISO_CALENDARS:
        raise ConfigurationError(
            f"DHIS2 at {target} counts periods in the {metadata.calendar} calendar; only ISO 8601 is supported yet"
        )
    connection.execute("delete from lookup.server where target = %s", (target,))
    connection.execute(
        "insert into lookup.server (target, version, default_category_option_combo_id) values (%s, %s, %s)",
        (target, metadata.version, metadata.default_category_option_combo_id),
    )
    _replace(connection, "data_set_state", metadata.data_set_states)
    keep_account(connection, metadata.account, target)
    return {table: _replace(connection, table, getattr(metadata, f"{table}s")) for table in TABLES}


def keep_account(connection: Connection, account: Me, target: str) -> None:
    """Keep what DHIS2 says of the account: what it may do, and below which org units."""
    rights = {"authorities": sorted(account.authorities), "org_unit_ids": sorted(account.org_unit_ids)}
    connection.execute(query("lookup", "keep_account"), {"target": target, "user_id": account.user_id, **rights})


def keep_data_set_state(connection: Connection, state: DataSetState) -> None:
    """Keep a newer digest of a data set."""
    row = {"data_set_id": state.data_set_id, "digest": state.digest}
    connection.execute(query("lookup", "keep_data_set_state"), row)


def fill_periods(connection: Connection, period_types: Iterable[str], start_on: date, today: date) -> int:
    """Replace the calendar by every period of these types from the start to a year ahead; return its number of rows."""
    periods = (
        (period.period_type, period.id, period.start_on, period.end_on)
        for period_type in sorted(set(period_types))
        for period in periods_between(period_type, start_on, today + AHEAD)
    )
    return _replace(connection, "period", periods)


def _replace(connection: Connection, table: str, rows: Iterable[Sequence[object]]) -> int:
    connection.execute(f"delete from lookup.{table}")  # noqa: S608 - named above
    count = 0
    with connection.cursor().copy(f"copy lookup.{table} from stdin") as copy:
        for row in rows:
            copy.write_row(row)
            count += 1
    return count
