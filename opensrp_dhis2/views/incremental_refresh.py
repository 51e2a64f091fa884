"""Staging tables: made from their SQL, then kept up by the keys of the raw rows that were loaded since.

It knows raw's load numbers; it refuses to know what the columns mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composed, Identifier

from opensrp_dhis2.views.catalog import Catalog, View
from opensrp_dhis2.views.changed_periods import keep_periods, track_changes
from opensrp_dhis2.views.contract import describe, translated_refusal
from opensrp_dhis2.views.relation import (
    Relation,
    bracketed,
    changed_ids,
    content_digest,
    count_rows,
    delete_rows,
    digest,
    functions_digest,
    insert_rows,
    record,
    relation,
    scalar,
    staging_indexes,
    staging_table,
)
from opensrp_dhis2.warehouse.database import Connection, Warehouse

FULL_SHARE = 0.2  # above this share of changed rows, all rows are cheaper than single keys


@dataclass(frozen=True)
class RefreshResult:
    """What one upkeep did: the table's rows, the resources that had changed, the past periods of the rows that moved."""

    rows: int
    changed: int
    periods: tuple[str, ...] = ()


def high_water(warehouse: Warehouse, view: View) -> int:
    """Return the highest load number of a view's raw table that no running load can still undercut.

    A short transaction of its own (decision 2): rows loaded after it may be read already, and are read again next time.
    """
    with warehouse.connect() as connection:
        stem = view.raw_table.removeprefix("raw.")
        connection.execute("select raw.ensure_table(%s) where to_regclass(%s) is null", (stem, view.raw_table))
        connection.execute(SQL("lock table {} in share mode").format(relation(view.raw_table)))
        highest = SQL("select coalesce(max(load_id), 0) from {}").format(relation(view.raw_table))
        return int(str(scalar(connection, highest)))


def definitions(connection: Connection, catalog: Catalog, report_timezone: str) -> dict[str, str]:
    """Digest what each staging table is made from: its file, the fhir functions, our addresses, the zone that cuts days."""
    shared = functions_digest(connection), content_digest(connection, "raw.own_address"), report_timezone
    return {
        view.name: digest(view.sql, view.front_matter.key, view.front_matter.indexes, *shared)
        for view in catalog.staging
    }


def make_tables(connection: Connection, views: Sequence[View]) -> None:
    """Make staging tables anew beside the old, which readers go on reading."""
    for view in views:
        describe(connection, view)
        connection.execute(SQL("drop table if exists {}").format(relation(_new(view))))
        _run(connection, view, staging_table(view, _new(view)))


def swap_tables(
    connection: Connection, views: Sequence[View], marks: Mapping[str, int], checksums: Mapping[str, str]
) -> None:
    """Put the new tables in place of the old; what still stands on those is dropped with them."""
    for view in views:
        connection.execute(SQL("drop table if exists {} cascade").format(relation(view.name)))
        connection.execute(SQL("alter table {} rename to {}").format(relation(_new(view)), Identifier(view.path_stem)))
        for index in staging_indexes(view):
            connection.execute(index)
        connection.execute(SQL("analyze {}").format(relation(view.name)))
        rows = count_rows(connection, relation(view.name))
        record(connection, Relation(view.name, view.kind, checksums[view.name], marks[view.name], None, rows))


def refresh_staging(connection: Connection, catalog: Catalog, view: View, built: Relation, mark: int) -> RefreshResult:
    """Bring a staging table up to the load number `mark`."""
    since = built.load_id or 0
    ids = changed_ids(view, since if mark >= since else -1)
    changed = count_rows(connection, bracketed(ids))
    if not changed and mark == since:
        return RefreshResult(built.row_count, 0)
    is_full = changed > FULL_SHARE * _estimate(connection, view.raw_table) or mark < since
    keys, kept = None if is_full else ids, track_changes(connection, catalog, view)
    returned = kept.returned if kept else None
    deleted = connection.execute(delete_rows(view, keys, returned)).rowcount
    inserted = _run(connection, view, insert_rows(view, keys, returned))
    if is_full:
        connection.execute(SQL("analyze {}").format(relation(view.name)))
    rows = built.row_count - deleted + inserted
    record(connection, Relation(view.name, view.kind, built.checksum, mark, None, rows))
    return RefreshResult(rows, changed, keep_periods(connection, view, kept.readers) if kept else ())


def _new(view: View) -> str:
    return f"{view.name}__new"


def _run(connection: Connection, view: View, statement: Composed) -> int:
    """Run a statement that holds a view's SQL; return its number of rows."""
    text = statement.as_string(connection)
    with translated_refusal(view, text):
        return connection.execute(text).rowcount


def _estimate(connection: Connection, table: str) -> int:
    """Return about how many rows a table has: Postgres's own estimate, counted only where there is none yet."""
    row = connection.execute("select reltuples::bigint from pg_class where oid = to_regclass(%s)", (table,)).fetchone()
    return int(row[0]) if row and row[0] >= 0 else count_rows(connection, relation(table))
