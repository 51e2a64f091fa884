"""Searches for deletions as rows, and the tombstones that they put."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.load import table_name
from opensrp_dhis2.warehouse.queries import query


class DeleteSearch(NamedTuple):
    """What one search found, as raw.delete_search has it; counts in resources."""

    method: Literal["history", "sweep"]
    reason: str | None
    since_at: datetime | None
    until_at: datetime
    source_count: int
    deleted_count: int
    loaded_count: int = 0


def mark_gone(connection: Connection, resource_type: str, gone: Mapping[str, int], load_id: int) -> int:
    """Write a tombstone over each id that has no later version here than the one known as the last; return how many."""
    of = (table_name(resource_type), resource_type, list(gone), list(gone.values()), load_id)
    [(marked,)] = connection.execute("select raw.mark_gone(%s, %s, %s, %s, %s)", of)
    return int(marked)


def keep_search(connection: Connection, source: str, resource_type: str, load_id: int, found: DeleteSearch) -> None:
    """Keep that somebody looked for deletions."""
    of = {"source": source, "resource_type": resource_type, "load_id": load_id}
    connection.execute(query("raw_delete", "keep_search"), of | found._asdict())


def read_to(connection: Connection, source: str, resource_type: str) -> datetime | None:
    """Return how far the deletions of a type are known; none before the first search."""
    row = connection.execute(
        "select read_to from raw.delete_watermark where source = %s and resource_type = %s", (source, resource_type)
    ).fetchone()
    return row[0] if row else None


def move_watermark(connection: Connection, source: str, resource_type: str, until_at: datetime) -> None:
    """Keep how far the history need not be asked again."""
    of = {"source": source, "resource_type": resource_type, "read_to": until_at}
    connection.execute(query("raw_delete", "move_watermark"), of)


def restart_versions(connection: Connection, resource_type: str, ids: list[str], load_id: int, since_load: int) -> None:
    """Let any version replace these, but for what was read here since a load."""
    of = (table_name(resource_type), resource_type, ids, load_id, since_load)
    connection.execute("select raw.restart_versions(%s, %s, %s, %s, %s)", of)


def last_load(connection: Connection) -> int:
    """Return the number of the last load of all."""
    [(load_id,)] = connection.execute("select coalesce(max(load_id), 0) from raw.load")
    return int(load_id)


def alive_count(connection: Connection, resource_type: str) -> int:
    """Count the resources of a type that are here and not deleted."""
    [(count,)] = connection.execute("select raw.alive_count(%s)", (table_name(resource_type),))
    return int(count)
