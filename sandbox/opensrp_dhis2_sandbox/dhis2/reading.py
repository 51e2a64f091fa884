"""Gives stored values back: GET dataValueSets in both engines' shapes.

It knows filters, access and formats; it changes nothing.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

from opensrp_dhis2_sandbox.dhis2.http import Call, Dhis2, Reply, envelope_reply
from opensrp_dhis2_sandbox.dhis2.imports import DataValue, Json, Key, RefusedRequest
from opensrp_dhis2_sandbox.dhis2.metadata import DATA_READ
from opensrp_dhis2_sandbox.dhis2.periods import parse_period

NO_ELEMENT = ("E2001", "At least one data element, data set or data element group must be specified")
NO_TIME = ("E2002", "At least one period, start/end dates, last updated or last updated duration must be specified")
NO_UNIT = ("E2006", "At least one organisation unit, children or group must be specified")
CSV_HEADER = (
    "dataelement,period,orgunit,categoryoptioncombo,attributeoptioncombo,value,storedby,lastupdated,comment,"
    "followup,deleted"
)
MEMBERS = {
    "dataElement": "dataElements", "orgUnit": "organisationUnits", "categoryOptionCombo": "categoryOptionCombos",
    "attributeOptionCombo": "categoryOptionCombos", "dataSet": "dataSets",
}  # fmt: skip
DURATION_DAYS = {"d": 1.0, "h": 1 / 24, "m": 1 / 1440, "s": 1 / 86400}


class Filter(NamedTuple):
    """What a read asks for, resolved to ids."""

    data_sets: list[str]
    data_elements: set[str]
    periods: list[str]
    org_units: list[str]
    has_children: bool
    attribute_combos: list[str]


def get_data_value_set(server: Dhis2, call: Call) -> Reply:
    """Read values; parameter errors are 409, refused access is 409 or, on the row engine, an empty 200."""
    wanted = _filter(server, call)
    if refusal := _refusal(server, call, wanted):
        # The row engine has opened its JSON answer before it looks at access, and leaves it empty.
        return (
            envelope_reply(409, refusal[1], refusal[0])
            if server.is_atomic
            else Reply(b"", 200, {"content-type": "application/json;charset=UTF-8"})
        )
    found = list(_found(server, call, wanted))
    limit = call.one("limit")
    rows = found[: int(limit)] if limit else found
    is_csv = call.path.endswith(".csv") or (not server.is_atomic and "csv" in call.headers.get("accept", ""))
    if is_csv:
        return Reply(_csv(rows, is_atomic=server.is_atomic), 200, {"content-type": "application/csv;charset=UTF-8"})
    return Reply(
        _atomic_json(server, call, wanted, rows) if server.is_atomic else _row_json(server, call, wanted, rows)
    )


def _filter(server: Dhis2, call: Call) -> Filter:
    metadata = server.metadata

    def ids(name: str, collection: str) -> list[str]:
        scheme = (call.one(f"input{name[0].upper()}{name[1:]}IdScheme") or call.one("inputIdScheme") or "UID").upper()
        found = [(key, metadata.find_id(collection, scheme, key)) for key in call.all(name)]
        return [each or key for key, each in found if each or server.is_atomic]

    data_sets, elements = ids("dataSet", "dataSets"), set(ids("dataElement", "dataElements"))
    for data_set_id in data_sets:
        elements |= set(metadata.data_sets[data_set_id].combo_ids) if data_set_id in metadata.data_sets else set()
    if not data_sets and not elements:
        raise _query_error(NO_ELEMENT)
    has_range = bool(call.one("startDate") and call.one("endDate"))
    has_update = bool(call.one("lastUpdated") or call.one("lastUpdatedDuration")) and not server.is_atomic
    periods = [period.iso for text in call.all("period") if (period := parse_period(text))]
    if periods and has_range:
        raise _query_error(("E2003", "Both periods and start/end date cannot be specified"))
    if not (periods or has_range or has_update):
        raise _query_error(NO_TIME)
    org_units = ids("orgUnit", "organisationUnits")
    if not org_units:
        raise _query_error(NO_UNIT)
    if call.one("limit").startswith("-"):
        raise _query_error(("E2009", f"Limit cannot be less than zero: `{call.one('limit')}`"))
    combos = ids("attributeOptionCombo", "categoryOptionCombos")
    return Filter(data_sets, elements, periods, org_units, call.one("children") == "true", combos)


def _query_error(error: tuple[str, str]) -> RefusedRequest:
    return RefusedRequest(409, error[1], error[0])


def _refusal(server: Dhis2, call: Call, wanted: Filter) -> tuple[str, str] | None:
    metadata, user = server.metadata, call.user
    shut = [
        d
        for d in wanted.data_sets
        if d in metadata.data_sets and not user.may(metadata.data_sets[d].sharing, DATA_READ)
    ]
    if shut:
        return "E2010", f"User is not allowed to read data for data set(s): `[{', '.join(shut)}]`"
    if user.is_superuser and server.is_atomic:
        return None
    units = [metadata.org_units[each] for each in wanted.org_units if each in metadata.org_units]
    outside = [unit.id for unit in units if user.view_unit_ids.isdisjoint(unit.path)]
    if outside:
        return "E2012", f"User is not allowed to view org unit(s): `[{', '.join(outside)}]`"
    return None


def _found(server: Dhis2, call: Call, wanted: Filter) -> Iterator[tuple[Key, DataValue]]:
    units, roots = server.metadata.org_units, set(wanted.org_units)
    start, end = call.one("startDate"), call.one("endDate")
    since = _since(server, call)
    for key, stored in server.store.values(wanted.periods):
        unit = units[key.org_unit]
        is_inside = not roots.isdisjoint(unit.path) if wanted.has_children else key.org_unit in roots
        is_wanted = key.data_element in wanted.data_elements and is_inside
        is_wanted &= not wanted.attribute_combos or key.attribute_option_combo in wanted.attribute_combos
        is_wanted &= not stored.is_deleted or call.one("includeDeleted") == "true"
        is_wanted &= stored.last_updated_at >= since
        if is_wanted and (wanted.periods or not start or _is_within(key.period, start, end)):
            yield key, stored


def _since(server: Dhis2, call: Call) -> str:
    duration = call.one("lastUpdatedDuration")
    if duration:
        return (server.clock() - timedelta(days=int(duration[:-1]) * DURATION_DAYS[duration[-1]])).isoformat()
    return call.one("lastUpdated")


def _is_within(iso: str, start: str, end: str) -> bool:
    period = parse_period(iso)
    return (
        period is not None and date.fromisoformat(start) <= period.start_on and period.end_on <= date.fromisoformat(end)
    )


def _shown(server: Dhis2, call: Call, member: str, uid: str) -> str:
    """Write an id under the asked scheme."""
    scheme = (call.one(f"{member}IdScheme") or call.one("idScheme") or "UID").upper()
    if scheme in {"UID", "ID"}:
        return uid
    shown: str = server.metadata.objects[MEMBERS[member]].get(uid, {}).get(scheme.lower(), uid)
    return shown


def _row_json(server: Dhis2, call: Call, wanted: Filter, rows: Iterable[tuple[Key, DataValue]]) -> Json:
    body: Json = {}
    if len(wanted.data_sets) == len(wanted.periods) == len(wanted.org_units) == 1:
        data_set, period, unit = wanted.data_sets[0], wanted.periods[0], wanted.org_units[0]
        days = [
            c.completed_on
            for c, _, is_completed in server.store.completions()
            if c[:3] == (data_set, period, unit) and is_completed
        ]
        body["dataSet"] = _shown(server, call, "dataSet", data_set)
        body["completeDate"] = f"{days[0]}T00:00:00.000+0000" if days else None
        body |= {"period": period, "orgUnit": _shown(server, call, "orgUnit", unit)}
    return body | {"dataValues": [_row_engine_row(server, call, key, stored) for key, stored in rows]}


def _cell(server: Dhis2, call: Call, key: Key) -> Json:
    return {
        "dataElement": _shown(server, call, "dataElement", key.data_element),
        "period": key.period,
        "orgUnit": _shown(server, call, "orgUnit", key.org_unit),
        "categoryOptionCombo": _shown(server, call, "categoryOptionCombo", key.category_option_combo),
        "attributeOptionCombo": _shown(server, call, "attributeOptionCombo", key.attribute_option_combo),
    }


def _row_engine_row(server: Dhis2, call: Call, key: Key, stored: DataValue) -> Json:
    row = _cell(server, call, key) | {
        "value": stored.value,
        "storedBy": stored.stored_by,
        "created": f"{stored.created_at[:19]}.000+0000",
        "lastUpdated": f"{stored.last_updated_at[:19]}.000+0000",
        "comment": stored.comment,
        "followup": bool(stored.follow_up),
    }
    return row | ({"deleted": True} if stored.is_deleted else {})


def _atomic_json(server: Dhis2, call: Call, wanted: Filter, rows: Iterable[tuple[Key, DataValue]]) -> Json:
    """Write the answer with what all rows share in the header, and only there."""
    header: Json = {}
    if len(wanted.data_sets) == 1:
        header["dataSet"] = _shown(server, call, "dataSet", wanted.data_sets[0])
    if len(wanted.periods) == 1:
        header["period"] = wanted.periods[0]
    if len(wanted.org_units) == 1 and not wanted.has_children:
        header["orgUnit"] = _shown(server, call, "orgUnit", wanted.org_units[0])
    if len(wanted.attribute_combos) == 1:
        header["attributeOptionCombo"] = _shown(server, call, "attributeOptionCombo", wanted.attribute_combos[0])
    schemes = {}
    if scheme := call.one("idScheme").upper():
        names = (
            "dataSet",
            "dataElement",
            "orgUnit",
            "categoryOptionCombo",
            "attributeOptionCombo",
            "category",
            "categoryOption",
        )
        schemes = {f"{name}IdScheme": scheme for name in names}
    return header | schemes | {"dataValues": [_atomic_row(server, call, key, stored, header) for key, stored in rows]}


def _atomic_row(server: Dhis2, call: Call, key: Key, stored: DataValue, header: Json) -> Json:
    row = _cell(server, call, key) | {
        "value": stored.value,
        "storedBy": stored.stored_by,
        "created": f"{stored.created_at}+0000",
        "lastUpdated": f"{stored.last_updated_at}+0000",
        "comment": stored.comment,
        "followup": stored.follow_up or None,
        "deleted": stored.is_deleted or None,
    }
    return {name: value for name, value in row.items() if value is not None and header.get(name) != value}


def _csv(rows: Iterable[tuple[Key, DataValue]], *, is_atomic: bool) -> str:
    lines = [CSV_HEADER]
    for key, stored in rows:
        ids = (key.data_element, key.period, key.org_unit, key.category_option_combo, key.attribute_option_combo)
        updated = f"{stored.last_updated_at}+0000" if is_atomic else f"{stored.last_updated_at[:19]}.000+0000"
        follow_up = ("true" if stored.follow_up else "") if is_atomic else str(bool(stored.follow_up)).lower()
        deleted = str(stored.is_deleted).lower() if is_atomic or stored.is_deleted else "null"
        lines.append(
            ",".join((*ids, stored.value or "", stored.stored_by, updated, stored.comment or "", follow_up, deleted))
        )
    return "\n".join(lines) + "\n"
