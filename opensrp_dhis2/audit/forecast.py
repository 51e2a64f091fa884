"""The forecast: what the next push will do to each value of a data set and period, and afterwards how right it was.

It knows the ledger, what DHIS2 holds and what DHIS2 says of the data set now; it refuses to send.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg.rows import class_row

from opensrp_dhis2.audit.data_set_now import DataSetNow, ask_data_set
from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.imports.row_engine import is_droppable_zero
from opensrp_dhis2.dhis2.models import DataValue, ServerVersion
from opensrp_dhis2.errors import MetadataNotFoundError
from opensrp_dhis2.messages.catalogue import catalogue
from opensrp_dhis2.messages.codes import explain
from opensrp_dhis2.outbox.lease import take_lease
from opensrp_dhis2.outbox.ledger import Slice
from opensrp_dhis2.plain_text import markdown_table
from opensrp_dhis2.warehouse.database import Connection, Warehouse

FATES = ("create", "change", "same", "delete", "zero_dropped", "refused", "closed")


@dataclass(frozen=True)
class Share:
    """The values of one fate and code; `drifted`: refused by what DHIS2 says now, and the lookup tables do not yet."""

    fate: str
    code: str | None
    value_count: int
    edited_count: int
    drifted_count: int


@dataclass(frozen=True)
class Forecast:
    """What will become of the values of one slice; nothing is sent by it."""

    of: Slice
    shares: tuple[Share, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Values by fate, every fate named."""
        return {fate: sum(share.value_count for share in self.shares if share.fate == fate) for fate in FATES}

    @property
    def edited(self) -> int:
        """Values of which DHIS2 holds something else than it last confirmed: for reconcile to judge."""
        return sum(share.edited_count for share in self.shares)

    @property
    def drifted(self) -> int:
        """Values that DHIS2 will refuse for metadata that changed since the lookup tables were filled."""
        return sum(share.drifted_count for share in self.shares)

    def markdown(self, language: str = "en") -> str:
        """Draw the fates as a Markdown table, with the reason and whose job it is."""
        heads, rows = catalogue(language).columns("outcome", "values", "why", "who_and_how"), []
        for share in self.shares:
            said = explain(share.code, language) if share.code else None
            why = (f"{share.code}: {said.sentence}", f"{said.owner_label}: {said.remedy}") if said else ("", "")
            rows.append((share.fate, share.value_count, *why))
        return markdown_table(heads, rows, numbers=(1,))


@dataclass(frozen=True)
class Example:
    """A value that will be refused or is closed, by the names that people know."""

    fate: str
    code: str | None
    org_unit: str
    data_element: str
    wanted: str | None


def forecast(warehouse: Warehouse, client: Dhis2Client, of: Slice, *, version: ServerVersion, run_id: str) -> Forecast:
    """Say what the next push will do to each value of a slice, and keep it for the score.

    The caller holds the target's lock, has settled what was open, and has planned. DHIS2 is asked for its clock,
    the account, the data set, and the values that stand in it; and for the units for which a closed period was opened
    again.

    Raises: Dhis2UnavailableError (transient); Dhis2AuthenticationError when the account may not read the values.
    """
    now = ask_data_set(client, of, version)
    with warehouse.connect() as connection:
        units = _readable_units(connection, of, now)
        _copy_values(connection, client.read_data_values(of.data_set_id, of.period, units, include_deleted=True))
        known = (now.can_write, now.org_unit_ids, now.data_element_ids, now.root_ids, now.closing_code)
        with connection.cursor(row_factory=class_row(Share)) as cursor:
            shares = cursor.execute(
                "select * from outbox.foresee(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    *(of.target, of.data_set_id, of.period, *known, now.reopened_ids),
                    *(_droppable(connection, of, version), run_id),
                ),
            ).fetchall()
        connection.execute("drop table there")
    return Forecast(of, tuple(sorted(shares, key=lambda share: (FATES.index(share.fate), share.code or ""))))


def forecast_period(warehouse: Warehouse, client: Dhis2Client, code: str, period_id: str, *, run_id: str) -> Forecast:
    """Forecast one period of a data set, by its code, under the target's lock. Raises: as `forecast`."""
    with take_lease(warehouse, client.base_url, run_id):
        with warehouse.connect() as connection:
            row = connection.execute("select data_set_id from lookup.data_set where code = %s", (code,)).fetchone()
        if row is None:
            raise MetadataNotFoundError(
                f"data set {code} is not in lookup.data_set: run the job `extract`, which reads DHIS2's metadata, first"
            )
        version = client.system_info().version
        return forecast(warehouse, client, Slice(client.base_url, row[0], period_id), version=version, run_id=run_id)


def examples(connection: Connection, of: Slice, at_most: int = 3) -> list[Example]:
    """Return some values of each reason for which the slice's forecast has them refused or closed."""
    with connection.cursor(row_factory=class_row(Example)) as cursor:
        return cursor.execute(
            "select * from outbox.forecast_example(%s, %s, %s, %s)", (of.target, of.data_set_id, of.period, at_most)
        ).fetchall()


def _readable_units(connection: Connection, of: Slice, now: DataSetNow) -> list[str]:
    rows = connection.execute(
        "select * from outbox.readable_unit(%s, %s, %s, %s, %s)",
        (of.target, of.data_set_id, of.period, now.org_unit_ids, now.root_ids),
    )
    return [unit for (unit,) in rows]


def _copy_values(connection: Connection, values: Iterable[DataValue]) -> None:
    connection.execute(
        "create temporary table there (data_element_id text, org_unit_id text, category_option_combo_id text,"
        " attribute_option_combo_id text, value text) on commit drop"
    )
    with connection.cursor().copy("copy there from stdin") as copy:
        for one in values:
            cell = (one.data_element, one.org_unit, one.category_option_combo, one.attribute_option_combo)
            copy.write_row((*cell, None if one.is_deleted else one.value or ""))


def _droppable(connection: Connection, of: Slice, version: ServerVersion) -> list[str]:
    """Return the elements of which this server throws a zero away."""
    if version.import_engine == "atomic":
        return []
    rows = connection.execute(
        "select data_element_id, value_type, aggregation_type, zero_is_significant from lookup.data_element"
        " join lookup.data_set_element using (data_element_id) where data_set_id = %s",
        (of.data_set_id,),
    )
    return [
        element
        for element, value_type, aggregation, is_significant in rows
        if is_droppable_zero(
            "0", value_type=value_type, aggregation_type=aggregation, is_zero_significant=is_significant
        )
    ]
