"""Turns a payload into rows of ids as DHIS2 2.43 does; the first thing it cannot read ends the whole request.

It knows members, id schemes and shapes; whether ids exist and fit together is the checks' affair.
"""

import json
from datetime import date
from typing import Any, NamedTuple

from opensrp_dhis2_sandbox.dhis2.imports import Circumstances, Json, Key, RefusedRequest
from opensrp_dhis2_sandbox.dhis2.metadata import DEFAULT_OPTION_COMBO_ID
from opensrp_dhis2_sandbox.dhis2.options import SCHEMES, ImportOptions, set_scheme
from opensrp_dhis2_sandbox.dhis2.periods import Period, parse_period
from opensrp_dhis2_sandbox.dhis2.value_types import is_uid

INPUT_MEMBERS = (
    "dataElement", "orgUnit", "categoryOptionCombo", "categoryOptions", "attributeOptionCombo", "attributeCombo",
    "attributeOptions", "period", "value", "comment", "followUp", "deleted",
)  # fmt: skip
TEXT_MEMBERS = ("dataElement", "orgUnit", "categoryOptionCombo", "attributeOptionCombo", "period", "value", "comment")


class Row(NamedTuple):
    """One value to enter; combos that were not sent are None until stored."""

    number: int
    data_element: str
    org_unit: str
    category_option_combo: str | None
    attribute_option_combo: str | None
    period: Period
    value: str | None
    comment: str | None
    follow_up: bool | None
    is_deleted: bool

    @property
    def key(self) -> Key:
        combo = self.category_option_combo or DEFAULT_OPTION_COMBO_ID
        attribute_combo = self.attribute_option_combo or DEFAULT_OPTION_COMBO_ID
        return Key(self.data_element, self.period.iso, self.org_unit, combo, attribute_combo)


class Group(NamedTuple):
    """The decoded payload."""

    data_set: str | None
    completed_on: date | None
    period: Period | None
    org_unit: str | None
    attribute_option_combo: str | None
    rows: list[Row]
    deletion: list[Key]


class Undecodable(Exception):
    """Something in the request cannot be read: a conflict without a row."""

    def __init__(self, code: str, text: str, *args: Any) -> None:
        super().__init__(text)
        self.conflict: Json = {
            "objects": {"args": "-".join(str(each) for each in args)},
            "value": text,
            "errorCode": code,
            "indexes": [-1],
        }


def apply_payload_options(payload: Json, options: ImportOptions) -> None:
    """Let the payload's own schemes and dryRun beat the query."""
    for name in (*SCHEMES, "attributeOptionComboIdScheme"):
        if isinstance(payload.get(name), str):
            set_scheme(options, name, payload[name])
    if isinstance(payload.get("dryRun"), bool):
        options.echo["dryRun"] = payload["dryRun"]


def decode(payload: Json, options: ImportOptions, where: Circumstances) -> Group:
    """Read the payload, or raise Undecodable, or RefusedRequest where a real server breaks down with 500."""
    rows = payload.get("dataValues") or []
    for row in rows:
        for member in TEXT_MEMBERS:
            is_map = member == "categoryOptionCombo" and isinstance(row.get(member), dict)
            if not is_map:
                require_text(row, member)
    return _Decoder(payload, options, where).group(rows)


def require_text(owner: Json, member: str) -> None:
    """Break down as 2.43 does when a member is there but not a text."""
    value = owner.get(member)
    if value is None or isinstance(value, str):
        return
    kind = {bool: "BOOLEAN", int: "NUMBER", float: "NUMBER", dict: "OBJECT", list: "ARRAY"}[type(value)]
    shown = json.dumps(value, ensure_ascii=False)
    raise RefusedRequest(500, f"Path `$.{member}` does not contain an STRING but a(n) {kind}: {shown}")


