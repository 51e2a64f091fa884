"""Bulk exports as rows: each kick-off, its files, and which resources came of it.

It knows the rows; it refuses to know how a server is asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.rows import class_row, dict_row

from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.raw_pages import Resource, table_name

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
    """Keep that a job is about to be asked for; give its number."""
    row = connection.execute(
        "insert into raw.export_job (source, resource_types) values (%s, %s) returning export_job_id",
        (source, list(resource_types)),
    ).fetchone()
    return int(row[0]) if row else 0


def alive(connection: Connection, source: str) -> Job | None:
    """Return the job of a source that has not ended."""
    cursor = connection.cursor(row_factory=class_row(Job))
    return cursor.execute(
        "select export_job_id, resource_types, state, coalesce(status_url, '') as status_url, requires_access_token,"
        " extract(epoch from clock_timestamp() - kicked_off_at)::float8 as age_seconds from raw.export_job"
        " where source = %s and state in ('asked', 'running', 'ready')",
        (source,),
    ).fetchone()


def begin(connection: Connection, export_job_id: int, status_url: str) -> None:
    """Keep where the job is asked for."""
    connection.execute(
        "update raw.export_job set state = 'running', status_url = %s where export_job_id = %s",
        (status_url, export_job_id),
    )


def keep_manifest(
    connection: Connection, export_job_id: int, transaction_time: datetime, requires_access_token: bool | None,
    files: Iterable[tuple[FileKind, str, str, int | None]],
) -> None:  # fmt: skip
    """Keep what the manifest tells; files as kind, type, URL and the number of lines, if told."""
    connection.execute(
        "update raw.export_job set state = 'ready', transaction_time = %s, requires_access_token = %s"
        " where export_job_id = %s",
        (transaction_time, requires_access_token, export_job_id),
    )
    connection.cursor().executemany(
        "insert into raw.export_file (export_job_id, kind, resource_type, url, planned_count) values (%s, %s, %s, %s, %s)",
        [(export_job_id, *one) for one in files],
    )


def end(connection: Connection, export_job_id: int, state: EndState, reason: str) -> None:
    """End a job, and forget its URLs."""
    connection.execute("select raw.end_export(%s, %s, nullif(%s, ''))", (export_job_id, state, reason))


def lose(connection: Connection, export_job_id: int, reason: str, most_jobs: int) -> bool:
    """End a job that was lost; say whether another may be asked for."""
    row = connection.execute("select raw.lose_export(%s, %s, %s)", (export_job_id, reason, most_jobs)).fetchone()
    return row is not None and row[0] == "lost"


def files_to_read(connection: Connection, export_job_id: int) -> list[File]:
    """Return the files that are not here yet."""
    cursor = connection.cursor(row_factory=class_row(File))
    return cursor.execute(
        "select export_file_id, kind, resource_type, url, planned_count, attempt_count from raw.export_file"
        " where export_job_id = %s and state = 'planned' order by export_file_id",
        (export_job_id,),
    ).fetchall()


def note_attempt(connection: Connection, export_file_id: int) -> None:
    """Count an attempt to read a file."""
    connection.execute(
        "update raw.export_file set attempt_count = attempt_count + 1 where export_file_id = %s", (export_file_id,)
    )


def land(connection: Connection, export_file_id: int, line_count: int) -> None:
    """Keep that a file was read, in the transaction of its rows."""
    connection.execute(
        "update raw.export_file set state = 'landed', landed_count = %s, landed_at = clock_timestamp()"
        " where export_file_id = %s",
        (line_count, export_file_id),
    )


def fail(connection: Connection, export_file_id: int, reason: str) -> None:
    """Keep that a file was given up."""
    connection.execute(
        "update raw.export_file set state = 'failed', reason = %s where export_file_id = %s", (reason, export_file_id)
    )


def add_errors(connection: Connection, export_job_id: int, count: int) -> None:
    """Count what the server could not export."""
    connection.execute(
        "update raw.export_job set error_count = error_count + %s where export_job_id = %s", (count, export_job_id)
    )


def keep_stamps(connection: Connection, export_job_id: int, resource_type: str, resources: Iterable[Resource]) -> None:
    """Keep which resources came, at which version and stamp."""
    head = f"{export_job_id}\t{resource_type}"
    lines = [f"{head}\t{one.id}\t{one.version_id}\t{one.last_updated.isoformat()}\n" for one in resources]
    with connection.cursor().copy("copy raw.export_stamp from stdin") as copy:
        copy.write("".join(lines))


def mark_deleted(
    connection: Connection, export_job_id: int, resource_type: str, ids: Sequence[str], load_id: int
) -> int:
    """Put tombstones over what the export tells as deleted; give how many."""
    row = connection.execute(
        "select raw.mark_export_deleted(%s, %s, %s, %s, %s)",
        (table_name(resource_type), resource_type, list(ids), load_id, export_job_id),
    ).fetchone()
    return int(row[0]) if row else 0


def certify(connection: Connection, export_job_id: int, resource_type: str, counts: dict[int, int]) -> list[int]:
    """Certify a type's slices that came whole, given the source's count of each now; give their numbers."""
    found = connection.execute(
        "select slice_id from raw.certify_export(%s, %s, %s, %s) where is_certified",
        (export_job_id, table_name(resource_type), list(counts), list(counts.values())),
    )
    return [slice_id for (slice_id,) in found]


def latest(connection: Connection, source: str) -> dict[str, Any] | None:
    """Return the last export of a source as it stands: state, reason, times, counts."""
    cursor = connection.cursor(row_factory=dict_row)
    query = "select * from raw.export_status where source = %s order by export_job_id desc limit 1"
    return cursor.execute(query, (source,)).fetchone()


def told(connection: Connection, source: str, resource_type: str) -> str:
    """Say what the last export of a type brought, or why it did not; empty when none was ever asked for."""
    row = connection.execute(
        "select concat('$export of ', to_char(j.kicked_off_at at time zone 'utc', 'YYYY-MM-DD HH24:MI'), ' UTC: ', j.state,"
        " coalesce(': ' || coalesce(j.reason, j.file_reason), ''), ', ', coalesce(sum(f.landed_count), 0), ' lines')"
        " from raw.export_status j left join raw.export_file f"
        " on f.export_job_id = j.export_job_id and f.kind = 'output' and f.resource_type = %(type)s"
        " where j.source = %(source)s and %(type)s = any (j.resource_types)"
        " group by j.export_job_id, j.kicked_off_at, j.state, j.reason, j.file_reason"
        " order by j.export_job_id desc limit 1",
        {"type": resource_type, "source": source},
    ).fetchone()
    return str(row[0]) if row else ""
