"""All ids and versions of a type at the source beside those in raw: what differs, without changing anything."""

from dataclasses import dataclass, field
from datetime import timedelta

from opensrp_dhis2.fhir.client import FhirClient
from opensrp_dhis2.fhir.unreadable import list_stamps
from opensrp_dhis2.fhir.window import BEGINNING, Window
from opensrp_dhis2.warehouse import slices
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.raw_pages import table_name


@dataclass
class Verification:
    """Resources by finding, and at most 20 ids of each.

    missing: not here; stale: an older version here; gone: here and not there; rejected: refused here, with a row;
    not_due: written after the last window, for the next run; unlisted: counted by the source and not listed.
    """

    resource_type: str
    source_count: int = 0
    missing: int = 0
    stale: int = 0
    gone: int = 0
    rejected: int = 0
    not_due: int = 0
    unlisted: int = 0
    ids: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return not (self.missing or self.stale or self.gone or self.rejected or self.unlisted)


def verify(client: FhirClient, warehouse: Warehouse, resource_type: str) -> Verification:
    """Compare all ids and versions of a type with raw; nothing is written. Raises: as the client and the warehouse."""
    result = Verification(resource_type)
    began_at = client.server_now()
    with warehouse.connect() as connection:
        planned_to = slices.standing(connection, client.base_url, resource_type).planned_to
        everything = Window(BEGINNING, began_at + timedelta(days=366))  # a clock may have been ahead
        before = client.count(resource_type, everything)
        result.source_count = _list_all(client, connection, resource_type)
        after = client.count(resource_type, everything)
        result.unlisted = max(0, min(before, after) - result.source_count)
        found = connection.execute(
            "select * from raw.compare_listed(%s, %s, %s, %s)",
            (table_name(resource_type), resource_type, planned_to, began_at),
        ).fetchall()
        connection.rollback()  # the empty table of a type never read, and the temporary one
    for finding, count, ids in found:
        setattr(result, finding, count)
        result.ids[finding] = ids
    return result


def _list_all(client: FhirClient, connection: Connection, resource_type: str) -> int:
    """Fill the temporary table `listed`; gives how many distinct ids it holds."""
    connection.execute("select raw.ensure_table(%s)", (table_name(resource_type),))
    connection.execute(
        "create temporary table listed (id text, version_id bigint, last_updated timestamptz) on commit drop"
    )
    with connection.cursor().copy("copy listed from stdin") as copy:
        for page in list_stamps(client, resource_type):
            for one in page:
                copy.write_row((one.id, one.version_id, one.last_updated))
    connection.execute("analyze listed")
    row = connection.execute("select count(distinct id) from listed").fetchone()
    return int(row[0]) if row else 0
