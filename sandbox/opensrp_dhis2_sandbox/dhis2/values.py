"""Takes data values in: dataValueSets, single values, async jobs, lock exceptions and approvals.

It joins payload, engine and store; the rules are the engines'.
"""

from dataclasses import replace
from urllib.parse import parse_qsl

from opensrp_dhis2_sandbox.dhis2 import atomic_engine, row_engine
from opensrp_dhis2_sandbox.dhis2.http import Call, Dhis2, Reply, envelope_reply
from opensrp_dhis2_sandbox.dhis2.imports import (
    Circumstances,
    ImportResult,
    Json,
    Key,
    RefusedRequest,
    summary_envelope,
    summary_json,
    web_message,
)
from opensrp_dhis2_sandbox.dhis2.job_messages import job_messages
from opensrp_dhis2_sandbox.dhis2.metadata import DEFAULT_OPTION_COMBO_ID
from opensrp_dhis2_sandbox.dhis2.options import ImportOptions, read_options
from opensrp_dhis2_sandbox.dhis2.payload import UnreadableBody, read_payload

JOB = "DATAVALUE_IMPORT"


def require_authority(server: Dhis2, call: Call, name: str) -> None:
    """Refuse with 403 a user without the authority."""
    if not call.user.has(name):
        more = f", requires one Authority from [{name}]" if server.is_atomic else ""
        raise RefusedRequest(403, f"Access is denied{more}")


def post_data_value_set(server: Dhis2, call: Call) -> Reply:
    """Import a data value set, now or as a job."""
    require_authority(server, call, "F_DATAVALUE_ADD")
    options = read_options(dict(call.query), is_atomic=server.is_atomic)
    try:
        payload = read_payload(
            call.body, call.headers.get("content-type", ""), call.one("dataSet"), is_atomic=server.is_atomic
        )
    except UnreadableBody as error:
        if server.is_atomic:
            return envelope_reply(400, error.atomic_text)
        result = row_engine.failed(error.row_text)
        return Reply(summary_envelope(result, options.echo, is_atomic=False), result.http_status)
    if options["async"]:
        return _start_job(server, call, payload, options)
    result = run_import(server, call, payload, options)
    if _wants_bare_summary(server, call):
        return Reply(summary_json(result.summary, options.echo, is_atomic=False), result.http_status)
    envelope = summary_envelope(result, options.echo, is_atomic=server.is_atomic)
    if "xml" in call.headers.get("accept", ""):
        return Reply(_xml(envelope), result.http_status, {"content-type": "application/xml;charset=UTF-8"})
    return Reply(envelope, result.http_status)


def run_import(server: Dhis2, call: Call, payload: Json, options: ImportOptions) -> ImportResult:
    """Run the engine inside one transaction and write what it decided."""
    import_values = atomic_engine.import_values if server.is_atomic else row_engine.import_values
    with server.store.transaction():
        result = import_values(payload, options, circumstances(server, call))
        result = _lose_write(result, is_atomic=server.is_atomic) if call.is_write_lost else result
        server.store.put_values(result.writes)
        server.store.see_periods(key.period for key in result.writes)
        if result.completion:
            server.store.put_completion(result.completion, call.user.username)
            server.store.see_periods([result.completion.period])
    return result


