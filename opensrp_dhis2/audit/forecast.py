"""The forecast: what the next push will do to each value of a data set and period, and afterwards how right it was.

It knows the ledger, what DHIS2 holds and what DHIS2 says of the data set now; it refuses to send.
"""

from dataclasses import dataclass

import msgspec
from psycopg.rows import class_row

from opensrp_dhis2.dhis2.client import Dhis2Client, SystemInfo
from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.messages.catalogue import catalogue
from opensrp_dhis2.messages.codes import explain
from opensrp_dhis2.outbox.data_entry_window import DataEntryWindow, data_set_period
from opensrp_dhis2.outbox.lease import take_lease
from opensrp_dhis2.outbox.ledger import DataSetPeriod, as_json
from opensrp_dhis2.plain_text import markdown_table
from opensrp_dhis2.warehouse.database import Connection, Warehouse

OUTCOMES = ("create", "change", "same", "delete", "zero_dropped", "refused", "closed")


@dataclass(frozen=True)
class Share:
    """The values of one predicted outcome and code.

    `drifted_count`: refused by what DHIS2 says now, and the lookup tables do not yet.
    """

    predicted_outcome: str
    code: str | None
    value_count: int
    edited_count: int
    drifted_count: int


@dataclass(frozen=True)
class Forecast:
    """What will become of the values of one slice; nothing is sent by it."""

    of: DataSetPeriod
    shares: tuple[Share, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of values by predicted outcome, each named."""
        return {
            outcome: sum(share.value_count for share in self.shares if share.predicted_outcome == outcome)
            for outcome in OUTCOMES
        }

    @property
    def edited(self) -> int:
        """Values of which DHIS2 holds something else than it last confirmed: for reconcile to judge."""
        return sum(share.edited_count for share in self.shares)

    @property
    def drifted(self) -> int:
        """Values that DHIS2 will refuse for metadata that changed since the lookup tables were filled."""
        return sum(share.drifted_count for share in self.shares)

    def markdown(self, language: str = "en") -> str:
        """Draw the outcomes as a Markdown table, with the reason and whose job it is."""
        heads, rows = catalogue(language).columns("outcome", "values", "why", "who_and_how"), []
        for share in self.shares:
            said = explain(share.code, language) if share.code else None
            why = (f"{share.code}: {said.sentence}", f"{said.owner_label}: {said.remedy}") if said else ("", "")
            rows.append((share.predicted_outcome, share.value_count, *why))
        return markdown_table(heads, rows, numbers=(1,))


@dataclass(frozen=True)
class Example:
    """A value that will be refused or is closed, by the names that people know."""

    predicted_outcome: str
    code: str | None
    org_unit: str
    data_element: str
    wanted: str | None


def forecast(
    warehouse: Warehouse, client: Dhis2Client, of: DataSetPeriod, *, system: SystemInfo, run_id: str
) -> Forecast:
    """Predict what the next push will do to each value of a data set and period, and keep it for the score.

    The caller holds the target's lock, has settled what was open, and has planned. DHIS2 is asked for the account, the
    data set, and the values that stand in it; and for the units for which a closed period was opened again.

    Raises: Dhis2UnavailableError (transient); Dhis2AuthenticationError when the account may not read the values.
    """
    window = DataEntryWindow.live(client, system, of.data_set_id)
    now = _now(client, window, of)
    with warehouse.connect() as connection:
        units = _readable_units(connection, of, window)
        stored = client.read_data_values(of.data_set_id, of.period, units, include_deleted=True)
        with connection.cursor(row_factory=class_row(Share)) as cursor:
            shares = cursor.execute(
                "select * from outbox.forecast_values(%s, %s, %s, %s, %s, %s)", (*of, now, as_json(stored), run_id)
            ).fetchall()
    return Forecast(of, tuple(sorted(shares, key=lambda s: (OUTCOMES.index(s.predicted_outcome), s.code or ""))))


def forecast_period(warehouse: Warehouse, client: Dhis2Client, code: str, period_id: str, *, run_id: str) -> Forecast:
    """Forecast one period of a data set, by its code, under the target's lock. Raises: as `forecast`."""
    with take_lease(warehouse, client.base_url, run_id):
        with warehouse.connect() as connection:
            of = data_set_period(connection, client.base_url, code, period_id)
        return forecast(warehouse, client, of, system=client.system_info(), run_id=run_id)


def examples(connection: Connection, of: DataSetPeriod, at_most: int = 3) -> list[Example]:
    """Return some values of each reason for which the slice's forecast has them refused or closed."""
    with connection.cursor(row_factory=class_row(Example)) as cursor:
        return cursor.execute("select * from outbox.forecast_example(%s, %s, %s, %s)", (*of, at_most)).fetchall()


def _now(client: Dhis2Client, window: DataEntryWindow, of: DataSetPeriod) -> str:
    """Return what DHIS2 says now, as outbox.data_entry_window reads it."""
    period = parse_period(of.period)
    now = {
        "can_write": window.can_write,
        "org_unit_ids": window.org_unit_ids,
        "data_element_ids": window.data_element_ids,
        "root_ids": window.root_ids,
        "closing_code": window.closing_code(period),
        "lock_exception_unit_ids": window.lock_exception_units(client, period),
        "has_group_import": window.has_group_import,
    }
    return msgspec.json.encode(now).decode()


def _readable_units(connection: Connection, of: DataSetPeriod, window: DataEntryWindow) -> list[str]:
    units = connection.execute(
        "select * from outbox.readable_unit(%s, %s, %s, %s, %s)", (*of, list(window.org_unit_ids), window.root_ids)
    )
    return [unit for (unit,) in units]
