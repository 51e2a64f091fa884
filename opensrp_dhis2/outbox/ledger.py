"""The ledger in Postgres: what should be in DHIS2, what was sent, and what became of it.

It knows the functions of sql/functions/outbox_batch.sql and outbox_plan.sql; it refuses to know HTTP.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from psycopg.rows import class_row, dict_row

from opensrp_dhis2.dhis2.imports.row_engine import is_droppable_zero
from opensrp_dhis2.dhis2.models import ServerVersion
from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.queries import query

States = dict[str, int]


class DataSetPeriod(NamedTuple):
    """One data set and one period of one DHIS2 server: what a report sends."""

    target: str
    data_set_id: str
    period: str


@dataclass(frozen=True)
class Batch:
    """One request, committed before it leaves."""

    batch_id: int
    target: str
    data_set_id: str
    period: str
    import_strategy: str
    value_count: int
    job_id: str | None  # of the import, where DHIS2 runs it as a job; empty until DHIS2 has named it
    age_seconds: float


@dataclass(frozen=True)
class SentRow:
    """One value of a batch, in the order of the payload, with what the zero rule needs to know of its element."""

    row_index: int
    data_element_id: str
    org_unit_id: str
    category_option_combo_id: str
    attribute_option_combo_id: str
    wanted: str | None
    acknowledged: str | None
    attempt: int
    value_type: str | None
    aggregation_type: str | None
    zero_is_significant: bool | None

    def is_dropped_by(self, version: ServerVersion) -> bool:
        """Return whether this server drops the value: up to 2.42, a zero of an element where zero means nothing."""
        return version.import_engine == "row" and is_droppable_zero(
            self.wanted,
            value_type=self.value_type or "",
            aggregation_type=self.aggregation_type or "",
            is_zero_significant=bool(self.zero_is_significant),
        )


@dataclass(frozen=True)
class RecordedVerdict:
    """What became of one value: `verdict` as `outbox.settle` reads it, with DHIS2's code and what it named."""

    row_index: int
    verdict: str
    code: str | None = None
    reason: str | None = None


def plan(
    connection: Connection,
    of: DataSetPeriod,
    *,
    zeros: str,
    is_period_open: bool,
    run_id: str,
    removed_totals: str = "delete",
    is_beyond: bool = False,
    lock_exception_unit_ids: Iterable[str] = (),
) -> States:
    """Bring the ledger up to what the indicators say now; return the number of values by state.

    Args: `is_period_open` by DHIS2, and the org units of which it takes values all the same; `is_beyond` the data set's
        open_periods.
    """
    _keep_lock_exceptions(connection, of, lock_exception_unit_ids)
    planned = connection.execute(
        "select * from outbox.plan(%s, %s, %s, %s, %s, %s, %s, %s)",
        (*of, zeros, removed_totals, is_period_open, is_beyond, run_id),
    )
    return dict(planned.fetchall())


def _keep_lock_exceptions(connection: Connection, of: DataSetPeriod, org_unit_ids: Iterable[str]) -> None:
    units = {"data_set_id": of.data_set_id, "period": of.period, "org_unit_ids": sorted(set(org_unit_ids))}
    connection.execute(query("outbox", "forget_lock_exceptions"), units)
    connection.execute(query("outbox", "keep_lock_exceptions"), units)


def count_next(connection: Connection, of: DataSetPeriod) -> int:
    """Count the pending values that the next requests may carry: those to store, and after them the deletions."""
    row = connection.execute("select outbox.count_next(%s, %s, %s)", of).fetchone()
    return int(row[0]) if row else 0


def cut_batch(
    connection: Connection, of: DataSetPeriod, at_most: int, run_id: str, *, skip: int = 0, fence: int | None = None
) -> Batch | None:
    """Take at most so many pending values into a new batch, behind those skipped; none when nothing is pending."""
    row = connection.execute(
        "select outbox.cut_batch(%s, %s, %s, %s, %s, %s, %s)",
        (*of, at_most, skip, run_id, fence),
    ).fetchone()
    return _batches(connection, of.target, batch_id=row[0])[0] if row and row[0] is not None else None


def unsettled_batches(connection: Connection, target: str) -> list[Batch]:
    """List the requests that left without a verdict: a crash, a time-out, a broken connection."""
    return _batches(connection, target)


def _batches(connection: Connection, target: str, batch_id: int | None = None) -> list[Batch]:
    with connection.cursor(row_factory=class_row(Batch)) as cursor:
        return cursor.execute(query("outbox", "unsettled_batches"), {"target": target, "batch_id": batch_id}).fetchall()


