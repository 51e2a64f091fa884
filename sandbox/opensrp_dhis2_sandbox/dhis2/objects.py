"""Answers metadata reads: fields with nested brackets, filters, order and paging.

It knows the query language; the objects come from the metadata and, for routes and tokens, from the store.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from opensrp_dhis2_sandbox.dhis2.http import Call, Dhis2, Reply, envelope_reply
from opensrp_dhis2_sandbox.dhis2.imports import Json
from opensrp_dhis2_sandbox.dhis2.metadata import ADMIN_ID, DATA_READ, DATA_WRITE, OPEN_SHARING, Metadata, User

Fields = dict[str, "Fields"]
# member of an object -> collection that holds what it refers to
REFERENCES = {
    "parent": "organisationUnits", "children": "organisationUnits", "organisationUnits": "organisationUnits",
    "dataViewOrganisationUnits": "organisationUnits", "dataElement": "dataElements", "dataSet": "dataSets",
    "dataSets": "dataSets", "categoryCombo": "categoryCombos", "categories": "categories",
    "categoryOptions": "categoryOptions", "categoryOptionCombos": "categoryOptionCombos", "optionSet": "optionSets",
    "options": "options", "workflow": "dataApprovalWorkflows", "userGroups": "userGroups", "userRoles": "userRoles",
}  # fmt: skip
PRESETS = {
    ":identifiable": ("id", "name", "code", "created", "lastUpdated", "displayName"),
    ":nameable": ("id", "name", "shortName", "code", "created", "lastUpdated", "displayName"),
}
EVERYTHING = ("*", ":all", ":owner", ":persisted", ":simple")
KLASSES = {"dataSets": "DataSet", "organisationUnits": "OrganisationUnit", "routes": "Route", "apiToken": "ApiToken"}
STARTED = "2026-01-01T00:00:00.000"


class Catalog:
    """The metadata's objects with what DHIS2 derives: paths, reverse lists, access."""

    def __init__(self, metadata: Metadata) -> None:
        self.collections: dict[str, dict[str, Json]] = {
            name: {uid: {"created": STARTED, "lastUpdated": STARTED, **each} for uid, each in objects.items()}
            for name, objects in metadata.objects.items()
        }
        for objects in self.collections.values():
            for each in objects.values():
                each.setdefault("displayName", each.get("name", ""))
                each.pop("password", None)
                if "sharing" in each:
                    each["sharing"] = _shown_sharing(each["sharing"], metadata)
        self._derive_units(metadata)
        self._reverse("categoryOptionCombos", "categoryCombo", "categoryCombos", "categoryOptionCombos")
        self._reverse("organisationUnits", "parent", "organisationUnits", "children")
        for each in self.collections.get("categoryCombos", {}).values():
            each.setdefault("isDefault", each.get("name") == "default")
        for data_set in self.collections["dataSets"].values():
            data_set.setdefault("dataInputPeriods", [])
            data_set.setdefault("openPeriodsAfterCoEndDate", 0)
            self._list_data_set(data_set)

    def _derive_units(self, metadata: Metadata) -> None:
        for unit in metadata.org_units.values():
            path = {"path": "/" + "/".join(unit.path), "level": len(unit.path)}
            self.collections["organisationUnits"][unit.id] |= path

    def _reverse(self, source: str, member: str, target: str, name: str) -> None:
        found = defaultdict(list)
        for each in self.collections.get(source, {}).values():
            if each.get(member):
                found[each[member]["id"]].append({"id": each["id"]})
        for uid, each in self.collections.get(target, {}).items():
            each.setdefault(name, found[uid])

    def _list_data_set(self, data_set: Json) -> None:
        for part in data_set.get("dataSetElements", ()):
            element = self.collections["dataElements"][part["dataElement"]["id"]]
            element.setdefault("dataSetElements", []).append(part)
        for part in data_set.get("organisationUnits", ()):
            unit = self.collections["organisationUnits"][part["id"]]
            unit.setdefault("dataSets", []).append({"id": data_set["id"]})


def _shown_sharing(sharing: Json, metadata: Metadata) -> Json:
    names = {uid: group["name"] for uid, group in metadata.objects["userGroups"].items()}
    groups = {uid: {"displayName": names.get(uid), **grant} for uid, grant in sharing.get("userGroups", {}).items()}
    kept = {"users": sharing.get("users", {}), "userGroups": groups, "public": sharing.get("public")}
    return {"owner": sharing.get("owner", ADMIN_ID), **kept}


def parse_fields(text: str) -> Fields:
    """Read a fields expression such as `id,parent[id,name]`; transformers after `~` are passed over."""
    stack: list[Fields] = [{}]
    name = ""
    for sign in text.replace(" ", "") + ",":
        if sign == "[":
            stack.append(stack[-1].setdefault(name.partition("~")[0], {}))
            name = ""
        elif sign in ",]":
            if name:
                stack[-1].setdefault(name.partition("~")[0].partition("::")[0], {})
            name = ""
            if sign == "]" and len(stack) > 1:
                stack.pop()
        else:
            name += sign
    return stack[0]


