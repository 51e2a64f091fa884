"""The account and the data set as DHIS2 has them at this report, and whether anything can be sent at all.

It knows what concerns every value alike; which single value is held back stands in sql/functions/outbox_check.sql.
"""

from dataclasses import dataclass
from datetime import date

from opensrp_dhis2.dhis2.client import Dhis2Client, Me
from opensrp_dhis2.dhis2.metadata import DataSetState, data_set_state
from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2Error
from opensrp_dhis2.lookup.metadata import keep_account, keep_data_set_state
from opensrp_dhis2.outbox.known_data_set import KnownDataSet
from opensrp_dhis2.outbox.ledger import Slice
from opensrp_dhis2.warehouse.database import Connection

_FIELDS = (
    "id,access,expiryDays,openFuturePeriods,openPeriodsAfterCoEndDate,categoryCombo[id],workflow[id],"
    "dataInputPeriods[period,openingDate,closingDate],organisationUnits[id],dataSetElements[dataElement[id]]"
)


@dataclass(frozen=True)
class Circumstances:
    """Who reports, and what DHIS2 says of the data set; `data_set` None: it says nothing, and may refuse all."""

    account: Me
    data_set: KnownDataSet | None
    state: DataSetState | None
    can_write: bool


def read_circumstances(client: Dhis2Client, data_set_id: str, today: date) -> Circumstances:
    """Ask DHIS2 for the account and the data set: two small requests. Raises: as `get_json`, but for the data set."""
    account = client.me()
    try:
        found = client.get_json(f"dataSets/{data_set_id}", {"fields": _FIELDS})
    except Dhis2Error as error:
        if error.is_transient:
            raise
        return Circumstances(account, None, None, can_write=True)  # gone, or hidden: what it holds is still read back
    data_set = KnownDataSet(
        data_set_id,
        int(found.get("openFuturePeriods") or 0),
        float(found.get("expiryDays") or 0),
        bool(found.get("dataInputPeriods")),
    )
    can_write = found.get("access", {}).get("data", {}).get("write") is not False
    return Circumstances(account, data_set, data_set_state(found, today), can_write)


def keep_circumstances(connection: Connection, target: str, now: Circumstances) -> None:
    """Keep them in the lookup tables, so that the plan judges by them."""
    keep_account(connection, now.account, target)
    if now.state:
        keep_data_set_state(connection, now.state)


def find_obstacle(
    connection: Connection, of: Slice, run_id: str, *, can_write: bool
) -> Dhis2AuthenticationError | None:
    """Return the error that stops a slice before anything is sent: the account may write nothing of what waits.

    The values stay in the ledger, each with its code.
    """
    where = f"data set {of.data_set_id}, period {of.period}"
    if not can_write and _hold(connection, of, run_id):
        return Dhis2AuthenticationError(
            f"This account may not write data of the data set (E8010), so that nothing was sent for {where}: ask the DHIS2 "
            "administrator for data write sharing; the values stay pending, and the next report sends them",
            url=of.target,
        )
    row = connection.execute(
        "select * from outbox.count_own_units(%s, %s, %s)", (of.target, of.data_set_id, of.period)
    ).fetchone()
    withheld, assigned, own = row or (0, 0, 0)
    if withheld and assigned and not own:
        return Dhis2AuthenticationError(
            f"None of the {assigned:,} org units of the data set lies below those of this account (E8011), so that nothing "
            f"was sent for {where}: ask the DHIS2 administrator to give the account an org unit above them; the next "
            "report sends the values",
            url=of.target,
        )
    return None


def _hold(connection: Connection, of: Slice, run_id: str) -> int:
    """Say of each pending value why it waits, and give how many; the next plan takes the code away again."""
    return connection.execute(
        "update outbox.value set code = 'E8010', reason = null, run_id = %s"
        " where target = %s and data_set_id = %s and period = %s and state = 'pending'",
        (run_id, of.target, of.data_set_id, of.period),
    ).rowcount
