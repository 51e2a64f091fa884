"""Bulk exports as rows: each kick-off, its files, and which resources came of it.

It knows the rows; it refuses to know how a server is asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.rows import class_row, dict_row

from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.load import RawResource, table_name
from opensrp_dhis2.warehouse.queries import query

EndState = Literal["loaded", "refused", "failed"]
FileKind = Literal["output", "deleted", "error"]


@dataclass(frozen=True)
class Job:
    """An export that has not ended at the server, or whose files are not all here."""

    export_job_id: int
    resource_types: list[str]
    state: Literal["asked", "running", "ready"]
    status_url: str
    requires_access_token: bool | None
    age_seconds: float


@dataclass(frozen=True)
class File:
    """One file of a manifest."""

    export_file_id: int
    kind: FileKind
    resource_type: str
    url: str
    planned_count: int | None
    attempt_count: int


def is_needed(connection: Connection, source: str, resource_type: str) -> bool:
    """Return whether a type waits for its first load."""
    row = connection.execute("select raw.needs_first_load(%s, %s)", (source, resource_type)).fetchone()
    return bool(row and row[0])


def ask(connection: Connection, source: str, resource_types: Sequence[str]) -> int:
    """Keep that a job is about to be asked for; return its number."""
    of = {"source": source, "resource_types": list(resource_types)}
    [(export_job_id,)] = connection.execute(query("raw_export", "ask"), of)
    return int(export_job_id)


def alive(connection: Connection, source: str) -> Job | None:
    """Return the job of a source that has not ended."""
    cursor = connection.cursor(row_factory=class_row(Job))
    return cursor.execute(query("raw_export", "alive"), {"source": source}).fetchone()


def begin(connection: Connection, export_job_id: int, status_url: str) -> None:
    """Keep where the job is asked for."""
    connection.execute(query("raw_export", "begin"), {"export_job_id": export_job_id, "status_url": status_url})


def keep_manifest(
    connection: Connection, export_job_id: int, transaction_time: datetime, requires_access_token: bool | None,
    files: Iterable[tuple[FileKind, str, str, int | None]],
) -> None:  # fmt: skip
    """Keep what the manifest tells; files as kind, type, URL and the number of lines, if told."""
    told = {"transaction_time": transaction_time, "requires_access_token": requires_access_token}
    connection.execute(query("raw_export", "keep_manifest"), told | {"export_job_id": export_job_id})
    names = ("export_job_id", "kind", "resource_type", "url", "planned_count")
    rows = [dict(zip(names, (export_job_id, *file), strict=True)) for file in files]
    connection.cursor().executemany(query("raw_export", "keep_file"), rows)


def end(connection: Connection, export_job_id: int, state: EndState, reason: str) -> None:
    """End a job, and forget its URLs."""
    connection.execute("select raw.end_export(%s, %s, nullif(%s, ''))", (export_job_id, state, reason))


def lose(connection: Connection, export_job_id: int, reason: str, most_jobs: int) -> bool:
    """End a job that was lost; return whether another may be asked for."""
    row = connection.execute("select raw.lose_export(%s, %s, %s)", (export_job_id, reason, most_jobs)).fetchone()
    return row is not None and row[0] == "lost"


def files_to_read(connection: Connection, export_job_id: int) -> list[File]:
    """Return the files that are not here yet."""
    cursor = connection.cursor(row_factory=class_row(File))
    return cursor.execute(query("raw_export", "files_to_read"), {"export_job_id": export_job_id}).fetchall()


def note_attempt(connection: Connection, export_file_id: int) -> None:
    """Count an attempt to read a file."""
    connection.execute(query("raw_export", "note_attempt"), {"export_file_id": export_file_id})


def keep_loaded(connection: Connection, export_file_id: int, line_count: int) -> None:
    """Keep that a file was read, in the transaction of its rows."""
    of = {"export_file_id": export_file_id, "line_count": line_count}
    connection.execute(query("raw_export", "keep_loaded"), of)


def fail(connection: Connection, export_file_id: int, reason: str) -> None:
    """Keep that a file was given up."""
    connection.execute(query("raw_export", "fail"), {"export_file_id": export_file_id, "reason": reason})


def add_errors(connection: Connection, export_job_id: int, count: int) -> None:
    """Count what the server could not export."""
    connection.execute(query("raw_export", "add_errors"), {"export_job_id": export_job_id, "count": count})


def keep_stamps(
    connection: Connection, export_job_id: int, resource_type: str, resources: Iterable[RawResource]
) -> None:
    """Keep which resources came, at which version and stamp."""
    head = f"{export_job_id}\t{resource_type}"
    lines = [f"{head}\t{each.id}\t{each.version_id}\t{each.last_updated.isoformat()}\n" for each in resources]
    with connection.cursor().copy("copy raw.export_stamp from stdin") as copy:
        copy.write("".join(lines))


def mark_deleted(
    connection: Connection, export_job_id: int, resource_type: str, ids: Sequence[str], load_id: int
) -> int:
    """Write tombstones over what the export tells as deleted; return how many."""
    row = connection.execute(
        "select raw.mark_export_deleted(%s, %s, %s, %s, %s)",
        (table_name(resource_type), resource_type, list(ids), load_id, export_job_id),
    ).fetchone()
    return int(row[0]) if row else 0


def certify(connection: Connection, export_job_id: int, resource_type: str, counts: dict[int, int]) -> list[int]:
    """Certify a type's slices that came whole, given the source's count of each now; return their numbers."""
    found = connection.execute(
        "select slice_id from raw.certify_export(%s, %s, %s, %s) where is_certified",
        (export_job_id, table_name(resource_type), list(counts), list(counts.values())),
    )
    return [slice_id for (slice_id,) in found]


def latest(connection: Connection, source: str) -> dict[str, Any] | None:
    """Return the last export of a source: state, reason, times, counts."""
    cursor = connection.cursor(row_factory=dict_row)
    cursor.execute("select * from raw.export_status where source = %s order by export_job_id desc limit 1", (source,))
    return cursor.fetchone()


def describe(connection: Connection, source: str, resource_type: str) -> str:
    """Return what the last export of a type brought, or why it did not; empty when none was ever asked for."""
    of = {"resource_type": resource_type, "source": source}
    row = connection.execute(query("raw_export", "describe"), of).fetchone()
    return str(row[0]) if row else ""
