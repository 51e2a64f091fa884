"""Registers data sets as complete: POST, GET and DELETE of completeDataSetRegistrations.

It knows registrations; whether values are there does not concern it, as it does not concern DHIS2.
"""

from opensrp_dhis2.sandbox.dhis2.http import Call, Dhis2, Reply, envelope_reply
from opensrp_dhis2.sandbox.dhis2.imports import Completion, ImportResult, Json, Summary, summary_envelope
from opensrp_dhis2.sandbox.dhis2.metadata import DEFAULT_OPTION_COMBO_ID
from opensrp_dhis2.sandbox.dhis2.options import FLAGS
from opensrp_dhis2.sandbox.dhis2.periods import parse_period
from opensrp_dhis2.sandbox.dhis2.values import require_authority


def post_completions(server: Dhis2, call: Call) -> Reply:
    """Register completions; 409 only when every row is ignored."""
    require_authority(server, call, "F_DATAVALUE_ADD")
    summary = Summary(description="Import process complete.")
    rows = (call.json() or {}).get("completeDataSetRegistrations") or []
    new_periods = [row["period"] for row in rows if not server.store.has_period(row["period"])]
    if server.is_new and new_periods:
        # The first completion of a period the server never saw breaks on creating it, and works when repeated.
        server.store.see_periods(new_periods)
        summary = Summary("ERROR", "The import process failed: Failed to flush BatchHandler")
        rows = []
    for row in rows:
        _register(server, call, row, summary)
    if summary.ignored == len(rows):
        summary.status = "ERROR"
    result = ImportResult(summary, 409 if summary.status == "ERROR" else 200)
    options = {"idSchemes": {}, **({"atomic": False} if server.is_new else {}), **FLAGS}
    return Reply(summary_envelope(result, options, is_new=server.is_new), result.http_status)


def _register(server: Dhis2, call: Call, row: Json, summary: Summary) -> None:
    metadata = server.metadata
    problem = None
    if row["dataSet"] not in metadata.data_sets:
        problem = row["dataSet"], "Data set not found or not accessible"
    elif row["organisationUnit"] not in metadata.org_units:
        problem = row["organisationUnit"], "Organisation unit not found or not accessible"
    elif parse_period(row["period"]) is None:
        problem = row["period"], "Invalid period"
    if problem:
        summary.ignored += 1
        summary.conflicts.append({"object": problem[0], "value": problem[1]})
        return
    combo_id = row.get("attributeOptionCombo") or DEFAULT_OPTION_COMBO_ID
    day = row.get("date") or server.clock().date().isoformat()
    completion = Completion(row["dataSet"], row["period"], row["organisationUnit"], combo_id, day)
    was_there = server.store.put_completion(completion, call.user.username, row.get("completed", True))
    server.store.see_periods([row["period"]])
    if was_there:
        summary.updated += 1
    else:
        summary.imported += 1


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
    """Take registrations back; also when there are none."""
    for data_set in call.all("ds"):
        for period in call.all("pe"):
            for unit in call.all("ou"):
                server.store.drop_completion((data_set, period, unit, DEFAULT_OPTION_COMBO_ID))
    return Reply(None, 204)
