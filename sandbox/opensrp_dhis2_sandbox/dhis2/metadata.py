"""Indexes a DHIS2 metadata document (stages for /api/metadata) for imports and reads.

It knows objects, sharing and users as the document has them; it refuses to know stored values.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from opensrp_dhis2.errors import ConfigurationError

DEFAULT_COMBO_ID = "bjDvmb4bfuf"
DEFAULT_OPTION_COMBO_ID = "HllvX50cXC0"
DEFAULT_CATEGORY_ID = "GLevLNI9wkl"
DEFAULT_OPTION_ID = "xYerKDKCefk"
ADMIN_ID = "M5zQapPyTZI"
PLACEHOLDER = "__DEFAULT_CC__"
OPEN_SHARING = {"public": "rwrw----", "external": False, "users": {}, "userGroups": {}}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DataElement:
    """What an import asks of a data element."""

    id: str
    value_type: str
    keeps_zero: bool
    category_combo_id: str
    option_codes: frozenset[str] | None
    data_set_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InputWindow:
    """When one period of a data set with input periods takes data."""

    period: str
    opening_on: date | None
    closing_on: date | None

    def is_open(self, today: date) -> bool:
        return (self.opening_on or date.min) <= today <= (self.closing_on or date.max)


@dataclass(frozen=True, slots=True)
class DataSet:
    """What an import asks of a data set; `combo_ids` maps each data element to its effective category combo."""

    id: str
    period_type: str
    category_combo_id: str
    open_future_periods: int
    expiry_days: float
    combo_ids: Mapping[str, str]
    org_unit_ids: frozenset[str]
    input_windows: tuple[InputWindow, ...]
    workflow_id: str | None
    sharing: Document


@dataclass(frozen=True, slots=True)
class OrgUnit:
    """An organisation unit and the ids of its line from the root down to itself."""

    id: str
    path: tuple[str, ...]
    opening_on: date | None
    closed_on: date | None


@dataclass(frozen=True, slots=True)
class OptionCombo:
    """A category option combo; the dates are the narrowest of its options'."""

    id: str
    category_combo_id: str
    option_ids: tuple[str, ...]
    start_on: date | None
    end_on: date | None


@dataclass(frozen=True, slots=True)
class User:
    """An account with what it may do and where."""

    id: str
    username: str
    password: str
    authorities: frozenset[str]
    group_ids: frozenset[str]
    capture_unit_ids: frozenset[str]
    view_unit_ids: frozenset[str]
    is_disabled: bool

    @property
    def is_superuser(self) -> bool:
        return "ALL" in self.authorities

    def has(self, *authorities: str) -> bool:
        return self.is_superuser or not self.authorities.isdisjoint(authorities)

    def may(self, sharing: Document, right: int) -> bool:
        """Return whether sharing grants a right: 0 read, 1 write, 2 data read, 3 data write."""
        if self.is_superuser or sharing.get("owner") == self.id:
            return True
        grants = [sharing.get("public") or "--------"]
        grants += [u["access"] for key, u in (sharing.get("users") or {}).items() if key == self.id]
        grants += [g["access"] for key, g in (sharing.get("userGroups") or {}).items() if key in self.group_ids]
        return any(len(grant) > right and grant[right] == "rwrw"[right] for grant in grants)


DATA_READ, DATA_WRITE = 2, 3


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text[:10]) if text else None


def _ids(objects: Iterable[Document] | None) -> tuple[str, ...]:
    return tuple(each["id"] for each in objects or ())


