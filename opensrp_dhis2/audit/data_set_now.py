"""The data set and the account as DHIS2 has them now, which the lookup tables may not know yet: for the forecast.

It knows what can be asked of DHIS2's metadata; it refuses to know values.
"""

from dataclasses import dataclass
from datetime import date

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.lock_exceptions import reopened_units
from opensrp_dhis2.dhis2.models import ServerVersion
from opensrp_dhis2.dhis2.periods import parse_period
from opensrp_dhis2.dhis2.reply import Json
from opensrp_dhis2.outbox.known_data_set import KnownDataSet, closing_code
from opensrp_dhis2.outbox.ledger import Slice

_NOW_FIELDS = (
    "id,access,organisationUnits[id],dataSetElements[dataElement[id]],expiryDays,openFuturePeriods,"
    "dataInputPeriods[period]"
)


@dataclass(frozen=True)
class DataSetNow:
    """What a push will meet; `root_ids` None: the account's org units do not matter.

    `closing_code`: with it DHIS2 refuses the period, but for the units in `reopened_ids`.
    """

    can_write: bool
    org_unit_ids: list[str]
    data_element_ids: list[str]
    root_ids: list[str] | None
    closing_code: str | None
    reopened_ids: list[str]


def ask_data_set(client: Dhis2Client, of: Slice, version: ServerVersion) -> DataSetNow:
    """Ask DHIS2 for its clock, the account and the data set. Raises: as `get_json`."""
    me = client.me()
    found = client.get_json(f"dataSets/{of.data_set_id}", {"fields": _NOW_FIELDS})
    code = _closing_code(client, of, found, version, may_edit_expired=me.has_authority("F_EDIT_EXPIRED"))
    is_everywhere = version.import_engine == "atomic" and "ALL" in me.authorities  # older servers bind a superuser too
    return DataSetNow(
        found.get("access", {}).get("data", {}).get("write") is True,
        [unit["id"] for unit in found.get("organisationUnits", ())],
        [one["dataElement"]["id"] for one in found.get("dataSetElements", ())],
        None if is_everywhere else list(me.org_unit_ids),
        code,
        reopened_units(client, of.data_set_id, of.period) if code else [],
    )


def _closing_code(
    client: Dhis2Client, of: Slice, found: Json, version: ServerVersion, *, may_edit_expired: bool
) -> str | None:
    today = date.fromisoformat(client.system_info().server_date[:10])
    data_set = KnownDataSet(
        of.data_set_id,
        int(found.get("openFuturePeriods") or 0),
        float(found.get("expiryDays") or 0),
        bool(found.get("dataInputPeriods")),
    )
    return closing_code(
        parse_period(of.period),
        data_set,
        today,
        may_edit_expired=may_edit_expired,
        has_group_import=version.import_engine == "atomic",
    )
