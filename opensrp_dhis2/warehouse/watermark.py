"""How far each type of each source has been read: one row, moved in the transaction of its last rows."""

from datetime import datetime

from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.queries import query


def read_to(connection: Connection, source: str, resource_type: str) -> datetime | None:
    """Return the end of the last window that was read whole; none before the first."""
    row = connection.execute(
        "select read_to from raw.watermark where source = %s and resource_type = %s", (source, resource_type)
    ).fetchone()
    return row[0] if row else None


def move(connection: Connection, source: str, resource_type: str, read_to: datetime) -> None:
    """Move the watermark, forwards only; `forget` is the way back."""
    connection.execute(
        query("raw_state", "move_watermark"), {"source": source, "resource_type": resource_type, "read_to": read_to}
    )


def forget(connection: Connection, source: str, resource_type: str) -> None:
    """Take the watermark away: the next window begins at the beginning."""
    connection.execute("delete from raw.watermark where source = %s and resource_type = %s", (source, resource_type))
