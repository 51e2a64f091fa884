"""Whether DHIS2 takes values of a period, and from whom: the one answer for plan, delivery, forecast and reconcile.

It knows the data set's own rules, the account's rights and lock exceptions, as the lookup tables have them or as DHIS2
says now; which single value is held back stands in sql/functions/outbox_check.sql.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta

from opensrp_dhis2.dhis2.client import Dhis2Client, Me, SystemInfo
from opensrp_dhis2.dhis2.metadata import DataSetState, data_set_state
from opensrp_dhis2.dhis2.models import ServerVersion
from opensrp_dhis2.dhis2.periods import Period, period_of
from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2Error, MetadataNotFoundError
from opensrp_dhis2.lookup.metadata import keep_account, keep_data_set_state
from opensrp_dhis2.outbox.ledger import DataSetPeriod, hold_pending
from opensrp_dhis2.warehouse.database import Connection
from opensrp_dhis2.warehouse.queries import query

_FIELDS = (
    "id,access,expiryDays,openFuturePeriods,openPeriodsAfterCoEndDate,categoryCombo[id],workflow[id],"
    "dataInputPeriods[period,openingDate,closingDate],organisationUnits[id],dataSetElements[dataElement[id]]"
)
_EXCEPTION_FIELDS = "period[id],organisationUnit[id],dataSet[id]"
_NOBODY = Me("", "", frozenset(), (), ())


@dataclass(frozen=True)
class DataEntryWindow:
    """Which periods of a data set are open for data entry, and for whom.

    Args: `today` by DHIS2's clock. What only DHIS2 says: `account`, `can_write` to the data set, its org units and
        elements, and a digest of it all in `state` (None: DHIS2 says nothing of the data set, and may refuse all).
    """

    data_set_id: str
    open_future_periods: int
    expiry_days: float
    has_input_periods: bool
    today: date
    version: ServerVersion | None = None
    account: Me = _NOBODY
    can_write: bool = True
    org_unit_ids: tuple[str, ...] = ()
    data_element_ids: tuple[str, ...] = ()
    state: DataSetState | None = None

    @classmethod
    def cached(cls, connection: Connection, code: str, today: date) -> "DataEntryWindow":
        """Return the rules of a data set as its metadata were last read, without an account.

        Raises: MetadataNotFoundError when DHIS2's metadata lack it.
        """
        return cls(*_rules(connection, code), today)

    @classmethod
    def live(
        cls, client: Dhis2Client, system: SystemInfo, data_set_id: str, instead: "DataEntryWindow | None" = None
    ) -> "DataEntryWindow":
        """Ask DHIS2 for the account and the data set: two small requests.

        Args: `instead` gives the rules where DHIS2 has no such data set for this account: what it holds is still read.
        Raises: as `get_json`.
        """
        account, today = client.me(), server_day(system)
        try:
            found = client.get_json(f"dataSets/{data_set_id}", {"fields": _FIELDS})
        except Dhis2Error as error:
            if error.is_transient or instead is None:
                raise
            return replace(instead, today=today, version=system.version, account=account)
        return cls(
            data_set_id,
            int(found.get("openFuturePeriods") or 0),
            float(found.get("expiryDays") or 0),
            bool(found.get("dataInputPeriods")),
            today,
            system.version,
            account,
            found.get("access", {}).get("data", {}).get("write") is not False,
            tuple(unit["id"] for unit in found.get("organisationUnits", ())),
            tuple(element["dataElement"]["id"] for element in found.get("dataSetElements", ())),
            data_set_state(found, today),
        )

    def keep(self, connection: Connection, target: str) -> None:
        """Keep the account and the data set's state in the lookup tables, so that the plan judges by them."""
        keep_account(connection, self.account, target)
        if self.state:
            keep_data_set_state(connection, self.state)

    @property
    def has_group_import(self) -> bool:
        return self.version is not None and self.version.import_engine == "atomic"

    @property
    def root_ids(self) -> list[str] | None:
        """Return the org units below which the account may enter data; None: everywhere.

        Older servers bind a superuser to its own as well.
        """
        is_everywhere = self.has_group_import and "ALL" in self.account.authorities
        return None if is_everywhere else list(self.account.org_unit_ids)

    def is_open(self, period: Period) -> bool:
        """Return whether the period is open by the data set's future periods and expiry days, whoever enters data.

        Input periods are left to DHIS2: 2.43.0 and 2.43.1 read them the wrong way round.
        """
        return self.has_input_periods or not (self.is_ahead(period) or self.is_expired(period))

    def is_ahead(self, period: Period) -> bool:
        """Return whether the period ends after the last one that is open for entry."""
        first_closed = period_of(period.period_type, self.today)
        for _ in range(self.open_future_periods):
            first_closed = period_of(period.period_type, first_closed.end_on + timedelta(days=1))
        return period.end_on >= first_closed.end_on

    def is_expired(self, period: Period) -> bool:
        return 0 < self.expiry_days < (self.today - period.end_on).days

    def closing_code(self, period: Period) -> str | None:
        """Return the code with which DHIS2 refuses the period's values from this account today; None: it takes them.

        An account that may edit expired periods is held back by older servers only where the period lies ahead.
        """
        if self.is_open(period):
            return None
        if self.account.has_authority("F_EDIT_EXPIRED") and (self.has_group_import or not self.is_ahead(period)):
            return None
        return "E8030"

    def lock_exception_units(self, client: Dhis2Client, period: Period) -> list[str]:
        """List the org units for which an administrator opened the expired period again; none where we may not ask.

        Raises: as `get_json`, for a server that does not answer.
        """
        if self.closing_code(period) is None or not self.is_expired(period):
            return []
        try:
            found = client.get_json("lockExceptions", {"fields": _EXCEPTION_FIELDS, "paging": "false"})
        except (Dhis2AuthenticationError, MetadataNotFoundError):
            return []
        return [
            exception["organisationUnit"]["id"]
            for exception in found.get("lockExceptions", ())
            if (exception["dataSet"]["id"], exception["period"]["id"]) == (self.data_set_id, period.id)
        ]

    def find_obstacle(self, connection: Connection, of: DataSetPeriod, run_id: str) -> Dhis2AuthenticationError | None:
        """Return the error that stops a delivery before anything is sent: the account may write nothing of what waits.

        The values stay in the ledger, each with its code.
        """
        where = f"data set {of.data_set_id}, period {of.period}"
        if not self.can_write and hold_pending(connection, of, "E8010", run_id):
            return Dhis2AuthenticationError(
                f"This account may not write data of the data set (E8010), so that nothing was sent for {where}: ask the "
                "DHIS2 administrator for data write sharing; the values stay pending, and the next report sends them",
                url=of.target,
            )
        row = connection.execute("select * from outbox.count_own_units(%s, %s, %s)", of).fetchone()
        withheld, assigned, own = row or (0, 0, 0)
        if withheld and assigned and not own:
            return Dhis2AuthenticationError(
                f"None of the {assigned:,} org units of the data set lies below those of this account (E8011), so that "
                f"nothing was sent for {where}: ask the DHIS2 administrator to give the account an org unit above them; "
                "the next report sends the values",
                url=of.target,
            )
        return None


def server_day(system: SystemInfo) -> date:
    """Return the day that it is by DHIS2's clock."""
    return date.fromisoformat(system.server_date[:10])


def data_set_period(connection: Connection, target: str, code: str, period_id: str) -> DataSetPeriod:
    """Name a period of a data set, by its code. Raises: MetadataNotFoundError when DHIS2's metadata lack it."""
    return DataSetPeriod(target, _rules(connection, code)[0], period_id)


def _rules(connection: Connection, code: str) -> tuple[str, int, float, bool]:
    row = connection.execute(query("outbox", "data_set"), {"code": code}).fetchone()
    if row is None:
        raise MetadataNotFoundError(
            f"data set {code} is not in lookup.data_set: run the job `extract`, which reads DHIS2's metadata, first"
        )
    return (row[0], row[1], row[2], row[3])
