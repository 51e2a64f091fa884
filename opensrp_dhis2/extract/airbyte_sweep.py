"""All ids of a table that Airbyte fills beside those in raw: what is gone is marked, what is missing or old is loaded.

A table tells no deletion, so that silence is all there is: more of it at once than a person would cause is an error.
"""

import time
from collections.abc import Sequence

from opensrp_dhis2.clock import machine_clock
from opensrp_dhis2.errors import IncompleteExtractError
from opensrp_dhis2.extract.airbyte import lock_name, pages_of
from opensrp_dhis2.extract.airbyte_tables import AirbyteSchema, AirbyteTable
from opensrp_dhis2.extract.deletes import HARMLESS_COUNT, MAX_SHARE, DeleteResult, SweepResult
from opensrp_dhis2.extract.loading import load_pages
from opensrp_dhis2.fhir.page import Rejected, read_resource
from opensrp_dhis2.fhir.window import BEGINNING
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.raw_pages import Load, LoadCounts, table_name

REASON = "a table of Airbyte does not tell what was deleted"
Differences = dict[str, tuple[int, str]]


def find_airbyte_deletes(schema: AirbyteSchema, warehouse: Warehouse, resource_type: str) -> DeleteResult:
    """Mark what is gone from a type's table. Raises: as `sweep_airbyte`."""
    swept = sweep_airbyte(schema, warehouse, resource_type)
    return DeleteResult(resource_type, None, swept.until, 0, swept.deleted, swept.seconds, REASON, swept)


def sweep_airbyte(
    schema: AirbyteSchema, warehouse: Warehouse, resource_type: str, *, max_share: float = MAX_SHARE
) -> SweepResult:
    """Compare all ids of a type's table with those here, in one snapshot; all of it is kept, or nothing.

    Args: `max_share` of the type that may be gone at once.
    Raises: IncompleteExtractError (terminal) beyond it. Others as `AirbyteSchema.table` and the warehouse.
    """
    started, until = time.monotonic(), machine_clock()
    with (
        warehouse.lock(lock_name(schema, resource_type)),
        schema.table(resource_type) as table,
        warehouse.connect() as connection,
    ):
        source_count, differences = _compare(connection, table, resource_type)
        gone = [one for one, (_, difference) in differences.items() if difference == "gone"]
        _refuse_mass(connection, schema, resource_type, len(gone), source_count, max_share)
        load = Load(connection, resource_type, source=schema.source, is_present=True)  # a later stamp wins
        counts = _load(connection, load, table, resource_type, differences)
        deleted = _mark(connection, resource_type, differences, gone, counts.load_id)
        loaded = counts.inserted + counts.updated
        connection.execute(
            "insert into raw.delete_search (source, resource_type, way, reason, until_at, source_count, deleted_count,"
            " loaded_count, load_id) values (%s, %s, 'sweep', %s, %s, %s, %s, %s, %s)",
            (schema.source, resource_type, REASON, until, source_count, deleted, loaded, counts.load_id),
        )
    return SweepResult(
        resource_type, source_count, deleted, loaded, until, time.monotonic() - started, counts.rejected
    )  # fmt: skip


def _compare(connection: Connection, table: AirbyteTable, resource_type: str) -> tuple[int, Differences]:
    """Return how many ids the table has, and of each id that differs the version here and the difference."""
    name = table_name(resource_type)
    connection.execute("select raw.ensure_table(%s), raw.begin_delete_search()", (name,))
    with connection.cursor().copy("copy seen (id, version_id, last_updated) from stdin") as copy:
        for resource_id, stamp in table.stamps():
            one = read_resource(resource_type, stamp)
            if not isinstance(one, Rejected):
                copy.write_row((one.id, one.version_id, one.last_updated))
            elif resource_id is not None:
                copy.write_row((resource_id, 0, BEGINNING))  # there, though refused: not gone
    connection.execute("analyze seen")
    row = connection.execute("select count(distinct id) from seen").fetchone()
    found = connection.execute("select id, version_id, difference from raw.compare_seen(%s)", (name,))
    return int(row[0]) if row else 0, {one: (version_id, difference) for one, version_id, difference in found}


def _load(
    connection: Connection, load: Load, table: AirbyteTable, resource_type: str, differences: Differences
) -> LoadCounts:
    """Load what is missing or old here, with all the versions that the table has of it."""
    wanted = sorted(one for one, (_, difference) in differences.items() if difference not in ("gone", "rolled_back"))
    if wanted:
        load_pages(connection, load, resource_type, pages_of(resource_type, table.bodies_of(wanted)), 0)
    return load.counts()


def _mark(
    connection: Connection, resource_type: str, differences: Differences, gone: Sequence[str], load_id: int
) -> int:
    with connection.cursor().copy("copy gone (id, version_id) from stdin") as copy:
        for one in gone:
            copy.write_row((one, differences[one][0]))
    row = connection.execute(
        "select raw.mark_gone(%s, %s, %s)", (table_name(resource_type), resource_type, load_id)
    ).fetchone()
    return int(row[0]) if row else 0


def _refuse_mass(
    connection: Connection, schema: AirbyteSchema, resource_type: str, gone: int, source_count: int, max_share: float
) -> None:
    """Stop before marking a large part of a type."""
    row = connection.execute("select raw.alive_count(%s)", (table_name(resource_type),)).fetchone()
    alive = int(row[0]) if row else 0
    limit = max(HARMLESS_COUNT if source_count else 0, alive * max_share)  # a table that is empty proves least
    if gone > limit:
        raise IncompleteExtractError(
            f"{gone} of {alive} {resource_type} resources here are not in {schema.source}: a sync that is under way or "
            "was reset looks just so, so none was marked. Let Airbyte end its sync and compare its own counts; if they "
            "were really removed, run the job sweep_deletes with max_share 1"
        )
