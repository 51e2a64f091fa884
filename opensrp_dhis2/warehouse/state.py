"""How far each type of each source has been read, as rows: watermark, slices with their certificates, what was rejected.

It knows the rows; it refuses to know how a server is asked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.load import table_name
from opensrp_dhis2.warehouse.queries import query

Kind = Literal["window", "resweep"]
SHOWN_IDS = 20


@dataclass(frozen=True)
class Slice:
    """A part of a window that is read at once."""

    slice_id: int
    window_from: datetime
    window_to: datetime
    planned_count: int
    state: str


@dataclass(frozen=True)
class Progress:
    """How far a type is: certified to `read_to`, planned to `planned_to`, and the source's clock at that time."""

    read_to: datetime | None
    planned_to: datetime | None
    clock_ahead: timedelta | None
    warehouse_at: datetime

    @property
    def reached(self) -> datetime | None:
        """Return the later of both; none when nothing was planned."""
        return max((at for at in (self.read_to, self.planned_to) if at), default=None)


@dataclass
class Certificate:
    """What was found when a slice had been read; the columns of raw.slice tell what each means."""

    state: Literal["loaded", "certified", "incomplete"]
    source_count: int
    source_digest: str
    loaded_count: int
    loaded_digest: str
    rejected_count: int = 0
    repaired_count: int = 0
    late_count: int = 0
    changed_count: int = 0
    deleted_count: int = 0
    missing_ids: Sequence[str] = ()
    unlisted_count: int = 0
    unlisted_from: str | None = None

    @property
    def missing_count(self) -> int:
        return len(self.missing_ids) + self.unlisted_count


def read_to(connection: Connection, source: str, resource_type: str) -> datetime | None:
    """Return the end of the last window that was read whole; none before the first."""
    return progress(connection, source, resource_type).read_to


def move_watermark(connection: Connection, source: str, resource_type: str, read_to: datetime) -> None:
    """Move the watermark, forwards only; `forget` is the way back."""
    moved = {"source": source, "resource_type": resource_type, "read_to": read_to}
    connection.execute(query("raw_state", "move_watermark"), moved)


def progress(connection: Connection, source: str, resource_type: str) -> Progress:
    """Return how far a type has been read and planned."""
    cursor = connection.cursor(row_factory=class_row(Progress))
    cursor.execute(query("raw_state", "progress"), {"source": source, "resource_type": resource_type})
    return next(cursor)


def forget(connection: Connection, source: str, resource_type: str) -> None:
    """Take watermark and slices away: the next window begins at the beginning."""
    connection.execute(query("raw_state", "forget"), {"source": source, "resource_type": resource_type})


def unfinished(connection: Connection, source: str, resource_type: str, kind: Kind) -> list[Slice]:
    """Return what an earlier run planned and did not certify, in order of time."""
    connection.execute("select raw.forget_slices_without_watermark(%s, %s)", (source, resource_type))
    cursor = connection.cursor(row_factory=class_row(Slice))
    of = {"source": source, "resource_type": resource_type, "kind": kind}
    return cursor.execute(query("raw_state", "unfinished_slices"), of).fetchall()


def plan(
    connection: Connection, source: str, resource_type: str, kind: Kind, clock_ahead: timedelta,
    cuts: Sequence[tuple[datetime, datetime, int]],
) -> list[Slice]:  # fmt: skip
    """Keep the slices of one window, given as from, to and the source's count; in order of time."""
    cursor = connection.cursor(row_factory=class_row(Slice))
    of = {"source": source, "resource_type": resource_type, "kind": kind, "clock_ahead": clock_ahead}
    from_ats, to_ats, counts = (list(column) for column in zip(*cuts, strict=True))
    columns = {"from_ats": from_ats, "to_ats": to_ats, "counts": counts}
    return cursor.execute(query("raw_state", "plan_slices"), of | columns).fetchall()


def finish(connection: Connection, slice_id: int, certificate: Certificate) -> None:
    """Keep a slice's certificate; certified, it may let the watermark move."""
    found = asdict(certificate) | {"missing_ids": list(certificate.missing_ids)}
    connection.execute("select raw.finish_slice(%s, %s)", (slice_id, Jsonb(found)))


def incomplete(connection: Connection, source: str, resource_type: str) -> list[dict[str, Any]]:
    """Return the slices of a type that stayed incomplete, with at most 20 of the ids missing in each."""
    cursor = connection.cursor(row_factory=dict_row)
    of = {"source": source, "resource_type": resource_type}
    return cursor.execute(query("raw_state", "incomplete_slices"), of).fetchall()


def status(connection: Connection, source: str, resource_types: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return how far each type is, one row a type and kind."""
    cursor = connection.cursor(row_factory=dict_row)
    cursor.execute("select * from raw.extract_status where source = %s order by resource_type, kind desc", (source,))
    wanted = set(resource_types)
    return [row for row in cursor if not wanted or row["resource_type"] in wanted]


def outstanding(connection: Connection, resource_type: str) -> list[tuple[str, str]]:
    """Return the id of each resource that was rejected and has not come since, and why."""
    found = "select id, reason from raw.outstanding(%s, %s)"
    return connection.execute(found, (table_name(resource_type), resource_type)).fetchall()


def settle(connection: Connection, resource_type: str, ids: Sequence[str]) -> None:
    """Keep that these were rejected, asked for again, and came or are gone."""
    connection.execute(query("raw_state", "settle_rejected"), {"resource_type": resource_type, "ids": list(ids)})


def remember_address(connection: Connection, *urls: str) -> None:
    """Add addresses of our own server, so that absolute references to it are known as ours; none is ever taken away."""
    addresses = [url.partition("://")[2].rstrip("/") for url in urls]
    insert = "insert into raw.own_address select unnest(%s::text[]) on conflict do nothing"
    connection.execute(insert, ([address for address in addresses if address],))