def select(each: Json, fields: Fields, catalog: Catalog) -> Json:
    """Cut an object down to the asked fields, following references as far as brackets go."""
    names: dict[str, Fields] = {}
    for name, inner in fields.items():
        if name in EVERYTHING:
            names |= {member: {} for member in each}
        elif name in PRESETS:
            names |= {member: {} for member in PRESETS[name]}
        elif name.startswith("!"):
            names.pop(name[1:], None)
        else:
            names[name] = inner
    return {
        name: _member(each[name], name, inner, catalog) for name, inner in names.items() if each.get(name) is not None
    }


def _member(value: Any, name: str, fields: Fields, catalog: Catalog) -> Any:
    if isinstance(value, list):
        return [_member(item, name, fields, catalog) for item in value]
    if not isinstance(value, dict):
        return value
    if name in REFERENCES and "id" in value:
        full = catalog.collections.get(REFERENCES[name], {}).get(value["id"], value)
        return select(full, fields or {"id": {}}, catalog)
    return select(value, fields, catalog) if fields else value


def list_objects(server: Dhis2, call: Call, collection: str, objects: Iterable[Json], catalog: Catalog) -> Reply:
    """Answer a list request."""
    found = [each for each in objects if call.user.may(each.get("sharing") or OPEN_SHARING, 0)]
    for text in (value for name, value in call.query if name == "filter"):
        matches = _matcher(text, catalog)
        found = [each for each in found if matches(each)]
    for text in reversed(call.one("order", "name:asc").split(",")):
        member, _, way = text.partition(":")
        found.sort(key=lambda each: str(each.get(member, "")).lower(), reverse=way == "desc")
    fields = parse_fields(call.one("fields") or "displayName,id")
    page, size = int(call.one("page") or 1), int(call.one("pageSize") or 50)
    is_paged = call.one("paging", "true") != "false"
    shown = found[(page - 1) * size : page * size] if is_paged else found
    rows = [select(_with_access(each, call.user), fields, catalog) for each in shown]
    pager = {"pager": _pager(call, collection, page, size, len(found))} if is_paged else {}
    return Reply(pager | {collection: rows})


def _pager(call: Call, collection: str, page: int, size: int, total: int) -> Json:
    pages = max(1, -(-total // size))
    rest = call.raw_query_without("page", "pageSize")
    link = f"{call.base_url}/api/{collection}?"
    pager: Json = {"page": page, "total": total, "pageSize": size}
    if page < pages:
        pager["nextPage"] = f"{link}page={page + 1}&pageSize={size}{rest}"
    if page > 1:
        before = f"page={page - 1}&" if page > 2 else ""
        pager["prevPage"] = f"{link}{before}pageSize={size}{rest}"
    return pager | {"pageCount": pages}


def get_object(server: Dhis2, call: Call, collection: str, each: Json | None, uid: str, catalog: Catalog) -> Reply:
    """Answer a request for one object."""
    if each is None or not call.user.may(each.get("sharing") or OPEN_SHARING, 0):
        klass = KLASSES.get(collection) or collection[0].upper() + collection[1:-1]
        return envelope_reply(404, f"{klass} with id {uid} could not be found.", "E1005")
    fields = parse_fields(call.one("fields") or "*")
    return Reply(select(_with_access(each, call.user), fields, catalog))


def _with_access(each: Json, user: User) -> Json:
    sharing = each.get("sharing") or OPEN_SHARING
    may_write = user.is_superuser or sharing.get("owner") == user.id
    rights: Json = (
        dict.fromkeys(("manage", "write"), may_write) | {"read": True} | dict.fromkeys(("update", "delete"), may_write)
    )
    if "periodType" in each:
        rights["data"] = {"write": user.may(sharing, DATA_WRITE), "read": user.may(sharing, DATA_READ)}
    return {**each, "access": rights}


def _matcher(text: str, catalog: Catalog) -> Callable[[Json], bool]:
    path, _, rest = text.partition(":")
    operator, _, value = rest.partition(":")
    members = value.strip("[]").split(",")
    tests: dict[str, Callable[[str], bool]] = {
        "eq": lambda seen: seen == value,
        "!eq": lambda seen: seen != value,
        "ne": lambda seen: seen != value,
        "in": lambda seen: seen in members,
        "!in": lambda seen: seen not in members,
        "like": lambda seen: value in seen,
        "ilike": lambda seen: value.lower() in seen.lower(),
        "$like": lambda seen: seen.startswith(value),
        "gt": lambda seen: seen > value,
        "ge": lambda seen: seen >= value,
        "lt": lambda seen: seen < value,
        "le": lambda seen: seen <= value,
    }

    def matches(each: Json) -> bool:
        found = [
            str(item).lower() if isinstance(item, bool) else str(item)
            for item in _follow(each, path.split("."), catalog)
        ]
        if operator in {"null", "!null"}:
            return bool(found) == (operator == "!null")
        return any(map(tests[operator], found)) if not operator.startswith("!") else all(map(tests[operator], found))

    return matches


def _follow(each: Any, path: list[str], catalog: Catalog) -> Iterable[Any]:
    if not path:
        return [each]
    value = each.get(path[0]) if isinstance(each, dict) else None
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    known = catalog.collections.get(REFERENCES.get(path[0], ""), {})
    full = (known.get(item["id"], item) if isinstance(item, dict) and "id" in item else item for item in items)
    return [leaf for item in full for leaf in _follow(item, path[1:], catalog)]
