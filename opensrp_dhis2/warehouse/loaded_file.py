"""Which files were loaded, as rows: what each held, what became of its lines, and why one could not be read.

It knows the rows; it refuses to know where files lie.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row, dict_row

from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.raw_pages import LoadCounts, table_name


@dataclass(frozen=True)
class LoadedFile:
    """A file that was loaded into the raw table as it stands."""

    file_name: str
    fingerprint: str
    digest: str


def known(connection: Connection, source: str, resource_type: str) -> dict[str, LoadedFile]:
    """Return the loaded files of a type by name; those loaded before the raw table was emptied are forgotten."""
    connection.execute(
        "delete from raw.loaded_file where source = %s and resource_type = %s"
        " and (state = 'broken' or table_node is distinct from raw.table_node(%s))",
        (source, resource_type, table_name(resource_type)),
    )
    cursor = connection.cursor(row_factory=class_row(LoadedFile))
    cursor.execute(
        "select file_name, fingerprint, digest from raw.loaded_file where source = %s and resource_type = %s",
        (source, resource_type),
    )
    return {one.file_name: one for one in cursor}


def keep_loaded(
    connection: Connection, source: str, resource_type: str, file: LoadedFile, line_count: int, counts: LoadCounts
) -> None:
    """Keep what became of a file's lines; the row's own check refuses counts that do not add up."""
    connection.execute(
        "insert into raw.loaded_file as f (source, resource_type, file_name, state, fingerprint, digest, line_count,"
        " inserted_count, updated_count, unchanged_count, rejected_count, table_node)"
        " values (%s, %s, %s, 'loaded', %s, %s, %s, %s, %s, %s, %s, raw.table_node(%s))"
        " on conflict (source, resource_type, file_name) do update set state = excluded.state, reason = null,"
        " fingerprint = excluded.fingerprint, digest = excluded.digest, line_count = excluded.line_count,"
        " inserted_count = excluded.inserted_count, updated_count = excluded.updated_count,"
        " unchanged_count = excluded.unchanged_count, rejected_count = excluded.rejected_count,"
        " table_node = excluded.table_node, loaded_at = now()",
        (source, resource_type, file.file_name, file.fingerprint, file.digest, line_count, counts.inserted,
         counts.updated, counts.unchanged, counts.rejected, table_name(resource_type)),
    )  # fmt: skip


def keep_same(connection: Connection, source: str, resource_type: str, file: LoadedFile) -> None:
    """Keep the new fingerprint of a file whose content is the old one."""
    connection.execute(
        "update raw.loaded_file set fingerprint = %s where source = %s and resource_type = %s and file_name = %s",
        (file.fingerprint, source, resource_type, file.file_name),
    )


def keep_broken(
    connection: Connection, source: str, resource_type: str, file_name: str, fingerprint: str, reason: str
) -> None:
    """Keep why a file was not loaded, or not proven; the next run takes it again."""
    connection.execute(
        "insert into raw.loaded_file as f (source, resource_type, file_name, state, reason, fingerprint)"
        " values (%s, %s, %s, 'broken', %s, %s)"
        " on conflict (source, resource_type, file_name) do update set state = excluded.state,"
        " reason = excluded.reason, fingerprint = excluded.fingerprint, loaded_at = now()",
        (source, resource_type, file_name, reason, fingerprint),
    )


def certificates(connection: Connection, source: str, resource_type: str) -> list[dict[str, Any]]:
    """Return each file of a type with what became of its lines."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "select file_name, state, reason, line_count, inserted_count, updated_count, unchanged_count, rejected_count,"
        " loaded_at from raw.loaded_file where source = %s and resource_type = %s order by file_name",
        (source, resource_type),
    ).fetchall()


def newest_at(connection: Connection, source: str, resource_type: str) -> datetime | None:
    """Return when a file of a type was loaded last; none before the first."""
    row = connection.execute(
        "select max(loaded_at) from raw.loaded_file where source = %s and resource_type = %s and state = 'loaded'",
        (source, resource_type),
    ).fetchone()
    return row[0] if row else None
