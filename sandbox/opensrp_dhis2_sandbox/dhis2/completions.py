"""Registers data sets as complete: POST, GET and DELETE of completeDataSetRegistrations.

It knows registrations; whether values are there does not concern it, as it does not concern DHIS2. What no recording
shows (users, sharing, locks) is by DHIS2's source.
"""

from opensrp_dhis2_sandbox.dhis2.http import Call, Dhis2, Reply, envelope_reply
from opensrp_dhis2_sandbox.dhis2.imports import (
    Circumstances,
    Completion,
    ImportResult,
    Json,
    Summary,
    summary_envelope,
)
from opensrp_dhis2_sandbox.dhis2.metadata import DATA_WRITE, DEFAULT_OPTION_COMBO_ID, DataSet
from opensrp_dhis2_sandbox.dhis2.options import FLAGS
from opensrp_dhis2_sandbox.dhis2.periods import Period, parse_period
from opensrp_dhis2_sandbox.dhis2.timeliness import is_approved, is_input_period_open, is_locked
from opensrp_dhis2_sandbox.dhis2.values import circumstances, require_authority


def post_completions(server: Dhis2, call: Call) -> Reply:
    """Register completions; 409 only when every row is ignored."""
    require_authority(server, call, "F_DATAVALUE_ADD")
    summary = Summary(description="Import process complete.")
    rows = (call.json() or {}).get("completeDataSetRegistrations") or []
    new_periods = [row["period"] for row in rows if not server.store.has_period(row["period"])]
    if server.is_atomic and new_periods:
        # The first completion of a period the server never saw breaks on creating it, and works when repeated.
        server.store.see_periods(new_periods)
        summary = Summary("ERROR", "The import process failed: Failed to flush BatchHandler")
        rows = []
    for row in rows:
        _register(server, call, row, summary)
    if summary.ignored == len(rows):
        summary.status = "ERROR"
    result = ImportResult(summary, 409 if summary.status == "ERROR" else 200)
    options = {"idSchemes": {}, **({"atomic": False} if server.is_atomic else {}), **FLAGS}
    return Reply(summary_envelope(result, options, is_atomic=server.is_atomic), result.http_status)


def _register(server: Dhis2, call: Call, row: Json, summary: Summary) -> None:
    combo_id = row.get("attributeOptionCombo") or DEFAULT_OPTION_COMBO_ID
    conflict = _conflict(server, call, row)
    if conflict:
        summary.ignored += 1
        summary.conflicts.append(conflict)
        return
    day = row.get("date") or server.clock().date().isoformat()
    completion = Completion(row["dataSet"], row["period"], row["organisationUnit"], combo_id, day)
    was_there = server.store.put_completion(completion, call.user.username, row.get("completed", True))
    server.store.see_periods([row["period"]])
    if was_there:
        summary.updated += 1
    else:
        summary.imported += 1


def _conflict(server: Dhis2, call: Call, row: Json) -> Json | None:
    """Return why a registration is ignored; expiry, approval and assignment are no reason here."""
    metadata = server.metadata
    data_set, unit = metadata.data_sets.get(row["dataSet"]), metadata.org_units.get(row["organisationUnit"])
    if data_set is None:
        return {"object": row["dataSet"], "value": "Data set not found or not accessible"}
    if parse_period(row["period"]) is None:
        return {"object": row["period"], "value": "Period not valid"}
    if unit is None:
        return {"object": row["organisationUnit"], "value": "Organisation unit not found or not accessible"}
    if call.user.capture_unit_ids.isdisjoint(unit.path):
        return {"object": unit.id, "value": f"Organisation unit is not in hierarchy of user: {call.user.username}"}
    if not call.user.may(data_set.sharing, DATA_WRITE):
        return {"object": "dataSet", "value": f"User has no data write access for DataSet: {data_set.id}"}
    return None


def get_completions(server: Dhis2, call: Call) -> Reply:
    """List registrations; an empty object when there are none."""
    data_sets, periods, units = (call.all(name) for name in ("dataSet", "period", "orgUnit"))
    for given, code, word in ((data_sets, "E2013", "data set"), (units, "E2014", "organisation unit")):
        if not given:
            return envelope_reply(409, f"At least one {word} must be specified", code)
    metadata, has_children = server.metadata, call.one("children") == "true"
    start, end = call.one("startDate"), call.one("endDate")
    found = []
    for each, stored_by, is_completed in server.store.completions():
        is_inside = each.org_unit in units or (
            has_children and not set(units).isdisjoint(metadata.org_units[each.org_unit].path)
        )
        period = parse_period(each.period)
        is_timely = each.period in periods or (
            start and end and period and start <= period.start_on.isoformat() and period.end_on.isoformat() <= end
        )
        if each.data_set in data_sets and is_inside and is_timely:
            found.append(_json(each, stored_by, is_completed))
    return Reply({"completeDataSetRegistrations": found} if found else {})


def _json(each: Completion, stored_by: str, is_completed: bool) -> Json:
    return {
        "period": each.period,
        "dataSet": each.data_set,
        "organisationUnit": each.org_unit,
        "attributeOptionCombo": each.attribute_option_combo,
        "date": each.completed_on,
        "storedBy": stored_by,
        "completed": is_completed,
    }


def delete_completions(server: Dhis2, call: Call) -> Reply:
    """Take registrations back, where the data set is not locked; also when there are none."""
    combo_id = _combo_id(server, call)
    data_sets = [server.metadata.data_sets[uid] for uid in call.all("ds")]
    period, unit = parse_period(call.one("pe")), call.one("ou")
    if period is None:
        return envelope_reply(409, f"Illegal period identifier: {call.one('pe')}")
    where = circumstances(server, call)
    locked = [each.id for each in data_sets if _is_locked(each, period, unit, combo_id, where)]
    if locked:
        return envelope_reply(409, f"Locked Data set(s) : {', '.join(locked)}")
    for each in data_sets:
        if unit in each.org_unit_ids:
            server.store.drop_completion((each.id, period.iso, unit, combo_id))
    return Reply(None, 204)


def _combo_id(server: Dhis2, call: Call) -> str:
    """Find the attribute option combo by its category combo and options; without them it is the default."""
    combo_id, options = call.one("cc"), set(call.one("cp").split(";"))
    if not combo_id:
        return DEFAULT_OPTION_COMBO_ID
    combos = server.metadata.option_combos.values()
    found = [each.id for each in combos if each.category_combo_id == combo_id and set(each.option_ids) == options]
    return found[0] if found else ""


def _is_locked(data_set: DataSet, period: Period, unit: str, combo_id: str, where: Circumstances) -> bool:
    return (
        is_locked(data_set, period, unit, where)
        or is_approved(data_set, period, unit, combo_id, where)
        or not is_input_period_open(data_set, period, where.today)
    )
