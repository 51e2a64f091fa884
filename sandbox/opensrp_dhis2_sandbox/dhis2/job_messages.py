"""What an import job says of its course: the messages of both engines, newest first.

It knows words; when a job runs is decided in values.py.
"""

from opensrp_dhis2_sandbox.dhis2.http import Dhis2
from opensrp_dhis2_sandbox.dhis2.imports import Json, Summary
from opensrp_dhis2_sandbox.dhis2.options import ImportOptions

BEGINNING = ("Data value set import", "Loading file resource", "Loading file content")
UNSET = ("preheatCache", "filename", "notificationLevel", "dataSet")


def job_messages(server: Dhis2, job: str, payload: Json, options: ImportOptions, summary: Summary) -> list[Json]:
    """Tell the course of a job that has ended."""
    counts = (
        f"{summary.imported} created, {summary.updated} updated, {summary.deleted} deleted, {summary.ignored} ignored"
    )
    course = _atomic_course(payload, summary) if server.is_atomic else ("Importing data...",)
    texts = (*BEGINNING, *course, f"Import complete with status {summary.status}, {counts}")
    messages = [_message(server, job, text, is_last=text is texts[-1]) for text in texts]
    messages[0] |= {"dataType": "PARAMETERS", "data": dict.fromkeys(UNSET) | options.echo}
    return messages[::-1]


def _atomic_course(payload: Json, summary: Summary) -> tuple[str, ...]:
    rows, written = len(payload.get("dataValues") or ()), summary.updated + summary.deleted
    group = f"group ds={payload.get('dataSet') or ''}"
    header = " ".join(
        f"{short}={payload.get(name) or ''}"
        for short, name in (("de", "dataElement"), ("ou", "orgUnit"), ("pe", "period"), ("aoc", "attributeOptionCombo"))
    )
    course = (
        "Deserializing JSON data",
        f"Decoding {group} [{header}]({rows} values)",
        f"Validating {group} ({rows} values)",
    )
    return (*course, f"Upserting {group} ({written} values)") if written else course


def _message(server: Dhis2, job: str, text: str, *, is_last: bool) -> Json:
    uid = server.new_id()
    about = {"level": "INFO", "category": job, "time": server.timestamp(), "message": text}
    return {"uid": uid, **about, "completed": is_last, "id": uid}
