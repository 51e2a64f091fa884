"""The slices of each type's windows as rows: planned together, finished one by one with a certificate.

It knows the rows and what stands in raw tables; it refuses to know how a server is asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from opensrp_dhis2.warehouse import watermark
from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.raw_pages import table_name

Kind = Literal["window", "resweep"]
SHOWN_IDS = 20
_COLUMNS = "slice_id, window_from, window_to, planned_count, state"


@dataclass(frozen=True)
class Slice:
    """A part of a window that is read at once."""

    slice_id: int
    window_from: datetime
    window_to: datetime
    planned_count: int
    state: str


@dataclass(frozen=True)
class Standing:
    """How far a type is: certified to `read_to`, planned to `planned_to`, and the source's clock at that time."""

    read_to: datetime | None
    planned_to: datetime | None
    clock_ahead: timedelta | None
    warehouse_at: datetime


@dataclass(frozen=True)
class Landed:
    """What of the ids asked for stands in raw, and which do not."""

    count: int
    digest: str
    absent_ids: list[str]


@dataclass
class Certificate:
    """What was found when a slice had been read; the columns of raw.slice tell what each means."""

    state: Literal["landed", "certified", "short"]
    source_count: int
    source_digest: str
    landed_count: int
    landed_digest: str
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


def standing(connection: Connection, source: str, resource_type: str) -> Standing:
    """Say how far a type has been read and planned."""
    planned_to, clock_ahead = connection.execute(
        "select window_to, clock_ahead from raw.slice where source = %s and resource_type = %s and kind = 'window'"
        " order by window_to desc, slice_id desc limit 1",
        (source, resource_type),
    ).fetchone() or (None, None)
    [(warehouse_at,)] = connection.execute("select clock_timestamp()").fetchall()
    return Standing(watermark.read_to(connection, source, resource_type), planned_to, clock_ahead, warehouse_at)


def forget(connection: Connection, source: str, resource_type: str) -> None:
    """Take watermark and slices away: the next window begins at the beginning."""
    watermark.forget(connection, source, resource_type)
    connection.execute("delete from raw.slice where source = %s and resource_type = %s", (source, resource_type))


def unfinished(connection: Connection, source: str, resource_type: str, kind: Kind) -> list[Slice]:
    """Return what an earlier run planned and did not certify, in order of time."""
    connection.execute("select raw.forget_slices_without_watermark(%s, %s)", (source, resource_type))
    cursor = connection.cursor(row_factory=class_row(Slice))
    query = f"select {_COLUMNS} from raw.slice where source = %s and resource_type = %s and kind = %s"  # noqa: S608
    cursor.execute(f"{query} and state <> 'certified' order by window_from", (source, resource_type, kind))
    return cursor.fetchall()


def plan(
    connection: Connection, source: str, resource_type: str, kind: Kind, clock_ahead: timedelta,
    cuts: Sequence[tuple[datetime, datetime, int]],
) -> list[Slice]:  # fmt: skip
    """Keep the slices of one window, given as from, to and the source's count; in order of time."""
    cursor = connection.cursor(row_factory=class_row(Slice))
    columns = [list(column) for column in zip(*cuts, strict=True)]
    query = f"select {_COLUMNS} from raw.plan_slices(%s, %s, %s, %s, %s, %s, %s) order by window_from"  # noqa: S608
    return cursor.execute(query, (source, resource_type, kind, clock_ahead, *columns)).fetchall()


def compare(connection: Connection, resource_type: str, versions: Mapping[str, tuple[int, datetime]]) -> Landed:
    """Look for these ids in raw, each at this version and time or later ones."""
    row = connection.execute(
        "select * from raw.compare_landed(%s, %s)",
        (table_name(resource_type), msgspec.json.encode(versions).decode()),
    ).fetchone()
    return Landed(*row) if row else Landed(0, "", [])


def compare_received(connection: Connection, resource_type: str) -> Landed:
    """Look in raw for what the temporary table `received` tells; absent is what neither landed nor was refused."""
    row = connection.execute(
        "select * from raw.compare_received(%s, %s)", (table_name(resource_type), resource_type)
    ).fetchone()
    return Landed(*row) if row else Landed(0, "", [])


def finish(connection: Connection, slice_id: int, certificate: Certificate) -> None:
    """Keep a slice's certificate; certified, it may let the watermark move."""
    found = asdict(certificate) | {"missing_ids": list(certificate.missing_ids)}
    connection.execute("select raw.finish_slice(%s, %s)", (slice_id, Jsonb(found)))


def shortfalls(connection: Connection, source: str, resource_type: str) -> list[dict[str, Any]]:
    """Return the slices of a type that stayed short, with at most 20 of the ids missing in each."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(
        "select kind, window_from, window_to, cardinality(missing_ids) + unlisted_count as missing_count,"
        " missing_ids[1:%s] as missing_ids, unlisted_count, unlisted_from, attempt_count from raw.slice"
        " where source = %s and resource_type = %s and state = 'short' order by window_from",
        (SHOWN_IDS, source, resource_type),
    ).fetchall()


def status(connection: Connection, source: str, resource_types: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return how far each type stands, one row a type and kind."""
    cursor = connection.cursor(row_factory=dict_row)
    cursor.execute("select * from raw.extract_status where source = %s order by resource_type, kind desc", (source,))
    wanted = set(resource_types)
    return [row for row in cursor if not wanted or row["resource_type"] in wanted]