class _Decoder:
    def __init__(self, payload: Json, options: ImportOptions, where: Circumstances) -> None:
        self._payload, self._options, self._metadata = payload, options, where.metadata

    def group(self, rows: list[Json]) -> Group:
        payload = self._payload
        completed_on = self._completed_on()
        data_set = self._data_set()
        period, unit = payload.get("period"), payload.get("orgUnit")
        combo = payload.get("attributeOptionCombo")
        if isinstance(combo, dict):
            combo = self._combo_of(combo, self._metadata.data_sets[data_set].category_combo_id if data_set else None)
        decoded = [self._row(index, row, combo) for index, row in enumerate(rows)]
        unit_id = (
            self._metadata.find_id("organisationUnits", self._options.scheme("orgUnitIdScheme"), unit) if unit else None
        )
        deletion = self._deletion(payload["deletion"]) if payload.get("deletion") else []
        return Group(
            data_set, completed_on, parse_period(period) if period else None, unit_id, combo, decoded, deletion
        )

    def _completed_on(self) -> date | None:
        require_text(self._payload, "completeDate")
        text = self._payload.get("completeDate")
        if not text:
            return None
        if not all(self._payload.get(member) for member in ("dataSet", "period", "orgUnit")):
            raise Undecodable(
                "E8009",
                "Data set `completeDate` requires data set, org unit, period and attribute option combo to be defined "
                "at the group level.",
                "",
            )
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            raise Undecodable("E8008", f"Data set `completeDate` is not a valid date: `{text}`", text) from None

    def _data_set(self) -> str | None:
        key: str | None = self._payload.get("dataSet")
        scheme = self._options.scheme("dataSetIdScheme")
        if not key:
            return None
        if scheme == "UID":
            if not is_uid(key):
                raise Undecodable("E8004", f"Data set UID not valid: `{key}`", key)
            return key
        found = self._metadata.find_id("dataSets", scheme, key)
        if not found:
            raise Undecodable("E8005", f"Data set not found: `{key}`", key)
        return found

    def _row(self, index: int, row: Json, header_combo: str | None) -> Row:
        payload = self._payload
        unit, period = row.get("orgUnit") or payload.get("orgUnit"), row.get("period") or payload.get("period")
        attribute_key = row.get("attributeOptionCombo")
        if not period:
            raise Undecodable(
                "E8100", f"Value #{index} period not defined in group or value: `{_shown(row)}`", index, _shown(row)
            )
        element = self._id(index, row, row.get("dataElement"), DATA_ELEMENT)
        unit_id = self._id(index, row, unit, ORG_UNIT)
        combo = self._combo(index, row, element)
        if attribute_key is None:
            attribute_key = header_combo
        attribute_combo = self._optional_id(index, attribute_key, ATTRIBUTE_COMBO)
        parsed = parse_period(period)
        if parsed is None:
            # The real server loses the whole group over this and trips over its absence.
            member = "values()" if self._options.strategy == "DELETE" else "deletion()"
            raise RefusedRequest(
                500, f'Cannot invoke "org.hisp.dhis.datavalue.DataEntryGroup.{member}" because "group" is null'
            )
        is_deleted, follow_up = row.get("deleted") is True, row.get("followUp")
        return Row(
            index,
            element,
            unit_id,
            combo,
            attribute_combo,
            parsed,
            row.get("value"),
            row.get("comment"),
            follow_up,
            is_deleted,
        )

    def _id(self, index: int, row: Json, key: str | None, kind: "Kind") -> str:
        if not key:
            text = f"Value #{index} {kind.name} not defined in group or value: `{_shown(row)}`"
            raise Undecodable(kind.missing_code, text, index, _shown(row))
        found = self._optional_id(index, key, kind)
        assert found is not None  # the key is there
        return found

    def _optional_id(self, index: int, key: str | None, kind: "Kind") -> str | None:
        scheme = self._options.scheme(kind.scheme)
        if key is None:
            return None
        if scheme == "UID":
            if not is_uid(key):
                word = "UID is not valid" if "combo" in kind.name else "UID not valid"
                raise Undecodable(kind.shape_code, f"Value #{index} {kind.name} {word}: `{key}`", index, key)
            return key
        found = self._metadata.find_id(kind.collection, scheme, key)
        if not found:
            raise Undecodable(kind.unknown_code, f"Value #{index} {kind.name} not found: `{key}`", index, key)
        return found

    def _combo(self, index: int, row: Json, element_id: str) -> str | None:
        key = row.get("categoryOptionCombo")
        if key is None and "categoryOptions" not in row:
            return None
        if isinstance(key, str):
            return self._optional_id(index, key, CATEGORY_COMBO)
        options = key if isinstance(key, dict) else row["categoryOptions"]
        element = self._metadata.data_elements.get(element_id)
        found = self._combo_of(options, element.category_combo_id if element else None)
        if not found:
            shown = "{" + ", ".join(f"{name}={value}" for name, value in options.items()) + "}"
            raise Undecodable("E8108", f"Value #{index} category option combo not found: `{shown}`", index, shown)
        return found

    def _combo_of(self, options: dict[str, str], category_combo_id: str | None) -> str | None:
        wanted = set(options.values())
        combos = self._metadata.option_combos.values()
        return next(
            (c.id for c in combos if c.category_combo_id == category_combo_id and set(c.option_ids) == wanted), None
        )

    def _deletion(self, scope: Json) -> list[Key]:
        default = DEFAULT_OPTION_COMBO_ID
        return [
            Key(
                part["dataElement"],
                period,
                unit,
                part.get("categoryOptionCombo") or default,
                part.get("attributeOptionCombo") or default,
            )
            for unit in scope["orgUnits"]
            for period in scope["periods"]
            for part in scope["elements"]
        ]


class Kind(NamedTuple):
    """How one reference of a row is named and refused."""

    name: str
    collection: str
    scheme: str
    missing_code: str
    unknown_code: str
    shape_code: str


DATA_ELEMENT = Kind("data element", "dataElements", "dataElementIdScheme", "E8102", "E8103", "E8104")
ORG_UNIT = Kind("org unit", "organisationUnits", "orgUnitIdScheme", "E8105", "E8107", "E8106")
CATEGORY_COMBO = Kind(
    "category option combo", "categoryOptionCombos", "categoryOptionComboIdScheme", "", "E8108", "E8109"
)  # fmt: skip
ATTRIBUTE_COMBO = Kind(
    "attribute option combo", "categoryOptionCombos", "attributeOptionComboIdScheme", "", "E8110", "E8111"
)  # fmt: skip


def _shown(row: Json) -> str:
    """Write a row as Java prints it."""
    words = {True: "true", False: "false", None: "null"}
    values = ((name, row.get(name)) for name in INPUT_MEMBERS)
    parts = (f"{name}={value if isinstance(value, str) else words.get(value, value)}" for name, value in values)
    return f"Input[{', '.join(parts)}]"