def _lose_write(result: ImportResult, *, is_atomic: bool) -> ImportResult:
    """Fail in the database: 2.43 says success and stores nothing, 2.41 says error and has stored a part."""
    if is_atomic:
        summary = replace(result.summary, updated=0, deleted=0, ignored=result.summary.ignored + len(result.writes))
        return ImportResult(summary, result.http_status)
    kept = dict(list(result.writes.items())[: len(result.writes) // 2])
    return ImportResult(row_engine.failed("Failed to flush BatchHandler").summary, 409, kept)


def circumstances(server: Dhis2, call: Call) -> Circumstances:
    """Gather what an engine must know beside the payload."""
    return Circumstances(
        metadata=server.metadata,
        user=call.user,
        now=server.clock(),
        stored=server.store.value,
        lock_exceptions=frozenset(
            (d["ds"], d["pe"], d["ou"]) for d in server.store.documents("lock_exception").values()
        ),
        approvals=frozenset(
            (d["workflow"], d["pe"], d["ou"], d["aoc"]) for d in server.store.documents("approval").values()
        ),
    )


def _wants_bare_summary(server: Dhis2, call: Call) -> bool:
    version = call.path.split("/")[2]
    return not server.is_atomic and version.isdigit() and int(version) < 38


def _xml(envelope: Json) -> str:
    summary = envelope["response"]
    counts = " ".join(f'{name}="{count}"' for name, count in summary["importCount"].items())
    attributes = " ".join(f'{name}="{envelope[name]}"' for name in ("httpStatus", "httpStatusCode", "status"))
    return (
        f'<webMessage xmlns="http://dhis2.org/schema/dxf/2.0" {attributes}><message>{envelope["message"]}</message>'
        f'<response responseType="ImportSummary"><status>{summary["status"]}</status><importCount {counts}/></response>'
        "</webMessage>"
    )


def _start_job(server: Dhis2, call: Call, payload: Json, options: ImportOptions) -> Reply:
    """Note the job; it runs when somebody asks for it a second time, as if the scheduler had come round."""
    job_id, millis = server.new_id(), server.epoch_millis()
    job = {"user": call.user.username, "payload": payload, "query": call.query, "asked": 0}
    server.store.put_document("job", job_id, job)
    name = f"{JOB} ({millis})"
    response: Json = {
        "name": name,
        "id": job_id,
        "created": server.timestamp(),
        "jobType": JOB,
        "jobStatus": "NOT_STARTED",
    }
    response |= {"jobParameters": options.echo, "relativeNotifierEndpoint": f"/api/system/tasks/{JOB}/{job_id}"}
    response |= {"responseType": "JobConfiguration"} if server.is_atomic else {}
    location = {"location": f"{call.base_url}/api/system/tasks/{JOB}"}
    return Reply(web_message(200, f"Initiated {name}") | {"response": response}, 200, location)


def get_task(server: Dhis2, call: Call, job_id: str) -> Reply:
    """Return a job's messages, newest first; none before it ran."""
    job = _advance(server, call, job_id)
    return Reply(job["messages"] if job and "messages" in job else [])


def get_task_summary(server: Dhis2, call: Call, job_id: str) -> Reply:
    """Return a job's bare summary, or an empty body before it ran."""
    job = _advance(server, call, job_id)
    return Reply(job["summary"] if job and "summary" in job else None)


def _advance(server: Dhis2, call: Call, job_id: str) -> Json | None:
    job = server.store.documents("job").get(job_id)
    if job is None or "summary" in job:
        return job
    job["asked"] += 1
    if job["asked"] > 1:
        options = read_options(dict(job["query"]), is_atomic=server.is_atomic)
        starter = Call(**{**vars(call), "user": server.metadata.users[job["user"]]})
        summary = run_import(server, starter, job["payload"], options).summary
        job["summary"] = summary_json(summary, options.echo, is_atomic=server.is_atomic)
        job["messages"] = job_messages(server, JOB, job["payload"], options, summary)
    server.store.put_document("job", job_id, job)
    return job


def get_single_value(server: Dhis2, call: Call) -> Reply:
    """Return one value as an array of one text."""
    stored = server.store.value(_single_key(dict(call.query)))
    if stored is None or stored.is_deleted:
        text = "Data value does not exist"
        return envelope_reply(404, text, "E1005") if server.is_atomic else envelope_reply(409, text)
    return Reply([stored.value])


def post_single_value(server: Dhis2, call: Call) -> Reply:
    """Enter one value, sent in the query or as a form."""
    require_authority(server, call, "F_DATAVALUE_ADD")
    sent = dict(call.query) | dict(parse_qsl(call.body.decode()))
    key = _single_key(sent)
    row = {"dataElement": key.data_element, "period": key.period, "orgUnit": key.org_unit, "value": sent.get("value")}
    row |= {"categoryOptionCombo": key.category_option_combo, "attributeOptionCombo": key.attribute_option_combo}
    options = read_options({}, is_atomic=server.is_atomic)
    result = run_import(server, call, {"dataValues": [row]}, options)
    if not result.summary.conflicts:
        return Reply(None, 201)
    conflict = result.summary.conflicts[0]
    if server.is_atomic:
        return envelope_reply(409, f"Failed to upsert data value: {conflict['value']}", "E1004")
    value_type = server.metadata.data_elements[key.data_element].value_type
    return envelope_reply(409, f"Data value must match data element value type: `{value_type}`", "E2030")


def delete_single_value(server: Dhis2, call: Call) -> Reply:
    """Turn one value into a tombstone."""
    key = _single_key(dict(call.query))
    with server.store.transaction():
        stored = server.store.value(key)
        if stored:
            value = None if server.is_atomic else stored.value
            tombstone = stored._replace(value=value, is_deleted=True, last_updated_at=server.timestamp())
            server.store.put_values({key: tombstone})
    return Reply(None, 204)


def _single_key(sent: dict[str, str]) -> Key:
    combo = sent.get("co") or DEFAULT_OPTION_COMBO_ID
    return Key(sent.get("de", ""), sent.get("pe", ""), sent.get("ou", ""), combo, DEFAULT_OPTION_COMBO_ID)


def lock_exceptions(server: Dhis2, call: Call) -> Reply:
    """Open, or close again, an expired period of a data set for one org unit; or list what is open so."""
    if call.method == "GET":
        found = server.store.documents("lock_exception").values()
        named = [
            {"period": {"id": d["pe"]}, "organisationUnit": {"id": d["ou"]}, "dataSet": {"id": d["ds"]}} for d in found
        ]
        return Reply({"lockExceptions": named})
    sent = {name: call.one(name) for name in ("ds", "pe", "ou")}
    name = "/".join(sent.values())
    if call.method == "DELETE":
        server.store.drop_document("lock_exception", name)
        return Reply(None, 204)
    server.store.put_document("lock_exception", name, sent)
    return envelope_reply(201, "LockException created successfully.")


def approvals(server: Dhis2, call: Call) -> Reply:
    """Approve, or disapprove, a data set's workflow for a period and an org unit."""
    workflow = server.metadata.data_sets[call.one("ds")].workflow_id
    sent = {"workflow": workflow, "pe": call.one("pe"), "ou": call.one("ou"), "aoc": DEFAULT_OPTION_COMBO_ID}
    name = "/".join(str(part) for part in sent.values())
    if call.method == "DELETE":
        server.store.drop_document("approval", name)
    else:
        server.store.put_document("approval", name, sent)
    return Reply(None, 204)
