"""Requests that have no verdict, settled by reading DHIS2 back: there means stored, not there means send again.

It knows how to compare; it refuses to send.
"""

import time
from collections.abc import Callable

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.codes import Reason
from opensrp_dhis2.dhis2.import_job import FORGOTTEN_AFTER_SECONDS, await_reply
from opensrp_dhis2.dhis2.models import ServerVersion
from opensrp_dhis2.dhis2.zero_rule import is_droppable_zero
from opensrp_dhis2.outbox import ledger
from opensrp_dhis2.outbox.ledger import Batch, RowVerdict, SentRow
from opensrp_dhis2.warehouse.database import Warehouse

Cell = tuple[str, str, str, str]  # data element, org unit, category option combo, attribute option combo


def settle_unfinished(
    warehouse: Warehouse,
    client: Dhis2Client,
    target: str,
    version: ServerVersion,
    run_id: str,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Settle every request that left without a verdict; give how many there were.

    What is read while an import job may still run is not final, so that it is waited for.
    Raises: Dhis2UnavailableError (transient) while DHIS2 does not answer; the batches stay open.
    """
    with warehouse.connect() as connection:
        batches = ledger.unsettled_batches(connection, target)
    for batch in batches:
        if batch.job_id:
            await_reply(client, batch.job_id, pause=pause)
        elif batch.job_id is not None:  # DHIS2 may have begun a job and never told us its id
            pause(max(0.0, FORGOTTEN_AFTER_SECONDS - batch.age_seconds))
        settle_by_reading(warehouse, client, batch, version, run_id)
    return len(batches)


def settle_by_reading(
    warehouse: Warehouse, client: Dhis2Client, batch: Batch, version: ServerVersion, run_id: str
) -> list[RowVerdict]:
    """Settle one batch by what DHIS2 holds now, and give the verdicts."""
    with warehouse.connect() as connection:
        rows = ledger.sent_rows(connection, batch)
    verdicts = compare(rows, read_back(client, batch, rows), version)
    with warehouse.connect() as connection:
        ledger.settle(
            connection, batch, verdicts, http_status=None, note="settled by reading DHIS2 back", run_id=run_id
        )
    return verdicts


def read_back(client: Dhis2Client, batch: Batch, rows: list[SentRow]) -> dict[Cell, str]:
    """Give the values that DHIS2 holds for the org units of a batch."""
    units = sorted({row.org_unit_id for row in rows})
    stored = client.read_data_values(data_set=batch.data_set_id, period=batch.period, org_units=units)
    return {
        (v.data_element, v.org_unit, v.category_option_combo, v.attribute_option_combo): v.value or ""
        for v in stored
        if not v.is_deleted
    }


def compare(rows: list[SentRow], there: dict[Cell, str], version: ServerVersion) -> list[RowVerdict]:
    """Judge each value by what is there: pure."""
    return [_judged(row, there.get(_cell(row)), can_be_dropped(row, version)) for row in rows]


def can_be_dropped(row: SentRow, version: ServerVersion) -> bool:
    """Tell whether this server drops the value: up to 2.42, a zero of an element where zero means nothing."""
    return not version.has_group_import and is_droppable_zero(
        row.wanted,
        value_type=row.value_type or "",
        aggregation_type=row.aggregation_type or "",
        is_zero_significant=bool(row.zero_is_significant),
    )


def _cell(row: SentRow) -> Cell:
    return (row.data_element_id, row.org_unit_id, row.category_option_combo_id, row.attribute_option_combo_id)


def _judged(row: SentRow, there: str | None, is_droppable: bool) -> RowVerdict:
    if row.wanted == there:
        return RowVerdict(row.row_index, "deleted" if row.wanted is None else "stored")
    if there is None and is_droppable:
        return RowVerdict(row.row_index, "dropped")
    return RowVerdict(row.row_index, "lost", Reason.WRITE_LOST, "not stored; it will be sent again")
