"""The data value import of DHIS2 2.42 and older: each row stands alone, most is taken, WARNING is HTTP 409.

It decides and counts; reading payloads, storing and HTTP are elsewhere.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date

from opensrp_dhis2_sandbox.dhis2.imports import (
    Circumstances,
    Completion,
    DataValue,
    ImportResult,
    Json,
    Key,
    Summary,
    text_or_none,
)
from opensrp_dhis2_sandbox.dhis2.metadata import DATA_WRITE, DEFAULT_OPTION_COMBO_ID, OptionCombo
from opensrp_dhis2_sandbox.dhis2.options import ImportOptions, with_payload_schemes
from opensrp_dhis2_sandbox.dhis2.periods import parse_period
from opensrp_dhis2_sandbox.dhis2.row_checks import Cell, Checks, Header
from opensrp_dhis2_sandbox.dhis2.row_conflicts import Conflict, Refused
from opensrp_dhis2_sandbox.dhis2.value_types import is_zero

# Inserts wait until about this much SQL is together; a row without long texts takes about 98 characters of it.
FLUSH_LENGTH = 200_000
ROW_LENGTH = 98.4


class BrokenImportError(Exception):
    """The import ends here; what was written before stays."""


def import_values(payload: Json, options: ImportOptions, where: Circumstances) -> ImportResult:
    """Import a data value set; rows that are refused become conflicts, the rest is written."""
    summary = Summary(description="Import process completed successfully", data_set_complete="false")
    options = with_payload_schemes(payload, options)
    result, is_dry_run = ImportResult(summary), options["dryRun"] or payload.get("dryRun") is True
    try:
        header = _header(payload, options, where)
    except Refused as refused:
        aborted = Summary(
            "ERROR", "Import process was aborted", conflicts=[conflict.json() for conflict in refused.conflicts]
        )
        return ImportResult(aborted, 409)
    try:
        result.completion = _complete(payload, header, summary, where)
        _import_rows(_rows(payload), Checks(header, options, where), result, is_dry_run)
    except ValueError:
        text = text_or_none(payload, "completeDate")
        return failed(f"Text '{text}' could not be parsed, unparsed text found at index 10")
    except BrokenImportError as error:
        writes = {} if is_dry_run else result.writes
        return ImportResult(failed(str(error)).summary, 409, writes, result.completion)
    if summary.conflicts:
        summary.status, result.http_status = "WARNING", 409
    if is_dry_run:
        result.writes = {}
    return result


def failed(reason: str) -> ImportResult:
    """Return the summary of an import that broke down."""
    return ImportResult(Summary("ERROR", f"The import process failed: {reason}"), 409)


def _header(payload: Json, options: ImportOptions, where: Circumstances) -> Header:
    checks = Checks(Header(None, None, None, None), options, where)
    data_set_key, unit_key = text_or_none(payload, "dataSet"), text_or_none(payload, "orgUnit")
    period_text, combo_key = text_or_none(payload, "period"), text_or_none(payload, "attributeOptionCombo")
    data_set_id = checks.find_id("dataSets", "dataSetIdScheme", data_set_key)
    data_set = where.metadata.data_sets[data_set_id] if data_set_id else None
    unit_id = checks.find_id("organisationUnits", "orgUnitIdScheme", unit_key)
    combo = checks.find_combo(combo_key) if combo_key else _combo_of(payload.get("attributeCategoryOptions"), where)
    if data_set_key and data_set is None:
        raise Refused("E7600", dataSet=data_set_key)
    if data_set and not where.user.may(data_set.sharing, DATA_WRITE):
        raise Refused("E7601", dataSet=data_set.id)
    if data_set is None and options["strictDataElements"]:
        raise Refused("E7602")
    if unit_key and unit_id is None:
        raise Refused("E7603", organisationUnit=unit_key, dataSet=data_set_key)
    if combo_key and combo is None:
        raise Refused("E7604", categoryOptionCombo=combo_key, dataSet=data_set_key)
    return Header(data_set, parse_period(period_text) if period_text else None, unit_id, combo)


def _combo_of(option_ids: list[str] | None, where: Circumstances) -> OptionCombo | None:
    combos = where.metadata.option_combos.values()
    return next((each for each in combos if set(each.option_ids) == set(option_ids)), None) if option_ids else None


def _complete(payload: Json, header: Header, summary: Summary, where: Circumstances) -> Completion | None:
    """Register completion before any value is looked at, on dry runs too, under the default combo."""
    text = text_or_none(payload, "completeDate")
    if header.data_set is None or text is None or text.lower() == "false":
        return None
    day = where.today if text.lower() == "true" else min(_strict_date(text), where.today)
    if header.org_unit_id is None or header.period is None:
        missing = "OrganisationUnit" if header.org_unit_id is None else "Period"
        summary.conflicts.append({"object": missing, "value": "Must be provided to complete data set"})
        summary.data_set_complete = None
        return None
    summary.data_set_complete = day.isoformat()
    cell = header.data_set.id, header.period.iso, header.org_unit_id, DEFAULT_OPTION_COMBO_ID
    return Completion(*cell, day.isoformat())


def _strict_date(text: str) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError(text)
    return date.fromisoformat(text)


def _rows(payload: Json) -> Iterator[Json]:
    """Yield the rows as the streaming reader sees them: an object inside a row ends it and begins another."""
    if any(isinstance(value, dict) for name, value in payload.items() if name != "deletion"):
        return
    for row in payload.get("dataValues") or ():
        part: Json = {}
        for name, value in row.items():
            if isinstance(value, dict):
                yield part
                part = {}
            else:
                part[name] = value
        yield part


def _import_rows(rows: Iterable[Json], checks: Checks, result: ImportResult, is_dry_run: bool) -> None:
    summary = result.summary
    merged: dict[tuple[str, ...], Json] = {}
    batch = Batch(checks, result, is_dry_run)
    for index, row in enumerate(rows):
        try:
            cell, value, comment = checks.check(row)
        except Refused as refused:
            summary.ignored += 1
            summary.rejected_indexes.append(index)
            for conflict in refused.conflicts:
                _merge(conflict, index, merged)
            continue
        if not batch.save(row, cell, value, comment):
            summary.ignored += 1
            summary.rejected_indexes.append(index)
    summary.conflicts += merged.values()
    batch.flush()


def _merge(conflict: Conflict, index: int, merged: dict[tuple[str, ...], Json]) -> None:
    """Add a row to the conflict of the same code and objects, or begin one."""
    place = (conflict.code, *conflict.objects.values())
    merged.setdefault(place, conflict.json() | {"indexes": []})["indexes"].append(index)


class Batch:
    """Counts and collects what is written; inserts wait for a flush, updates do not."""

    def __init__(self, checks: Checks, result: ImportResult, is_dry_run: bool) -> None:
        self._options, self._where = checks.options, checks.where
        self._result, self._summary = result, result.summary
        self._inserts: dict[Key, DataValue] = {}
        self._length = 0.0
        self._is_dry_run = is_dry_run

    def save(self, row: Json, cell: Cell, value: str | None, comment: str | None) -> bool:
        """Write one row by the import strategy; False when the strategy leaves it out."""
        where, strategy, key = self._where, self._options.strategy, cell.key
        skips_check = self._options["skipExistingCheck"]
        written = None if self._is_dry_run else self._result.writes.get(key)
        existing = None if skips_check else written or where.stored(key)
        is_zero_dropped = is_zero(value or "", cell.data_element.value_type) and not cell.data_element.keeps_zero
        new = DataValue(
            value=value,
            comment=comment,
            follow_up=row.get("followup") is True,
            is_deleted=row.get("deleted") is True,
            stored_by=text_or_none(row, "storedBy") or where.user.username,
            created_at=existing.created_at if existing else where.timestamp,
            last_updated_at=where.timestamp,
        )
        if strategy == "CREATE" and value is None and not cell.data_element.keeps_zero:
            raise BrokenImportError("null")
        if is_zero_dropped and (existing is None or strategy == "CREATE"):
            return True  # no counter moves, and nobody is told
        if existing is None or existing.is_deleted:
            return strategy in {"CREATE", "CREATE_AND_UPDATE"} and self._create(key, new, existing)
        if strategy == "CREATE":
            return False
        self._replace(key, existing, new, new.is_deleted or is_zero_dropped or strategy == "DELETE")
        return True

    def _create(self, key: Key, new: DataValue, tombstone: DataValue | None) -> bool:
        if new.value is None and (new.is_deleted or new.comment is None):
            self._summary.ignored += 1
        elif tombstone:
            self._summary.imported += 1
            self._result.writes[key] = new
        elif key not in self._inserts or self._is_dry_run:  # a second new row of a key is not even counted
            self._summary.imported += 1
            self._inserts[key] = new
            self._length += ROW_LENGTH + len(new.comment or "") + max(len(new.value or "") - 1, 0)
            if self._length > FLUSH_LENGTH:
                self.flush()
        return True

    def _replace(self, key: Key, existing: DataValue, new: DataValue, is_delete: bool) -> None:
        if is_delete:
            self._summary.deleted += 1
            self._result.writes[key] = new._replace(is_deleted=True)
        elif (existing.value, existing.comment, bool(existing.follow_up)) == (new.value, new.comment, new.follow_up):
            self._summary.ignored += 1
        else:
            self._summary.updated += 1
            self._result.writes[key] = new

    def flush(self) -> None:
        """Hand the waiting inserts to the database, which refuses them all when one cannot be stored."""
        batch, self._inserts, self._length = self._inserts, {}, 0.0
        has_nul = any("\0" in (new.value or "") + (new.comment or "") for new in batch.values())
        is_taken = self._options["skipExistingCheck"] and any(self._where.stored(key) for key in batch)
        if has_nul or is_taken:
            raise BrokenImportError("Failed to flush BatchHandler")
        self._result.writes |= batch
