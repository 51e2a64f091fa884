"""What DHIS2 holds of some values of the ledger, read back by data set, and by data element where that shows nothing.

It knows how to read and what cannot be read; it refuses to judge.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from opensrp_dhis2.dhis2.client import Dhis2Client
from opensrp_dhis2.dhis2.models import DataValue
from opensrp_dhis2.errors import Dhis2AuthenticationError, Dhis2Error

Cell = tuple[str, str, str, str]  # data element, org unit, category option combo, attribute option combo
_NO_ELEMENT = "E2001"  # no place is to blame


class ReadRow(Protocol):
    """A value of the ledger that is read back."""

    @property
    def data_element_id(self) -> str: ...
    @property
    def org_unit_id(self) -> str: ...
    @property
    def category_option_combo_id(self) -> str: ...
    @property
    def attribute_option_combo_id(self) -> str: ...
    @property
    def wanted(self) -> str | None: ...


class StoredValues(NamedTuple):
    """What DHIS2 holds of some rows, and of what it does not say: DHIS2's code."""

    stored: dict[Cell, str]
    unread: dict[Cell, str]


def read_back(client: Dhis2Client, data_set_id: str, period: str, rows: Sequence[ReadRow]) -> StoredValues:
    """Return the values that DHIS2 holds for the org units of some rows of one data set and period.

    What is not seen among the values of the data set may still be there: of an element that has left the data set, or
    of a data set that is gone or no longer shared. That is read by data element.
    Raises: Dhis2UnavailableError (transient); another Dhis2Error (terminal) when the account may read nothing at all.
    """
    units = sorted({row.org_unit_id for row in rows})
    try:
        stored = _by_cell(client.read_data_values(data_set_id, period, units))
    except Dhis2Error as error:
        if _place_code(error) is None:
            raise
        return _read_by_element(client, period, rows)
    unseen = [row for row in rows if cell(row) not in stored]
    inside = _elements_now(client, data_set_id) if unseen else set()
    outside = [row for row in unseen if row.data_element_id not in inside]
    more = _read_by_element(client, period, outside) if outside else StoredValues({}, {})
    return StoredValues(stored | more.stored, more.unread)


def _read_by_element(client: Dhis2Client, period: str, rows: Sequence[ReadRow]) -> StoredValues:
    """Read values by data element, and org unit by org unit where DHIS2 refuses some: which, it need not say."""
    elements = sorted({row.data_element_id for row in rows})
    units = sorted({row.org_unit_id for row in rows})
    stored: dict[Cell, str] = {}
    unread: dict[str, str] = {}
    parts = [units]
    while parts:
        part = parts.pop()
        try:
            stored |= _by_cell(client.read_element_values(elements, period, part))
        except Dhis2Error as error:
            code, middle = _place_code(error), len(part) // 2
            if code is None:
                raise
            if middle and code != _NO_ELEMENT:
                parts += [part[middle:], part[:middle]]
                continue
            unread |= dict.fromkeys(part, code)
            if len(unread) == len(units) and code != _NO_ELEMENT and not _may_read(client, period, elements):
                raise
    return StoredValues(stored, {cell(row): unread[row.org_unit_id] for row in rows if row.org_unit_id in unread})


def _may_read(client: Dhis2Client, period: str, elements: list[str]) -> bool:
    """Return whether the account may read these elements in its own org units, so that only some places are refused."""
    units = client.me().org_unit_ids
    try:
        _by_cell(client.read_element_values(elements, period, units))
    except Dhis2Error as error:
        if _place_code(error) is None:
            raise
        return False
    return bool(units)


def _elements_now(client: Dhis2Client, data_set_id: str) -> set[str]:
    """Return the elements that DHIS2 has in the data set; none when it has no such data set for this account."""
    try:
        found = client.get_json(f"dataSets/{data_set_id}", {"fields": "id,dataSetElements[dataElement[id]]"})
    except Dhis2Error as error:
        if error.is_transient:
            raise
        return set()
    return {element["dataElement"]["id"] for element in found.get("dataSetElements", ())}


def _place_code(error: Dhis2Error) -> str | None:
    """Return DHIS2's code where it refuses to read a place or knows it no more; None: another fault, or the account's.

    Servers before 2.43 refuse with an empty answer (34g).
    """
    if error.status == 200 and isinstance(error, Dhis2AuthenticationError):
        return "E2012"
    found = re.search(r"\bE20[01]\d\b", str(error)) if error.status == 409 else None
    return found[0] if found else None


def _by_cell(values: Iterable[DataValue]) -> dict[Cell, str]:
    return {
        (v.data_element, v.org_unit, v.category_option_combo, v.attribute_option_combo): v.value or ""
        for v in values
        if not v.is_deleted
    }


def cell(row: ReadRow) -> Cell:
    """Name the cell of DHIS2 that a row is about."""
    return (row.data_element_id, row.org_unit_id, row.category_option_combo_id, row.attribute_option_combo_id)