class Metadata:
    """The objects of one server, by collection and by id."""

    def __init__(self, document: Document) -> None:
        self.objects: dict[str, dict[str, Document]] = defaultdict(dict)
        self._keys: dict[tuple[str, str], dict[str, str]] = {}
        for stage in document.get("stages") or [document]:
            for collection, objects in stage.items():
                if isinstance(objects, list):
                    self.objects[collection].update((each["id"], _with_default_combo(each)) for each in objects)
        if not self.objects.get("dataSets"):
            raise ConfigurationError(
                "the DHIS2 metadata file holds no dataSets: give a file with stages as /api/metadata takes them"
            )
        self._add_defaults()

    def _add_defaults(self) -> None:
        option, category = {"id": DEFAULT_OPTION_ID}, {"id": DEFAULT_CATEGORY_ID}
        combo, option_combo = {"id": DEFAULT_COMBO_ID}, {"id": DEFAULT_OPTION_COMBO_ID}
        names = {"name": "default", "code": "default", "shortName": "default", "sharing": OPEN_SHARING}
        additions: dict[str, Document] = {
            "categoryOptions": {**option, **names},
            "categories": {**category, **names, "categoryOptions": [option]},
            "categoryCombos": {**combo, **names, "isDefault": True, "categories": [category]},
            "categoryOptionCombos": {**option_combo, **names, "categoryCombo": combo, "categoryOptions": [option]},
        }
        for collection, each in additions.items():
            self.objects[collection].setdefault(each["id"], each)
        admin = {
            "id": ADMIN_ID,
            "username": "admin",
            "password": "district",
            "firstName": "admin",
            "surname": "admin",
        }
        if all(each["username"] != "admin" for each in self.objects["users"].values()):
            roots = [{"id": unit["id"]} for unit in self.objects["organisationUnits"].values() if "parent" not in unit]
            role: Document = {"id": "yrB6vc5Ip3r", "name": "Superuser", "authorities": ["ALL"]}
            self.objects["userRoles"].setdefault(role["id"], role)
            self.objects["users"][admin["id"]] = {**admin, "userRoles": [role], "organisationUnits": roots}

    @cached_property
    def data_elements(self) -> dict[str, DataElement]:
        sets_of = defaultdict(list)
        for data_set in self.data_sets.values():
            for element_id in data_set.combo_ids:
                sets_of[element_id].append(data_set.id)
        options = {each["id"]: self._option_codes(each["id"]) for each in self.objects["optionSets"].values()}
        return {
            each["id"]: DataElement(
                id=each["id"],
                value_type=each["valueType"],
                keeps_zero=bool(each.get("zeroIsSignificant"))
                or each.get("aggregationType") in {"AVERAGE", "AVERAGE_SUM_ORG_UNIT"},
                category_combo_id=each["categoryCombo"]["id"],
                option_codes=options.get(each["optionSet"]["id"]) if each.get("optionSet") else None,
                data_set_ids=tuple(sets_of[each["id"]]),
            )
            for each in self.objects["dataElements"].values()
        }

    def _option_codes(self, option_set_id: str) -> frozenset[str]:
        listed = _ids(self.objects["optionSets"][option_set_id].get("options"))
        return frozenset(self.objects["options"][option_id]["code"] for option_id in listed)

    @cached_property
    def data_sets(self) -> dict[str, DataSet]:
        return {each["id"]: self._data_set(each) for each in self.objects["dataSets"].values()}

    def _data_set(self, each: Document) -> DataSet:
        return DataSet(
            id=each["id"],
            period_type=each["periodType"],
            category_combo_id=each["categoryCombo"]["id"],
            open_future_periods=each.get("openFuturePeriods", 0),
            expiry_days=each.get("expiryDays", 0),
            combo_ids={
                part["dataElement"]["id"]: (
                    part.get("categoryCombo")
                    or self.objects["dataElements"][part["dataElement"]["id"]]["categoryCombo"]
                )["id"]
                for part in each.get("dataSetElements", ())
            },
            org_unit_ids=frozenset(_ids(each.get("organisationUnits"))),
            input_windows=tuple(
                InputWindow(part["period"]["id"], _date(part.get("openingDate")), _date(part.get("closingDate")))
                for part in each.get("dataInputPeriods", ())
            ),
            workflow_id=each["workflow"]["id"] if each.get("workflow") else None,
            sharing=each.get("sharing") or OPEN_SHARING,
        )

    @cached_property
    def org_units(self) -> dict[str, OrgUnit]:
        return {
            each["id"]: OrgUnit(
                each["id"], self._path(each), _date(each.get("openingDate")), _date(each.get("closedDate"))
            )
            for each in self.objects["organisationUnits"].values()
        }

    def _path(self, unit: Document) -> tuple[str, ...]:
        parent = unit.get("parent")
        above = self._path(self.objects["organisationUnits"][parent["id"]]) if parent else ()
        return (*above, unit["id"])

    @cached_property
    def option_combos(self) -> dict[str, OptionCombo]:
        return {each["id"]: self._option_combo(each) for each in self.objects["categoryOptionCombos"].values()}

    def _option_combo(self, each: Document) -> OptionCombo:
        options = [self.objects["categoryOptions"][option_id] for option_id in _ids(each["categoryOptions"])]
        starts = [day for option in options if (day := _date(option.get("startDate")))]
        ends = [day for option in options if (day := _date(option.get("endDate")))]
        start, end = max(starts, default=None), min(ends, default=None)
        return OptionCombo(each["id"], each["categoryCombo"]["id"], _ids(each["categoryOptions"]), start, end)

    @cached_property
    def users(self) -> dict[str, User]:
        return {each["username"]: self._user(each) for each in self.objects["users"].values()}

    def _user(self, each: Document) -> User:
        roles = [self.objects["userRoles"][role_id] for role_id in _ids(each.get("userRoles"))]
        groups = self.objects["userGroups"].values()
        capture = frozenset(_ids(each.get("organisationUnits")))
        return User(
            id=each["id"],
            username=each["username"],
            password=each.get("password", ""),
            authorities=frozenset(name for role in roles for name in role["authorities"]),
            group_ids=frozenset(group["id"] for group in groups if each["id"] in _ids(group.get("users"))),
            capture_unit_ids=capture,
            view_unit_ids=frozenset(_ids(each.get("dataViewOrganisationUnits"))) or capture,
            is_disabled=bool(each.get("disabled")),
        )

    def find_id(self, collection: str, scheme: str, key: str) -> str | None:
        """Resolve a key under an id scheme (UID, CODE, NAME, ATTRIBUTE:<uid>) to an id."""
        if scheme == "UID":
            return key if key in self.objects[collection] else None
        index = self._keys.get((collection, scheme))
        if index is None:
            index = self._keys[collection, scheme] = self._index(collection, scheme)
        return index.get(key)

    def _index(self, collection: str, scheme: str) -> dict[str, str]:
        if scheme.startswith("ATTRIBUTE:"):
            attribute_id = scheme.partition(":")[2]
            return {
                part["value"]: each["id"]
                for each in self.objects[collection].values()
                for part in each.get("attributeValues", ())
                if part["attribute"]["id"] == attribute_id
            }
        member = scheme.lower()
        return {each[member]: each["id"] for each in self.objects[collection].values() if each.get(member)}

    def unwritable_option_ids(self, user: User, option_combo: OptionCombo) -> list[str]:
        """List the combo's category options under which the user may not enter data."""
        options = [self.objects["categoryOptions"][option_id] for option_id in option_combo.option_ids]
        return [each["id"] for each in options if not user.may(each.get("sharing") or OPEN_SHARING, DATA_WRITE)]


def _with_default_combo(each: Document) -> Document:
    combo = each.get("categoryCombo")
    if combo and combo["id"] == PLACEHOLDER:
        return {**each, "categoryCombo": {"id": DEFAULT_COMBO_ID}}
    return each
