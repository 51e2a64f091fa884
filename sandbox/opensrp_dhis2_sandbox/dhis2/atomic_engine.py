"""The data value import of DHIS2 2.43 and newer: one bad reference refuses the group, WARNING is HTTP 200.

It decides and counts; reading payloads, storing and HTTP are elsewhere.
"""

from opensrp_dhis2_sandbox.dhis2.atomic_checks import (
    RefusedGroup,
    check_group,
    detect_data_set,
    normalise,
    value_conflict,
)
from opensrp_dhis2_sandbox.dhis2.atomic_decode import Group, Row, Undecodable, apply_payload_options, decode
from opensrp_dhis2_sandbox.dhis2.imports import (
    Circumstances,
    Completion,
    DataValue,
    ImportResult,
    Json,
    Key,
    Summary,
)
from opensrp_dhis2_sandbox.dhis2.metadata import DEFAULT_OPTION_COMBO_ID
from opensrp_dhis2_sandbox.dhis2.options import ImportOptions


def import_values(payload: Json, options: ImportOptions, where: Circumstances) -> ImportResult:
    """Import a data value set: all or nothing by its references, row by row by its values."""
    apply_payload_options(payload, options)
    try:
        group = decode(payload, options, where)
    except Undecodable as refused:
        return ImportResult(Summary("ERROR", conflicts=[refused.conflict]), 409)
    if not group.rows and not group.deletion:
        return _complete(group.data_set or "", group, ImportResult(Summary(data_set_complete="false")))
    try:
        data_set_id = group.data_set or detect_data_set(group.rows, where)
        check_group(data_set_id, group.rows, options, where)
        return _enter(data_set_id, group, options, where)
    except RefusedGroup as refused:
        return _refused(refused, group, is_atomic=options["atomic"])


def _refused(refused: RefusedGroup, group: Group, *, is_atomic: bool) -> ImportResult:
    indexes = [row.number for row in group.rows]
    conflict = {"objects": refused.objects, "value": refused.text, "errorCode": refused.code, "indexes": indexes}
    complete = None if is_atomic else "false"
    summary = Summary("ERROR", conflicts=[conflict], rejected_indexes=indexes, data_set_complete=complete)
    return ImportResult(summary, 409)


def _enter(data_set_id: str, group: Group, options: ImportOptions, where: Circumstances) -> ImportResult:
    summary = Summary(data_set_complete="false")
    is_delete = options.strategy == "DELETE"
    good = _check_values(group.rows, summary, where, is_delete=is_delete)
    if options["atomic"] and summary.conflicts:
        first = summary.conflicts[0]["value"]
        counts = f"{len(good)}/{len(group.rows)}"
        text = f"Atomic mode requires all values to be valid but only {counts} were. First issue: {first}"
        raise RefusedGroup("E8000", text, len(good), len(group.rows), first)
    writes = _deletion_writes(group.deletion, summary, where)
    entered = {row.key: _stored(row, value, is_delete, where) for row, value in good}
    if _database_refuses(good, len(entered)):
        # The upsert's failure is swallowed: SUCCESS, and only `ignored` tells.
        summary.ignored += len(good)
        return ImportResult(summary)
    if is_delete:
        summary.deleted += len(good)
    else:
        summary.updated += len(good)
    if summary.conflicts:
        summary.status = "WARNING" if good else "ERROR"
    result = ImportResult(summary, 200 if good else 409, writes | entered)
    _complete(data_set_id, group, result)
    if options["dryRun"]:
        result.writes, result.completion = {}, None
    return result


def _check_values(
    rows: list[Row], summary: Summary, where: Circumstances, *, is_delete: bool
) -> list[tuple[Row, str | None]]:
    elements = where.metadata.data_elements
    is_all_deleted = is_delete or all(row.is_deleted for row in rows)
    good = []
    for row in rows:
        element = elements[row.data_element]
        value = normalise(row.value, element.value_type)
        conflict = None if is_all_deleted else value_conflict(row, value, element)
        if conflict is None:
            good.append((row, value))
            continue
        code, text, args = conflict
        summary.ignored += 1
        summary.conflicts.append({"objects": {"args": args}, "value": text, "errorCode": code, "indexes": [row.number]})
        summary.rejected_indexes.append(row.number)
    return good


def _stored(row: Row, value: str | None, is_delete: bool, where: Circumstances) -> DataValue:
    existing = where.stored(row.key)
    keeps_comment = is_delete and existing is not None and row.comment is None
    return DataValue(
        value=value,
        comment=existing.comment if existing and keeps_comment else row.comment,
        follow_up=row.follow_up,
        is_deleted=row.is_deleted or is_delete,
        stored_by=where.user.username,
        created_at=existing.created_at if existing else where.timestamp,
        last_updated_at=where.timestamp,
    )


def _deletion_writes(scope: list[Key], summary: Summary, where: Circumstances) -> dict[Key, DataValue]:
    found = {key: stored for key in scope if (stored := where.stored(key)) is not None}
    summary.deleted += len(found)
    return {
        key: old._replace(value=None, is_deleted=True, last_updated_at=where.timestamp) for key, old in found.items()
    }


def _database_refuses(good: list[tuple[Row, str | None]], key_count: int) -> bool:
    """One row twice in the same upsert, or a NUL character, fails the statement."""
    return key_count < len(good) or any("\0" in (value or "") + (row.comment or "") for row, value in good)


def _complete(data_set_id: str, group: Group, result: ImportResult) -> ImportResult:
    if group.completed_on is None or result.summary.ignored or group.period is None or group.org_unit is None:
        return result
    day = group.completed_on.isoformat()
    combo_id = group.attribute_option_combo or DEFAULT_OPTION_COMBO_ID
    result.summary.data_set_complete = day
    result.completion = Completion(data_set_id, group.period.iso, group.org_unit, combo_id, day)
    return result
