"""What could not become a raw row, by id, until the source gives it whole or has it no more."""

from collections.abc import Sequence

from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.queries import query
from opensrp_dhis2.warehouse.raw_pages import table_name


def outstanding(connection: Connection, resource_type: str) -> list[tuple[str, str]]:
    """Return the id of each resource that was rejected and has not come since, and why."""
    return connection.execute(
        "select id, reason from raw.outstanding(%s, %s)", (table_name(resource_type), resource_type)
    ).fetchall()


def settle(connection: Connection, resource_type: str, ids: Sequence[str]) -> None:
    """Keep that these were asked for again, and came or are gone."""
    connection.execute(query("raw_state", "settle_rejected"), {"resource_type": resource_type, "ids": list(ids)})
