"""Reconciling: DHIS2 read back for a data set and period, and held to what is wanted and what it once confirmed.

It knows what to read and who may read it; the comparison and the policy stand in sql/functions/outbox_reconcile.sql.
Everything is read every time: a filter by lastUpdated never shows that something is missing, 2.43 refuses it alone, and
there every delivery of ours moves it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg.rows import class_row

from opensrp_dhis2.audit.discrepancy import KINDS, Discrepancy, Finding, Reconciliation
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.models import DataValue, ServerVersion
from opensrp_dhis2.errors import MetadataNotFoundError
from opensrp_dhis2.outbox.lease import take_lease
from opensrp_dhis2.outbox.ledger import Slice
from opensrp_dhis2.outbox.proof import prove
from opensrp_dhis2.outbox.settle import settle_unfinished
from opensrp_dhis2.warehouse.database import Connection, Warehouse

ROWS_SHOWN = 100
_NOW_FIELDS = "id,organisationUnits[id],dataSetElements[dataElement[id]]"


@dataclass(frozen=True)
class _Scope:
    """What can be compared: the units that the account may read, and the elements that DHIS2 has in the data set."""

    units: list[str]
    elements: list[str]


def reconcile(
    warehouse: Warehouse, client: Dhis2Client, of: Slice, *, foreign_edits: str, version: ServerVersion, run_id: str
) -> Reconciliation:
    """Find where DHIS2 holds something else than the ledger of a slice says, keep it, and act as the policy says.

    Nothing is sent: what is to be overwritten goes with the next delivery. It waits for the target's lock, and settles
    what was left open first.

    Raises: Dhis2UnavailableError (transient); Dhis2AuthenticationError when the account may not read the values.
    """
    with take_lease(warehouse, of.target, run_id) as lease:
        settle_unfinished(lease, client, version, run_id)
        prove(lease, client, run_id)
        with lease.connect() as connection:
            scope = _scope(connection, client, of, version)
            _copy_values(
                connection, client.read_data_values(of.data_set_id, of.period, scope.units, include_deleted=True)
            )
            findings = _compare(connection, of, scope, foreign_edits, run_id)
            compared, unread = _count_comparable(connection, of, scope)
            return Reconciliation(of, compared, unread, findings, standing_rows(connection, of))


def reconcile_period(
    warehouse: Warehouse, client: Dhis2Client, code: str, period_id: str, *, foreign_edits: str, run_id: str
) -> Reconciliation:
    """Reconcile one period of a data set, by its code. Raises: as `reconcile`."""
    of = _slice(warehouse, client.base_url, code, period_id)
    version = client.system_info().version
    return reconcile(warehouse, client, of, foreign_edits=foreign_edits, version=version, run_id=run_id)


def accept_strangers(
    warehouse: Warehouse, target: str, code: str, period_id: str, *, org_unit: str | None, run_id: str
) -> int:
    """Let stand what others entered, as the last reconciliation listed it, in one org unit or in all; give how many.

    It is listed again once DHIS2 holds something else there. Raises: MetadataNotFoundError for an unknown data set.
    """
    of = _slice(warehouse, target, code, period_id)
    with warehouse.connect() as connection:
        row = connection.execute(
            "select outbox.accept_strangers(%s, %s, %s, %s, %s)",
            (of.target, of.data_set_id, of.period, org_unit, run_id),
        ).fetchone()
    return int(row[0]) if row else 0


def _slice(warehouse: Warehouse, target: str, code: str, period_id: str) -> Slice:
    with warehouse.connect() as connection:
        row = connection.execute("select data_set_id from lookup.data_set where code = %s", (code,)).fetchone()
    if row is None:
        raise MetadataNotFoundError(
            f"data set {code} is not in lookup.data_set: run the job `extract`, which reads DHIS2's metadata, first"
        )
    return Slice(target, row[0], period_id)


def standing_rows(connection: Connection, of: Slice, at_most: int = ROWS_SHOWN) -> tuple[Discrepancy, ...]:
    """Return the first discrepancies of a slice that stand, kind by kind."""
    with connection.cursor(row_factory=class_row(Discrepancy)) as cursor:
        rows = cursor.execute(
            "select * from outbox.standing_discrepancy(%s, %s, %s, %s)", (of.target, of.data_set_id, of.period, at_most)
        )
        return tuple(rows.fetchall())


def count_standing(connection: Connection, target: str, code: str) -> dict[tuple[str, str], int]:
    """Count the discrepancies of a data set that stand since it was last reconciled, by period and kind."""
    rows = connection.execute(
        "select period, kind, count(*) from outbox.named_discrepancy"
        " where target = %s and data_set = %s and resolved_at is null group by 1, 2 order by 1, 2",
        (target, code),
    )
    return {(period, kind): count for period, kind, count in rows}


def _scope(connection: Connection, client: Dhis2Client, of: Slice, version: ServerVersion) -> _Scope:
    me = client.me()
    found = client.get_json(f"dataSets/{of.data_set_id}", {"fields": _NOW_FIELDS})
    is_everywhere = version.import_engine == "atomic" and "ALL" in me.authorities  # older servers bind a superuser too
    units = connection.execute(
        "select * from outbox.comparable_unit(%s, %s, %s, %s, %s)",
        (
            *(of.target, of.data_set_id, of.period),
            [unit["id"] for unit in found.get("organisationUnits", ())],
            None if is_everywhere else list(me.org_unit_ids),
        ),
    )
    elements = [one["dataElement"]["id"] for one in found.get("dataSetElements", ())]
    return _Scope([unit for (unit,) in units], elements)


def _copy_values(connection: Connection, values: Iterable[DataValue]) -> None:
    connection.execute(
        "create temporary table there (data_element_id text, org_unit_id text, category_option_combo_id text,"
        " attribute_option_combo_id text, value text, is_deleted boolean) on commit drop"
    )
    with connection.cursor().copy("copy there from stdin") as copy:
        for one in values:
            cell = (one.data_element, one.org_unit, one.category_option_combo, one.attribute_option_combo)
            # a row that has only a comment holds no value
            copy.write_row((*cell, None if one.is_deleted else one.value or None, one.is_deleted))


def _compare(connection: Connection, of: Slice, scope: _Scope, foreign_edits: str, run_id: str) -> tuple[Finding, ...]:
    with connection.cursor(row_factory=class_row(Finding)) as cursor:
        found = cursor.execute(
            "select * from outbox.reconcile(%s, %s, %s, %s, %s, %s, %s)",
            (of.target, of.data_set_id, of.period, scope.units, scope.elements, foreign_edits, run_id),
        ).fetchall()
    return tuple(sorted(found, key=lambda one: (one.resolution or "", KINDS.index(one.kind))))


def _count_comparable(connection: Connection, of: Slice, scope: _Scope) -> tuple[int, int]:
    row = connection.execute(
        "select * from outbox.count_comparable(%s, %s, %s, %s, %s)",
        (of.target, of.data_set_id, of.period, scope.units, scope.elements),
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)
