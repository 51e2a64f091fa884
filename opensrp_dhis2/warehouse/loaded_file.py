"""Which files were loaded, as rows: what each held, what became of its lines, and why one could not be read.

It knows the rows; it refuses to know where files lie.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row, dict_row

from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.load import LoadCounts, table_name
from opensrp_dhis2.warehouse.queries import query


@dataclass(frozen=True)
class LoadedFile:
    """A file that was loaded into the raw table as it stands."""

    file_name: str
    fingerprint: str
    digest: str


def known(connection: Connection, source: str, resource_type: str) -> dict[str, LoadedFile]:
    """Return the loaded files of a type by name; those loaded before the raw table was emptied are forgotten."""
    of = {"source": source, "resource_type": resource_type}
    connection.execute(query("raw_file", "forget_emptied"), of | {"table": table_name(resource_type)})
    cursor = connection.cursor(row_factory=class_row(LoadedFile))
    return {file.file_name: file for file in cursor.execute(query("raw_file", "known"), of)}


def keep_loaded(
    connection: Connection, source: str, resource_type: str, file: LoadedFile, line_count: int, counts: LoadCounts
) -> None:
    """Keep what became of a file's lines; the row's own check refuses counts that do not add up."""
    of = {"source": source, "resource_type": resource_type, "table": table_name(resource_type)}
    found = {"line_count": line_count} | asdict(counts) | asdict(file)
    connection.execute(query("raw_file", "keep_loaded"), of | found)


def keep_same(connection: Connection, source: str, resource_type: str, file: LoadedFile) -> None:
    """Keep the new fingerprint of a file whose content is the old one."""
    of = {"source": source, "resource_type": resource_type}
    connection.execute(query("raw_file", "keep_same"), of | asdict(file))


def keep_broken(
    connection: Connection, source: str, resource_type: str, file_name: str, fingerprint: str, reason: str
) -> None:
    """Keep why a file was not loaded, or not proven; the next run takes it again."""
    of = {"source": source, "resource_type": resource_type, "file_name": file_name}
    connection.execute(query("raw_file", "keep_broken"), of | {"fingerprint": fingerprint, "reason": reason})


def certificates(connection: Connection, source: str, resource_type: str) -> list[dict[str, Any]]:
    """Return each file of a type with what became of its lines."""
    cursor = connection.cursor(row_factory=dict_row)
    of = {"source": source, "resource_type": resource_type}
    return cursor.execute(query("raw_file", "certificates"), of).fetchall()


def newest_at(connection: Connection, source: str, resource_type: str) -> datetime | None:
    """Return when a file of a type was loaded last; none before the first."""
    of = {"source": source, "resource_type": resource_type}
    [(newest,)] = connection.execute(query("raw_file", "newest_at"), of)
    return newest  # type: ignore[no-any-return]