def keep_job(connection: Connection, batch: Batch, job_id: str) -> None:
    """Keep the id of the job in which DHIS2 imports a batch, or before it has one an empty id."""
    connection.execute("update outbox.batch set job_id = %s where batch_id = %s", (job_id, batch.batch_id))


def payload(connection: Connection, batch: Batch) -> bytes:
    """Build the request body of a batch, in SQL."""
    text = "select convert_to(outbox.payload(%s), 'UTF8')"
    row = connection.execute(text, (batch.batch_id,), binary=True).fetchone()
    return bytes(row[0]) if row else b""


def sent_rows(connection: Connection, batch: Batch) -> list[SentRow]:
    """Return the values of a batch in the order in which its payload has them."""
    with connection.cursor(row_factory=class_row(SentRow)) as cursor:
        return cursor.execute("select * from outbox.sent_row(%s)", (batch.batch_id,)).fetchall()


def combos_with(connection: Connection, option_ids: Iterable[str]) -> set[str]:
    """Return the category option combos that have one of these options."""
    text = "select category_option_combo_id from lookup.category_option_combo where option_ids && %s"
    return {combo for (combo,) in connection.execute(text, (sorted(option_ids),))}


def settle(
    connection: Connection,
    batch: Batch,
    verdicts: Iterable[RecordedVerdict],
    *,
    http_status: int | None,
    note: str,
    run_id: str,
    is_proven: bool = False,
) -> None:
    """Write what became of each value of a batch and close it, in the caller's transaction.

    Args: `http_status` of DHIS2's own answer, None when there was none: no attempt. `is_proven`: DHIS2 was read back.
    """
    connection.execute(
        "select outbox.settle(%s, %s, %s, %s, %s, %s)",
        (batch.batch_id, as_json(verdicts), http_status, note, is_proven, run_id),
    )


def as_json(rows: Iterable[object]) -> str:
    """Return rows as the JSON array that a function of sql/functions/ takes: its members are their fields."""
    return msgspec.json.encode(list(rows)).decode()


def keep_late_writes(connection: Connection, batch: Batch, life_seconds: float) -> None:
    """Keep what a request without an answer may still write, for so long after it left; read again that much later."""
    connection.execute("select outbox.keep_late_writes(%s, make_interval(secs => %s))", (batch.batch_id, life_seconds))


def seconds_to_wait(connection: Connection, of: DataSetPeriod) -> float:
    """Return the seconds until no request without an answer can overwrite what is pending with another value."""
    row = connection.execute("select outbox.seconds_to_wait(%s, %s, %s)", of).fetchone()
    return float(row[0]) if row else 0.0


def restore_pending(connection: Connection, batch_ids: list[int], run_id: str) -> None:
    """Put back to pending what these requests refused: it has shown that the values are not to blame."""
    connection.execute("select outbox.restore_pending(%s, %s)", (batch_ids, run_id))


def hold_pending(connection: Connection, of: DataSetPeriod, code: str, run_id: str) -> int:
    """Write on each pending value why it waits, and return how many there are; the next plan takes the code away."""
    row = connection.execute("select outbox.hold_pending(%s, %s, %s, %s, %s)", (*of, code, run_id)).fetchone()
    return int(row[0]) if row else 0


def is_period_known(connection: Connection, of: DataSetPeriod) -> bool:
    """Return whether DHIS2 has acknowledged any value of this period: its first request must go alone and small."""
    row = connection.execute(
        "select exists (select from outbox.value where target = %s and period = %s and acknowledged is not null)",
        (of.target, of.period),
    ).fetchone()
    return bool(row and row[0])


def requeue(
    connection: Connection,
    target: str,
    *,
    run_id: str,
    data_set_code: str | None = None,
    period: str | None = None,
    code: str | None = None,
) -> tuple[int, int]:
    """Put refused values back to pending, and let refused completions be asked for again, once their cause is mended.

    Returns: how many values, how many completions.
    """
    asked = (target, data_set_code, period, code, run_id)
    row = connection.execute(
        "select outbox.requeue(%s, %s, %s, %s, %s), outbox.requeue_completion(%s, %s, %s, %s, %s)", (*asked, *asked)
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def status(connection: Connection, target: str | None = None) -> list[dict[str, Any]]:
    """Count the ledger by data set, period and state, with the code and one plain row for each."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select * from outbox.status where %s::text is null or target = %s", (target,) * 2
        ).fetchall()
