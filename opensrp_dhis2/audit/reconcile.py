"""Reconciling: DHIS2 read back for a data set and period, and held to what is wanted and what it once confirmed.

It knows what to read and who may read it; the comparison and the policy stand in sql/functions/outbox_reconcile.sql.
Everything is read every time: a filter by lastUpdated never shows that something is missing, 2.43 refuses it alone, and
there every delivery of ours moves it.
"""

from collections.abc import Iterable

from psycopg.rows import class_row

from opensrp_dhis2.audit.discrepancy import KINDS, Discrepancy, Finding, Reconciliation
from opensrp_dhis2.dhis2.client import Dhis2Client, SystemInfo
from opensrp_dhis2.dhis2.models import DataValue
from opensrp_dhis2.outbox.data_entry_window import DataEntryWindow, data_set_period
from opensrp_dhis2.outbox.lease import take_lease
from opensrp_dhis2.outbox.ledger import DataSetPeriod, as_json
from opensrp_dhis2.outbox.settle import prove, settle_unfinished
from opensrp_dhis2.warehouse.database import Connection, Warehouse
from opensrp_dhis2.warehouse.queries import query

ROWS_SHOWN = 100


def reconcile(
    warehouse: Warehouse,
    client: Dhis2Client,
    of: DataSetPeriod,
    *,
    external_edits: str,
    system: SystemInfo,
    run_id: str,
) -> Reconciliation:
    """Find where DHIS2 holds something else than the ledger of a slice says, keep it, and act as the policy says.

    Nothing is sent: what is to be overwritten goes with the next delivery. It waits for the target's lock, and settles
    what was left open first.

    Raises: Dhis2UnavailableError (transient); Dhis2AuthenticationError when the account may not read the values.
    """
    with take_lease(warehouse, of.target, run_id) as lease:
        settle_unfinished(lease, client, system.version, run_id)
        prove(lease, client, run_id)
        window = DataEntryWindow.live(client, system, of.data_set_id)
        with lease.connect() as connection:
            units, elements = _readable_units(connection, of, window), list(window.data_element_ids)
            stored = client.read_data_values(of.data_set_id, of.period, units, include_deleted=True)
            findings = _compare(connection, (*of, units, elements), stored, external_edits, run_id)
            compared, unread = _count_comparable(connection, (*of, units, elements))
            return Reconciliation(of, compared, unread, findings, open_discrepancies(connection, of))


def reconcile_period(
    warehouse: Warehouse, client: Dhis2Client, code: str, period_id: str, *, external_edits: str, run_id: str
) -> Reconciliation:
    """Reconcile one period of a data set, by its code. Raises: as `reconcile`."""
    with warehouse.connect() as connection:
        of = data_set_period(connection, client.base_url, code, period_id)
    system = client.system_info()
    return reconcile(warehouse, client, of, external_edits=external_edits, system=system, run_id=run_id)


def accept_unknown_values(
    warehouse: Warehouse, target: str, code: str, period_id: str, *, org_unit: str | None, run_id: str
) -> int:
    """Let stand what others entered, as the last reconciliation listed it, in one org unit or in all; return how many.

    It is listed again once DHIS2 holds something else there. Raises: MetadataNotFoundError for an unknown data set.
    """
    with warehouse.connect() as connection:
        of = data_set_period(connection, target, code, period_id)
        row = connection.execute(
            "select outbox.accept_unknown_values(%s, %s, %s, %s, %s)", (*of, org_unit, run_id)
        ).fetchone()
    return int(row[0]) if row else 0


def open_discrepancies(connection: Connection, of: DataSetPeriod, at_most: int = ROWS_SHOWN) -> tuple[Discrepancy, ...]:
    """Return the first discrepancies of a data set and period that stand, kind by kind."""
    with connection.cursor(row_factory=class_row(Discrepancy)) as cursor:
        rows = cursor.execute("select * from outbox.open_discrepancy(%s, %s, %s, %s)", (*of, at_most))
        return tuple(rows.fetchall())


def count_discrepancies(connection: Connection, target: str, code: str) -> dict[tuple[str, str], int]:
    """Count the discrepancies of a data set that stand since it was last reconciled, by period and kind."""
    rows = connection.execute(query("outbox", "count_discrepancies"), {"target": target, "code": code})
    return {(period, kind): count for period, kind, count in rows}


def _readable_units(connection: Connection, of: DataSetPeriod, window: DataEntryWindow) -> list[str]:
    units = connection.execute(
        "select * from outbox.comparable_unit(%s, %s, %s, %s, %s)", (*of, list(window.org_unit_ids), window.root_ids)
    )
    return [unit for (unit,) in units]


def _compare(
    connection: Connection, scope: tuple[object, ...], stored: Iterable[DataValue], external_edits: str, run_id: str
) -> tuple[Finding, ...]:
    with connection.cursor(row_factory=class_row(Finding)) as cursor:
        found = cursor.execute(
            "select * from outbox.reconcile(%s, %s, %s, %s, %s, %s, %s, %s)",
            (*scope, as_json(stored), external_edits, run_id),
        ).fetchall()
    return tuple(sorted(found, key=lambda finding: (finding.resolution or "", KINDS.index(finding.kind))))


def _count_comparable(connection: Connection, scope: tuple[object, ...]) -> tuple[int, int]:
    row = connection.execute("select * from outbox.count_comparable(%s, %s, %s, %s, %s)", scope).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)
