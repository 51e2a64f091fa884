"""The DHIS2 metadata that a country's data sets need, read into rows as the lookup tables want them.

It knows the Web API's metadata paths; it refuses to know what our indicators make of the codes.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from opensrp_dhis2.dhis2.client import Dhis2Client, Me
from opensrp_dhis2.dhis2.reply import Json
from opensrp_dhis2.errors import MetadataNotFoundError

_ORG_UNIT_FIELDS = "id,code,name,level,path,openingDate,closedDate"
_DATA_SET_FIELDS = (
    "id,code,name,periodType,categoryCombo[id],openFuturePeriods,openPeriodsAfterCoEndDate,"
    "expiryDays,dataInputPeriods[period,openingDate,closingDate],workflow[id],access,"
    "dataSetElements[categoryCombo[id],dataElement[id,code,name,valueType,aggregationType,zeroIsSignificant,"
    "categoryCombo[id],optionSet[id,options[code]]]],organisationUnits[id],"
    "compulsoryDataElementOperands[dataElement[id],categoryOptionCombo[id]]"
)
_CATEGORY_COMBO_FIELDS = (
    "id,code,name,isDefault,categoryOptionCombos[id,code,name,categoryOptions[id,code,name]],"
    "categories[categoryOptions[id,code,startDate,endDate,access,organisationUnits[id]]]"
)


class OrgUnit(NamedTuple):
    org_unit_id: str
    code: str | None
    name: str
    level: int
    path: str
    opening_on: date | None
    closed_on: date | None


class CategoryCombo(NamedTuple):
    category_combo_id: str
    code: str | None
    name: str
    is_default: bool


class CategoryOptionCombo(NamedTuple):
    """Options sorted by code; an option without a code goes by its id."""

    category_option_combo_id: str
    code: str | None
    name: str
    category_combo_id: str
    option_codes: list[str]
    option_ids: list[str]


class CategoryOption(NamedTuple):
    """`can_write` None: the server does not say; `org_unit_ids` None: it may be used everywhere."""

    category_option_id: str
    code: str | None
    start_on: date | None
    end_on: date | None
    can_write: bool | None
    org_unit_ids: list[str] | None


class DataElement(NamedTuple):
    data_element_id: str
    code: str | None
    name: str
    value_type: str
    aggregation_type: str
    zero_is_significant: bool
    category_combo_id: str
    option_codes: list[str] | None


class DataSetRow(NamedTuple):
    data_set_id: str
    code: str | None
    name: str
    period_type: str
    category_combo_id: str
    open_future_periods: int
    expiry_days: float
    has_input_periods: bool
    can_write: bool
    open_periods_after_co_end_date: int = 0  # so long attribute options may be used after their end


class DataSetElement(NamedTuple):
    """`category_combo_id` is the data set's own for this element, else the element's."""

    data_set_id: str
    data_element_id: str
    category_combo_id: str


class CompulsoryOperand(NamedTuple):
    """A field without which the data set is not complete; `category_option_combo_id` None: under any combo."""

    data_set_id: str
    data_element_id: str
    category_option_combo_id: str | None


class DataSetState(NamedTuple):
    """A digest of what may let values in or keep them out, also of what the other rows do not have."""

    data_set_id: str
    digest: str


class Metadata(NamedTuple):
    """One reading; the rows have the columns of the lookup tables, in their order."""

    version: str
    calendar: str
    default_category_option_combo_id: str
    org_units: list[OrgUnit]
    category_combos: list[CategoryCombo]
    category_option_combos: list[CategoryOptionCombo]
    category_options: list[CategoryOption]
    data_elements: list[DataElement]
    data_sets: list[DataSetRow]
    data_set_elements: list[DataSetElement]
    data_set_org_units: list[tuple[str, str]]
    compulsory_operands: list[CompulsoryOperand]
    data_set_states: list[DataSetState]
    account: Me


def read_metadata(client: Dhis2Client, data_set_codes: Iterable[str]) -> Metadata:
    """Read every org unit, and of the named data sets all that a push needs to know.

    Raises: MetadataNotFoundError (terminal) for a data set that the account cannot see; else as `get_json`.
    """
    info = client.system_info()
    sets = [
        client.get_json(f"dataSets/{data_set_id}", {"fields": _DATA_SET_FIELDS})
        for data_set_id in _data_set_ids(client, set(data_set_codes))
    ]
    elements = {row.data_element_id: row for data_set in sets for row in _data_elements(data_set)}
    set_elements = [row for data_set in sets for row in _data_set_elements(data_set)]
    combo_ids = {data_set["categoryCombo"]["id"] for data_set in sets}
    combo_ids |= {row.category_combo_id for row in set_elements} | {row.category_combo_id for row in elements.values()}
    combos = [client.get_json(f"categoryCombos/{uid}", {"fields": _CATEGORY_COMBO_FIELDS}) for uid in sorted(combo_ids)]
    options = {row.category_option_id: row for combo in combos for row in _category_options(combo)}
    today = date.fromisoformat(info.server_date[:10])
    return Metadata(
        version=str(info.version),
        calendar=info.calendar,
        default_category_option_combo_id=_default_category_option_combo(client),
        org_units=[_org_unit(unit) for unit in client.get_pages("organisationUnits", _ORG_UNIT_FIELDS, page_size=2000)],
        category_combos=[_combo(combo) for combo in combos],
        category_option_combos=[_option_combo(row, combo) for combo in combos for row in combo["categoryOptionCombos"]],
        category_options=list(options.values()),
        data_elements=list(elements.values()),
        data_sets=[_data_set(data_set) for data_set in sets],
        data_set_elements=set_elements,
        data_set_org_units=[
            (data_set["id"], unit["id"]) for data_set in sets for unit in data_set["organisationUnits"]
        ],
        compulsory_operands=[row for data_set in sets for row in _compulsory_operands(data_set)],
        data_set_states=[data_set_state(data_set, today) for data_set in sets],
        account=client.me(),
    )


def _data_set_ids(client: Dhis2Client, codes: set[str]) -> list[str]:
    found = {_code(row): row["id"] for row in client.get_pages("dataSets", "id,code") if _code(row) in codes}
    missing = sorted(codes - found.keys())
    if missing:
        raise MetadataNotFoundError(
            f"DHIS2 at {client.base_url} has no data set with code {', '.join(missing)}, or hides it from the account: "
            "correct the code in data_sets.yaml, or share the data set",
            url=f"{client.base_url}/api/dataSets",
        )
    return sorted(found.values())


def _default_category_option_combo(client: Dhis2Client) -> str:
    found = list(client.get_pages("categoryOptionCombos", "id,code,name", filters=["name:eq:default"]))
    if not found:
        raise MetadataNotFoundError(
            f"DHIS2 at {client.base_url} has no category option combo named default: restore it",
            url=f"{client.base_url}/api/categoryOptionCombos",
        )
    return str(found[0]["id"])


def _combo(found: Json) -> CategoryCombo:
    return CategoryCombo(*_named(found), found.get("isDefault", found["name"] == "default"))


def _org_unit(found: Json) -> OrgUnit:
    return OrgUnit(
        *_named(found),
        int(found.get("level") or found["path"].count("/")),
        found["path"],
        _day(found.get("openingDate")),
        _day(found.get("closedDate")),
    )


def _data_set(found: Json) -> DataSetRow:
    return DataSetRow(
        *_named(found),
        found["periodType"],
        found["categoryCombo"]["id"],
        int(found.get("openFuturePeriods") or 0),
        float(found.get("expiryDays") or 0),
        bool(found.get("dataInputPeriods")),
        found.get("access", {}).get("data", {}).get("write") is True,
        int(found.get("openPeriodsAfterCoEndDate") or 0),
    )


def data_set_state(found: Json, today: date) -> DataSetState:
    """Digest what a data set says of who may enter data, where and when; of input periods, which are open today."""
    windows = [
        (
            str(_id(window.get("period"))),
            (_day(window.get("openingDate")) or date.min) <= today <= (_day(window.get("closingDate")) or date.max),
        )
        for window in found.get("dataInputPeriods", ())
    ]
    said = (
        found.get("access", {}).get("data", {}).get("write"), found.get("expiryDays"), found.get("openFuturePeriods"),
        found.get("openPeriodsAfterCoEndDate"), _id(found.get("categoryCombo")), _id(found.get("workflow")), sorted(windows),
        sorted(unit["id"] for unit in found.get("organisationUnits", ())),
        sorted(member["dataElement"]["id"] for member in found.get("dataSetElements", ())),
    )  # fmt: skip
    return DataSetState(found["id"], hashlib.sha256(json.dumps(said).encode()).hexdigest())


def _id(found: Json | None) -> str | None:
    return found["id"] if found else None


def _data_elements(data_set: Json) -> Iterable[DataElement]:
    for member in data_set["dataSetElements"]:
        found = member["dataElement"]
        options = found.get("optionSet")
        yield DataElement(
            *_named(found),
            found["valueType"],
            found["aggregationType"],
            found.get("zeroIsSignificant") is True,
            found["categoryCombo"]["id"],
            [option["code"] for option in options["options"]] if options else None,
        )


def _data_set_elements(data_set: Json) -> Iterable[DataSetElement]:
    for member in data_set["dataSetElements"]:
        element = member["dataElement"]
        effective = member.get("categoryCombo") or element["categoryCombo"]
        yield DataSetElement(data_set["id"], element["id"], effective["id"])


def _compulsory_operands(data_set: Json) -> Iterable[CompulsoryOperand]:
    for operand in data_set.get("compulsoryDataElementOperands", ()):
        combo = operand.get("categoryOptionCombo") or {}
        yield CompulsoryOperand(data_set["id"], operand["dataElement"]["id"], combo.get("id"))


def _option_combo(found: Json, combo: Json) -> CategoryOptionCombo:
    options = sorted((_code(option) or option["id"], option["id"]) for option in found["categoryOptions"])
    return CategoryOptionCombo(
        *_named(found), combo["id"], [code for code, _ in options], [option_id for _, option_id in options]
    )


def _category_options(combo: Json) -> Iterable[CategoryOption]:
    for found in (option for category in combo.get("categories", ()) for option in category["categoryOptions"]):
        yield CategoryOption(
            found["id"],
            _code(found),
            _day(found.get("startDate")),
            _day(found.get("endDate")),
            found.get("access", {}).get("data", {}).get("write"),
            [unit["id"] for unit in found.get("organisationUnits", ())] or None,
        )


def _named(found: Json) -> tuple[str, str | None, str]:
    return found["id"], _code(found), found["name"]


def _code(found: Json) -> str | None:
    """Return the code without the blanks that DHIS2 keeps around it and nobody sees."""
    return (found.get("code") or "").strip() or None


def _day(found: str | None) -> date | None:
    return date.fromisoformat(found[:10]) if found else None
